/** A failed system call on its way between threads, where an Error would lose what tells it apart. */

export interface SystemFailure {
  readonly message: string
  readonly code: string
  readonly errno: number | undefined
  readonly syscall: string
  readonly path: string | undefined
}

/** @throws the error itself where it is not of a system call */
export function systemFailureOf(error: unknown): SystemFailure {
  if (!(error instanceof Error) || !('syscall' in error) || !('code' in error)) throw error
  return {
    message: error.message,
    code: String(error.code),
    errno: 'errno' in error && typeof error.errno === 'number' ? error.errno : undefined,
    syscall: String(error.syscall),
    path: 'path' in error && typeof error.path === 'string' ? error.path : undefined,
  }
}

/** The error as the system call threw it. */
export function systemErrorOf({ message, ...facts }: SystemFailure): Error {
  return Object.assign(new Error(message), facts)
}
