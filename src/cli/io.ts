/** What a command sees of the world, so that tests can run it without a process of its own. */

export interface CliIo {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdout: CliStream
  readonly stderr: CliStream
  readonly stdin: AsyncIterable<Uint8Array> & { readonly isTTY?: boolean | undefined }
  /** Fires on SIGINT and SIGTERM. */
  readonly signal: AbortSignal
}

export interface CliStream {
  write(text: string | Uint8Array): unknown
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}
