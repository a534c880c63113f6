/** The output of a command as a stream to back up (`--stdin-from-command`). */
import { spawn } from 'node:child_process'
import { describeError } from './describe-error.ts'
import { EXIT_FAILURE, ExitError } from './exit-codes.ts'

/**
 * Starts the command when it is first read from. The stream ends only where the command succeeded: what one printed
 * that failed is not to be trusted, so no snapshot is made of it.
 * @param onLine takes what the command prints on standard error, line by line
 * @throws ExitError while reading
 */
export async function* runStreamCommand(
  args: readonly string[],
  onLine: (text: string) => void,
): AsyncGenerator<Uint8Array> {
  const [program = '', ...rest] = args
  const child = spawn(program, rest, { stdio: ['inherit', 'pipe', 'pipe'] })
  let pending = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    const lines = (pending + text).split('\n')
    pending = lines.pop() ?? ''
    for (const line of lines) onLine(`subprocess ${program}: ${line}`)
  })
  const failure = new Promise<string | undefined>((resolve) => {
    child.on('error', (error) => resolve(`unable to start command: ${describeError(error)}`))
    child.on('close', (code, signal) => {
      if (pending !== '') onLine(`subprocess ${program}: ${pending}`)
      const reason = code === null ? `signal: ${signal ?? ''}` : `exit status ${code}`
      resolve(code === 0 ? undefined : `command "${program}" failed: ${reason}`)
    })
  })
  try {
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) yield chunk
    const message = await failure
    if (message !== undefined) throw new ExitError(EXIT_FAILURE, message)
  } finally {
    // Where reading stopped early, nobody wants the rest.
    child.kill()
  }
}
