/** Errors in words, the system's the way restic words them: `open /path: permission denied`. */

/** What is wrong, without the place in the code. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (!isSystemError(error)) return error.message
  if (error.syscall.startsWith('spawn ') && error.code === 'ENOENT')
    return `${error.syscall.slice('spawn '.length)}: command not found`
  // Node says "EACCES: permission denied, open '/path'".
  const reason = /^[A-Z0-9_]+: ([^,]+)/.exec(error.message)?.[1]
  if (reason === undefined || error.path === undefined) return error.message
  return `${error.syscall} ${error.path}: ${reason}`
}

export function isMissing(error: unknown): boolean {
  return isSystemError(error) && error.code === 'ENOENT'
}

interface SystemError extends Error {
  readonly code?: string
  readonly syscall: string
  readonly path?: string
}

/** Of the operating system, and so no bug of ours. */
export function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && 'syscall' in error && typeof error.syscall === 'string'
}
