/** What a command sees of the world, so that tests can run it without a process of its own. */

export interface CliIo {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdout: CliStream
  readonly stderr: CliStream
  readonly stdin: AsyncIterable<Uint8Array>
  /** Asks for a line on the terminal without showing it. Only there where standard input is a terminal. */
  readonly askHidden?: ((prompt: string) => Promise<string>) | undefined
  /** Fires on SIGINT and SIGTERM, and when standard output is gone. */
  readonly signal: AbortSignal
  /** A clock in ms that never goes back. */
  readonly now: () => number
  /** Calls `listener` each time somebody asks how far the command is (SIGUSR1). */
  readonly onStatusRequest?: ((listener: () => void) => void) | undefined
}

export interface CliStream {
  write(text: string | Uint8Array): unknown
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

/** Why `CliIo.signal` fired: the user wants the command to end. */
export class InterruptedError extends Error {
  constructor() {
    super('operation aborted')
  }
}

/** Why `CliIo.signal` fired, where it was not a user's signal: nobody can be told anything any more. */
export class OutputClosedError extends Error {}
