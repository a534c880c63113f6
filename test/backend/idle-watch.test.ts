import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SlicedBody } from '../../src/backend/b2-transfer.ts'
import { IdleWatch } from '../../src/backend/idle-watch.ts'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

describe('the idle watch', () => {
  it('fires when nothing happened for long enough', () => {
    const watch = new IdleWatch(undefined, 1000)
    vi.advanceTimersByTime(999)
    expect([watch.signal.aborted, watch.timedOut]).toEqual([false, false])
    vi.advanceTimersByTime(1)
    expect([watch.signal.aborted, watch.timedOut]).toEqual([true, true])
    watch.end()
  })

  it('starts anew with every sign of life', () => {
    const watch = new IdleWatch(undefined, 1000)
    for (let i = 0; i < 10; i++) {
      vi.advanceTimersByTime(900)
      watch.touch()
    }
    expect(watch.timedOut).toBe(false)
    vi.advanceTimersByTime(1000)
    expect(watch.timedOut).toBe(true)
    watch.end()
  })

  it('fires with the caller, without being a time-out', () => {
    const controller = new AbortController()
    const watch = new IdleWatch(controller.signal, 1000)
    controller.abort()
    expect([watch.signal.aborted, watch.timedOut]).toEqual([true, false])
    watch.end()
    const late = new IdleWatch(controller.signal, 1000)
    expect(late.signal.aborted).toBe(true)
    late.end()
  })

  it('leaves nothing behind', () => {
    const controller = new AbortController()
    const watch = new IdleWatch(controller.signal, 1000)
    watch.end()
    watch.touch()
    controller.abort()
    vi.advanceTimersByTime(5000)
    expect([watch.signal.aborted, watch.timedOut, vi.getTimerCount()]).toEqual([false, false, 0])
  })
})

it('sees every slice of a body that is taken slowly', async () => {
  const watch = new IdleWatch(undefined, 1000)
  const bytes = Buffer.alloc(3_000_000, 7)
  const taken: Buffer[] = []
  for await (const slice of new SlicedBody(bytes, watch)) {
    vi.advanceTimersByTime(900)
    expect(watch.timedOut).toBe(false)
    taken.push(slice as Buffer)
  }
  expect(taken.length).toBeGreaterThan(5)
  expect(Buffer.concat(taken).equals(bytes)).toBe(true)
  expect(taken[0]!.buffer).toBe(bytes.buffer)
  watch.end()
})
