/** What outcomes end with (command spec §1.1). */

export const EXIT_OK = 0
export const EXIT_FAILURE = 1
/** backup: the snapshot is there, but not all could be read. forget: not all could be removed. */
export const EXIT_INCOMPLETE = 3
export const EXIT_NO_REPOSITORY = 10
export const EXIT_LOCKED = 11
export const EXIT_WRONG_PASSWORD = 12
export const EXIT_INTERRUPTED = 130
/** What shells report of a program whose reader went away: 128 + SIGPIPE. */
export const EXIT_OUTPUT_CLOSED = 141

/** A command that ends with a code of its own after it has said why. */
export class ExitError extends Error {
  readonly exitCode: number

  constructor(exitCode: number, message: string) {
    super(message)
    this.exitCode = exitCode
  }
}
