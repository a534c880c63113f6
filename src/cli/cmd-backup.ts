/** backup: make a snapshot of files and folders, or of standard input. */
import { existsSync, lstatSync } from 'node:fs'
import type { Command } from 'commander'
import {
  backup, expandGlob, InvalidInputError, parseByteSize, parseGroupBy, parseTagList, parseTargetLines, parseTargetPatterns,
  parseTargetsRaw, SourceError, type BackupOptions, type BackupStream,
} from '../index.ts' // prettier-ignore
import { BackupOutput } from './backup-output.ts'
import type { RunCommand } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_INCOMPLETE, EXIT_OK, ExitError } from './exit-codes.ts'
import { collect } from './global-options.ts'
import { readInput, readPatternFiles } from './pattern-flags.ts'
import { runStreamCommand } from './stream-command.ts'
import { VERSION } from './version.ts'

interface Flags {
  readonly dryRun?: boolean
  readonly exclude?: readonly string[]
  readonly iexclude?: readonly string[]
  readonly excludeFile?: readonly string[]
  readonly iexcludeFile?: readonly string[]
  readonly excludeIfPresent?: readonly string[]
  readonly excludeCaches?: boolean
  readonly excludeLargerThan?: string
  readonly oneFileSystem?: boolean
  readonly filesFrom?: readonly string[]
  readonly filesFromVerbatim?: readonly string[]
  readonly filesFromRaw?: readonly string[]
  readonly stdin?: boolean
  readonly stdinFilename: string
  readonly stdinFromCommand?: boolean
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

/** What the script this program replaces backed up. */
const DEFAULT_PATH = './backup'

export function define(command: Command, run: RunCommand): void {
  command
    .argument('[paths...]', `files and folders (default: ${DEFAULT_PATH} where it exists)`)
    .option('-n, --dry-run', 'do not write anything, say what would be done')
    .option('-e, --exclude <pattern>', 'exclude what matches (may be repeated)', collect)
    .option('--iexclude <pattern>', 'as --exclude, ignoring case', collect)
    .option('--exclude-file <file>', 'read exclude patterns from a file', collect)
    .option('--iexclude-file <file>', 'as --exclude-file, ignoring case', collect)
    .option(
      '--exclude-if-present <name[:header]>',
      'exclude the content of folders that hold such a file',
      collect,
    )
    .option('--exclude-caches', 'exclude folders marked by a CACHEDIR.TAG')
    .option('--exclude-larger-than <size>', 'exclude files larger than this (k, m, g, t)')
    .option('-x, --one-file-system', 'do not cross file system boundaries')
    .option(
      '--files-from <file>',
      'read targets from a file, one pattern a line (- for standard input)',
      collect,
    )
    .option('--files-from-verbatim <file>', 'read targets from a file, one path a line', collect)
    .option('--files-from-raw <file>', 'read targets from a file, each ended by a zero byte', collect)
    .option('--stdin', 'back up standard input')
    .option('--stdin-filename <name>', 'name of the file standard input becomes', 'stdin')
    .option(
      '--stdin-from-command',
      'back up what a command prints: backup --stdin-from-command -- COMMAND ARGS',
    )
    .option('-f, --force', 'read all files again, whatever the parent says')
    .option('-g, --group-by <what>', 'find the parent by host, paths and/or tags', 'host,paths')
    .option('--parent <snapshot>', 'compare with this snapshot')
    .option('-H, --host <name>', 'host name of the snapshot (default: $RESTIC_HOST)')
    .option('--hostname <name>', 'as --host')
    .option('--tag <tag[,tag...]>', 'tag the snapshot (may be repeated)', collect)
    .option('--time <time>', "time of the snapshot: 'YYYY-MM-DD HH:MM:SS', or now")
    .option('--with-atime', 'store access times')
    .option('--ignore-inode', 'ignore inode numbers and change times when looking for changes')
    .option('--ignore-ctime', 'ignore change times when looking for changes')
    .option('--no-scan', 'do not count beforehand what there is to do')
    .option('--read-concurrency <n>', 'files read at once (default: $RESTIC_READ_CONCURRENCY)')
    .option('--skip-if-unchanged', 'make no snapshot where nothing changed')
    .action((paths: string[], flags: Flags) => run((context) => runBackup(context, paths, flags)))
}

async function runBackup(context: CommandContext, args: readonly string[], flags: Flags): Promise<number> {
  checkReadConcurrency(flags.readConcurrency ?? context.io.env['RESTIC_READ_CONCURRENCY'])
  const output = new BackupOutput(context, flags.dryRun === true)
  const source = await resolveSource(context, args, flags)
  const options: BackupOptions = {
    ...(await backupOptions(context, flags)),
    ...source,
    ...output.callbacks(flags.scan),
  }
  context.print('open repository', 2)
  const repository = await context.openRepository()
  try {
    const result = await backup(repository, options)
    await source.finish?.()
    output.summary(result)
    if (result.errorCount > 0 || source.missing > 0) {
      throw new ExitError(EXIT_INCOMPLETE, 'at least one source file could not be read')
    }
    return EXIT_OK
  } finally {
    context.progress.clear()
    await repository.close()
  }
}

async function backupOptions(context: CommandContext, flags: Flags): Promise<BackupOptions> {
  const { env } = context.io
  const fromFiles = await readPatternFiles(flags.excludeFile, env)
  const insensitiveFromFiles = await readPatternFiles(flags.iexcludeFile, env)
  return {
    excludes: [...(flags.exclude ?? []), ...fromFiles],
    recordedExcludes: flags.exclude ?? [],
    insensitiveExcludes: [...(flags.iexclude ?? []), ...insensitiveFromFiles],
    excludeIfPresent: flags.excludeIfPresent,
    excludeCaches: flags.excludeCaches,
    excludeLargerThanBytes:
      flags.excludeLargerThan === undefined ? undefined : parseByteSize(flags.excludeLargerThan),
    oneFileSystem: flags.oneFileSystem,
    tags: (flags.tag ?? []).flatMap(parseTagList).filter((tag) => tag !== ''),
    hostname: [flags.host, flags.hostname, env['RESTIC_HOST']].find(
      (name) => name !== undefined && name !== '',
    ),
    time: parseTime(flags.time),
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

interface Source {
  readonly paths?: readonly string[]
  readonly input?: BackupStream
  /** Targets named that are not there. */
  readonly missing: number
  /** Waits for the command whose output was backed up. */
  readonly finish?: (this: void) => Promise<void>
}

async function resolveSource(
  context: CommandContext,
  args: readonly string[],
  flags: Flags,
): Promise<Source> {
  if (flags.stdin === true || flags.stdinFromCommand === true) return streamSource(context, args, flags)
  const named = [...args, ...(await readTargetFiles(context, flags))]
  const fallback =
    named.length === 0 && !hasTargetFiles(flags) && existsSync(DEFAULT_PATH) ? [DEFAULT_PATH] : []
  const paths: string[] = []
  let missing = 0
  for (const path of [...named, ...fallback]) {
    const problem = problemWith(path)
    if (problem === undefined) paths.push(path)
    else {
      missing += 1
      context.warn(problem)
    }
  }
  if (missing > 0 && paths.length === 0) throw new SourceError('all source directories/files do not exist')
  if (paths.length === 0) throw new SourceError('nothing to backup, please specify source files/dirs')
  return { paths, missing }
}

function problemWith(path: string): string | undefined {
  try {
    lstatSync(path)
    return undefined
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : ''
    return code === 'ENOENT'
      ? `${path} does not exist, skipping`
      : `${path} cannot be read (${String(code)}), skipping`
  }
}

function streamSource(context: CommandContext, args: readonly string[], flags: Flags): Source {
  if (hasTargetFiles(flags)) throw new InvalidInputError('--stdin and --files-from cannot be used together')
  if (flags.stdinFromCommand === true) {
    if (args.length === 0)
      throw new InvalidInputError('no command given: backup --stdin-from-command -- COMMAND ARGS')
    const child = runStreamCommand(args, (line) => context.warn(line))
    return {
      input: { stream: child.stream, filename: flags.stdinFilename },
      missing: 0,
      finish: child.finish,
    }
  }
  if (args.length > 0)
    throw new InvalidInputError('--stdin was specified and files/dirs were listed as arguments')
  return { input: { stream: context.io.stdin, filename: flags.stdinFilename }, missing: 0 }
}

function hasTargetFiles(flags: Flags): boolean {
  return [flags.filesFrom, flags.filesFromVerbatim, flags.filesFromRaw].some((files) => files !== undefined)
}

async function readTargetFiles(context: CommandContext, flags: Flags): Promise<string[]> {
  const read = (file: string): Promise<Uint8Array> =>
    file === '-' ? readAll(context.io.stdin) : readInput(file)
  const targets: string[] = []
  for (const file of flags.filesFrom ?? []) {
    for (const pattern of parseTargetPatterns(await read(file))) {
      const found = expandGlob(pattern)
      if (found.length === 0) context.warn(`pattern "${pattern}" does not match any files, skipping`)
      targets.push(...found)
    }
  }
  for (const file of flags.filesFromVerbatim ?? []) targets.push(...parseTargetLines(await read(file)))
  for (const file of flags.filesFromRaw ?? []) targets.push(...parseTargetsRaw(await read(file)))
  return targets
}

async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function checkReadConcurrency(text: string | undefined): void {
  if (text !== undefined && text !== '' && !/^\d+$/.test(text)) {
    throw new InvalidInputError(`invalid value "${text}" for read concurrency: not a number`)
  }
}

/** `YYYY-MM-DD HH:MM:SS` in the local zone. */
function parseTime(text: string | undefined): Date | undefined {
  if (text === undefined || text === 'now') return undefined
  const match = /^(\d{4})-(\d{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2})$/.exec(text)
  const [year = 0, month = 0, day = 0, hours = 0, minutes = 0, seconds = 0] = (match ?? [])
    .slice(1)
    .map(Number)
  const time = new Date(year, month - 1, day, hours, minutes, seconds)
  if (match === null || time.getMonth() !== month - 1 || time.getDate() !== day) {
    throw new InvalidInputError(`error in time option: "${text}" is not of the form YYYY-MM-DD HH:MM:SS`)
  }
  return time
}
