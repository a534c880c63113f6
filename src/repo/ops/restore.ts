/**
 * Restores a snapshot into a folder (format spec §18): folders first, then the content of files pack by pack, then
 * special files, hard links and, bottom-up, metadata. Nothing outside the target is touched.
 */
import { closeSync } from 'node:fs'
import {
  CorruptDataError,
  InvalidInputError,
  NotFoundError,
  ResticError,
  SnapshotNotFoundError,
} from '../../errors.ts'
import type { Id } from '../format/id.ts'
import type { Node } from '../format/tree.ts'
import { readLocked } from '../locks.ts'
import type { Repository } from '../repository.ts'
import { createAccountNames } from './account-names.ts'
import { noticeWithoutLibc } from './libc-notice.ts'
import { applyMetadata, ownerOf, type Metadata, type OwnerOptions } from './node-metadata.ts'
import { Pacer } from './operation.ts'
import { differingBlobs, type WantedBlob } from './restore-compare.ts'
import { FileWriter } from './restore-files.ts'
import { RestoreJobs, WINDOW_PLACES } from './restore-jobs.ts'
import { checkOptions, type RestoreOptions, type RestoreResult } from './restore-options.ts'
import { locationOf, RestorePlan } from './restore-plan.ts'
import { createSelector, createXattrSelector } from './restore-select.ts'
import { isTargetFull, RestoreTarget, targetFullError } from './restore-target.ts'
import { foretoldTotals, withTotals, type RestoreTotals } from './restore-totals.ts'
import { judge, type Verdict } from './restore-verdict.ts'
import {
  walkSnapshot,
  type RestoreSelector,
  type RestoreVisitor,
  type RestoreWalkOptions,
} from './restore-walk.ts'
import { findSnapshot } from './snapshots.ts'

/**
 * Restores what is selected of one snapshot. Trouble with single items goes to `onError` and the rest goes on.
 * @throws SnapshotNotFoundError, InvalidInputError, BackendError where the disk is full, AbortedError
 */
export async function restore(repository: Repository, options: RestoreOptions): Promise<RestoreResult> {
  checkOptions(options)
  const run = (signal: AbortSignal | undefined): Promise<RestoreResult> =>
    new RestoreRun(repository, options, signal).run()
  if (repository.settings.noLock === true) return run(options.signal)
  return readLocked(await repository.lock(false, options.signal, true), run)
}

/** Threads wait for what they are to write next no longer than for this. */
const STRETCH_MS = 4

class RestoreRun {
  readonly #repository: Repository
  readonly #options: RestoreOptions
  readonly #signal: AbortSignal | undefined
  readonly #started = performance.now()
  readonly #target: RestoreTarget
  readonly #select: RestoreSelector
  readonly #owners: OwnerOptions
  readonly #selectXattr: (name: string) => boolean
  readonly #plan = new RestorePlan()
  /** What is no file's content and waits for it: links, devices, fifos, and files whose content is right. */
  readonly #entries: PendingEntry[] = []
  /** Folders after what is in them. */
  readonly #folders: PendingFolder[] = []
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
  /** Until all is counted. */
  #foretold: RestoreTotals | undefined
  /** First location of every file with several names, by inode and device. */
  readonly #firstNames = new Map<string, string>()
  /** Locations the overwrite mode leaves alone: not even their metadata is touched. */
  readonly #skipped = new Set<string>()
  /** Locations whose content could not be restored; their metadata would only make them look whole. */
  readonly #failed = new Set<string>()
  #errorCount = 0
  #filesVerified = 0

