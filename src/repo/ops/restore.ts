/**
 * Restores a snapshot into a folder (format spec §18): folders first, then the content of files pack by pack, then
 * special files, hard links and, bottom-up, metadata. Nothing outside the target is touched.
 */
import { closeSync, fstatSync } from 'node:fs'
import { CorruptDataError, InvalidInputError, NotFoundError, SnapshotNotFoundError } from '../../errors.ts'
import type { Id } from '../format/id.ts'
import type { Node } from '../format/tree.ts'
import type { Lock } from '../locks.ts'
import type { Repository } from '../repository.ts'
import { createAccountNames } from './account-names.ts'
import { noticeWithoutLibc } from './libc-notice.ts'
import { applyMetadata, type MetadataOptions } from './node-metadata.ts'
import { Pacer, type ItemError } from './operation.ts'
import { FileWriter } from './restore-files.ts'
import { createSelector, createXattrSelector, type SelectOptions } from './restore-select.ts'
import { isTargetFull, readFully, RestoreTarget, targetFullError } from './restore-target.ts'
import { judge, type OverwriteMode, type Verdict } from './restore-verdict.ts'
import { walkSnapshot, type RestoreSelector, type RestoreWalkOptions } from './restore-walk.ts'
import { findSnapshot, type SnapshotFilter, type SnapshotRecord } from './snapshots.ts'

/** One item that is done, by its path in the snapshot (`deleted`: in the target). */
export interface RestoredItem {
  readonly action: 'restored' | 'updated' | 'unchanged' | 'deleted'
  readonly path: string
  readonly isDir: boolean
  readonly size: number
}

/** Counts include folders, links and special files. */
export interface RestoreProgress {
  /** As restic counts: without files whose content is skipped, which are known before anything is restored. */
  readonly filesTotal: number
  readonly filesRestored: number
  readonly filesSkipped: number
  readonly filesDeleted: number
  readonly bytesTotal: number
  readonly bytesRestored: number
  readonly bytesSkipped: number
}

export interface RestoreOptions extends SelectOptions {
  /** `latest` or a prefix, either with `:subfolder`. */
  readonly snapshot: string
  /** Narrows `latest`. */
  readonly filter?: SnapshotFilter | undefined
  readonly target: string
  readonly overwrite?: OverwriteMode | undefined
  /** Remove entries of restored folders that the snapshot does not have. */
  readonly delete?: boolean | undefined
  readonly sparse?: boolean | undefined
  /** Read everything again afterwards and compare. */
  readonly verify?: boolean | undefined
  readonly dryRun?: boolean | undefined
  readonly ownershipByName?: boolean | undefined
  readonly signal?: AbortSignal | undefined
  readonly onSnapshot?: ((record: SnapshotRecord, subfolder: string | undefined) => void) | undefined
  readonly onLoadIndex?: ((done: number, total: number) => void) | undefined
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined
  readonly onItem?: ((item: RestoredItem) => void) | undefined
  readonly onError?: ((error: ItemError) => void) | undefined
  readonly onVerifyStart?: (() => void) | undefined
}

export interface RestoreResult extends RestoreProgress {
  readonly record: SnapshotRecord
  readonly errorCount: number
  /** Files compared by `verify`. */
  readonly filesVerified: number
  readonly durationSeconds: number
}

/**
 * Restores what is selected of one snapshot. Trouble with single items goes to `onError` and the rest goes on.
 * @throws SnapshotNotFoundError, InvalidInputError, BackendError where the disk is full, AbortedError
 */
export async function restore(repository: Repository, options: RestoreOptions): Promise<RestoreResult> {
  checkOptions(options)
  const lock = repository.settings.noLock === true ? undefined : await repository.lock(false, options.signal)
  try {
    return await new RestoreRun(repository, options, lock).run()
  } finally {
    await lock?.release()
  }
}

function checkOptions(options: RestoreOptions): void {
  const included = has(options.includes, options.insensitiveIncludes)
  const excluded = has(options.excludes, options.insensitiveExcludes)
  if (included && excluded) throw new InvalidInputError('exclude and include patterns are mutually exclusive')
  if (has(options.includeXattrs) && has(options.excludeXattrs)) {
    throw new InvalidInputError('exclude and include xattr patterns are mutually exclusive')
  }
  if (options.dryRun === true && options.verify === true) {
    throw new InvalidInputError('--dry-run and --verify are mutually exclusive')
  }
  if (options.delete === true && options.target === '/' && !included && !excluded) {
    throw new InvalidInputError("'--target / --delete' must be combined with an include or exclude filter")
  }
}

