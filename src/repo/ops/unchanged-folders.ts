/**
 * Finds, on threads and before the walk begins, which folders are as the parent snapshot has them, with all below them:
 * their trees can be named again without a look at each entry. Of most folders in most backups that is all there is.
 * The walk looks at the others itself, so that nothing hangs on what is found here but time.
 */
import { AbortedError, ResticError, throwIfAborted } from '../../errors.ts'
import type { Id } from '../format/id.ts'
import type { Repository, SealedBlob } from '../repository.ts'
import type { WorkerPool } from '../worker-pool.ts'
import type { UnchangedTotals } from './backup-statistics.ts'
import type { ComparedFolder } from './compare-folders-task.ts'
import type { FolderRules } from './folder-reader.ts'
import { joinPath } from './native-path.ts'
import type { Pacer } from './operation.ts'
import type { Tasks } from './threads.ts'

/** Sent to a thread at once. */
const BATCH_FOLDERS = 32
/** Where so few of the first ones are unchanged, the others are left to the walk: of a copy, say, every inode is new. */
const TRIAL_FOLDERS = 1024
const WORTHWHILE_SHARE = 1 / 8

export interface UnchangedFoldersOptions {
  readonly repository: Repository
  readonly threads: () => WorkerPool<Tasks>
  readonly rules: FolderRules
  readonly pacer: Pacer
  readonly signal?: AbortSignal | undefined
}

interface Folder {
  readonly path: string
  readonly absolute: string
  readonly tree: Id
  readonly parent: Folder | undefined
  /** Folders in it that are not through, and itself. */
  waiting: number
  isUnchanged: boolean
  /** All below it that is known to be unchanged. */
  readonly totals: UnchangedTotals
  /** Folders in it that are unchanged with all below them. */
  readonly unchanged: Folder[]
}

const NOTHING: ComparedFolder = { isUnchanged: false, files: 0, bytes: 0, subfolders: [] }

export class UnchangedFolders {
  readonly #options: UnchangedFoldersOptions
  /** Folders that are unchanged, by path; not those below them. */
  readonly #found = new Map<string, { readonly tree: Id; readonly totals: UnchangedTotals }>()
  #threads: WorkerPool<Tasks> | undefined
  #comparedCount = 0
  #unchangedCount = 0

  constructor(options: UnchangedFoldersOptions) {
    this.#options = options
  }

  /** Whether a folder is what `tree` of the parent snapshot says, with all below it. To be asked once. */
  take(path: string, tree: Id): boolean {
    return this.#found.get(path)?.tree === tree && this.#found.delete(path)
  }

