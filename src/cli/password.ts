/** Where passwords come from (command spec §1.5). They are never shown, logged or passed on in arguments. */
import { spawn } from 'node:child_process'
import { InvalidInputError } from '../index.ts'
import { describeError } from './describe-error.ts'
import type { CliIo } from './io.ts'
import type { LineReader } from './line-reader.ts'
import { splitCommand } from './split-command.ts'
import { readSettingFile, trimSpace } from './text-file.ts'

/** Ways to a password; without any, people are asked. */
export interface PasswordSource {
  readonly command?: string | undefined
  readonly file?: string | undefined
  readonly password?: string | undefined
  /** Work with an empty password. */
  readonly insecureNone?: boolean | undefined
}

/** How people are asked where nothing else gives a password. */
export interface PasswordPrompt {
  readonly askHidden: CliIo['askHidden']
  readonly lines: LineReader
  readonly text: string
  /** Asked for again on a terminal, so that a typing error does not lock anybody out. */
  readonly confirm?: string | undefined
  /** The flag that allows an empty password. */
  readonly insecureFlag?: string
}

/**
 * The password that flags and variables give, or undefined where none does.
 * @throws InvalidInputError
 */
export async function findPassword(source: PasswordSource): Promise<string | undefined> {
  const password = await readPassword(source)
  if (source.insecureNone !== true) return password
  if (password === undefined) return ''
  throw new InvalidInputError(
    '--insecure-no-password must not be specified together with providing a password via a cli option or environment variable',
  )
}

/** Asks once on the terminal, or takes a line of standard input. */
export function readAnswer({ askHidden, lines, text }: PasswordPrompt): Promise<string> {
  return askHidden === undefined ? lines.readLine() : askHidden(text)
}

/** Asks for a password to be, on the terminal twice. @throws InvalidInputError for an empty one and for a mismatch */
export async function askNewPassword(prompt: PasswordPrompt): Promise<string> {
  const password = await readAnswer(prompt)
  if (password === '') throw emptyPasswordError(prompt.insecureFlag)
  const { askHidden, confirm } = prompt
  if (confirm !== undefined && askHidden !== undefined && (await askHidden(confirm)) !== password) {
    throw new InvalidInputError('passwords do not match')
  }
  return password
}

export function emptyPasswordError(flag = '--insecure-no-password'): InvalidInputError {
  return new InvalidInputError(
    `an empty password is not allowed by default. Pass the flag \`${flag}\` to restic-ts to disable this check`,
  )
}

async function readPassword(source: PasswordSource): Promise<string | undefined> {
  try {
    if (source.command !== undefined && source.file !== undefined) {
      throw new InvalidInputError('Password file and command are mutually exclusive options')
    }
    if (source.command !== undefined) return emptyAsNone(await runPasswordCommand(source.command))
    if (source.file !== undefined) return emptyAsNone(await readSettingFile(source.file))
    return source.password
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    throw new InvalidInputError(`Resolving password failed: ${error.message}`, { cause: error })
  }
}

/** An empty file or output is as good as none: people are asked. */
function emptyAsNone(password: string): string | undefined {
  return password === '' ? undefined : password
}

function runPasswordCommand(command: string): Promise<string> {
  const [program = '', ...args] = splitCommand(command)
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['inherit', 'pipe', 'inherit'] })
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.on('error', (error) => reject(new InvalidInputError(describeError(error), { cause: error })))
    child.on('close', (code, signal) => {
      if (code === 0) resolve(trimSpace(Buffer.concat(chunks).toString('utf8')))
      else
        reject(
          new InvalidInputError(code === null ? `signal: ${signal ?? 'unknown'}` : `exit status ${code}`),
        )
    })
  })
}
