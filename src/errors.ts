/**
 * Every failure the library reports on purpose. One class per thing a caller may want to handle, each with a stable
 * `code`, its facts as fields, and what to do next as `hint` where there is something to do.
 * Trouble with a single item (an unreadable file, one damaged pack) is not thrown but reported to the operation's
 * `onError` and counted in its result.
 */

export type ErrorCode =
  | 'ABORTED'
  | 'BACKEND'
  | 'CORRUPT_DATA'
  | 'FILE_NOT_FOUND'
  | 'INVALID_INPUT'
  | 'LOCK_LOST'
  | 'NOT_FOUND'
  | 'REPOSITORY_DAMAGED'
  | 'REPOSITORY_EXISTS'
  | 'REPOSITORY_LOCKED'
  | 'REPOSITORY_NOT_FOUND'
  | 'SNAPSHOT_NOT_FOUND'
  | 'SOURCE'
  | 'UNSUPPORTED'
  | 'WORKER'
  | 'WRONG_PASSWORD'

/** What every error may carry besides its message. */
export interface ErrorDetails {
  readonly cause?: unknown
  /** What the user can do about it, a sentence of its own. */
  readonly hint?: string
}

/** The base of all errors thrown by this library. */
export abstract class ResticError extends Error {
  abstract readonly code: ErrorCode
  readonly hint: string | undefined

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined)
    this.name = new.target.name
    this.hint = details.hint
  }
}

/** The operation was stopped through its AbortSignal. */
export class AbortedError extends ResticError {
  readonly code = 'ABORTED'
  constructor(details: ErrorDetails = {}) {
    super('operation aborted', details)
  }
}

/** What a BackendError may carry besides. */
export interface BackendErrorDetails extends ErrorDetails {
  readonly transient?: boolean
  readonly retryAfterMs?: number | undefined
}

/**
 * The store could not do what it was asked to. `transient` says that the same call may succeed later, `retryAfterMs`
 * that the store wants to be left alone until then.
 */
export class BackendError extends ResticError {
  readonly code = 'BACKEND'
  readonly transient: boolean
  readonly retryAfterMs: number | undefined
  constructor(message: string, details: BackendErrorDetails = {}) {
    super(message, details)
    this.transient = details.transient ?? false
    this.retryAfterMs = details.retryAfterMs
  }
}

/** A file that should be in the store is not there. Permanent: never retried. */
export class FileNotFoundError extends ResticError {
  readonly code = 'FILE_NOT_FOUND'
  readonly file: string
  constructor(file: string, details: ErrorDetails = {}) {
    super(`${file} does not exist`, details)
    this.file = file
  }
}

/** Stored bytes are not what they should be: MAC, hash, or structure is wrong. `what` names the file or blob. */
export class CorruptDataError extends ResticError {
  readonly code = 'CORRUPT_DATA'
  readonly what: string
  constructor(what: string, problem: string, details: ErrorDetails = {}) {
    super(`${what} is damaged: ${problem}`, details)
    this.what = what
  }
}

/** An argument, option, location or environment variable cannot be used as it is. */
export class InvalidInputError extends ResticError {
  readonly code = 'INVALID_INPUT'
}

/** The lock could not be kept fresh: the operation had to stop before another process could take the repository. */
export class LockLostError extends ResticError {
  readonly code = 'LOCK_LOST'
}

/** A key, blob, pack or index with this ID is not in the repository. */
export class NotFoundError extends ResticError {
  readonly code = 'NOT_FOUND'
}

/** The repository as a whole is not in the state this operation needs (missing packs, incomplete index). */
export class RepositoryDamagedError extends ResticError {
  readonly code = 'REPOSITORY_DAMAGED'
}

/** A repository already stands where one was to be made. */
export class RepositoryExistsError extends ResticError {
  readonly code = 'REPOSITORY_EXISTS'
}

/** Another process holds a lock that conflicts with the one asked for. */
export class RepositoryLockedError extends ResticError {
  readonly code = 'REPOSITORY_LOCKED'
}

/** There is no repository (no config file, no bucket) at the location. */
export class RepositoryNotFoundError extends ResticError {
  readonly code = 'REPOSITORY_NOT_FOUND'
}

/** No snapshot answers to the ID, prefix or filter. */
export class SnapshotNotFoundError extends ResticError {
  readonly code = 'SNAPSHOT_NOT_FOUND'
}

/** Something to be backed up could not be read at all. */
export class SourceError extends ResticError {
  readonly code = 'SOURCE'
}

/** A repository version, key function or feature this library does not know, or a missing native module. */
export class UnsupportedError extends ResticError {
  readonly code = 'UNSUPPORTED'
}

/** A worker thread broke down. Nothing it did not report is relied on; what it stored is only unused data. */
export class WorkerError extends ResticError {
  readonly code = 'WORKER'
}

/** No key file opens with the password given. */
export class WrongPasswordError extends ResticError {
  readonly code = 'WRONG_PASSWORD'
  constructor(details: ErrorDetails = {}) {
    super('wrong password or no key found', details)
  }
}

/** @throws AbortedError once `signal` has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw signal.reason instanceof ResticError ? signal.reason : new AbortedError({ cause: signal.reason })
}
