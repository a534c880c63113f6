/**
 * Visits all trees below some root trees, each tree once however often it is referred to, several loads at once.
 * Budget: one bit per blob of the index, the trees being loaded (64 MiB of JSON, or one tree that is larger), and the
 * IDs of trees still to come.
 */

import { RepositoryDamagedError, throwIfAborted } from '../../errors.ts'
import { Bitmap } from '../bitmap.ts'
import { ID_BYTES, type Id } from '../format/id.ts'
import type { BlobType } from '../format/pack-header.ts'
import { DIR, FILE, TreeOutline } from '../format/tree-outline.ts'
import type { Repository } from '../repository.ts'

/** What a walk tells of. Calls come one at a time, trees in no particular order. */
export interface TreeVisitor {
  /** A tree has been loaded. What lies below it follows in any case. The outline is used again for others. */
  readonly onTree: (id: Id, tree: TreeOutline) => void
  /** A tree cannot be loaded, so that nothing below it is visited. Without this the walk fails with the error. */
  readonly onTreeError?: ((id: Id, error: Error) => void) | undefined
  /** So many roots have been visited with all that is below them. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** A tree to be visited, and the root it was first seen below. */
interface PendingTree {
  readonly id: Id
  readonly root: number
}

/** JSON of trees in memory at once, in bytes; parsed it takes a few times that. */
const LOADING_BYTES_MAX = 64 * 1024 * 1024

/** How many missing blobs are named before "and … more". */
const NAMED_BLOBS_MAX = 20

/**
 * Visits every tree that can be reached from `roots`. The index must be loaded.
 * @throws AbortedError; the error of the first tree that cannot be loaded, unless the visitor takes it
 */
export async function walkTrees(repo: Repository, roots: readonly Id[], visitor: TreeVisitor): Promise<void> {
  await new TreeWalk(repo, roots, visitor).run()
}

/**
 * The blobs some root trees need: a set of index rows, each standing for the blob whose first copy it is.
 * @throws RepositoryDamagedError where a blob is not in the index; as `loadTree` where a tree cannot be read
 */
export async function findUsedBlobs(
  repo: Repository,
  roots: readonly Id[],
  options: Pick<TreeVisitor, 'onProgress' | 'signal'> = {},
): Promise<Bitmap> {
  const { index } = repo
  const used = new Bitmap(index.blobCount)
  const missing: string[] = []
  let missingCount = 0
  const use = (row: number, type: BlobType, id: () => Id): void => {
    if (row >= 0) {
      used.add(row)
      return
    }
    missingCount++
    if (missing.length < NAMED_BLOBS_MAX) missing.push(`${type} blob ${id()}`)
  }
  await walkTrees(repo, roots, {
    ...options,
    onTree: (treeId, tree) => {
      use(index.rowOf('tree', treeId), 'tree', () => treeId)
      for (let node = 0; node < tree.nodeCount; node++) {
        if (tree.typeAt(node) !== FILE) continue
        for (let i = tree.idStartAt(node); i < tree.idEndAt(node); i++)
          use(index.rowOfBytes('data', tree.ids, i * ID_BYTES), 'data', () => tree.idAt(i))
      }
    },
  })
  if (missingCount > 0) throw incompleteIndex(missing, missingCount)
  return used
}

function incompleteIndex(named: readonly string[], count: number): RepositoryDamagedError {
  const rest = count > named.length ? ` and ${count - named.length} more` : ''
  return new RepositoryDamagedError(
    `index is not complete: ${named.join(', ')}${rest} not found in the index`,
    {
      hint: 'nothing was changed; run `check`, then `repair index`',
    },
  )
}

class TreeWalk {
  readonly #repo: Repository
  readonly #visitor: TreeVisitor
  /** Trees to visit, the last first, so that the walk goes down before it goes on. */
  readonly #pending: PendingTree[] = []
  /** Trees seen below each root and not yet visited. */
  readonly #openTrees: number[]
  readonly #seen: Bitmap
  /** Trees seen that the index does not have. */
  readonly #seenMissing = new Set<Id>()
  readonly #loading = new Set<Promise<void>>()
  /** Not in use. */
  readonly #outlines: TreeOutline[] = []
  #loadingBytes = 0
  #rootsDone = 0
  #failed = false
  #failure: unknown

