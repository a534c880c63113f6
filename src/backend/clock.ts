/** Time and chance as the decorators see them, so that tests need not wait. */
import { throwIfAborted } from '../errors.ts'
import { onAbort } from './abort-listener.ts'

export interface Clock {
  /** Milliseconds that never go backwards. */
  now(): number
  /** @throws AbortedError as soon as `signal` fires */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** In [0, 1). */
  random(): number
}

export const systemClock: Clock = {
  now: () => performance.now(),
  random: () => Math.random(),
  sleep: async (ms, signal) => {
    throwIfAborted(signal)
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        stopListening()
        resolve()
      }
      const timer = setTimeout(done, ms)
      const stopListening = onAbort(signal, done)
    })
    throwIfAborted(signal)
  },
}
