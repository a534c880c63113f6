/** Errors in words, the system's the way restic (Go) words them: `open /path: permission denied`. */
import { getSystemErrorMap } from 'node:util'
import { FileNotFoundError } from '../index.ts'

/** Calls that Go names otherwise than Node does. */
const CALLS: Readonly<Record<string, string>> = {
  access: 'stat',
  opendir: 'open',
  rmdir: 'remove',
  scandir: 'open',
  unlink: 'remove',
}

/** Reasons that the system words otherwise than Node does. */
const REASONS: Readonly<Record<string, string>> = {
  EBUSY: 'device or resource busy',
  EEXIST: 'file exists',
  EIO: 'input/output error',
  EISDIR: 'is a directory',
  ELOOP: 'too many levels of symbolic links',
  ENAMETOOLONG: 'file name too long',
  ETXTBSY: 'text file busy',
  EXDEV: 'invalid cross-device link',
}

/**
 * What is wrong, without the place in the code.
 * @param path what it is about, where the system's error does not say
 */
export function describeError(error: unknown, path?: string): string {
  if (!(error instanceof Error)) return String(error)
  return isSystemError(error) ? describeSystemError(error, path) : withSystemWords(error)
}

/** Where the library says of a file of the local system that it does not exist, in the system's words. */
function withSystemWords(error: Error): string {
  for (let inner: unknown = error; inner instanceof Error; inner = inner.cause) {
    if (inner instanceof FileNotFoundError && isSystemError(inner.cause))
      return error.message.replace(inner.message, () => describeError(inner.cause))
  }
  return error.message
}

function describeSystemError(error: SystemError, about: string | undefined): string {
  const { code = '', errno, message, path = about, dest, syscall } = error
  const reason = REASONS[code] ?? getSystemErrorMap().get(-Math.abs(errno ?? 0))?.[1]
  if (reason === undefined) return message
  if (syscall.startsWith('spawn'))
    return `${path ?? syscall}: ${code === 'ENOENT' ? 'command not found' : reason}`
  const paths = [path, dest].filter((part) => part !== undefined)
  return `${[CALLS[syscall] ?? syscall, ...paths].join(' ')}: ${reason}`
}

export function isMissing(error: unknown): boolean {
  return isSystemError(error) && error.code === 'ENOENT'
}

interface SystemError extends Error {
  readonly code?: string
  readonly errno?: number
  readonly syscall: string
  readonly path?: string
  readonly dest?: string
}

/** Of the operating system, and so no bug of ours. */
export function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && 'syscall' in error && typeof error.syscall === 'string'
}
