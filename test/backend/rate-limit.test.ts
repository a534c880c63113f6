/** Rates that all transfers share. */
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { LimitedBackend } from '../../src/backend/limited.ts'
import { MemoryBackend } from '../../src/backend/memory.ts'
import { RateLimit, rateLimits } from '../../src/backend/rate-limit.ts'
import { AbortedError } from '../../src/errors.ts'
import { testClock } from '../support/test-clock.ts'
import { describeBackend, handleOf } from './conformance.ts'

const PACK = handleOf('pack', 'ab')
const KIB = 1024

describeBackend('limited', async () => {
  const limits = rateLimits({ upload: 100, download: 100 }, testClock())
  const backend = new LimitedBackend(new MemoryBackend(), limits)
  return { backend, reopen: async () => backend, cleanup: async () => undefined }
})

describe('a rate limit', () => {
  it('lets so many bytes pass in so much time, in pieces of any size', async () => {
    for (const piece of [1, 100, 1000, 10_000, 100_000]) {
      const clock = testClock()
      const limit = new RateLimit(10_000, clock)
      const start = clock.now()
      for (let i = 0; i < 200_000 / piece; i++) await limit.pass(piece)
      // 20 seconds, less what passes at once when nothing did before.
      expect(clock.now() - start).toBeCloseTo(19_800, 0)
    }
  })

  it('is shared: who comes first is served first, and nobody faster', async () => {
    const waits: number[] = []
    const sleep = async (ms: number): Promise<void> => void waits.push(ms)
    const limit = new RateLimit(1000, { now: () => 0, random: () => 0, sleep })
    await Promise.all([limit.pass(1000), limit.pass(3000), limit.pass(500)])
    expect(waits).toEqual([800, 3800, 4300])
  })

  it('forgives late timers, and does not save up time in which nothing passed', async () => {
    const clock = testClock()
    const limit = new RateLimit(1000, clock)
    await limit.pass(1000)
    clock.advance(150)
    await limit.pass(1000)
    clock.advance(3_600_000)
    await limit.pass(1000)
    await limit.pass(100)
    expect(clock.waits).toEqual([800, 850, 800, 100])
  })

  it('forgets bytes that were given up', async () => {
    const limit = new RateLimit(1000)
    const controller = new AbortController()
    const stopped = limit.pass(1_000_000, controller.signal)
    setImmediate(() => controller.abort())
    await expect(stopped).rejects.toThrow(AbortedError)
    const result = await Promise.race([limit.pass(210).then(() => 'passed'), delay(5000, 'stuck')])
    expect(result).toBe('passed')
    await expect(limit.pass(1, controller.signal)).rejects.toThrow(AbortedError)
  })

  it('is none where the flags name none', () => {
    expect(rateLimits({})).toEqual({ upload: undefined, download: undefined })
    expect(rateLimits({ upload: 0, download: 8 })).toMatchObject({
      upload: undefined,
      download: { bytesPerSecond: 8192 },
    })
  })
})

describe('a limited store', () => {
  it('takes its time for both ways, each for itself', async () => {
    const clock = testClock()
    const backend = new LimitedBackend(new MemoryBackend(), rateLimits({ upload: 10, download: 20 }, clock))
    const start = clock.now()
    await backend.write(PACK, new Uint8Array(100 * KIB))
    expect(clock.now() - start).toBe(9800)
    await backend.read(PACK)
    expect(clock.now() - start).toBe(9800 + 4800)
    await backend.read(PACK, { offset: 0, length: 20 * KIB })
    expect(clock.now() - start).toBe(9800 + 4800 + 1000)
  })

  it('does not wait where there is no limit', async () => {
    const clock = testClock()
    const backend = new LimitedBackend(new MemoryBackend(), rateLimits({ download: 1 }, clock))
    await backend.write(PACK, new Uint8Array(10_000 * KIB))
    expect(clock.waits).toEqual([])
  })

  it('holds a rate in real time', async () => {
    const backend = new LimitedBackend(new MemoryBackend(), rateLimits({ upload: 1000 }))
    const start = performance.now()
    for (let i = 0; i < 5; i++) await backend.write(PACK, new Uint8Array(100 * KIB))
    const elapsed = performance.now() - start
    expect(elapsed).toBeGreaterThan(290)
    expect(elapsed).toBeLessThan(2000)
  })
})
