/** check: look for errors in the repository. */
import type { Command } from 'commander'
import { check, InvalidInputError, parseReadDataSubset, type CheckOptions } from '../index.ts'
import { CheckOutput } from './check-output.ts'
import type { CommandRunner } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_FAILURE, EXIT_OK, ExitError } from './exit-codes.ts'
import { addFilterOptions, filterFrom, type FilterFlags } from './snapshot-filter.ts'

interface Flags extends FilterFlags {
  readonly readData?: boolean
  readonly withCache?: boolean
  readonly readDataSubset?: string
}

export function define(command: Command, run: CommandRunner): void {
  addFilterOptions(command.argument('[ids...]', 'check only these snapshots and what they need'))
    .option('--read-data', 'read all data')
    .option('--read-data-subset <subset>', 'read some data: n/t (part n of t), x% or a size')
    .option('--with-cache', 'use the cache as it is, instead of a new one')
    .option('--check-unused', 'accepted for compatibility')
    .action((ids: string[], flags: Flags) => run.withContext((context) => runCheck(context, ids, flags)))
}

async function runCheck(context: CommandContext, ids: readonly string[], flags: Flags): Promise<number> {
  const options = checkOptions(context, ids, flags)
  const { filter = {}, readDataSubset: subset } = options
  const conditions = [ids, filter.hosts, filter.tags, filter.paths]
  const isFiltered = conditions.some((list) => (list?.length ?? 0) > 0)
  const output = new CheckOutput(context, { subset, isFiltered })
  let errorCount: number | undefined
  try {
    errorCount = await context.withRepository(
      async (repository) => {
        if (!context.noLock) context.print('create exclusive lock for repository')
        const result = await check(repository, { ...options, ...output.callbacks() })
        output.finish(result)
        return result.errorCount
      },
      { temporaryCache: flags.withCache !== true },
    )
  } finally {
    if (context.isJson && errorCount === undefined) output.summary({ errorCount: 1 })
  }
  if (errorCount > 0) throw new ExitError(EXIT_FAILURE, 'repository contains errors')
  return EXIT_OK
}

function checkOptions(context: CommandContext, ids: readonly string[], flags: Flags): CheckOptions {
  const { readData, readDataSubset } = flags
  if (readData === true && readDataSubset !== undefined)
    throw new InvalidInputError('check flags --read-data and --read-data-subset cannot be used together')
  return {
    ids,
    filter: filterFrom(flags, context.io.env),
    readData,
    readDataSubset: readDataSubset === undefined ? undefined : parseReadDataSubset(readDataSubset),
    signal: context.signal,
  }
}
