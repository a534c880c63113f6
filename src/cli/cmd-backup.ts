/** backup: make a snapshot of files and folders, or of a stream. */
import type { Command } from 'commander'
import {
  backupToAll,
  InvalidInputError,
  isRemote,
  parseByteSize,
  parseGroupBy,
  parseTagList,
  type BackupOptions,
} from '../index.ts'
import { BackupOutput } from './backup-output.ts'
import { backupTargets, DEFAULT_PATH, type TargetFlags } from './backup-targets.ts'
import type { CommandRunner } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_INCOMPLETE, EXIT_OK, ExitError } from './exit-codes.ts'
import { collect } from './global-options.ts'
import { addExcludeOptions, readPatterns, type ExcludeFlags } from './pattern-flags.ts'
import { readConcurrencyOf } from './settings.ts'
import { VERSION } from './version.ts'

interface Flags extends TargetFlags, ExcludeFlags {
  readonly dryRun?: boolean
  readonly excludeIfPresent?: readonly string[]
  readonly excludeCaches?: boolean
  readonly excludeLargerThan?: string
  readonly oneFileSystem?: boolean
  readonly force?: boolean
  readonly groupBy: string
  readonly parent?: string
  readonly host?: string
  readonly hostname?: string
  readonly tag?: readonly string[]
  readonly time?: string
  readonly withAtime?: boolean
  readonly ignoreInode?: boolean
  readonly ignoreCtime?: boolean
  readonly scan: boolean
  readonly readConcurrency?: string
  readonly skipIfUnchanged?: boolean
}

export function define(command: Command, run: CommandRunner): void {
  command.argument('[paths...]', `files and folders (default: ${DEFAULT_PATH} where it exists)`)
  addSelectionOptions(addExcludeOptions(command))
  addSnapshotOptions(command).action((paths: string[], flags: Flags) =>
    run.withContext((context) => runBackup(context, paths, flags)),
  )
}

/** What is backed up. */
function addSelectionOptions(command: Command): void {
  command
    .option('--exclude-if-present <name[:header]>', 'exclude what is beside such a file', collect)
    .option('--exclude-caches', 'exclude folders marked by a CACHEDIR.TAG')
    .option('--exclude-larger-than <size>', 'exclude files larger than this (k, m, g, t)')
    .option('-x, --one-file-system', 'do not cross file system boundaries')
    .option('--files-from <file>', 'read targets from a file, one pattern a line (- for stdin)', collect)
    .option('--files-from-verbatim <file>', 'read targets from a file, one path a line', collect)
    .option('--files-from-raw <file>', 'read targets from a file, each ended by a zero byte', collect)
    .option('--stdin', 'back up standard input')
    .option('--stdin-filename <name>', 'name of the file the stream becomes', 'stdin')
    .option('--stdin-from-command', 'back up what a command prints: --stdin-from-command -- COMMAND ARGS')
}

/** How it is done and what the snapshot says of itself. */
function addSnapshotOptions(command: Command): Command {
  return command
    .option('-n, --dry-run', 'do not write anything, say what would be done')
    .option('-f, --force', 'read all files again, whatever the parent says')
    .option('-g, --group-by <what>', 'find the parent by host, paths and/or tags', 'host,paths')
    .option('--parent <snapshot>', 'compare with this snapshot')
    .option('-H, --host <name>', 'host name of the snapshot (default: $RESTIC_HOST)')
    .option('--hostname <name>', 'as --host')
    .option('--tag <tag[,tag...]>', 'tag the snapshot (may be repeated)', collect)
    .option('--time <time>', "time of the snapshot: 'YYYY-MM-DD HH:MM:SS'")
    .option('--with-atime', 'store access times')
    .option('--ignore-inode', 'ignore inode numbers and change times when looking for changes')
    .option('--ignore-ctime', 'ignore change times when looking for changes')
    .option('--no-scan', 'do not count beforehand what there is to do')
    .option('--read-concurrency <n>', 'files read at once (default: $RESTIC_READ_CONCURRENCY)')
    .option('--skip-if-unchanged', 'make no snapshot where nothing changed')
}

