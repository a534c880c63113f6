/**
 * Thread task: whether folders are still what trees of the parent snapshot say. A folder counts as unchanged where the
 * tree it would become, but for the trees of folders in it, has the very bytes of the one it had.
 */
import { ID_BYTES, type Id } from '../format/id.ts'
import { encodeNodeHead } from '../format/node-encoding.ts'
import type { PackedBlob } from '../format/pack-header.ts'
import { DIR, FILE, TreeOutline } from '../format/tree-outline.ts'
import type { ThreadContext } from '../thread-context.ts'
import { folderReaderOf, type FolderEntries, type FolderReader, type SourceFolder } from './folder-reader.ts'

export interface CompareFoldersInput {
  readonly folders: readonly SourceFolder[]
  /** Their trees in the parent snapshot. */
  readonly trees: readonly PackedBlob[]
  /** The trees as they are stored, end to end. */
  readonly sealed: Uint8Array
}

export interface ComparedFolder {
  readonly isUnchanged: boolean
  /** What its own files come to. */
  readonly files: number
  readonly bytes: number
  /** Folders that were in it, changed or not: names and trees. */
  readonly subfolders: readonly { readonly name: string; readonly tree: Id }[]
}

const UNKNOWN: ComparedFolder = { isUnchanged: false, files: 0, bytes: 0, subfolders: [] }

/** @returns one for each folder */
export function compareFolders(
  context: ThreadContext,
  { folders, trees, sealed }: CompareFoldersInput,
): ComparedFolder[] {
  const reader = folderReaderOf(context)
  const comparer = reader && new FolderComparer(context, reader)
  let start = 0
  return folders.map((folder, i) => {
    const tree = trees[i]
    if (tree === undefined || comparer === undefined) return UNKNOWN
    const bytes = sealed.subarray(start, start + tree.length)
    start += tree.length
    return comparer.compare(folder, tree, bytes)
  })
}

class FolderComparer {
  readonly #context: ThreadContext
  readonly #reader: FolderReader
  readonly #outline = new TreeOutline()

  constructor(context: ThreadContext, reader: FolderReader) {
    this.#context = context
    this.#reader = reader
  }

  /** Whatever goes wrong, it is for those to find out and to report who save the folder. */
  compare(folder: SourceFolder, tree: PackedBlob, sealed: Uint8Array): ComparedFolder {
    const outline = this.#outline
    try {
      outline.read(this.#context.codec.decodeToScratch(tree, sealed))
    } catch {
      return UNKNOWN
    }
    const isUnchanged = this.#isUnchanged(folder)
    let files = 0
    let bytes = 0
    const subfolders: { name: string; tree: Id }[] = []
    for (let node = 0; node < outline.nodeCount; node++) {
      const type = outline.typeAt(node)
      if (type === DIR && outline.idEndAt(node) > outline.idStartAt(node))
        subfolders.push({ name: outline.nameAt(node), tree: outline.idAt(outline.idStartAt(node)) })
      if (type !== FILE) continue
      files += 1
      bytes += outline.sizeAt(node)
    }
    return { isUnchanged, files, bytes, subfolders }
  }

  #isUnchanged(folder: SourceFolder): boolean {
    if (!this.#outline.isFramedAsEncoded) return false
    this.#reader.isWarned = false
    try {
      return this.#reader.with(folder, (entries) => this.#isAlike(entries)) === true && !this.#reader.isWarned
    } catch {
      return false
    }
  }

  /** Whether the folder has the entries of the tree, each of which would be encoded as it was, and no more. */
  #isAlike(entries: FolderEntries): boolean {
    const names = entries.list()
    if (names === undefined) return false
    let node = 0
    for (const name of names) {
      const stat = entries.select(name)
      if (stat === undefined) continue
      if (node === this.#outline.nodeCount || !this.#isContentStored(node)) return false
      if (!this.#outline.hasHead(node, encodeNodeHead(entries.toNode(name, stat)))) return false
      node += 1
    }
    return node === this.#outline.nodeCount
  }

  #isContentStored(node: number): boolean {
    const outline = this.#outline
    if (outline.typeAt(node) !== FILE) return true
    for (let i = outline.idStartAt(node); i < outline.idEndAt(node); i++) {
      if (!this.#context.isStored(outline.ids, i * ID_BYTES)) return false
    }
    return true
  }
}
