/** Where passwords come from (command spec §1.5). They are never shown, logged or passed on in arguments. */
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { InvalidInputError } from '../index.ts'
import type { CliIo } from './io.ts'
import { splitCommand } from './split-command.ts'

/** Ways to a password, the first that is set wins. */
export interface PasswordSource {
  readonly command?: string | undefined
  readonly file?: string | undefined
  readonly password?: string | undefined
  /** Work with an empty password. */
  readonly insecureNone?: boolean | undefined
}

export interface PasswordPrompt {
  readonly text: string
  /** Asked for again, so that a typing error does not lock anybody out. */
  readonly confirm?: string | undefined
}

/** @throws InvalidInputError */
export async function resolvePassword(
  source: PasswordSource,
  io: CliIo,
  prompt: PasswordPrompt,
): Promise<string> {
  const isGiven = source.command !== undefined || source.file !== undefined || source.password !== undefined
  if (source.insecureNone === true) {
    if (isGiven)
      throw new InvalidInputError(
        '--insecure-no-password must not be specified together with providing a password via a cli option or environment variable',
      )
    return ''
  }
  const password = await findPassword(source, io, prompt)
  if (password === '') {
    throw new InvalidInputError(
      'an empty password is not allowed by default. Pass the flag `--insecure-no-password` to restic-ts to disable this check',
    )
  }
  return password
}

async function findPassword(source: PasswordSource, io: CliIo, prompt: PasswordPrompt): Promise<string> {
  if (source.command !== undefined && source.file !== undefined) {
    throw new InvalidInputError('Password file and command are mutually exclusive options')
  }
  if (source.command !== undefined) return runPasswordCommand(source.command)
  if (source.file !== undefined) return readPasswordFile(source.file)
  if (source.password !== undefined) return source.password
  if (io.stdin.isTTY !== true) return readFirstLine(io.stdin)
  return askPassword(io, prompt)
}

/** Text files may start with a byte order mark, and end with a newline nobody typed. */
async function readPasswordFile(path: string): Promise<string> {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    const problem = isMissing ? `${path} does not exist` : `${path} cannot be read`
    throw new InvalidInputError(`Resolving password failed: ${problem}`, { cause: error })
  }
  return decodeText(bytes).trim()
}

export function decodeText(bytes: Uint8Array): string {
  const encoding =
    bytes[0] === 0xff && bytes[1] === 0xfe
      ? 'utf-16le'
      : bytes[0] === 0xfe && bytes[1] === 0xff
        ? 'utf-16be'
        : 'utf-8'
  return new TextDecoder(encoding).decode(bytes)
}

function runPasswordCommand(command: string): Promise<string> {
  const [program = '', ...args] = splitCommand(command)
  return new Promise((resolve, reject) => {
    const fail = (problem: string): void =>
      reject(new InvalidInputError(`Resolving password failed: ${problem}`))
    const child = spawn(program, args, { stdio: ['inherit', 'pipe', 'inherit'] })
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.on('error', (error) => fail(`the password command cannot be started: ${error.message}`))
    child.on('close', (code, signal) => {
      if (code === 0) resolve(Buffer.concat(chunks).toString('utf8').trim())
      else fail(code === null ? `signal: ${signal ?? 'unknown'}` : `exit status ${code}`)
    })
  })
}

async function readFirstLine(stdin: CliIo['stdin']): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stdin) {
    chunks.push(chunk)
    if (chunk.includes(10)) break
  }
  const [line = ''] = Buffer.concat(chunks).toString('utf8').split('\n')
  return line.endsWith('\r') ? line.slice(0, -1) : line
}

async function askPassword(io: CliIo, prompt: PasswordPrompt): Promise<string> {
  const password = await askHidden(io, prompt.text)
  if (prompt.confirm === undefined || password === '') return password
  if ((await askHidden(io, prompt.confirm)) !== password)
    throw new InvalidInputError('passwords do not match')
  return password
}

/** Reads a line from the terminal without showing it. */
async function askHidden(io: CliIo, text: string): Promise<string> {
  io.stderr.write(text)
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const reader = createInterface({ input: process.stdin, output: silent, terminal: true })
  try {
    return await new Promise<string>((resolve, reject) => {
      io.signal.addEventListener('abort', () => reject(new InvalidInputError('no password was given')), {
        once: true,
      })
      reader.once('SIGINT', () => process.kill(process.pid, 'SIGINT'))
      reader.once('close', () => reject(new InvalidInputError('no password was given')))
      reader.question('', resolve)
    })
  } finally {
    reader.close()
    io.stderr.write('\n')
  }
}
