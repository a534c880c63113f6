/** What is to be backed up: arguments, lists in files, or a stream (command spec, "backup"). */
import { existsSync, lstatSync } from 'node:fs'
import { posix } from 'node:path'
import {
  expandGlob, InvalidInputError, nativePath, parseTargetLines, parseTargetPatterns, parseTargetsRaw, SourceError, type BackupStream,
} from '../index.ts' // prettier-ignore
import type { CommandContext } from './context.ts'
import { isMissing } from './describe-error.ts'
import { quoteUnprintable } from './safe-text.ts'
import { runStreamCommand } from './stream-command.ts'
import { readInputFile } from './text-file.ts'

export interface TargetFlags {
  readonly filesFrom?: readonly string[]
  readonly filesFromVerbatim?: readonly string[]
  readonly filesFromRaw?: readonly string[]
  readonly stdin?: boolean
  readonly stdinFilename: string
  readonly stdinFromCommand?: boolean
}

export type BackupTargets =
  | { readonly input: BackupStream }
  /** `missing`: how many of those named are not there. */
  | { readonly paths: readonly string[]; readonly missing: number }

/** What the script this program replaces backed up. */
export const DEFAULT_PATH = './backup'

/** @throws InvalidInputError, SourceError where nothing is left to back up */
export async function backupTargets(
  context: CommandContext,
  args: readonly string[],
  flags: TargetFlags,
): Promise<BackupTargets> {
  checkStandardInput(context, flags)
  if (flags.stdin === true || flags.stdinFromCommand === true) return streamTarget(context, args, flags)
  const named = [...(await readTargetFiles(context, flags)), ...args]
  const isUnnamed = named.length === 0 && listFlags(flags).length === 0
  const wanted = isUnnamed && existsSync(DEFAULT_PATH) ? [DEFAULT_PATH] : named
  if (wanted.length === 0) throw new SourceError('nothing to backup, please specify source files/dirs')
  const paths = wanted.filter((path) => isThere(context, path))
  if (paths.length === 0) throw new SourceError('all source directories/files do not exist')
  return { paths, missing: wanted.length - paths.length }
}

function isThere(context: CommandContext, path: string): boolean {
  try {
    lstatSync(nativePath(path))
    return true
  } catch (error) {
    const problem = isMissing(error) ? 'does not exist' : 'cannot be accessed'
    context.warn(`${quoteUnprintable(path)} ${problem}, skipping`)
    return false
  }
}

/** Standard input cannot be both the password and something else. */
function checkStandardInput(context: CommandContext, flags: TargetFlags): void {
  if (context.hasPassword) return
  if (flags.stdin === true) throw new InvalidInputError('cannot read both password and data from stdin')
  if (listFlags(flags).some(([, file]) => file === '-')) {
    throw new InvalidInputError(
      'unable to read password from stdin when data is to be read from stdin, use --password-file or $RESTIC_PASSWORD',
    )
  }
}

function streamTarget(context: CommandContext, args: readonly string[], flags: TargetFlags): BackupTargets {
  const [list] = listFlags(flags)
  if (list !== undefined) throw new InvalidInputError(`--stdin and ${list[0]} cannot be used together`)
  const filename = posix.join('/', flags.stdinFilename).slice(1)
  if (flags.stdinFromCommand === true) {
    if (args.length === 0) {
      throw new InvalidInputError('no command given', {
        hint: 'for example: backup --stdin-from-command -- pg_dump mydb',
      })
    }
    return { input: { stream: runStreamCommand(args, (line) => context.warn(line)), filename } }
  }
  if (args.length > 0)
    throw new InvalidInputError('--stdin was specified and files/dirs were listed as arguments')
  return { input: { stream: context.io.stdin, filename } }
}

/** All lists of targets, each with its flag. */
function listFlags(flags: TargetFlags): (readonly [flag: string, file: string])[] {
  return [
    ...(flags.filesFrom ?? []).map((file) => ['--files-from', file] as const),
    ...(flags.filesFromVerbatim ?? []).map((file) => ['--files-from-verbatim', file] as const),
    ...(flags.filesFromRaw ?? []).map((file) => ['--files-from-raw', file] as const),
  ]
}

async function readTargetFiles(context: CommandContext, flags: TargetFlags): Promise<string[]> {
  const targets: string[] = []
  for (const [flag, file] of listFlags(flags)) {
    const bytes = file === '-' ? await readAll(context.io.stdin) : await readInputFile(file)
    if (flag === '--files-from-raw') targets.push(...parseTargetsRaw(bytes))
    else if (flag === '--files-from-verbatim') targets.push(...parseTargetLines(bytes))
    else targets.push(...expandPatterns(context, parseTargetPatterns(bytes)))
  }
  return targets
}

function expandPatterns(context: CommandContext, patterns: readonly string[]): string[] {
  return patterns.flatMap((pattern) => {
    const found = expandGlob(pattern)
    if (found.length === 0) context.warn(`pattern "${pattern}" does not match any files, skipping`)
    return found
  })
}

async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}
