/** Asking on the terminal without showing the answer. */
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { AbortedError, InvalidInputError } from '../index.ts'

/** @throws AbortedError once `signal` fires; InvalidInputError where the terminal is closed */
export async function askHidden(
  prompt: string,
  streams: {
    readonly input: NodeJS.ReadStream
    readonly output: { write(text: string): unknown }
    readonly signal: AbortSignal
  },
): Promise<string> {
  const { input, output, signal } = streams
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const reader = createInterface({ input, output: silent, terminal: true })
  // Only now that nothing typed shows any more.
  output.write(prompt)
  try {
    return await new Promise<string>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new AbortedError()), { once: true })
      // In raw mode the terminal sends no signal by itself.
      reader.once('SIGINT', () => process.kill(process.pid, 'SIGINT'))
      reader.once('close', () => reject(new InvalidInputError('unable to read password: end of input')))
      reader.question('', resolve)
    })
  } finally {
    reader.close()
    output.write('\n')
  }
}
