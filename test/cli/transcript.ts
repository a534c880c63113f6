/** Runs command lines within this process and takes down what they print. */
import { expect } from 'vitest'
import { main } from '../../src/cli/main.ts'
import type { CliIo } from '../../src/cli/io.ts'
import { cleanEnvironment } from '../support/cli.ts'

export interface Transcript {
  readonly code: number
  readonly stdout: string
  readonly stdoutBytes: Buffer
  readonly stderr: string
  /** What was asked for on the terminal. */
  readonly prompts: readonly string[]
}

export interface TranscriptOptions {
  /** Added to the environment, or taken out where undefined. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly input?: string | Uint8Array
  /** Standard output is a terminal. */
  readonly terminal?: { readonly columns?: number }
  /** Standard input is a terminal: what is typed, prompt by prompt. */
  readonly answers?: readonly string[]
  readonly signal?: AbortSignal
  /** Without --no-cache, which all others have. */
  readonly cache?: boolean
  readonly now?: () => number
  /** Called with each piece of output, as it is written. */
  readonly onWrite?: (text: string) => void
  readonly onStatusRequest?: CliIo['onStatusRequest']
}

/** Runs one command line, given in words or as one string with blanks between them. */
export async function transcript(
  args: string | readonly string[],
  options: TranscriptOptions = {},
): Promise<Transcript> {
  const output: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] }
  const prompts: string[] = []
  const answers = [...(options.answers ?? [])]
  const write =
    (stream: 'stdout' | 'stderr') =>
    (data: string | Uint8Array): void => {
      const bytes = Buffer.from(data)
      output[stream].push(bytes)
      options.onWrite?.(bytes.toString())
    }
  const io: CliIo = {
    env: { ...cleanEnvironment(), ...options.env },
    stdout: { write: write('stdout'), isTTY: options.terminal !== undefined, ...options.terminal },
    stderr: { write: write('stderr') },
    stdin: inputOf(options.input),
    askHidden:
      options.answers === undefined
        ? undefined
        : async (prompt) => {
            prompts.push(prompt)
            const answer = answers.shift()
            if (answer === undefined) throw new Error(`nobody answers ${prompt}`)
            return answer
          },
    signal: options.signal ?? new AbortController().signal,
    now: options.now ?? (() => performance.now()),
    onStatusRequest: options.onStatusRequest,
  }
  const words = typeof args === 'string' ? args.split(' ') : args
  const isPlain = options.cache === true || words.length === 0
  const code = await main(isPlain ? words : ['--no-cache', ...words], io)
  const stdoutBytes = Buffer.concat(output.stdout)
  const stderr = Buffer.concat(output.stderr).toString()
  return { code, stdout: stdoutBytes.toString(), stdoutBytes, stderr, prompts }
}

/** As `transcript`, but what ends with anything but 0 fails the test. */
export async function succeed(
  args: string | readonly string[],
  options: TranscriptOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await transcript(args, options)
  if (code === 0) return stdout
  throw new Error(`restic-ts ${String(args)} ended with ${code}:\n${stderr}${stdout}`)
}

/** The lines of JSON in some output. */
export function jsonLines(text: string): Record<string, unknown>[] {
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}

async function* inputOf(input: string | Uint8Array | undefined): AsyncGenerator<Uint8Array> {
  if (input !== undefined && input.length > 0) yield Buffer.from(input)
}

/** Vitest's own matchers are of type any. */
export function containing(text: string): unknown {
  return expect.stringContaining(text)
}

export function matching(pattern: RegExp | string): unknown {
  return expect.stringMatching(pattern)
}
