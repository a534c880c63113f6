/** Time that passes only when somebody waits for it, and chance that is none. */
import type { Clock } from '../../src/backend/clock.ts'
import { throwIfAborted } from '../../src/errors.ts'

export interface TestClock extends Clock {
  /** What was waited for, in ms. */
  readonly waits: readonly number[]
  /** Lets time pass without anybody waiting. */
  advance(ms: number): void
}

/** @param random what every draw gives */
export function testClock(random = 0.5): TestClock {
  let nowMs = 1000
  const waits: number[] = []
  return {
    waits,
    now: () => nowMs,
    random: () => random,
    advance: (ms) => {
      nowMs += ms
    },
    sleep: async (ms, signal) => {
      throwIfAborted(signal)
      waits.push(ms)
      nowMs += ms
      // Others come to their turn as well.
      await Promise.resolve()
      throwIfAborted(signal)
    },
  }
}