  constructor(repository: Repository, options: RestoreOptions, signal: AbortSignal | undefined) {
    this.#repository = repository
    this.#options = options
    this.#signal = signal
    this.#target = new RestoreTarget(options.target, options.delete === true)
    this.#select = createSelector(options)
    this.#owners = {
      accounts: createAccountNames(),
      ownershipByName: options.ownershipByName === true,
    }
    this.#selectXattr = createXattrSelector(options)
    this.#pacer = new Pacer(this.#signal, () => this.#reportProgress(), STRETCH_MS)
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
    if (this.#options.dryRun === true) await this.#planAll(tree, () => this.#pause())
    else {
      this.#target.createRoot()
      this.#foretold = foretoldTotals(record.snapshot, subfolder, this.#options)
      await this.#restoreContent(tree)
    }
    await this.#finishAll()
    this.#reportProgress()
    if (this.#options.verify === true) await this.#verify(tree)
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

  /** Makes the folders, and finds out what goes where. */
  async #planAll(tree: Id, pause: RestoreWalkOptions['pause']): Promise<void> {
    const { dryRun = false, delete: deletes = false } = this.#options
    await this.#walk(tree, pause, {
      onError: (location, error) => this.#fail(location, error),
      enterFolder: (location) => {
        this.#progress.filesTotal += 1
        if (!dryRun) this.#target.ensureFolder(location)
      },
      visit: (location, node, folder) => {
        const first = this.#firstNameOf(location, node)
        if (node.type === 'file' && first === undefined) this.#planFile(location, node, folder)
        else {
          this.#progress.filesTotal += 1
          this.#entries.push({ location, node: { ...node, content: null }, first })
        }
      },
      leaveFolder: (location, node, names) => {
        const metadata = node === undefined ? undefined : this.#metadataOf(node)
        this.#folders.push({ location, metadata, names: deletes ? names : undefined })
      },
    })
  }

  #walk(tree: Id, pause: RestoreWalkOptions['pause'], visitor: RestoreVisitor): Promise<void> {
    const walk = { repository: this.#repository, select: this.#select, signal: this.#signal, pause }
    return walkSnapshot(tree, walk, visitor)
  }

  #pause(): Promise<void> | undefined {
    return this.#pacer.isDue ? this.#pacer.pause() : undefined
  }

  /** Plans all that is to be done, and restores what is files' content meanwhile. */
  async #restoreContent(tree: Id): Promise<void> {
    const { index, backend } = this.#repository
    // Who waits is to see how much there is from the beginning on, whether it was counted or not.
    const mayBegin = backend.listsForFree === true && this.#foretold !== undefined
    const windowPlaces = mayBegin ? WINDOW_PLACES : Number.POSITIVE_INFINITY
    const jobs = new RestoreJobs(this.#plan, index, windowPlaces)
    const writing = this.#writer().write(jobs)
    // It is waited for below; until then it must not pass for unhandled.
    writing.catch(() => undefined)
    try {
      await this.#planAll(tree, () => jobs.passOn() ?? this.#pause())
      this.#foretold = undefined
      jobs.complete()
    } catch (error) {
      jobs.fail(error)
    }
    await writing
  }

  #writer(): FileWriter {
    const plan = this.#plan
    const { includeXattrs, excludeXattrs, sparse } = this.#options
    return new FileWriter(plan, {
      repository: this.#repository,
      target: this.#target,
      pacer: this.#pacer,
      sparse: sparse === true,
      xattrs: { includeXattrs, excludeXattrs },
      signal: this.#signal,
      onBytes: (_file, bytes) => (this.#progress.bytesRestored += bytes),
      onDone: (file) => {
        const planned = plan.fileAt(file)
        this.#done(planned.isUpdate ? 'updated' : 'restored', locationOf(planned), planned.size)
      },
      onMetadataError: (file, error) => this.#report(locationOf(plan.fileAt(file)), error),
      onError: (file, error) => this.#fail(locationOf(plan.fileAt(file)), error),
    })
  }

  #planFile(location: string, node: Node, folder: string): void {
    const stats = this.#target.lstatBefore(location, folder)
    const verdict = judge(stats, node, this.#options.overwrite ?? 'always')
    if (verdict === 'skip') this.#skipped.add(location)
    if (verdict === 'skip' || verdict === 'metadata') {
      this.#skipContent(location, node, verdict)
      return
    }
    const dryRun = this.#options.dryRun === true
    const blobs = this.#blobsOf(node)
    const differing = verdict === 'write' ? blobs : this.#differingIfReadable(location, blobs)
    if (verdict !== 'write' && differing.length === 0 && Number(stats?.size) === node.size) {
      this.#skipContent(location, node, verdict)
      return
    }
    this.#progress.filesTotal += 1
    this.#progress.bytesTotal += node.size
    const isUpdate = verdict === 'update'
    const wanted = isUpdate ? differing : blobs
    if (wanted.length === 0 || dryRun) {
      if (!dryRun) {
        closeSync(this.#target.openFile(location, node.size, this.#options.sparse === true).fd)
        this.#setMetadata(location, this.#metadataOf(node))
      }
      this.#progress.bytesRestored += node.size
      this.#done(isUpdate ? 'updated' : 'restored', location, node.size)
      return
    }
    this.#progress.bytesRestored += node.size - wanted.reduce((sum, blob) => sum + blob.length, 0)
    const metadata = this.#metadataOf(node)
    const file = this.#plan.add({
      folder,
      name: node.name,
      size: node.size,
      isUpdate,
      isFree: stats === undefined,
      metadata,
    })
    for (const blob of wanted) this.#plan.addBlob(file, blob.row, blob.offset)
  }

  #skipContent(location: string, node: Node, verdict: Verdict): void {
    this.#skip(location, node.size)
    if (verdict !== 'skip' && this.#options.dryRun !== true)
      this.#setMetadata(location, this.#metadataOf(node))
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

  /** A file that cannot be read is written anew. */
  #differingIfReadable(location: string, blobs: readonly WantedBlob[]): readonly WantedBlob[] {
    try {
      return differingBlobs(this.#target, location, { blobs, codec: this.#repository.codec })
    } catch (error) {
      if (!(error instanceof Error) || !('syscall' in error)) throw error
      return blobs
    }
  }

  #sizeOf(location: string): number | undefined {
    const size = this.#target.lstat(location)?.size
    return size === undefined ? undefined : Number(size)
  }

  /** Where a file with several names was met first, if that is not here. */
  #firstNameOf(location: string, node: Node): string | undefined {
    if (node.links <= 1) return undefined
    // By type as well: a file that claims to be the same as a symlink would be written through it.
    const key = `${node.type}/${node.inode}/${node.deviceId}`
    const first = this.#firstNames.get(key)
    if (first === undefined) this.#firstNames.set(key, location)
    return first === location ? undefined : first
  }

  /** Everything that is not content. */
  async #finishAll(): Promise<void> {
    for (const entry of this.#entries) {
      if (this.#pacer.isDue) await this.#pacer.pause()
      this.#guard(entry.location, () => this.#finishEntry(entry))
    }
    for (const folder of this.#folders) {
      if (this.#pacer.isDue) await this.#pacer.pause()
      this.#guard(folder.location, () => this.#finishFolder(folder))
    }
  }

  #finishEntry({ location, node, first }: PendingEntry): void {
    if (first !== undefined && this.#failed.has(first)) {
      this.#fail(location, new Error(`it is the same file as ${first}, which could not be restored`))
      return
    }
    const stats = this.#target.lstatBefore(location)
    if (judge(stats, node, this.#options.overwrite ?? 'always') === 'skip') {
      this.#skip(location, 0)
      return
    }
    if (this.#options.dryRun !== true) {
      if (first === undefined) this.#target.createSpecial(location, node)
      else this.#target.link(first, location, node)
      this.#setMetadata(location, this.#metadataOf(node))
    }
    this.#done('restored', location, 0)
  }

  #finishFolder({ location, metadata, names }: PendingFolder): void {
    if (names !== undefined) this.#deleteOthers(location, names)
    if (metadata === undefined) return
    if (this.#options.dryRun !== true) {
      this.#target.ensureFolder(location)
      this.#setMetadata(location, metadata)
    }
    this.#progress.filesRestored += 1
    this.#options.onItem?.({ action: 'restored', path: location, isDir: true, size: 0 })
  }

  /** Trouble with one item is reported; the rest goes on. */
  #guard(location: string, work: () => void): void {
    try {
      work()
    } catch (error) {
      if (!(error instanceof Error) || !(error instanceof ResticError || 'syscall' in error)) throw error
      this.#fail(location, error)
    }
  }

  #metadataOf(node: Node): Metadata {
    const { type, mode, atime, mtime, extendedAttributes } = node
    const { uid, gid } = ownerOf(node, this.#owners)
    return { type, mode, atime, mtime, extendedAttributes, uid, gid }
  }

  #setMetadata(location: string, metadata: Metadata): void {
    for (const error of applyMetadata(this.#target.pathOf(location), metadata, this.#selectXattr))
      this.#report(location, error)
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

  async #verify(tree: Id): Promise<void> {
    this.#options.onVerifyStart?.()
    await this.#walk(tree, () => this.#pause(), {
      onError: (location, error) => this.#fail(location, error),
      visit: (location, node) => {
        if (node.type !== 'file' || this.#skipped.has(location) || this.#failed.has(location)) return
        if (this.#firstNameOf(location, node) !== undefined) return
        const size = this.#sizeOf(location)
        if (size === undefined) throw new CorruptDataError(location, 'it is not there any more')
        if (size !== node.size) throw new CorruptDataError(location, `its size is ${size}, not ${node.size}`)
        const blobs = this.#blobsOf(node)
        const [wrong] = differingBlobs(this.#target, location, { blobs, codec: this.#repository.codec })
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
    this.#failed.add(location)
    this.#report(location, error)
  }

  #report(location: string, error: Error): void {
    if (isTargetFull(error)) throw targetFullError(this.#target.pathOf(location), error)
    this.#errorCount += 1
    this.#options.onError?.({ item: location, during: 'restore', error })
  }

  #reportProgress(): void {
    this.#options.onProgress?.(withTotals(this.#progress, this.#foretold))
  }
}

interface PendingEntry {
  readonly location: string
  readonly node: Node
  /** The name that has the content already, where this is another one of the same file. */
  readonly first: string | undefined
}

interface PendingFolder {
  readonly location: string
  /** None for the root of the target, and folders that are not restored themselves. */
  readonly metadata: Metadata | undefined
  /** What may stay in it, where all else is to be deleted. */
  readonly names: readonly string[] | undefined
}
