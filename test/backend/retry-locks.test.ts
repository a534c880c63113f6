/** However patient we are with a store: a lock is either kept fresh or given up before others may take it for stale. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Handle } from '../../src/backend/backend.ts'
import { MemoryBackend } from '../../src/backend/memory.ts'
import { RetryBackend } from '../../src/backend/retry.ts'
import { BackendError, LockLostError, throwIfAborted } from '../../src/errors.ts'
import type { Lock } from '../../src/repo/locks.ts'
import { Repository } from '../../src/repo/repository.ts'
import { createTestRepositoryIn, TEST_PASSWORD } from '../support/test-repository.ts'

const MINUTE_MS = 60_000
/** After this long others may remove our lock. */
const STALE_MS = 30 * MINUTE_MS

/** Stores locks, or fails to, or says nothing. */
class Troubled extends MemoryBackend {
  mood: 'well' | 'failing' | 'silent' = 'well'

  override async write(handle: Handle, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    if (handle.type === 'lock') await this.#suffer(signal)
    return super.write(handle, data, signal)
  }

  async #suffer(signal: AbortSignal | undefined): Promise<void> {
    if (this.mood === 'failing') throw new BackendError('the network is down', { transient: true })
    if (this.mood === 'silent') {
      await new Promise((resolve) => signal?.addEventListener('abort', resolve))
      throwIfAborted(signal)
    }
  }
}

let store: Troubled
let lock: Lock
let notices: string[]
let startMs: number

beforeEach(async () => {
  store = new Troubled()
  notices = []
  await createTestRepositoryIn(store)
  const repository = await Repository.open(new RetryBackend(store), {
    password: TEST_PASSWORD,
    onNotice: ({ message }) => notices.push(message),
  })
  vi.useFakeTimers({
    toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout', 'Date', 'performance'],
  })
  lock = await repository.lock(true)
  startMs = Date.now()
})

afterEach(async () => {
  store.mood = 'well'
  vi.useRealTimers()
  await lock.release()
})

/** Lets time pass in small steps, until `isOver` says so. */
async function pass(ms: number, isOver: () => boolean = () => false): Promise<void> {
  const endMs = Date.now() + ms
  while (Date.now() < endMs && !isOver()) await vi.advanceTimersByTimeAsync(1000)
}

describe.each(['failing', 'silent'] as const)('while the store is %s', (mood) => {
  it('the operation ends before the lock is stale', async () => {
    store.mood = mood
    const before = lock.id
    await pass(22 * MINUTE_MS)
    expect(lock.signal.aborted).toBe(false)
    await pass(STALE_MS, () => lock.signal.aborted)
    expect(lock.signal.reason).toBeInstanceOf(LockLostError)
    expect(Date.now() - startMs).toBeLessThan(STALE_MS - MINUTE_MS)
    expect(lock.id).toBe(before)
    expect(notices[0]).toBe('unable to refresh lock: the store did not answer for 90 seconds')
  })

  it('the lock is refreshed as soon as the store is well again', async () => {
    store.mood = mood
    const before = lock.id
    await pass(15 * MINUTE_MS)
    store.mood = 'well'
    await pass(2 * MINUTE_MS)
    expect(lock.id).not.toBe(before)
    await pass(STALE_MS)
    expect(lock.signal.aborted).toBe(false)
  })
})
