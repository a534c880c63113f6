/** restore: bring files back from a snapshot. */
import { Option, type Command } from 'commander'
import { InvalidInputError, restore, type OverwriteMode, type RestoreOptions } from '../index.ts'
import type { RunCommand } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_FAILURE, EXIT_OK, ExitError } from './exit-codes.ts'
import { collect } from './global-options.ts'
import { readPatternFiles } from './pattern-flags.ts'
import { RestoreOutput } from './restore-output.ts'
import { absolutePaths, addFilterOptions, filterFrom, type FilterFlags } from './snapshot-filter.ts'

interface Flags extends FilterFlags {
  readonly target?: string
  readonly restoreDir?: string
  readonly include?: readonly string[]
  readonly iinclude?: readonly string[]
  readonly includeFile?: readonly string[]
  readonly iincludeFile?: readonly string[]
  readonly exclude?: readonly string[]
  readonly iexclude?: readonly string[]
  readonly excludeFile?: readonly string[]
  readonly iexcludeFile?: readonly string[]
  readonly includeXattr?: readonly string[]
  readonly excludeXattr?: readonly string[]
  readonly overwrite: OverwriteMode
  readonly delete?: boolean
  readonly dryRun?: boolean
  readonly sparse?: boolean
  readonly verify?: boolean
  readonly ownershipByName?: boolean
}

/** Where the script this program replaces restored to. */
const DEFAULT_TARGET = './restore'

export function define(command: Command, run: RunCommand): void {
  addFilterOptions(command.argument('<snapshot>', 'ID, latest, or either with :subfolder'))
    .option('-t, --target <dir>', 'folder to restore to')
    .option('--restore-dir <dir>', 'as --target')
    .option('-i, --include <pattern>', 'restore only what matches (may be repeated)', collect)
    .option('--iinclude <pattern>', 'as --include, ignoring case', collect)
    .option('--include-file <file>', 'read include patterns from a file', collect)
    .option('--iinclude-file <file>', 'as --include-file, ignoring case', collect)
    .option('-e, --exclude <pattern>', 'do not restore what matches (may be repeated)', collect)
    .option('--iexclude <pattern>', 'as --exclude, ignoring case', collect)
    .option('--exclude-file <file>', 'read exclude patterns from a file', collect)
    .option('--iexclude-file <file>', 'as --exclude-file, ignoring case', collect)
    .option('--include-xattr <pattern>', 'restore only extended attributes that match', collect)
    .option('--exclude-xattr <pattern>', 'do not restore extended attributes that match', collect)
    .addOption(
      new Option('--overwrite <when>', 'what to do with files that exist')
        .choices(['always', 'if-changed', 'if-newer', 'never'])
        .default('always'),
    )
    .option('--delete', 'delete files in the target that the snapshot does not have')
    .option('--dry-run', 'do not write anything, say what would be done')
    .option('--sparse', 'restore runs of zeros as holes')
    .option('--verify', 'read the restored files again and compare')
    .option('--ownership-by-name', 'restore owners by name, not by number')
    .action((snapshot: string, flags: Flags) => run((context) => runRestore(context, snapshot, flags)))
}

async function runRestore(context: CommandContext, snapshot: string, flags: Flags): Promise<number> {
  const target = targetOf(context, flags)
  const output = new RestoreOutput(context, target)
  const options = await restoreOptions(context, flags)
  const repository = await context.openRepository()
  try {
    const result = await restore(repository, { ...options, snapshot, target, ...output.callbacks() })
    output.summary(result, flags.verify === true)
    if (result.errorCount > 0) throw new ExitError(EXIT_FAILURE, `There were ${result.errorCount} errors`)
    return EXIT_OK
  } finally {
    context.progress.clear()
    await repository.close()
  }
}

function targetOf(context: CommandContext, flags: Flags): string {
  if (flags.target !== undefined && flags.restoreDir !== undefined) {
    throw new InvalidInputError('--target and --restore-dir mean the same: give only one')
  }
  const target = flags.target ?? flags.restoreDir
  if (target === undefined)
    throw new InvalidInputError('please specify a directory to restore to (--target)', {
      hint: `for example --target ${DEFAULT_TARGET}`,
    })
  if (target === '') throw new InvalidInputError('the restore target is empty')
  void context
  return target
}

async function restoreOptions(
  context: CommandContext,
  flags: Flags,
): Promise<Omit<RestoreOptions, 'snapshot' | 'target'>> {
  const { env } = context.io
  const withFiles = async (
    patterns: readonly string[] | undefined,
    files: readonly string[] | undefined,
  ): Promise<string[]> => [...(patterns ?? []), ...(await readPatternFiles(files, env))]
  return {
    filter: absolutePaths(filterFrom(flags, env)),
    includes: await withFiles(flags.include, flags.includeFile),
    insensitiveIncludes: await withFiles(flags.iinclude, flags.iincludeFile),
    excludes: await withFiles(flags.exclude, flags.excludeFile),
    insensitiveExcludes: await withFiles(flags.iexclude, flags.iexcludeFile),
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
