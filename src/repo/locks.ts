/**
 * Locks as restic keeps them (format spec §16): one small file per process, any number of shared ones or a single
 * exclusive one, refreshed while held. Beyond restic: a lock left by a process of this very host that is gone does not
 * block, it is removed with a notice.
 */
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  AbortedError,
  BackendError,
  CorruptDataError,
  FileNotFoundError,
  LockLostError,
  RepositoryLockedError,
  throwIfAborted,
} from '../errors.ts'
import { shortId, type Id } from './format/id.ts'
import { encodeLockFile, parseLockFile, type LockFile } from './format/lock-file.ts'
import { formatTime, timeFromDate, timeToDate } from './format/time.ts'
import { currentUser } from './keys.ts'

/** What locking needs of a repository. */
export interface LockStore {
  list(signal?: AbortSignal): AsyncIterable<{ readonly id: Id; readonly size: number }>
  load(id: Id, signal?: AbortSignal): Promise<Uint8Array>
  save(json: Uint8Array, signal?: AbortSignal): Promise<Id>
  remove(id: Id, signal?: AbortSignal): Promise<void>
}

export interface LockOptions {
  readonly exclusive: boolean
  /** Give the lock out before it has settled, unless conflicting ones are waited for. */
  readonly settlesLater?: boolean | undefined
  /** How long to wait for a conflicting lock to go, in ms. */
  readonly retryMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly onNotice?:
    ((kind: 'lock-waiting' | 'stale-lock-removed' | 'warning', message: string) => void) | undefined
}

/** A lock held. `signal` fires when the caller's signal does or when the lock can no longer be kept. */
export interface Lock {
  readonly id: Id
  readonly signal: AbortSignal
  /**
   * Resolves when a process that was locking at the same moment must have been seen. Rejects where one was, and `signal`
   * fires: nothing in the repository may be written, removed or called damaged before.
   */
  readonly settled: Promise<void>
  /** Removes the lock file. Never throws: an operation that has succeeded must not fail over this. */
  release(): Promise<void>
}

/** How long after writing our lock we look again: a racing process must have seen it or be seen by then. */
const SETTLE_MS = 200
const REFRESH_MS = 5 * 60_000
/** A lock not refreshed for this long may soon look stale to others (30 min): refresh now or stop. */
const REFRESHABLE_MS = 22.5 * 60_000
const STALE_MS = 30 * 60_000
/** How often the refresher looks at the clock: after a suspended machine wakes, this soon. */
const WATCH_MS = 15_000
const RELEASE_GRACE_MS = 60_000
/** A store may be tried for very long. Both refreshes together must end well before STALE_MS. */
const REFRESH_LIMIT_MS = 90_000
const LAST_REFRESH_LIMIT_MS = 4 * 60_000
const UNREADABLE_RETRY_MS = [5_000, 10_000, 20_000]
const MAX_RETRY_WAIT_MS = 60_000

/** @throws RepositoryLockedError, CorruptDataError for a lock that cannot be read, AbortedError */
export async function acquireLock(store: LockStore, options: LockOptions): Promise<Lock> {
  const deadline = Date.now() + (options.retryMs ?? 0)
  let wait = Math.min(5_000, options.retryMs ?? 0)
  for (let announced = false; ; announced = true) {
    try {
      return await tryLock(store, options)
    } catch (error) {
      const remaining = deadline - Date.now()
      if (!(error instanceof RepositoryLockedError) || remaining <= 0) throw error
      if (!announced) {
        const seconds = Math.round((options.retryMs ?? 0) / 1000)
        options.onNotice?.('lock-waiting', `repo already locked, waiting up to ${seconds}s for the lock`)
      }
      await pause(Math.min(wait, remaining), options.signal)
      wait = Math.min(wait * 2, MAX_RETRY_WAIT_MS)
    }
  }
}

/**
 * Reads under a lock that settles meanwhile, and releases it: settling takes a fifth of a second, as long as many a
 * command has to do. What could be read is good, whoever may have been locking at the same moment.
 * @param isSuspect whether a result tells of damage, which another process may be the reason of
 * @throws RepositoryLockedError where that is so, or reading failed, and another process was locking at the same moment
 */
export async function readLocked<T>(
  lock: Lock,
  read: (signal: AbortSignal) => Promise<T>,
  isSuspect: (result: T) => boolean = () => false,
): Promise<T> {
  try {
    const result = await read(lock.signal)
    if (isSuspect(result)) await lock.settled
    return result
  } catch (error) {
    await lock.settled
    throw error
  } finally {
    await lock.release()
  }
}

