/** The output of a command as a stream to back up (`--stdin-from-command`). */
import { spawn } from 'node:child_process'
import { SourceError } from '../index.ts'

export interface StreamCommand {
  readonly stream: AsyncIterable<Uint8Array>
  /** @throws SourceError where the command failed: what it printed is then not to be trusted */
  readonly finish: (this: void) => Promise<void>
}

/** @param onLine takes what the command prints on standard error, line by line */
export function runStreamCommand(args: readonly string[], onLine: (text: string) => void): StreamCommand {
  const [program = '', ...rest] = args
  const child = spawn(program, rest, { stdio: ['inherit', 'pipe', 'pipe'] })
  let pending = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    const lines = (pending + text).split('\n')
    pending = lines.pop() ?? ''
    for (const line of lines) onLine(`subprocess ${program}: ${line}`)
  })
  const ended = new Promise<void>((resolve, reject) => {
    child.on('error', (error) =>
      reject(new SourceError(`command "${program}" cannot be started: ${error.message}`, { cause: error })),
    )
    child.on('close', (code, signal) => {
      if (pending !== '') onLine(`subprocess ${program}: ${pending}`)
      if (code === 0) resolve()
      else
        reject(
          new SourceError(
            `command "${program}" failed: ${code === null ? `signal ${signal ?? ''}` : `exit status ${code}`}`,
          ),
        )
    })
  })
  ended.catch(() => undefined) // awaited below; not to be called unhandled meanwhile

  /** The end of the stream is only reached where the command succeeded, so that no snapshot is made otherwise. */
  async function* read(): AsyncGenerator<Uint8Array> {
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) yield chunk
    await ended
  }
  return { stream: read(), finish: () => ended }
}
