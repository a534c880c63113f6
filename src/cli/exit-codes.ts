/** The one place where outcomes become exit codes (command spec §1.1). */
import { ResticError, type ErrorCode } from '../index.ts'

export const EXIT_OK = 0
export const EXIT_FAILURE = 1
/** backup: the snapshot is there, but not all could be read. forget: not all could be removed. */
export const EXIT_INCOMPLETE = 3
export const EXIT_INTERRUPTED = 130
/** What shells report of a program whose reader went away: 128 + SIGPIPE. */
export const EXIT_OUTPUT_CLOSED = 141

const EXIT_CODES: Partial<Record<ErrorCode, number>> = {
  ABORTED: EXIT_INTERRUPTED,
  REPOSITORY_NOT_FOUND: 10,
  REPOSITORY_LOCKED: 11,
  WRONG_PASSWORD: 12,
}

/** A command that ends with a code of its own after it has said why. */
export class ExitError extends Error {
  readonly exitCode: number

  constructor(exitCode: number, message: string) {
    super(message)
    this.exitCode = exitCode
  }
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof ExitError) return error.exitCode
  return error instanceof ResticError ? (EXIT_CODES[error.code] ?? EXIT_FAILURE) : EXIT_FAILURE
}
