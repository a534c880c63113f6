/**
 * Walks the targets beside the parent snapshot's trees and saves what changed (format spec §12.2–12.3). Trees are
 * saved bottom-up: a folder's tree is encoded as soon as its entries are done, so that only the folders on the path
 * to the current entry are in memory. New folders are saved by threads, and several are walked at once.
 */
import { posix } from 'node:path'
import { AbortedError, LockLostError, ResticError, SourceError, throwIfAborted } from '../../errors.ts'
import type { Id } from '../format/id.ts'
import type { Node } from '../format/tree.ts'
import { Deferred, settle, type Outcome } from './archiver-outcome.ts'
import type { BackupFilter } from './backup-excludes.ts'
import type { BackupGroup } from './backup-group.ts'
import type { BackupSource, SourceStat } from './backup-source.ts'
import {
  actionFor,
  addItemStatistics,
  countNewFiles,
  countNode,
  countUnchanged,
  emptyBackupStatistics,
  emptyItemStatistics,
  type BackupStatistics,
  type ItemAction,
  type ItemStatistics,
  type UnchangedTotals,
} from './backup-statistics.ts'
import { sortedChildren, type TargetTree } from './backup-targets.ts'
import { BlobSaver } from './blob-saver.ts'
import type { ContentSaver, SavedContent } from './content-saver.ts'
import { FileSaver } from './file-saver.ts'
import { joinPath } from './native-path.ts'
import type { NewFolders } from './new-folders.ts'
import { isSameFile } from './node-equality.ts'
import type { ItemError, Pacer } from './operation.ts'
import { LoadedTree, NO_TREE, type PreviousTree } from './previous-tree.ts'
import type { SavedSlice } from './save-folders-task.ts'
import type { UnchangedFolders } from './unchanged-folders.ts'

/** A file or folder that is done. `path` is the one within the snapshot; folders end with a slash. */
export interface ArchivedItem extends ItemStatistics {
  readonly path: string
  readonly action: ItemAction
  readonly isDir: boolean
  readonly durationSeconds: number
}

export interface ArchiverOptions {
  readonly group: BackupGroup
  readonly source: BackupSource
  readonly filter: BackupFilter
  readonly pacer: Pacer
  /** Saves the content of files on threads; without one it is done here, one file after the other. */
  readonly saver?: ContentSaver | undefined
  /** Finds folders that the walk need not look into. */
  readonly unchanged?: UnchangedFolders | undefined
  /** Saves folders that the parent snapshot does not have. */
  readonly newFolders?: NewFolders | undefined
  readonly signal?: AbortSignal | undefined
  readonly withAtime: boolean
  readonly ignoreInode: boolean
  readonly ignoreCtime: boolean
  /** Save nothing, only count: `--dry-run`. */
  readonly dryRun: boolean
  readonly onError: (error: ItemError) => void
  readonly onItem?: ((item: ArchivedItem) => void) | undefined
  /** Plaintext bytes looked at, whether read or taken over from the parent. */
  readonly onBytes: (bytes: number) => void
  readonly onStartFile: (path: string) => void
}

export class Archiver {
  readonly statistics: BackupStatistics = emptyBackupStatistics()
  readonly #options: ArchiverOptions
  readonly #blobs: BlobSaver
  readonly #files: FileSaver
  /** What ended the run while the walk was elsewhere. */
  #failure: { readonly error: unknown } | undefined

