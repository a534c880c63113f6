/**
 * Makes a snapshot, in one repository or the same in several. What is written becomes reachable in an order that survives a kill at any point: packs, index
 * files, the snapshot, and last the lock goes (format spec §12.5).
 */
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { AbortedError, SourceError } from '../../errors.ts'
import type { Id } from '../format/id.ts'
import type { Snapshot } from '../format/snapshot.ts'
import { timeFromDate, type Time } from '../format/time.ts'
import { currentUser } from '../keys.ts'
import type { Repository } from '../repository.ts'
import { Archiver, type ArchivedItem } from './archiver.ts'
import { createBackupFilter, type ExcludeOptions } from './backup-excludes.ts'
import { BackupGroup, type AddedToRepository, type BackupMember } from './backup-group.ts'
import { findParent } from './backup-parent.ts'
import { scanTargets, type ScanTotals } from './backup-scan.ts'
import { StreamSource, type BackupSource } from './backup-source.ts'
import type { BackupStatistics } from './backup-statistics.ts'
import { buildTargetTree, cleanPath, resolveTargets, type TargetTree } from './backup-targets.ts'
import { ContentSaver } from './content-saver.ts'
import { noticeWithoutLibc } from './libc-notice.ts'
import type { FolderRules } from './folder-reader.ts'
import { LocalSource } from './local-source.ts'
import { NewFolders } from './new-folders.ts'
import { Pacer, type ItemError } from './operation.ts'
import type { GroupBy } from './snapshot-groups.ts'
import { findSnapshot, loadSnapshots, type SnapshotRecord } from './snapshots.ts'
import { UnchangedFolders } from './unchanged-folders.ts'

/** One file made of a stream instead of paths. */
export interface BackupStream {
  readonly stream: AsyncIterable<Uint8Array>
  /** Path of the file in the snapshot. */
  readonly filename: string
}

/** How far a backup is. Totals are known once the scan has come so far. */
export interface BackupProgress {
  readonly filesDone: number
  readonly bytesDone: number
  readonly errorCount: number
  readonly currentFiles: readonly string[]
  readonly totals: ScanTotals | undefined
  readonly isScanFinished: boolean
  readonly bytesStored: number
}

export interface BackupOptions extends ExcludeOptions {
  /** Files and folders, absolute or relative to the working directory. Not used with `input`. */
  readonly paths?: readonly string[] | undefined
  readonly input?: BackupStream | undefined
  readonly tags?: readonly string[] | undefined
  readonly hostname?: string | undefined
  readonly time?: Date | undefined
  /** ID, prefix or `latest`; by default the newest snapshot that fits `groupBy`. */
  readonly parent?: string | undefined
  /** Read everything again, compare with nothing. */
  readonly force?: boolean | undefined
  readonly groupBy?: readonly GroupBy[] | undefined
  readonly dryRun?: boolean | undefined
  readonly skipIfUnchanged?: boolean | undefined
  readonly withAtime?: boolean | undefined
  /** Files read at once, by as many threads; as many as the repository's settings say by default. */
  readonly readConcurrency?: number | undefined
  readonly ignoreInode?: boolean | undefined
  readonly ignoreCtime?: boolean | undefined
  /** Do not count beforehand what there is to do. */
  readonly noScan?: boolean | undefined
  /** Exclude patterns to record in the snapshot; `excludes` by default. */
  readonly recordedExcludes?: readonly string[] | undefined
  /** What the snapshot says made it. */
  readonly programVersion?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** With several repositories: one is left behind, the others go on. */
  readonly onRepositoryFailure?: ((repository: Repository, error: Error) => void) | undefined
  readonly onError?: ((error: ItemError) => void) | undefined
  readonly onItem?: ((item: ArchivedItem) => void) | undefined
  readonly onProgress?: ((progress: BackupProgress) => void) | undefined
  readonly onParent?: ((parent: SnapshotRecord | undefined) => void) | undefined
  readonly onLoadIndex?: ((done: number, total: number) => void) | undefined
  readonly onScanFinished?: ((totals: ScanTotals, seconds: number) => void) | undefined
}

/** What a backup came to in one of several repositories. */
export interface RepositoryBackup {
  readonly repository: Repository
  /** Undefined where it failed. */
  readonly result: BackupResult | undefined
  readonly error: Error | undefined
}

export interface BackupResult {
  /** Undefined with `dryRun` and where `skipIfUnchanged` applied. */
  readonly snapshotId: Id | undefined
  readonly tree: Id
  readonly parent: SnapshotRecord | undefined
  readonly statistics: BackupStatistics
  /** Items that could not be saved; the snapshot is there all the same. */
  readonly errorCount: number
  readonly backupStart: Time
  readonly backupEnd: Time
  readonly durationSeconds: number
}