async function runBackup(context: CommandContext, args: readonly string[], flags: Flags): Promise<number> {
  const options = await backupOptions(context, flags)
  const targets = await backupTargets(context, args, flags)
  context.print('open repository', 2)
  const { errorCount, failed, total } = await context.withRepositories(async (repositories, unopened) => {
    const showsStored = repositories.some(({ location }) => isRemote(location))
    const output = new BackupOutput(context, { dryRun: flags.dryRun === true, targets, showsStored })
    try {
      const made = await backupToAll(repositories, {
        ...options,
        ...targets,
        ...output.callbacks(flags.scan),
        onRepositoryFailure: ({ location }, error) => context.warnOfLeaving(location, error),
      })
      output.stop()
      output.summary(made)
      const errors = Math.max(...made.map(({ result }) => result?.errorCount ?? 0))
      const left = made.filter(({ result }) => result === undefined)
      return { errorCount: errors, failed: unopened + left.length, total: made.length + unopened }
    } finally {
      output.stop()
    }
  })
  const missing = 'missing' in targets ? targets.missing : 0
  const problems = [
    ...(errorCount + missing > 0 ? ['at least one source file could not be read'] : []),
    ...(failed > 0 ? [`${failed} of ${total} repositories got no snapshot, run the backup again`] : []),
  ]
  if (problems.length === 0) return EXIT_OK
  throw new ExitError(EXIT_INCOMPLETE, problems.join('; '))
}

async function backupOptions(context: CommandContext, flags: Flags): Promise<BackupOptions> {
  const { env } = context.io
  const { excludeLargerThan } = flags
  return {
    readConcurrency: readConcurrencyOf(flags.readConcurrency, env),
    excludes: await readPatterns(flags.exclude, flags.excludeFile, env),
    recordedExcludes: flags.exclude ?? [],
    insensitiveExcludes: await readPatterns(flags.iexclude, flags.iexcludeFile, env),
    excludeIfPresent: flags.excludeIfPresent,
    excludeCaches: flags.excludeCaches,
    excludeLargerThanBytes: excludeLargerThan === undefined ? undefined : parseByteSize(excludeLargerThan),
    oneFileSystem: flags.oneFileSystem,
    tags: (flags.tag ?? []).flatMap(parseTagList).filter((tag) => tag !== ''),
    // An empty name stands for the machine's own.
    hostname: (flags.host ?? flags.hostname ?? env['RESTIC_HOST'] ?? '') || undefined,
    time: flags.time === undefined ? undefined : parseTime(flags.time),
    parent: flags.parent,
    force: flags.force,
    groupBy: parseGroupBy(flags.groupBy),
    dryRun: flags.dryRun,
    skipIfUnchanged: flags.skipIfUnchanged,
    withAtime: flags.withAtime,
    ignoreInode: flags.ignoreInode,
    ignoreCtime: flags.ignoreCtime,
    noScan: !flags.scan,
    programVersion: `restic-ts ${VERSION}`,
    signal: context.signal,
  }
}

/** `YYYY-MM-DD HH:MM:SS` in the local zone. @throws InvalidInputError */
function parseTime(text: string): Date {
  const match = /^(\d{4})-(\d{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2})$/.exec(text)
  const [year = 0, month = 0, day = 0, hours = 0, minutes = 0, seconds = 0] = (match ?? [])
    .slice(1)
    .map(Number)
  const time = new Date(0)
  time.setFullYear(year, month - 1, day)
  time.setHours(hours, minutes, seconds)
  const isReal =
    time.getMonth() === month - 1 && time.getDate() === day && hours < 24 && minutes < 60 && seconds < 60
  if (match === null || !isReal) {
    throw new InvalidInputError(`error in time option: "${text}" is not of the form YYYY-MM-DD HH:MM:SS`)
  }
  return time
}