  constructor(options: ArchiverOptions) {
    this.#options = options
    this.#blobs = new BlobSaver(options.group, options.dryRun)
    this.#files = new FileSaver({
      ...options,
      saver: options.saver,
      blobs: this.#blobs,
      toNode: (target, name, stat) => this.#toNode(target, name, stat, false),
    })
  }

  /**
   * Saves the whole snapshot tree.
   * @param parentTree root tree of the parent snapshot
   * @returns ID of the root tree
   * @throws SourceError where nothing at all was saved
   */
  async archive(targets: TargetTree, parentTree: Id | undefined): Promise<Id> {
    try {
      const previous = await this.#loadParent('/', parentTree)
      const nodes = await this.#walk(targets, previous)
      if (nodes.length === 0) throw new SourceError('unable to save snapshot: snapshot is empty')
      const item = emptyItemStatistics()
      const root = await this.#blobs.saveTree(nodes, item)
      addItemStatistics(this.statistics, item)
      return root
    } catch (error) {
      // New folders may still be walked: there is nothing left to do it for.
      this.#fail(error)
      throw error
    }
  }

  /** @returns nodes of the topmost level, with all below them saved */
  async #walk(targets: TargetTree, previous: PreviousTree): Promise<(Node | Uint8Array)[]> {
    const { newFolders, saver, unchanged } = this.#options
    const outcomes = await this.#saveLevel('/', targets, previous)
    await newFolders?.through()
    if (this.#failure !== undefined) throw this.#failure.error
    await saver?.finish()
    for (const totals of unchanged?.untaken() ?? []) this.#countUnchanged(totals, -1)
    return settle(outcomes)
  }

  /** Ends the run: whatever else is going on stops at its next entry. */
  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#options.newFolders?.abandon(error)
  }

  /** The entries of one level above or at the targets. */
  async #saveLevel(snapshotPath: string, level: TargetTree, previous: PreviousTree): Promise<Outcome[]> {
    const outcomes: Outcome[] = []
    for (const [name, child] of sortedChildren(level)) {
      throwIfAborted(this.#options.signal)
      const path = posix.join(snapshotPath, name)
      const outcome =
        child.path === undefined
          ? await this.#guard(path, () => this.#saveUpperFolder(path, name, child, previous.find(name)))
          : await this.#guard(child.path, () => this.#saveTarget(path, name, child, previous.find(name)))
      if (outcome !== undefined) outcomes.push(outcome)
    }
    return outcomes
  }

  async #saveTarget(
    path: string,
    name: string,
    { path: target = '', explicit }: TargetTree,
    previous: Node | undefined,
  ): Promise<Outcome> {
    await this.#findUnchanged(target, previous?.subtree)
    return this.#saveEntry(path, name, target, previous, explicit)
  }

  /** A folder on the way to a target: only what leads to targets is in it. */
  async #saveUpperFolder(
    path: string,
    name: string,
    level: TargetTree,
    previous: Node | undefined,
  ): Promise<Outcome> {
    const started = performance.now()
    const metadataPath = level.metadataPath ?? path
    const { source } = this.#options
    const stat = source.lstat(metadataPath)
    const target = stat.kind === 'symlink' ? source.resolve(metadataPath) : { path: metadataPath, stat }
    if (target.stat.kind !== 'dir') throw new SourceError(`path is not a directory: ${metadataPath}`)
    const node = this.#toNode(target.path, name, target.stat, true)
    const oldTree = await this.#loadParent(path, previous?.subtree ?? undefined)
    const outcomes = await this.#saveLevel(path, level, oldTree)
    return this.#finishFolder(path, { ...node, subtree: null }, outcomes, { previous, started })
  }

  // oxlint-disable-next-line max-params -- the five facts of an entry; an object for each would be garbage
  async #saveEntry(
    path: string,
    name: string,
    target: string,
    previous: Node | undefined,
    explicit: boolean,
  ): Promise<Outcome> {
    const { source, filter, pacer } = this.#options
    if (pacer.isDue) await pacer.pause()
    if (this.#failure !== undefined) throw this.#failure.error
    const absolute = source.absolute(target)
    if (!explicit && !filter.selectByName(absolute)) return undefined
    const stat = source.lstat(target)
    if (!explicit && !filter.select(absolute, stat)) return undefined
    switch (stat.kind) {
      case 'file':
        return this.#saveFile(path, name, target, { stat, previous })
      case 'dir':
        return this.#saveFolder(path, name, target, { stat, previous })
      case 'socket':
        return undefined
      case 'symlink':
      case 'other':
        return this.#toNode(target, name, stat, false)
    }
  }

  async #findUnchanged(path: string, tree: Id | null | undefined): Promise<void> {
    const { unchanged, source } = this.#options
    if (unchanged === undefined || tree === null || tree === undefined) return
    const folder = { path, absolute: source.absolute(path), tree }
    await unchanged.compare(folder, (own) => this.#countUnchanged(own, 1))
  }

  #countUnchanged(totals: UnchangedTotals, times: 1 | -1): void {
    countUnchanged(this.statistics, totals, times)
    this.#options.onBytes(times * totals.bytes)
  }

  async #saveFolder(
    path: string,
    name: string,
    target: string,
    known: { readonly stat: SourceStat; readonly previous: Node | undefined },
  ): Promise<Outcome> {
    const started = performance.now()
    const node = this.#toNode(target, name, known.stat, false)
    const { previous } = known
    const subtree = previous?.subtree ?? undefined
    if (subtree !== undefined && this.#options.unchanged?.take(target, subtree) === true) {
      this.#track(`${path}/`, { ...node, subtree }, { previous, started, item: emptyItemStatistics() })
      return { ...node, subtree }
    }
    const from = { previous, started }
    const { newFolders } = this.#options
    if (newFolders?.isReady !== true || subtree !== undefined)
      return this.#walkFolder(path, target, node, from)
    await newFolders.room()
    const saving = newFolders.save(
      { path: target, absolute: this.#options.source.absolute(target) },
      (slices) =>
        slices === undefined
          ? this.#walkFolder(path, target, node, from)
          : this.#walkLeft(slices, path, target, { node, from }),
    )
    return new Deferred(saving.then((finished) => (finished instanceof Deferred ? finished.done : finished)))
  }

  /** What threads have left of a new folder. */
  // oxlint-disable-next-line max-params -- as #saveEntry
  async #walkLeft(
    slices: AsyncIterable<SavedSlice>,
    path: string,
    target: string,
    { node, from }: { readonly node: Node; readonly from: FolderOrigin },
  ): Promise<FinishedFolder> {
    const { pacer, signal, onBytes, onStartFile } = this.#options
    onStartFile(path)
    const outcomes: Outcome[] = []
    for await (const slice of slices) {
      throwIfAborted(signal)
      if (pacer.isDue) await pacer.pause()
      countNewFiles(this.statistics, slice)
      onBytes(slice.bytes)
      let start = 0
      for (const [i, end] of slice.ends.entries()) {
        if (end > start) outcomes.push(slice.encoded.subarray(start, end))
        start = end
        const name = slice.left[i]
        const saved = name === undefined ? undefined : await this.#saveChild(path, target, name, NO_TREE)
        if (saved !== undefined) outcomes.push(saved)
      }
    }
    return this.#finishFolder(path, node, outcomes, from)
  }

  // oxlint-disable-next-line max-params -- as #saveEntry
  async #walkFolder(path: string, target: string, node: Node, from: FolderOrigin): Promise<FinishedFolder> {
    const names = this.#options.source.listNames(target)
    // Listing follows symlinks: what was a folder a moment ago must still be one.
    if (this.#options.source.lstat(target).kind !== 'dir')
      throw new SourceError(`directory "${target}" changed type, refusing to archive`)
    const oldTree = await this.#loadParent(path, from.previous?.subtree ?? undefined)
    const outcomes: Outcome[] = []
    let lastName: string | undefined
    for (const entry of names) {
      throwIfAborted(this.#options.signal)
      if (entry === lastName) continue
      lastName = entry
      const saved = await this.#saveChild(path, target, entry, oldTree)
      if (saved !== undefined) outcomes.push(saved)
    }
    return this.#finishFolder(path, node, outcomes, from)
  }

  // oxlint-disable-next-line max-params -- as #saveEntry
  #saveChild(path: string, target: string, name: string, oldTree: PreviousTree): Promise<Outcome> {
    const entryTarget = joinPath(target, name)
    return this.#guard(entryTarget, () =>
      this.#saveEntry(posix.join(path, name), name, entryTarget, oldTree.find(name), false),
    )
  }

  async #finishFolder(
    path: string,
    node: Node,
    outcomes: readonly Outcome[],
    from: FolderOrigin,
  ): Promise<FinishedFolder> {
    const finish = async (): Promise<Node> => {
      const item = emptyItemStatistics()
      const saved: Node = { ...node, subtree: await this.#blobs.saveTree(await settle(outcomes), item) }
      this.#track(`${path}/`, saved, { ...from, item })
      return saved
    }
    const isDone = outcomes.every((outcome) => !(outcome instanceof Deferred))
    return isDone ? finish() : new Deferred(finish())
  }

  async #saveFile(
    path: string,
    name: string,
    target: string,
    known: { readonly stat: SourceStat; readonly previous: Node | undefined },
  ): Promise<Outcome> {
    const started = performance.now()
    const { previous, stat } = known
    const { group, onStartFile } = this.#options
    if (previous !== undefined && isSameFile(stat, previous, this.#options)) {
      const content = previous.content ?? []
      if (content.every((id) => group.hasBlob('data', id))) {
        const node: Node = { ...this.#toNode(target, name, stat, false), content, size: previous.size }
        this.#options.onBytes(previous.size)
        this.#trackAs(path, node, 'unchanged', { started, item: emptyItemStatistics() })
        return node
      }
      this.#reportLost(target, content)
    }
    onStartFile(path)
    const finish = (node: Node, { content, size, item }: SavedContent): Node => {
      const saved: Node = { ...node, content, size }
      this.#track(path, saved, { previous, started, item })
      return saved
    }
    return this.#files.save(target, name, stat, finish)
  }

  /** A repository that merely joined later than others has lost nothing. */
  #reportLost(target: string, content: readonly Id[]): void {
    const { source, group, onError } = this.#options
    const { repository } = group.leader
    if (content.every((id) => repository.hasBlob('data', id))) return
    const error = new SourceError(
      `parts of ${target} not found in the repository index; storing the file again`,
    )
    onError({ item: source.absolute(target), during: 'archival', error })
  }

  #toNode(target: string, name: string, stat: SourceStat, ignoreXattrListError: boolean): Node {
    const { source, withAtime, onError } = this.#options
    return source.toNode(target, name, stat, {
      withAtime,
      ignoreXattrListError,
      onWarning: (error) => onError({ item: source.absolute(target), during: 'archival', error }),
    })
  }

  #track(path: string, node: Node, from: ItemOrigin & { readonly previous: Node | undefined }): void {
    this.#trackAs(path, node, actionFor(from.previous, node), from)
  }

  // oxlint-disable-next-line max-params -- called for every entry: an object each would be garbage
  #trackAs(path: string, node: Node, action: ItemAction, from: ItemOrigin): void {
    addItemStatistics(this.statistics, from.item)
    countNode(this.statistics, node, action)
    const { onItem } = this.#options
    if (onItem === undefined) return
    const durationSeconds = (performance.now() - from.started) / 1000
    onItem({ path, action, isDir: node.type === 'dir', durationSeconds, ...from.item })
  }

  /** An entry that fails is reported and left out; what fails the repository or stops the run goes up. */
  async #guard(item: string, save: () => Promise<Outcome>): Promise<Outcome> {
    try {
      const outcome = await save()
      if (!(outcome instanceof Deferred)) return outcome
      return new Deferred(outcome.done.catch((error: unknown) => this.#leaveOut(item, error)))
    } catch (error) {
      return this.#leaveOut(item, error)
    }
  }

  #leaveOut(item: string, error: unknown): undefined {
    if (!isItemFailure(error)) {
      this.#fail(error)
      throw error
    }
    // Gone since its folder was listed: no more than if it had gone a moment before.
    if (this.#options.source.isMissing(error)) return
    this.#options.onError({ item: this.#options.source.absolute(item), during: 'archival', error })
  }

  /** A parent tree that cannot be read costs time, not data: everything below is read again. */
  async #loadParent(path: string, id: Id | undefined): Promise<PreviousTree> {
    if (id === undefined) return NO_TREE
    try {
      return new LoadedTree(await this.#options.group.loadTree(id, this.#options.signal))
    } catch (error) {
      if (!(error instanceof ResticError) || error instanceof AbortedError) throw error
      const text = `tree ${id} could not be loaded; the repository could be damaged: ${error.message}`
      this.#options.onError({
        item: path,
        during: 'archival',
        error: new SourceError(text, { cause: error }),
      })
      return NO_TREE
    }
  }
}

type FinishedFolder = Node | Deferred

interface FolderOrigin {
  readonly previous: Node | undefined
  readonly started: number
}

interface ItemOrigin {
  readonly started: number
  readonly item: ItemStatistics
}

/** Trouble of the source concerns one entry; trouble of the repository concerns everything. */
function isItemFailure(error: unknown): error is Error {
  if (error instanceof LockLostError || error instanceof AbortedError) return false
  if (error instanceof SourceError) return true
  return error instanceof Error && 'syscall' in error
}