/** @see restic-commands spec, unlock: removes stale locks, or all; the number removed. */
export async function removeLocks(
  store: LockStore,
  options: { readonly all: boolean; readonly signal?: AbortSignal | undefined },
): Promise<number> {
  let removed = 0
  for await (const { id } of store.list(options.signal)) {
    if (!options.all && !(await isStaleById(store, id, options.signal))) continue
    if (await removeIfPresent(store, id, options.signal)) removed += 1
  }
  return removed
}

async function isStaleById(store: LockStore, id: Id, signal?: AbortSignal): Promise<boolean> {
  try {
    const lock = parseLockFile(await store.load(id, signal))
    return ageMs(lock) > STALE_MS || isOfDeadProcess(lock)
  } catch (error) {
    if (error instanceof CorruptDataError || error instanceof FileNotFoundError) return false
    throw error
  }
}

async function tryLock(store: LockStore, options: LockOptions): Promise<Lock> {
  const { signal } = options
  await checkForConflicts(store, options, undefined)
  const lock = new HeldLock(
    store,
    options,
    await store.save(encodeLockFile(ownLock(options.exclusive)), signal),
  )
  if (options.settlesLater === true && (options.retryMs ?? 0) === 0) return lock
  try {
    await lock.settled
    return lock
  } catch (error) {
    await lock.release()
    throw error
  }
}

function ownLock(exclusive: boolean): LockFile {
  return {
    time: timeFromDate(new Date()),
    exclusive,
    hostname: hostname(),
    pid: process.pid,
    ...currentUser(),
  }
}

async function checkForConflicts(
  store: LockStore,
  options: LockOptions,
  ownId: Id | undefined,
): Promise<void> {
  for await (const { id, size } of store.list(options.signal)) {
    if (id === ownId || size === 0) continue
    const lock = await loadLock(store, id, options)
    if (lock === undefined || !(options.exclusive || lock.exclusive)) continue
    if (isOfDeadProcess(lock)) {
      if (await removeIfPresent(store, id, options.signal)) {
        const text = `removed the stale lock ${shortId(id)} of process ${lock.pid}, which is no longer running on this host`
        options.onNotice?.('stale-lock-removed', text)
      }
      continue
    }
    throw new RepositoryLockedError(describeConflict(id, lock), {
      hint: 'the `unlock` command can be used to remove stale locks',
    })
  }
}

/** A lock just written or being removed may be unreadable for a moment, so it is read again before it is called bad. */
async function loadLock(store: LockStore, id: Id, options: LockOptions): Promise<LockFile | undefined> {
  for (const retryMs of [...UNREADABLE_RETRY_MS, undefined]) {
    try {
      return parseLockFile(await store.load(id, options.signal))
    } catch (error) {
      if (error instanceof FileNotFoundError) return undefined
      if (error instanceof AbortedError) throw error
      if (retryMs === undefined) {
        throw new CorruptDataError(`lock ${id}`, error instanceof Error ? error.message : String(error), {
          cause: error,
          hint: 'when no other process uses the repository, `unlock --remove-all` removes it',
        })
      }
      await pause(retryMs, options.signal)
    }
  }
  return undefined
}

function describeConflict(id: Id, lock: LockFile): string {
  const kind = lock.exclusive ? 'exclusively ' : ''
  const who = `PID ${lock.pid} on ${lock.hostname} by ${lock.username} (UID ${lock.uid}, GID ${lock.gid})`
  const since = formatTime(lock.time).slice(0, 19).replace('T', ' ')
  return (
    `unable to create lock in backend: repository is already locked ${kind}by ${who}\n` +
    `lock was created at ${since} (${formatAge(ageMs(lock))} ago)\nstorage ID ${shortId(id)}`
  )
}

function formatAge(ms: number): string {
  const seconds = ms / 1000
  const hours = Math.floor(seconds / 3600)
  const minutes = Math.floor((seconds % 3600) / 60)
  const rest = `${(seconds % 60).toFixed(3)}s`
  if (hours > 0) return `${hours}h${minutes}m${rest}`
  return minutes > 0 ? `${minutes}m${rest}` : rest
}

function ageMs(lock: LockFile): number {
  return Date.now() - timeToDate(lock.time).getTime()
}

/** Only where the system says for certain that there is no such process; a process of somebody else is alive too. */
function isOfDeadProcess(lock: LockFile): boolean {
  if (lock.hostname !== hostname() || lock.pid <= 0) return false
  try {
    process.kill(lock.pid, 0)
    return false
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH'
  }
}

async function removeIfPresent(store: LockStore, id: Id, signal?: AbortSignal): Promise<boolean> {
  try {
    await store.remove(id, signal)
    return true
  } catch (error) {
    if (error instanceof FileNotFoundError) return false
    throw error
  }
}

