/** restore: bring files back from a snapshot. */
import { Option, type Command } from 'commander'
import {
  InvalidInputError,
  restore,
  SnapshotNotFoundError,
  type OverwriteMode,
  type RestoreOptions,
} from '../index.ts'
import type { CommandRunner } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_FAILURE, EXIT_OK, ExitError } from './exit-codes.ts'
import { collect } from './global-options.ts'
import {
  addExcludeOptions,
  addIncludeOptions,
  readPatterns,
  type ExcludeFlags,
  type IncludeFlags,
} from './pattern-flags.ts'
import { RestoreOutput } from './restore-output.ts'
import { absolutePaths, addFilterOptions, filterFrom, type FilterFlags } from './snapshot-filter.ts'

interface Flags extends FilterFlags, IncludeFlags, ExcludeFlags {
  readonly target?: string
  readonly restoreDir?: string
  readonly includeXattr?: readonly string[]
  readonly excludeXattr?: readonly string[]
  readonly overwrite: OverwriteMode
  readonly delete?: boolean
  readonly dryRun?: boolean
  readonly sparse?: boolean
  readonly verify?: boolean
  readonly ownershipByName?: boolean
}

export function define(command: Command, run: CommandRunner): void {
  command
    .argument('<snapshot>', 'ID, latest, or either with :subfolder')
    .option('-t, --target <dir>', 'folder to restore to')
    .option('--restore-dir <dir>', 'as --target')
  addExcludeOptions(addIncludeOptions(addFilterOptions(command)))
    .option('--include-xattr <pattern>', 'restore only extended attributes that match', collect)
    .option('--exclude-xattr <pattern>', 'do not restore extended attributes that match', collect)
    .addOption(
      new Option('--overwrite <when>', 'what to do with files that exist')
        .choices(['always', 'if-changed', 'if-newer', 'never'])
        .default('always'),
    )
    .option('--delete', 'delete what the snapshot does not have from restored folders')
    .option('--dry-run', 'do not write anything, say what would be done')
    .option('--sparse', 'restore runs of zeros as holes')
    .option('--verify', 'read the restored files again and compare')
    .option('--ownership-by-name', 'restore owners by name, not by number')
    .action((snapshot: string, flags: Flags) =>
      run.withContext((context) => runRestore(context, snapshot, flags)),
    )
}

async function runRestore(context: CommandContext, snapshot: string, flags: Flags): Promise<number> {
  const target = targetOf(flags)
  const options = await restoreOptions(context, flags)
  const { errorCount, advice } = await context.withRepository(async (repository) => {
    const output = new RestoreOutput(context, target)
    try {
      const result = await restore(repository, { ...options, snapshot, target, ...output.callbacks() })
      output.finish(result)
      return { errorCount: result.errorCount, advice: output.advice }
    } catch (error) {
      throw error instanceof SnapshotNotFoundError ? notFoundError(error) : error
    } finally {
      output.stop()
    }
  })
  if (errorCount === 0) return EXIT_OK
  throw new ExitError(EXIT_FAILURE, `There were ${errorCount} errors${advice}`)
}

/** In the words scripts look for. */
function notFoundError(error: SnapshotNotFoundError): SnapshotNotFoundError {
  const hint = error.hint === undefined ? {} : { hint: error.hint }
  return new SnapshotNotFoundError(`failed to find snapshot: ${error.message}`, { cause: error, ...hint })
}

function targetOf(flags: Flags): string {
  if (flags.target !== undefined && flags.restoreDir !== undefined) {
    throw new InvalidInputError('--target and --restore-dir mean the same: give only one')
  }
  const target = flags.target ?? flags.restoreDir ?? ''
  if (target !== '') return target
  throw new InvalidInputError('please specify a directory to restore to (--target)')
}

async function restoreOptions(
  context: CommandContext,
  flags: Flags,
): Promise<Omit<RestoreOptions, 'snapshot' | 'target'>> {
  const { env } = context.io
  return {
    filter: absolutePaths(filterFrom(flags, env)),
    includes: await readPatterns(flags.include, flags.includeFile, env),
    insensitiveIncludes: await readPatterns(flags.iinclude, flags.iincludeFile, env),
    excludes: await readPatterns(flags.exclude, flags.excludeFile, env),
    insensitiveExcludes: await readPatterns(flags.iexclude, flags.iexcludeFile, env),
    includeXattrs: flags.includeXattr,
    excludeXattrs: flags.excludeXattr,
    overwrite: flags.overwrite,
    delete: flags.delete,
    dryRun: flags.dryRun,
    sparse: flags.sparse,
    verify: flags.verify,
    ownershipByName: flags.ownershipByName,
    signal: context.signal,
  }
}