const PROGRAM_VERSION = 'restic-ts'
/** In the parent snapshot. With fewer the walk is through before threads have started. */
const FEW_FILES = 2000

/**
 * Backs up paths or a stream into one snapshot.
 * @throws SourceError where nothing can be saved; RepositoryLockedError, BackendError, AbortedError, LockLostError
 */
export async function backup(repository: Repository, options: BackupOptions): Promise<BackupResult> {
  const [made] = await backupToAll([repository], options)
  if (made?.result === undefined) throw made?.error ?? new RangeError('no result')
  return made.result
}

/**
 * Backs up to several repositories at once: the source is read and cut once, and each repository gets a snapshot of its
 * own. Changes are found by the first one's parent snapshot, and its parameters cut large files; one that fails is left
 * behind.
 * @returns what it came to in each repository, in the order given
 * @throws SourceError where nothing can be saved; AbortedError; the first failure where no repository is left
 */
export async function backupToAll(
  repositories: readonly Repository[],
  options: BackupOptions,
): Promise<readonly RepositoryBackup[]> {
  const group = new BackupGroup(repositories, {
    signal: options.signal,
    onFailure: options.onRepositoryFailure,
  })
  try {
    // A dry run writes nothing, so it needs nobody to keep away.
    if (options.dryRun !== true) await group.lock()
    return await new BackupRun(group, options).run()
  } finally {
    await group.release()
  }
}

class BackupRun {
  readonly #group: BackupGroup
  readonly #options: BackupOptions
  readonly #signal: AbortSignal | undefined
  readonly #started = new Date()
  readonly #time: Time
  readonly #hostname: string
  readonly #source: BackupSource
  #errorCount = 0
  #bytesDone = 0
  #bytesStored = 0
  #currentFile = ''
  /** What filters have said: the scan says it as well as the walk, and that again when it is back from another folder. */
  readonly #warnings = new Set<string>()
  #totals: ScanTotals | undefined
  #scanFinished = false

  constructor(group: BackupGroup, options: BackupOptions) {
    this.#group = group
    this.#options = options
    this.#signal = group.signal
    this.#time = timeFromDate(options.time ?? this.#started)
    this.#hostname = options.hostname ?? hostname()
    this.#source = this.#createSource()
  }