class RestoreRun {
  readonly #repository: Repository
  readonly #options: RestoreOptions
  readonly #signal: AbortSignal | undefined
  readonly #started = performance.now()
  readonly #target: RestoreTarget
  readonly #select: RestoreSelector
  readonly #metadata: MetadataOptions
  readonly #pacer: Pacer
  readonly #progress = {
    filesTotal: 0,
    filesRestored: 0,
    filesSkipped: 0,
    filesDeleted: 0,
    bytesTotal: 0,
    bytesRestored: 0,
    bytesSkipped: 0,
  }
  /** First location of every file with several names, by inode and device. */
  readonly #firstNames = new Map<string, string>()
  /** Locations the overwrite mode leaves alone: not even their metadata is touched. */
  readonly #skipped = new Set<string>()
  /** Locations whose content could not be restored; their metadata would only make them look whole. */
  readonly #failed = new Set<string>()
  #errorCount = 0
  #filesVerified = 0

  constructor(repository: Repository, options: RestoreOptions, lock: Lock | undefined) {
    this.#repository = repository
    this.#options = options
    this.#signal = lock?.signal ?? options.signal
    this.#target = new RestoreTarget(options.target, options.delete === true)
    this.#select = createSelector(options)
    this.#metadata = {
      accounts: createAccountNames(),
      ownershipByName: options.ownershipByName === true,
      selectXattr: createXattrSelector(options),
    }
    this.#pacer = new Pacer(this.#signal, () => this.#report())
  }

  async run(): Promise<RestoreResult> {
    const signal = this.#signal
    noticeWithoutLibc(
      this.#repository.settings,
      'extended attributes, ACLs, devices and fifos are not restored, and times only to the microsecond',
    )
    const { record, subfolder } = await findSnapshot(this.#repository, this.#options.snapshot, {
      ...(this.#options.filter === undefined ? {} : { filter: this.#options.filter }),
      signal,
    })
    this.#options.onSnapshot?.(record, subfolder)
    this.#repository.discardIndex()
    await this.#repository.loadIndex({ signal, onProgress: this.#options.onLoadIndex })
    const tree = await this.#subtree(record.snapshot.tree, subfolder)
    const walk: RestoreWalkOptions = {
      repository: this.#repository,
      select: this.#select,
      pacer: this.#pacer,
      signal,
    }
    if (this.#options.dryRun !== true) this.#target.createRoot()
    await this.#restoreContent(tree, walk)
    await this.#restoreRest(tree, walk)
    this.#report()
    if (this.#options.verify === true) await this.#verify(tree, walk)
    const durationSeconds = (performance.now() - this.#started) / 1000
    return {
      record,
      ...this.#progress,
      errorCount: this.#errorCount,
      filesVerified: this.#filesVerified,
      durationSeconds,
    }
  }

  async #subtree(root: Id, subfolder: string | undefined): Promise<Id> {
    let tree = root
    for (const name of (subfolder ?? '').split('/').filter((part) => part !== '' && part !== '.')) {
      const node = (await this.#repository.loadTree(tree, this.#signal)).find((entry) => entry.name === name)
      if (node === undefined) throw new SnapshotNotFoundError(`path ${subfolder}: not found in the snapshot`)
      if (node.subtree === null) throw new InvalidInputError(`path ${subfolder}: not a directory`)
      tree = node.subtree
    }
    return tree
  }

  /** First pass: folders, and which blobs go where; then the content itself. */
  async #restoreContent(tree: Id, walk: RestoreWalkOptions): Promise<void> {
    const writer = this.#createWriter()
    const dryRun = this.#options.dryRun === true
    await walkSnapshot(tree, walk, {
      onError: (location, error) => this.#fail(location, error),
      enterFolder: (location) => {
        this.#progress.filesTotal += 1
        if (!dryRun) this.#target.ensureFolder(location)
      },
      visit: (location, node) => {
        if (node.type === 'file' && this.#firstNameOf(location, node) === undefined)
          this.#planFile(writer, location, node)
        else this.#progress.filesTotal += 1
      },
    })
    if (!dryRun) await writer.write()
  }

  #createWriter(): FileWriter {
    const writer: FileWriter = new FileWriter({
      repository: this.#repository,
      target: this.#target,
      pacer: this.#pacer,
      sparse: this.#options.sparse === true,
      signal: this.#signal,
      onBytes: (_file, bytes) => (this.#progress.bytesRestored += bytes),
      onDone: (file) =>
        this.#done(
          writer.isUpdate(file) ? 'updated' : 'restored',
          writer.locationOf(file),
          writer.sizeOf(file),
        ),
      onError: (file, error) => this.#fail(writer.locationOf(file), error),
    })
    return writer
  }

  #planFile(writer: FileWriter, location: string, node: Node): void {
    const verdict = this.#judge(location, node)
    if (verdict === 'skip') this.#skipped.add(location)
    if (verdict === 'skip' || verdict === 'metadata') {
      this.#skip(location, node.size)
      return
    }
    const dryRun = this.#options.dryRun === true
    const blobs = this.#blobsOf(node)
    const differing = verdict === 'write' ? blobs : this.#differingIfReadable(location, blobs)
    if (verdict !== 'write' && differing.length === 0 && this.#sizeOf(location) === node.size) {
      this.#skip(location, node.size)
      return
    }
    this.#progress.filesTotal += 1
    this.#progress.bytesTotal += node.size
    const wanted = verdict === 'update' ? differing : blobs
    if (wanted.length === 0 || dryRun) {
      if (!dryRun) closeSync(this.#target.openFile(location, node.size).fd)
      this.#progress.bytesRestored += node.size
      this.#done(verdict === 'update' ? 'updated' : 'restored', location, node.size)
      return
    }
    this.#progress.bytesRestored += node.size - wanted.reduce((sum, blob) => sum + blob.length, 0)
    const file = writer.add(location, node.size, verdict === 'update')
    for (const blob of wanted) writer.addBlob(file, blob.row, blob.offset)
  }

  #skip(path: string, size: number): void {
    this.#progress.filesSkipped += 1
    this.#progress.bytesSkipped += size
    this.#options.onItem?.({ action: 'unchanged', path, isDir: false, size })
  }

  /** @throws NotFoundError where a blob is not in the index */
  #blobsOf(node: Node): WantedBlob[] {
    const { index } = this.#repository
    let offset = 0
    return (node.content ?? []).map((id) => {
      const row = index.rowOf('data', id)
      if (row < 0)
        throw new NotFoundError(`data blob ${id} is not in the index`, {
          hint: 'run `repair index`, then `check`',
        })
      const blob = { id, row, offset, length: index.plaintextLengthAt(row) }
      offset += blob.length
      return blob
    })
  }

  /** As `#differing`; a file that cannot be read is written anew. */
  #differingIfReadable(location: string, blobs: readonly WantedBlob[]): readonly WantedBlob[] {
    try {
      return this.#differing(location, blobs)
    } catch (error) {
      if (!(error instanceof Error) || !('syscall' in error)) throw error
      return blobs
    }
  }

  /** The blobs an existing file does not have where they should be. */
  #differing(location: string, blobs: readonly WantedBlob[]): WantedBlob[] {
    const fd = this.#target.openForReading(location)
    try {
      const { size } = fstatSync(fd)
      return blobs.filter((blob) => {
        if (blob.offset + blob.length > size) return true
        const content = new Uint8Array(blob.length)
        const length = readFully(fd, content, blob.offset)
        return length < blob.length || this.#repository.codec.idOf(content) !== blob.id
      })
    } finally {
      closeSync(fd)
    }
  }

  #sizeOf(location: string): number | undefined {
    const size = this.#target.lstat(location)?.size
    return size === undefined ? undefined : Number(size)
  }

  #judge(location: string, node: Node): Verdict {
    return judge(this.#target.lstat(location), node, this.#options.overwrite ?? 'always')
  }

  /** Where a file with several names was met first, if that is not here. */
  #firstNameOf(location: string, node: Node): string | undefined {
    if (node.links <= 1) return undefined
    const key = `${node.inode}/${node.deviceId}`
    const first = this.#firstNames.get(key)
    if (first === undefined) this.#firstNames.set(key, location)
    return first === location ? undefined : first
  }

  /** Second pass: everything that is not content. */
  async #restoreRest(tree: Id, walk: RestoreWalkOptions): Promise<void> {
    const dryRun = this.#options.dryRun === true
    await walkSnapshot(tree, walk, {
      onError: (location, error) => {
        // What failed in the first pass was reported there.
        if (!this.#failed.has(location)) this.#fail(location, error)
      },
      visit: (location, node) => this.#finishEntry(location, node),
      leaveFolder: (location, node, names) => {
        if (this.#options.delete === true && names !== undefined) this.#deleteOthers(location, names)
        if (node === undefined) return
        if (!dryRun) {
          this.#target.ensureFolder(location)
          this.#applyMetadata(location, node)
        }
        this.#progress.filesRestored += 1
        this.#options.onItem?.({ action: 'restored', path: location, isDir: true, size: 0 })
      },
    })
  }

  #finishEntry(location: string, node: Node): void {
    if (this.#skipped.has(location) || this.#failed.has(location)) return
    const first = this.#firstNameOf(location, node)
    if (node.type === 'file' && first === undefined) {
      if (this.#options.dryRun !== true) this.#applyMetadata(location, node)
      return
    }
    if (first !== undefined && this.#failed.has(first)) {
      this.#fail(location, new Error(`it is the same file as ${first}, which could not be restored`))
      return
    }
    if (this.#judge(location, node) === 'skip') {
      this.#skip(location, 0)
      return
    }
    if (this.#options.dryRun !== true) {
      if (first === undefined) this.#target.createSpecial(location, node)
      else this.#target.link(first, location)
      this.#applyMetadata(location, node)
    }
    this.#done('restored', location, 0)
  }

  #applyMetadata(location: string, node: Node): void {
    for (const error of applyMetadata(this.#target.pathOf(location), node, this.#metadata))
      this.#fail(location, error)
  }

  #deleteOthers(location: string, names: readonly string[]): void {
    if (this.#target.lstat(location)?.isDirectory() !== true) return
    const expected = new Set(names)
    for (const name of this.#target.listNames(location)) {
      if (expected.has(name)) continue
      const other = location === '/' ? `/${name}` : `${location}/${name}`
      if (!this.#select(other, false).selected) continue
      const removed = [...this.#target.everythingAt(other)]
      if (this.#options.dryRun !== true) this.#target.remove(other)
      this.#progress.filesDeleted += removed.length
      for (const entry of removed)
        this.#options.onItem?.({ action: 'deleted', path: this.#target.pathOf(entry), isDir: false, size: 0 })
    }
  }

  async #verify(tree: Id, walk: RestoreWalkOptions): Promise<void> {
    this.#options.onVerifyStart?.()
    await walkSnapshot(tree, walk, {
      onError: (location, error) => this.#fail(location, error),
      visit: (location, node) => {
        if (node.type !== 'file' || this.#skipped.has(location) || this.#failed.has(location)) return
        if (this.#firstNameOf(location, node) !== undefined) return
        const size = this.#sizeOf(location)
        if (size === undefined) throw new CorruptDataError(location, 'it is not there any more')
        if (size !== node.size) throw new CorruptDataError(location, `its size is ${size}, not ${node.size}`)
        const [wrong] = this.#differing(location, this.#blobsOf(node))
        if (wrong !== undefined)
          throw new CorruptDataError(location, `its content differs at offset ${wrong.offset}`)
        this.#filesVerified += 1
      },
    })
  }

  #done(action: 'restored' | 'updated', path: string, size: number): void {
    this.#progress.filesRestored += 1
    this.#options.onItem?.({ action, path, isDir: false, size })
  }

  #fail(location: string, error: Error): void {
    if (isTargetFull(error)) throw targetFullError(this.#target.pathOf(location), error)
    this.#errorCount += 1
    this.#failed.add(location)
    this.#options.onError?.({ item: location, during: 'restore', error })
  }

  #report(): void {
    this.#options.onProgress?.({ ...this.#progress })
  }
}

interface WantedBlob {
  readonly id: Id
  readonly row: number
  readonly offset: number
  readonly length: number
}

function has(...lists: readonly (readonly string[] | undefined)[]): boolean {
  return lists.some((list) => (list?.length ?? 0) > 0)
}