async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  throwIfAborted(signal)
  try {
    await sleep(ms, undefined, signal === undefined ? {} : { signal })
  } catch (error) {
    throwIfAborted(signal)
    throw error
  }
}

class HeldLock implements Lock {
  readonly #store: LockStore
  readonly #options: LockOptions
  readonly #controller = new AbortController()
  readonly #timer: NodeJS.Timeout
  readonly #onAbort: () => void
  readonly #end = new AbortController()
  readonly settled: Promise<void>
  #id: Id
  #refreshedMs = Date.now()
  #refreshing: Promise<void> | undefined
  #released = false

  constructor(store: LockStore, options: LockOptions, id: Id) {
    this.#store = store
    this.#options = options
    this.#id = id
    this.#onAbort = () => this.#controller.abort(options.signal?.reason)
    options.signal?.addEventListener('abort', this.#onAbort, { once: true })
    // It may have fired while the lock was being written: then nobody is told any more.
    if (options.signal?.aborted === true) this.#onAbort()
    this.#timer = setInterval(() => this.#watch(), WATCH_MS)
    this.#timer.unref()
    this.settled = this.#settle()
    // Whoever waits for it hears of it; until then it must not pass for unhandled.
    this.settled.catch(() => undefined)
  }

  get id(): Id {
    return this.#id
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  async release(): Promise<void> {
    if (this.#released) return
    this.#released = true
    this.#end.abort()
    clearInterval(this.#timer)
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    await this.#refreshing
    try {
      // Not the operation's signal: an aborted operation must still clean up.
      await removeIfPresent(this.#store, this.#id, AbortSignal.timeout(RELEASE_GRACE_MS))
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#options.onNotice?.('warning', `unable to remove lock ${shortId(this.#id)}: ${reason}`)
    }
  }

  async #settle(): Promise<void> {
    try {
      await pause(SETTLE_MS, AbortSignal.any([this.signal, this.#end.signal]))
      await checkForConflicts(this.#store, { ...this.#options, signal: this.signal }, this.#id)
    } catch (error) {
      this.#controller.abort(error)
      throw error
    }
  }

  #watch(): void {
    const sinceMs = Date.now() - this.#refreshedMs
    if (this.#refreshing !== undefined || this.#released || sinceMs < REFRESH_MS) return
    const isInTime = sinceMs < REFRESHABLE_MS
    const limit = this.#limitedSignal(isInTime ? REFRESH_LIMIT_MS : LAST_REFRESH_LIMIT_MS)
    const refresh = isInTime ? this.#refresh(limit.signal) : this.#refreshOrStop(limit.signal)
    this.#refreshing = refresh.finally(() => {
      limit.end()
      this.#refreshing = undefined
    })
  }

  #limitedSignal(ms: number): { readonly signal: AbortSignal; readonly end: () => void } {
    const controller = new AbortController()
    const problem = `the store did not answer for ${ms / 1000} seconds`
    const timer = setTimeout(() => controller.abort(new BackendError(problem, { transient: true })), ms)
    return { signal: AbortSignal.any([this.signal, controller.signal]), end: () => clearTimeout(timer) }
  }

  /** A refresh that fails is tried again at the next look, until the lock is too old to be trusted. */
  async #refresh(signal: AbortSignal): Promise<void> {
    try {
      const old = this.#id
      this.#id = await this.#store.save(encodeLockFile(ownLock(this.#options.exclusive)), signal)
      this.#refreshedMs = Date.now()
      await removeIfPresent(this.#store, old, signal)
    } catch (error) {
      if (this.signal.aborted) return
      const reason = error instanceof Error ? error.message : String(error)
      this.#options.onNotice?.('warning', `unable to refresh lock: ${reason}`)
    }
  }

  /** Another process may have taken our old lock for stale: go on only if it stands before and after the new one. */
  async #refreshOrStop(signal: AbortSignal): Promise<void> {
    try {
      await this.#store.load(this.#id, signal)
      const renewed = await this.#store.save(encodeLockFile(ownLock(this.#options.exclusive)), signal)
      await pause(SETTLE_MS, signal)
      try {
        await this.#store.load(this.#id, signal)
      } catch (error) {
        await removeIfPresent(this.#store, renewed).catch(() => false)
        throw error
      }
      const old = this.#id
      this.#id = renewed
      this.#refreshedMs = Date.now()
      await removeIfPresent(this.#store, old, signal)
    } catch (error) {
      this.#controller.abort(
        new LockLostError('the lock on the repository could not be kept', {
          cause: error,
          hint: 'nothing was lost; run the command again',
        }),
      )
    }
  }
}
