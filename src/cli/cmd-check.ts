/** check: look for errors in the repository. */
import type { Command } from 'commander'
import {
  check,
  parseReadDataSubset,
  ResticError,
  type CheckOptions,
  type CheckProgress,
  type CheckResult,
} from '../index.ts'
import type { RunCommand } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_FAILURE, EXIT_OK, ExitError } from './exit-codes.ts'
import { addFilterOptions, filterFrom, type FilterFlags } from './snapshot-filter.ts'

interface Flags extends FilterFlags {
  readonly readData?: boolean
  readonly readDataSubset?: string
}

export function define(command: Command, run: RunCommand): void {
  addFilterOptions(command.argument('[ids...]', 'check only these snapshots'))
    .option('--read-data', 'read all data')
    .option('--read-data-subset <subset>', 'read some data: n/t (part n of t), x% or a size')
    .option('--with-cache', 'accepted for compatibility: there is no cache')
    .option('--check-unused', 'accepted for compatibility')
    .action((ids: string[], flags: Flags) => run((context) => runCheck(context, ids, flags)))
}

async function runCheck(context: CommandContext, ids: readonly string[], flags: Flags): Promise<number> {
  const options: CheckOptions = {
    ids,
    filter: filterFrom(flags, context.io.env),
    readData: flags.readData,
    readDataSubset:
      flags.readDataSubset === undefined ? undefined : parseReadDataSubset(flags.readDataSubset),
    signal: context.signal,
  }
  let result: CheckResult
  try {
    const repository = await context.openRepository()
    try {
      context.print('create exclusive lock for repository')
      result = await check(repository, { ...options, ...callbacks(context, flags) })
    } finally {
      context.progress.clear()
      await repository.close()
    }
  } catch (error) {
    // Scripts read the summary whatever happens.
    if (context.isJson && error instanceof ResticError) printJsonSummary(context, { errorCount: 1 })
    throw error
  }
  printResult(context, result)
  if (result.errorCount > 0) throw new ExitError(EXIT_FAILURE, 'repository contains errors')
  return EXIT_OK
}

function callbacks(
  context: CommandContext,
  flags: Flags,
): Pick<CheckOptions, 'onProgress' | 'onError' | 'onHint'> {
  const counters = {
    'load-index': context.counter('index files loaded', { keep: false }),
    packs: context.counter('packs', { keep: false }),
    structure: context.counter('snapshots', { keep: true }),
    'read-data': context.counter('packs', { keep: true }),
  }
  let phase: CheckProgress['phase'] | undefined
  return {
    onProgress: (progress) => {
      if (progress.phase !== phase) {
        phase = progress.phase
        context.print(phaseTitle(phase, flags))
      }
      counters[progress.phase](progress.done, progress.total)
    },
    onError: ({ message }) => {
      if (context.isJson) context.warnJson({ message_type: 'error', message })
      else context.warn(message)
    },
    onHint: ({ kind, message }) => {
      if (kind !== 'orphaned-pack') context.print(message)
    },
  }
}

function phaseTitle(phase: CheckProgress['phase'], flags: Flags): string {
  switch (phase) {
    case 'load-index':
      return 'load indexes'
    case 'packs':
      return 'check all packs'
    case 'structure':
      return 'check snapshots, trees and blobs'
    case 'read-data':
      return flags.readDataSubset === undefined ? 'read all data' : `read ${flags.readDataSubset} of the data`
  }
}

function printResult(context: CommandContext, result: CheckResult): void {
  if (context.isJson) {
    printJsonSummary(context, result)
    return
  }
  if (result.orphanedPacks.length > 0) {
    context.print(
      `${result.orphanedPacks.length} additional files were found in the repo, which likely contain duplicate data.\n` +
        'This is non-critical, you can run `restic-ts prune` to correct this.',
    )
  }
  if (result.suggestRepairIndex)
    context.print('Duplicate packs are non-critical, `repair index` corrects them.')
  if (result.brokenPacks.length > 0) {
    context.warn(
      '\nThe repository contains damaged pack files. These damaged files must be removed to repair the repository:\n\n' +
        `repair packs ${result.brokenPacks.join(' ')}\nrepair snapshots --forget\n`,
    )
  }
  if (result.errorCount === 0) context.print('no errors were found')
}

function printJsonSummary(
  context: CommandContext,
  result: Partial<CheckResult> & { readonly errorCount: number },
): void {
  const brokenPacks = result.brokenPacks ?? []
  context.printJson({
    message_type: 'summary',
    num_errors: result.errorCount,
    broken_packs: brokenPacks.length === 0 ? null : brokenPacks,
    suggest_repair_index: result.suggestRepairIndex ?? false,
    suggest_prune: result.suggestPrune ?? false,
  })
}
