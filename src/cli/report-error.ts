/** The one place where failures become exit codes and words (command spec §1.1, §1.2). */
import { ResticError, type ErrorCode } from '../index.ts'
import { describeError, isSystemError } from './describe-error.ts'
import {
  EXIT_FAILURE,
  EXIT_INCOMPLETE,
  EXIT_INTERRUPTED,
  EXIT_LOCKED,
  EXIT_NO_REPOSITORY,
  EXIT_OUTPUT_CLOSED,
  EXIT_WRONG_PASSWORD,
  ExitError,
} from './exit-codes.ts'
import { toJson } from './format.ts'
import { InterruptedError, OutputClosedError, type CliIo } from './io.ts'
import { safeText } from './safe-text.ts'

const EXIT_CODES: Partial<Record<ErrorCode, number>> = {
  ABORTED: EXIT_INTERRUPTED,
  REPOSITORY_NOT_FOUND: EXIT_NO_REPOSITORY,
  REPOSITORY_LOCKED: EXIT_LOCKED,
  WRONG_PASSWORD: EXIT_WRONG_PASSWORD,
}

/** Tells what went wrong. @returns the exit code */
export function reportError(error: unknown, io: CliIo, options: { readonly isJson: boolean }): number {
  const reason: unknown = io.signal.reason
  if (reason instanceof OutputClosedError) {
    if (reason.message === '') return EXIT_OUTPUT_CLOSED
    io.stderr.write(`Fatal: ${reason.message}\n`)
    return EXIT_FAILURE
  }
  const code = io.signal.aborted ? EXIT_INTERRUPTED : exitCodeOf(error)
  const message = messageFor(error, code)
  io.stderr.write(
    options.isJson
      ? `${toJson({ message_type: 'exit_error', code, message })}\n`
      : `${safeText(message)}${isExpected(error) ? '' : stackOf(error)}\n`,
  )
  return code
}

function exitCodeOf(error: unknown): number {
  if (error instanceof ExitError) return error.exitCode
  return error instanceof ResticError ? (EXIT_CODES[error.code] ?? EXIT_FAILURE) : EXIT_FAILURE
}

function messageFor(error: unknown, code: number): string {
  if (error instanceof ExitError && code === EXIT_INCOMPLETE) return `Warning: ${error.message}`
  const hint = error instanceof ResticError && error.hint !== undefined ? `\n${error.hint}` : ''
  return `Fatal: ${describeError(error)}${hint}`
}

/** Anything else is a bug: it is shown with the place it happened, so that it can be reported. */
function isExpected(error: unknown): boolean {
  return (
    [ResticError, ExitError, InterruptedError].some((kind) => error instanceof kind) || isSystemError(error)
  )
}

function stackOf(error: unknown): string {
  return error instanceof Error && error.stack !== undefined ? `\n${error.stack}` : ''
}