  constructor(repo: Repository, roots: readonly Id[], visitor: TreeVisitor) {
    this.#repo = repo
    this.#visitor = visitor
    this.#openTrees = roots.map(() => 1)
    this.#seen = new Bitmap(repo.index.blobCount)
    roots.forEach((id, root) => this.#pending.push({ id, root }))
    visitor.onProgress?.(0, roots.length)
  }

  async run(): Promise<void> {
    for (;;) {
      while (!this.#failed && this.#startNext()) {
        // As many loads as there may be at once.
      }
      if (this.#loading.size === 0) break
      await Promise.race(this.#loading)
    }
    if (this.#failed) throw this.#failure
  }

  /** Starts to load the next tree; false where none is left or none may be started now. */
  #startNext(): boolean {
    if (this.#loading.size >= this.#repo.backend.connections) return false
    for (let next = this.#pending.at(-1); next !== undefined; next = this.#pending.at(-1)) {
      if (this.#isSeen(next.id)) {
        this.#pending.pop()
        this.#closeTree(next.root)
        continue
      }
      const bytes = this.#repo.blobSize('tree', next.id) ?? 0
      if (this.#loading.size > 0 && this.#loadingBytes + bytes > LOADING_BYTES_MAX) return false
      this.#pending.pop()
      this.#markSeen(next.id)
      this.#start(next, bytes)
      return true
    }
    return false
  }

  #start(tree: PendingTree, bytes: number): void {
    this.#loadingBytes += bytes
    const load = this.#visit(tree)
      .catch((error: unknown) => {
        if (!this.#failed) this.#failure = error
        this.#failed = true
      })
      .finally(() => {
        this.#loading.delete(load)
        this.#loadingBytes -= bytes
      })
    this.#loading.add(load)
  }

  async #visit({ id, root }: PendingTree): Promise<void> {
    const tree = this.#outlines.pop() ?? new TreeOutline()
    if (await this.#load(id, tree)) {
      this.#visitor.onTree(id, tree)
      this.#pushSubtrees(tree, root)
    }
    this.#outlines.push(tree)
    this.#closeTree(root)
  }

  #pushSubtrees(tree: TreeOutline, root: number): void {
    for (let node = 0; node < tree.nodeCount; node++) {
      if (tree.typeAt(node) !== DIR) continue
      for (let i = tree.idStartAt(node); i < tree.idEndAt(node); i++) {
        this.#pending.push({ id: tree.idAt(i), root })
        this.#openTrees[root] = (this.#openTrees[root] ?? 0) + 1
      }
    }
  }

  /** False where it cannot be loaded, of which the visitor was told. */
  async #load(id: Id, tree: TreeOutline): Promise<boolean> {
    const { signal, onTreeError } = this.#visitor
    throwIfAborted(signal)
    try {
      await this.#repo.readTree(id, (bytes) => tree.read(bytes), signal)
      return true
    } catch (error) {
      throwIfAborted(signal)
      if (onTreeError === undefined || !(error instanceof Error)) throw error
      onTreeError(id, error)
      return false
    }
  }

  #closeTree(root: number): void {
    const open = (this.#openTrees[root] ?? 0) - 1
    this.#openTrees[root] = open
    if (open === 0) this.#visitor.onProgress?.(++this.#rootsDone, this.#openTrees.length)
  }

  #isSeen(id: Id): boolean {
    const row = this.#repo.index.rowOf('tree', id)
    return row >= 0 ? this.#seen.has(row) : this.#seenMissing.has(id)
  }

  #markSeen(id: Id): void {
    const row = this.#repo.index.rowOf('tree', id)
    if (row >= 0) this.#seen.add(row)
    else this.#seenMissing.add(id)
  }
}
