/** Pattern flags and the files they may name, for backup and restore. */
import { readFile } from 'node:fs/promises'
import { InvalidInputError, parsePatternFile } from '../index.ts'
import type { CliIo } from './io.ts'

/** All patterns of the files, in order. @throws InvalidInputError where one cannot be read */
export async function readPatternFiles(
  files: readonly string[] | undefined,
  env: CliIo['env'],
): Promise<string[]> {
  const patterns: string[] = []
  for (const file of files ?? []) patterns.push(...parsePatternFile(await readInput(file), env))
  return patterns
}

/** @throws InvalidInputError */
export async function readInput(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new InvalidInputError(
      `${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    )
  }
}