  /** What was told of and never taken, because the walk did not get there: it is excluded by now, or has gone. */
  *untaken(): Generator<UnchangedTotals> {
    for (const { totals } of this.#found.values()) yield totals
  }

  /**
   * Compares a folder, and all below it, with the tree it had.
   * @param target `absolute`: as excludes mean it
   * @param onUnchanged called for each folder that is unchanged with all below it, with what is directly in it
   * @throws AbortedError, LockLostError, WorkerError
   */
  async compare(
    target: { readonly path: string; readonly absolute: string; readonly tree: Id },
    onUnchanged: (own: UnchangedTotals) => void,
  ): Promise<void> {
    const threads = this.#options.threads()
    if (this.#threads === undefined) await threads.runOnAll('prepareFolders', this.#options.rules)
    this.#threads = threads
    // One more than threads can be at: its trees are read meanwhile.
    const batchesAtOnce = 2 * threads.threadCount + 1
    // The last one is next, so that what is known of folders is of those on the way to it.
    const stack = [newFolder(target, undefined)]
    let running = 0
    await new Promise<void>((resolve, reject) => {
      const next = async (): Promise<void> => {
        const subfolders = await this.#compareBatch(threads, stack.splice(-BATCH_FOLDERS), onUnchanged)
        for (const folder of subfolders) stack.push(folder)
        running -= 1
        proceed()
      }
      const proceed = (): void => {
        for (; running < batchesAtOnce && stack.length > 0; running++) next().catch(reject)
        if (running === 0) resolve()
      }
      proceed()
    })
  }

  /** @returns the folders in these */
  async #compareBatch(
    threads: WorkerPool<Tasks>,
    batch: readonly Folder[],
    onUnchanged: (own: UnchangedTotals) => void,
  ): Promise<Folder[]> {
    const { pacer, signal } = this.#options
    throwIfAborted(signal)
    if (pacer.isDue) await pacer.pause()
    if (!this.#isWorthwhile) return batch.flatMap((folder) => this.#took(folder, NOTHING, onUnchanged))
    const trees: (SealedBlob | undefined)[] = []
    for (const { tree } of batch) trees.push(await this.#load(tree))
    const there = batch.filter((_, i) => trees[i] !== undefined)
    const sealed = concat(trees.map((tree) => tree?.sealed ?? new Uint8Array()))
    const compared = await threads.run(
      'compareFolders',
      {
        folders: there.map(({ path, absolute }) => ({ path, absolute })),
        trees: trees.flatMap((tree) => tree?.blob ?? []),
        sealed,
      },
      sealed,
    )
    const results = new Map(there.map((folder, i) => [folder, compared[i]]))
    return batch.flatMap((folder) => this.#took(folder, results.get(folder) ?? NOTHING, onUnchanged))
  }

  get #isWorthwhile(): boolean {
    const compared = this.#comparedCount
    return compared < TRIAL_FOLDERS || this.#unchangedCount >= compared * WORTHWHILE_SHARE
  }

  /** A tree that cannot be read says nothing; those who need it will complain. */
  async #load(tree: Id): Promise<SealedBlob | undefined> {
    const { repository, signal } = this.#options
    try {
      return await repository.loadSealedTree(tree, signal)
    } catch (error) {
      if (!(error instanceof ResticError) || error instanceof AbortedError) throw error
      throwIfAborted(signal)
      return undefined
    }
  }

  #took(
    folder: Folder,
    { isUnchanged, files, bytes, subfolders }: ComparedFolder,
    onUnchanged: (own: UnchangedTotals) => void,
  ): Folder[] {
    this.#comparedCount += 1
    if (isUnchanged) this.#unchangedCount += 1
    folder.isUnchanged = isUnchanged
    add(folder.totals, { files, bytes, folders: subfolders.length })
    folder.waiting += subfolders.length
    this.#settle(folder, onUnchanged)
    return subfolders.map(({ name, tree }) => {
      const below = { path: joinPath(folder.path, name), absolute: joinPath(folder.absolute, name), tree }
      return newFolder(below, folder)
    })
  }

  /** A folder, or one in it, is through. */
  #settle(folder: Folder, onUnchanged: (own: UnchangedTotals) => void): void {
    folder.waiting -= 1
    if (folder.waiting > 0) return
    const { parent, totals } = folder
    if (folder.isUnchanged) {
      onUnchanged({ ...totals })
      for (const below of folder.unchanged) add(totals, below.totals)
      if (parent === undefined) this.#found.set(folder.path, { tree: folder.tree, totals })
      else parent.unchanged.push(folder)
    } else {
      for (const below of folder.unchanged)
        this.#found.set(below.path, { tree: below.tree, totals: below.totals })
      if (parent !== undefined) parent.isUnchanged = false
    }
    if (parent !== undefined) this.#settle(parent, onUnchanged)
  }
}

function newFolder(
  { path, absolute, tree }: Pick<Folder, 'path' | 'absolute' | 'tree'>,
  parent: Folder | undefined,
): Folder {
  const totals = { files: 0, bytes: 0, folders: 0 }
  return { path, absolute, tree, parent, waiting: 1, isUnchanged: false, totals, unchanged: [] }
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

function add(to: UnchangedTotals, { files, bytes, folders }: UnchangedTotals): void {
  to.files += files
  to.bytes += bytes
  to.folders += folders
}
