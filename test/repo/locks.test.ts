import { spawnSync } from 'node:child_process'
import { hostname } from 'node:os'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { AbortedError, LockLostError, RepositoryLockedError } from '../../src/errors.ts'
import { encodeLockFile, parseLockFile, type LockFile } from '../../src/repo/format/lock-file.ts'
import { timeFromDate } from '../../src/repo/format/time.ts'
import { readLocked, removeLocks, type Lock } from '../../src/repo/locks.ts'
import { Repository, type Notice } from '../../src/repo/repository.ts'
import type { MemoryBackend } from '../../src/backend/memory.ts'
import { TEST_PASSWORD, createTestRepository } from '../support/test-repository.ts'

/** A process number that was in use and is no more. */
function deadPid(): number {
  return spawnSync(process.execPath, ['-e', '0']).pid
}

function lockFile(over: Partial<LockFile> = {}): LockFile {
  return {
    time: timeFromDate(new Date()),
    exclusive: false,
    hostname: 'elsewhere',
    username: 'somebody',
    pid: 4711,
    uid: 1,
    gid: 2,
    ...over,
  }
}

async function lockIds(repository: Repository): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of repository.list('lock')) ids.push(id)
  return ids
}

describe('locks', () => {
  let backend: MemoryBackend
  let repository: Repository
  let notices: Notice[]
  const held: Lock[] = []

  async function take(exclusive: boolean, signal?: AbortSignal): Promise<Lock> {
    const lock = await repository.lock(exclusive, signal)
    held.push(lock)
    return lock
  }

  function plant(lock: LockFile): Promise<unknown> {
    return repository.saveUnpacked('lock', encodeLockFile(lock))
  }

  beforeEach(async () => {
    notices = []
    ;({ backend, repository } = await createTestRepository({ onNotice: (notice) => notices.push(notice) }))
  })

  afterEach(async () => {
    vi.useRealTimers()
    for (const lock of held.splice(0)) await lock.release()
  })

  it('lets shared locks stand together and removes each on release', async () => {
    const a = await take(false)
    const b = await take(false)
    expect((await lockIds(repository)).length).toBe(2)
    await a.release()
    expect(await lockIds(repository)).toEqual([b.id])
    await b.release()
    await b.release()
    expect(await lockIds(repository)).toEqual([])
  })

  it('reads while a lock settles, and gives it back', async () => {
    const started = performance.now()
    const locks = await readLocked(await repository.lock(false, undefined, true), () => lockIds(repository))
    expect(locks).toHaveLength(1)
    expect(performance.now() - started).toBeLessThan(150)
    expect(await lockIds(repository)).toEqual([])
  })

  it.each([
    ['fails', true],
    ['looks like damage', true],
    ['waits for something', true],
    ['is all well', false],
  ])('knows of a process that locks at the same moment where what it reads %s', async (outcome, isTold) => {
    const lock = await repository.lock(false, undefined, true)
    const reading = readLocked(
      lock,
      async (signal) => {
        await plant(lockFile({ exclusive: true }))
        if (outcome === 'fails') throw new Error('what is read is being removed')
        if (outcome === 'waits for something')
          await new Promise((_, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason as Error)),
          )
      },
      () => outcome === 'looks like damage',
    )
    if (isTold) await expect(reading).rejects.toThrow(RepositoryLockedError)
    else await reading
    expect(await lockIds(repository)).toHaveLength(1)
  })

  it('does not wait for a lock to settle that is given back', async () => {
    const started = performance.now()
    const lock = await repository.lock(false, undefined, true)
    await lock.release()
    await expect(lock.settled).rejects.toThrow(AbortedError)
    expect(performance.now() - started).toBeLessThan(150)
  })

  it.each([
    [true, false],
    [false, true],
    [true, true],
  ])('refuses exclusive=%s beside a held exclusive=%s and leaves no lock behind', async (wanted, other) => {
    await plant(lockFile({ exclusive: other }))
    await expect(take(wanted)).rejects.toThrow(RepositoryLockedError)
    expect((await lockIds(repository)).length).toBe(1)
  })

  it('says who holds the lock', async () => {
    await plant(lockFile({ exclusive: true }))
    await expect(take(false)).rejects.toThrow(
      /already locked exclusively by PID 4711 on elsewhere by somebody \(UID 1, GID 2\)/,
    )
  })

  it('removes the lock of a dead process of this host, with a notice', async () => {
    await plant(lockFile({ exclusive: true, hostname: hostname(), pid: deadPid() }))
    const lock = await take(true)
    expect(await lockIds(repository)).toEqual([lock.id])
    expect(notices.map((notice) => notice.kind)).toEqual(['stale-lock-removed'])
  })

  it('leaves the lock of a live process of this host and of a dead one elsewhere', async () => {
    await plant(lockFile({ exclusive: true, hostname: hostname(), pid: process.pid }))
    await expect(take(false)).rejects.toThrow(RepositoryLockedError)
    await removeLocks(repository.lockStore, { all: true })
    await plant(lockFile({ exclusive: true, pid: deadPid() }))
    await expect(take(false)).rejects.toThrow(RepositoryLockedError)
  })

  it('waits for a lock as long as it is told to', async () => {
    const waiting = await Repository.open(backend, { password: TEST_PASSWORD, retryLockMs: 3000 })
    const first = await take(true)
    setTimeout(() => void first.release(), 300)
    const lock = await waiting.lock(false)
    expect(await lockIds(repository)).toEqual([lock.id])
    await lock.release()
  })

  it('tells who works under it of a signal that fired while it was being written', async () => {
    const controller = new AbortController()
    const write = backend.write.bind(backend)
    backend.write = async (...args) => {
      await write(...args)
      controller.abort()
    }
    const lock = await repository.lock(false, controller.signal, true)
    held.push(lock)
    expect(lock.signal.aborted).toBe(true)
    await expect(lock.settled).rejects.toThrow(AbortedError)
  })

  it('stops waiting when aborted and leaves no lock', async () => {
    await plant(lockFile({ exclusive: true }))
    const waiting = await Repository.open(backend, { password: TEST_PASSWORD, retryLockMs: 60_000 })
    const controller = new AbortController()
    setTimeout(() => controller.abort(), 100)
    await expect(waiting.lock(false, controller.signal)).rejects.toThrow(AbortedError)
    expect((await lockIds(repository)).length).toBe(1)
  })

  it('ignores empty lock files', async () => {
    await backend.write({ type: 'lock', name: 'ab'.repeat(32) }, new Uint8Array())
    await expect(take(true)).resolves.toBeDefined()
  })

  it('refreshes the lock while it is held', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] })
    const lock = await take(false)
    const before = lock.id
    await vi.advanceTimersByTimeAsync(5 * 60_000 + 16_000)
    await vi.waitFor(() => expect(lock.id).not.toBe(before))
    await vi.waitFor(async () => expect(await lockIds(repository)).toEqual([lock.id]))
    const file = parseLockFile(await repository.loadUnpacked('lock', lock.id))
    expect(file.time.seconds * 1000).toBeGreaterThan(Date.now() - 60_000)
    expect(lock.signal.aborted).toBe(false)
  })

  it('stops the operation when the lock was taken away while the machine slept', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] })
    const lock = await take(false)
    await repository.remove('lock', lock.id)
    vi.setSystemTime(Date.now() + 25 * 60_000)
    await vi.advanceTimersByTimeAsync(16_000)
    await vi.waitFor(() => expect(lock.signal.aborted).toBe(true))
    expect(lock.signal.reason).toBeInstanceOf(LockLostError)
  })

  it('keeps a lock that stood through the sleep', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] })
    const lock = await take(false)
    const before = lock.id
    vi.setSystemTime(Date.now() + 25 * 60_000)
    await vi.advanceTimersByTimeAsync(16_000)
    await vi.waitFor(() => expect(lock.id).not.toBe(before))
    expect(lock.signal.aborted).toBe(false)
  })

  it('unlock removes stale locks only, unless told all', async () => {
    const hourAgo = timeFromDate(new Date(Date.now() - 3_600_000))
    await plant(lockFile({ time: hourAgo }))
    await plant(lockFile({ hostname: hostname(), pid: deadPid() }))
    await plant(lockFile())
    await backend.write({ type: 'lock', name: 'cd'.repeat(32) }, new Uint8Array([1, 2, 3]))
    expect(await removeLocks(repository.lockStore, { all: false })).toBe(2)
    expect(await removeLocks(repository.lockStore, { all: true })).toBe(2)
    expect(await lockIds(repository)).toEqual([])
  })

  it('reads a lock again that cannot be read, instead of passing over it', async () => {
    await backend.write({ type: 'lock', name: 'cd'.repeat(32) }, new Uint8Array([1, 2, 3]))
    const controller = new AbortController()
    setTimeout(() => controller.abort(), 200)
    await expect(take(false, controller.signal)).rejects.toThrow(AbortedError)
  })
})
