/**
 * Thread task: whether folders are still what trees of the parent snapshot say. A folder counts as unchanged where the
 * tree it would become, but for the trees of folders in it, has the very bytes of the one it had.
 */
import type { Id } from '../format/id.ts'
import type { PackedBlob } from '../format/pack-header.ts'
import { encodeTree, parseTree, type Node } from '../format/tree.ts'
import type { ThreadContext } from '../thread-context.ts'
import type { SourceStat } from './backup-source.ts'
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

  constructor(context: ThreadContext, reader: FolderReader) {
    this.#context = context
    this.#reader = reader
  }

  /** Whatever goes wrong, it is for those to find out and to report who save the folder. */
  compare(folder: SourceFolder, tree: PackedBlob, sealed: Uint8Array): ComparedFolder {
    let bytes: Uint8Array
    let previous: readonly Node[]
    try {
      bytes = this.#context.codec.decodeToScratch(tree, sealed)
      previous = parseTree(bytes)
    } catch {
      return UNKNOWN
    }
    const isUnchanged = this.#isUnchanged(folder, previous, bytes)
    let files = 0
    let size = 0
    const subfolders: { name: string; tree: Id }[] = []
    for (const node of previous) {
      if (node.type === 'dir' && node.subtree !== null)
        subfolders.push({ name: node.name, tree: node.subtree })
      if (node.type !== 'file') continue
      files += 1
      size += node.size
    }
    return { isUnchanged, files, bytes: size, subfolders }
  }

  #isUnchanged(folder: SourceFolder, previous: readonly Node[], bytes: Uint8Array): boolean {
    this.#reader.isWarned = false
    try {
      const nodes = this.#reader.with(folder, (entries) => this.#look(entries, previous))
      return nodes !== undefined && !this.#reader.isWarned && Buffer.compare(encodeTree(nodes), bytes) === 0
    } catch {
      return false
    }
  }

  /** The folder's nodes, with the content and trees they had; undefined as soon as one is seen to differ. */
  #look(entries: FolderEntries, previous: readonly Node[]): Node[] | undefined {
    const names = entries.list()
    if (names === undefined) return undefined
    const nodes: Node[] = []
    for (const name of names) {
      const stat = entries.select(name)
      if (stat === undefined) continue
      const before = previous[nodes.length]
      if (before === undefined || !this.#isAlike(before, name, stat)) return undefined
      nodes.push(toNode(entries, before, stat))
    }
    return nodes
  }

  /** As far as can be told at little cost. */
  #isAlike(before: Node, name: string, stat: SourceStat): boolean {
    if (before.name !== name || before.inode !== stat.inode) return false
    if (before.ctime.seconds !== stat.ctime.seconds || before.ctime.nanoseconds !== stat.ctime.nanoseconds)
      return false
    if (stat.kind !== 'file') return true
    return before.size === stat.size && (before.content ?? []).every((id) => this.#context.isStored(id))
  }
}

/** The node as it is now, with the content or tree it had. */
function toNode(entries: FolderEntries, { name, content, subtree }: Node, stat: SourceStat): Node {
  const node = entries.toNode(name, stat, undefined, content ?? undefined)
  if (node.type === 'file' && content === null) return { ...node, content }
  return node.type === 'dir' ? { ...node, subtree } : node
}
