/** Pattern flags and the files they may name, for backup and restore. */
import type { Command } from 'commander'
import { InvalidInputError, parsePatternFile } from '../index.ts'
import { collect } from './global-options.ts'
import type { CliIo } from './io.ts'
import { readInputFile } from './text-file.ts'

export interface ExcludeFlags {
  readonly exclude?: readonly string[]
  readonly iexclude?: readonly string[]
  readonly excludeFile?: readonly string[]
  readonly iexcludeFile?: readonly string[]
}

export interface IncludeFlags {
  readonly include?: readonly string[]
  readonly iinclude?: readonly string[]
  readonly includeFile?: readonly string[]
  readonly iincludeFile?: readonly string[]
}

export function addExcludeOptions(command: Command): Command {
  return command
    .option('-e, --exclude <pattern>', 'exclude what matches (may be repeated)', collect)
    .option('--iexclude <pattern>', 'as --exclude, ignoring case', collect)
    .option('--exclude-file <file>', 'read exclude patterns from a file', collect)
    .option('--iexclude-file <file>', 'as --exclude-file, ignoring case', collect)
}

export function addIncludeOptions(command: Command): Command {
  return command
    .option('-i, --include <pattern>', 'include only what matches (may be repeated)', collect)
    .option('--iinclude <pattern>', 'as --include, ignoring case', collect)
    .option('--include-file <file>', 'read include patterns from a file', collect)
    .option('--iinclude-file <file>', 'as --include-file, ignoring case', collect)
}

/** The patterns given, then those of the files, in order. @throws InvalidInputError where a file cannot be read */
export async function readPatterns(
  given: readonly string[] = [],
  files: readonly string[] = [],
  env: CliIo['env'] = {},
): Promise<string[]> {
  const patterns = [...given]
  for (const file of files) patterns.push(...parsePatternFile(await readPatternFile(file), env))
  return patterns
}

async function readPatternFile(file: string): Promise<Uint8Array> {
  try {
    return await readInputFile(file)
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    throw new InvalidInputError(`failed to read patterns from file "${file}": ${problem}`, { cause: error })
  }
}