  async run(): Promise<RepositoryBackup[]> {
    const { input, paths = [] } = this.#options
    const group = this.#group
    const targets = input === undefined ? paths : [`/${input.filename}`]
    if (targets.length === 0) throw new SourceError('nothing to backup, please specify source files/dirs')
    if (input === undefined)
      noticeWithoutLibc(group.leader.repository.settings, 'extended attributes and ACLs are not saved')
    await group.forEach((member) => this.#prepare(member, targets))
    group.settle()
    const { parent } = group.leader
    this.#options.onParent?.(parent)
    this.#noticeOtherParameters()
    const list = (path: string): string[] => this.#source.listNames(path)
    const tree = buildTargetTree(resolveTargets(targets, list), list)
    const dryRun = this.#options.dryRun === true
    const saver =
      dryRun || input !== undefined
        ? undefined
        : new ContentSaver({
            group,
            readConcurrency: this.#options.readConcurrency,
            signal: this.#signal,
          })
    const archiver = this.#createArchiver(targets, saver, parent)
    if (!dryRun) group.startWriting((bytes) => (this.#bytesStored += bytes))
    let root: Id
    try {
      root = await this.#archive(archiver, tree, parent)
    } finally {
      await saver?.close()
    }
    // A stream is all or nothing: half a dump must not pass for a backup.
    if (input !== undefined && this.#errorCount > 0)
      throw new SourceError('the stream could not be read, no snapshot was made')
    const results = new Map<BackupMember, BackupResult>()
    const [first] = group.members
    await group.forEach(async (member) => {
      await member.mayWrite
      if (!dryRun) await member.repository.flush()
      const statistics =
        dryRun || member === first ? archiver.statistics : withAdded(archiver.statistics, member.added)
      results.set(member, await this.#finish(member, root, statistics, targets))
    })
    return group.members.map((member) => ({
      repository: member.repository,
      result: results.get(member),
      error: member.failure,
    }))
  }

  async #prepare(member: BackupMember, targets: readonly string[]): Promise<void> {
    const { repository } = member
    const signal = member.lock?.signal ?? this.#signal
    // Snapshots before the index: blobs of any snapshot seen are then in the index as well.
    member.parent = await this.#findParent(member, targets)
    // What an earlier operation knew may be out of date: another process can have pruned since.
    repository.discardIndex()
    await repository.loadIndex({ signal, onProgress: this.#options.onLoadIndex })
  }

  /** Said when a repository joins; what it has from then on was cut as the leader cuts. */
  #noticeOtherParameters(): void {
    const { leader, members } = this.#group
    for (const { repository, parent, failure } of members) {
      const isAlike = repository.config.chunkerPolynomial === leader.repository.config.chunkerPolynomial
      if (isAlike || failure !== undefined || parent !== undefined || repository.index.blobCount === 0)
        continue
      repository.settings.onNotice?.({
        kind: 'warning',
        message:
          `${repository.location} cuts files in other places than ${leader.repository.location}: large files it has ` +
          'from elsewhere are stored there again (see init --copy-chunker-params)',
      })
    }
  }

  /** Archives with the scan beside it; whichever fails first stops the other. */
  async #archive(archiver: Archiver, tree: TargetTree, parent: SnapshotRecord | undefined): Promise<Id> {
    const scanControl = new AbortController()
    const scan = this.#scan(tree, archiver, scanControl.signal)
    try {
      const root = await archiver.archive(tree, parent?.snapshot.tree)
      this.#report(archiver)
      return root
    } finally {
      scanControl.abort()
      await scan
    }
  }

  #createSource(): BackupSource {
    const { input } = this.#options
    if (input === undefined) return new LocalSource()
    const { uid, gid } = currentUser()
    const { filename: path, stream } = input
    return new StreamSource({ path, stream, time: this.#time, uid, gid, signal: this.#signal })
  }

  #createArchiver(
    targets: readonly string[],
    saver: ContentSaver | undefined,
    parent: SnapshotRecord | undefined,
  ): Archiver {
    const { onProgress } = this.#options
    const pacer = new Pacer(this.#signal, () => onProgress && this.#report(archiver))
    const archiver: Archiver = new Archiver({
      unchanged: saver && this.#createUnchanged(targets, { saver, parent, pacer }),
      newFolders: saver && this.#createNewFolders(targets, saver),
      group: this.#group,
      source: this.#source,
      filter: this.#createFilter(targets),
      pacer,
      saver,
      signal: this.#signal,
      withAtime: this.#options.withAtime === true,
      ignoreInode: this.#options.ignoreInode === true,
      ignoreCtime: this.#options.ignoreCtime === true,
      dryRun: this.#options.dryRun === true,
      onError: (error) => {
        this.#errorCount += 1
        this.#options.onError?.(error)
      },
      onItem: this.#options.onItem,
      onBytes: (bytes) => (this.#bytesDone += bytes),
      onStartFile: (path) => (this.#currentFile = path),
    })
    return archiver
  }

  /** Undefined where that would not pay, or items are to be told of one by one. */
  #createUnchanged(
    targets: readonly string[],
    {
      saver,
      parent,
      pacer,
    }: { readonly saver: ContentSaver; readonly parent: SnapshotRecord | undefined; readonly pacer: Pacer },
  ): UnchangedFolders | undefined {
    const [only, ...others] = this.#group.members
    const files = parent?.snapshot.summary?.totalFilesProcessed ?? FEW_FILES
    if (only === undefined || others.length > 0 || parent === undefined || files < FEW_FILES) return undefined
    if (this.#options.onItem !== undefined) return undefined
    const { repository } = only
    return new UnchangedFolders({
      repository,
      threads: () => saver.threads(),
      rules: this.#folderRules(targets),
      pacer,
      signal: this.#signal,
    })
  }

  /** Undefined where items are to be told of one by one. */
  #createNewFolders(targets: readonly string[], saver: ContentSaver): NewFolders | undefined {
    if (this.#options.onItem !== undefined) return undefined
    return new NewFolders({ saver, rules: this.#folderRules(targets), signal: this.#signal })
  }

  #folderRules(targets: readonly string[]): FolderRules {
    const { withAtime = false } = this.#options
    return { ...this.#excludes(), targets: this.#absolutePaths(targets), withAtime }
  }

  #createFilter(targets: readonly string[]): ReturnType<typeof createBackupFilter> {
    return createBackupFilter(this.#source, this.#absolutePaths(targets), this.#excludes(), (message) => {
      if (this.#warnings.has(message)) return
      this.#warnings.add(message)
      this.#group.leader.repository.settings.onNotice?.({ kind: 'warning', message })
    })
  }

  #excludes(): ExcludeOptions {
    const { excludes, insensitiveExcludes, excludeIfPresent } = this.#options
    const { excludeCaches, excludeLargerThanBytes, oneFileSystem } = this.#options
    const caches = this.#group.members.flatMap(({ repository }) => repository.backend.cacheFolder ?? [])
    return {
      excludes,
      insensitiveExcludes,
      excludeIfPresent,
      excludeCaches,
      excludeLargerThanBytes,
      oneFileSystem,
      excludeFolders: caches.map((base) => resolve(base)),
    }
  }

  async #scan(tree: TargetTree, archiver: Archiver, signal: AbortSignal): Promise<void> {
    const { onProgress, onScanFinished, noScan, input, paths = [] } = this.#options
    if (noScan === true || input !== undefined || (onProgress === undefined && onScanFinished === undefined))
      return
    const started = performance.now()
    try {
      const totals = await scanTargets(tree, {
        source: this.#source,
        filter: this.#createFilter(paths),
        pacer: new Pacer(signal, () => onProgress && this.#report(archiver)),
        onError: (error) => this.#options.onError?.(error),
        onTotals: (soFar) => (this.#totals = soFar),
      })
      this.#totals = totals
      this.#scanFinished = true
      onScanFinished?.(totals, (performance.now() - started) / 1000)
    } catch (error) {
      // The scan is for show: what is wrong with the source, the archiver finds and reports itself.
      if (!(error instanceof AbortedError || error instanceof SourceError)) throw error
    }
  }

  #report(archiver: Archiver): void {
    this.#options.onProgress?.({
      filesDone: archiver.statistics.totalFilesProcessed,
      bytesDone: this.#bytesDone,
      errorCount: this.#errorCount,
      currentFiles: this.#currentFile === '' ? [] : [this.#currentFile],
      totals: this.#totals,
      isScanFinished: this.#scanFinished,
      bytesStored: this.#bytesStored,
    })
  }

  async #findParent(
    { repository }: BackupMember,
    targets: readonly string[],
  ): Promise<SnapshotRecord | undefined> {
    const { force, input, parent } = this.#options
    const signal = this.#signal
    if (force === true || input !== undefined) return undefined
    // An ID means a snapshot of the first repository; the others have one of their own.
    if (parent !== undefined && (parent === 'latest' || repository === this.#group.members[0]?.repository)) {
      return (await findSnapshot(repository, parent, { notAfter: this.#time, signal })).record
    }
    const records = await loadSnapshots(repository, {
      ...(signal === undefined ? {} : { signal }),
      onError: ({ item, error }) => {
        repository.settings.onNotice?.({
          kind: 'warning',
          message: `Ignoring "${item}": ${error.message}`,
        })
      },
    })
    return findParent(records, {
      groupBy: this.#options.groupBy ?? ['host', 'paths'],
      hostname: this.#hostname,
      paths: this.#absolutePaths(targets),
      tags: this.#options.tags ?? [],
      time: this.#time,
    })
  }

  #absolutePaths(targets: readonly string[]): string[] {
    return targets.map((target) => this.#source.absolute(cleanPath(target)))
  }

  // oxlint-disable-next-line max-params -- all that a snapshot is made of
  async #finish(
    { repository, parent, lock }: BackupMember,
    tree: Id,
    statistics: BackupStatistics,
    targets: readonly string[],
  ): Promise<BackupResult> {
    const backupStart = timeFromDate(this.#started)
    const backupEnd = timeFromDate(new Date())
    const isSkipped = this.#options.skipIfUnchanged === true && parent?.snapshot.tree === tree
    let snapshotId: Id | undefined
    if (!isSkipped && this.#options.dryRun !== true) {
      const { username, uid, gid } = currentUser()
      const snapshot: Snapshot = {
        time: this.#time,
        ...(parent === undefined ? {} : { parent: parent.id }),
        tree,
        paths: this.#absolutePaths(targets),
        hostname: this.#hostname,
        username,
        uid,
        gid,
        excludes: [...(this.#options.recordedExcludes ?? this.#options.excludes ?? [])],
        tags: [...(this.#options.tags ?? [])],
        programVersion: this.#options.programVersion ?? PROGRAM_VERSION,
        summary: { backupStart, backupEnd, ...statistics },
      }
      snapshotId = await repository.saveSnapshot(snapshot, lock?.signal ?? this.#signal)
    }
    const durationSeconds = (Date.now() - this.#started.getTime()) / 1000
    return {
      snapshotId,
      tree,
      parent,
      statistics,
      errorCount: this.#errorCount,
      backupStart,
      backupEnd,
      durationSeconds,
    }
  }
}

/** The statistics of a repository that did not lead: the same files, but blobs of its own. */
function withAdded(statistics: BackupStatistics, added: AddedToRepository): BackupStatistics {
  const { dataBlobs, treeBlobs, plainBytes, storedBytes } = added
  return { ...statistics, dataBlobs, treeBlobs, dataAdded: plainBytes, dataAddedPacked: storedBytes }
}
