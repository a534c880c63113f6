/** Goes through the part of a snapshot that is to be restored, folders before and after what is in them. */
import { ResticError, throwIfAborted } from '../../errors.ts'
import type { Id } from '../format/id.ts'
import { isSafeNodeName } from '../format/raw-name.ts'
import type { Node } from '../format/tree.ts'
import type { Repository } from '../repository.ts'
import type { Pacer } from './operation.ts'

/** Whether an item is restored, and for a folder whether anything in it may be. */
export type RestoreSelector = (
  location: string,
  isFolder: boolean,
) => { readonly selected: boolean; readonly childMayBeSelected: boolean }

export interface RestoreVisitor {
  enterFolder?(location: string, node: Node): void
  /** @param folder the one it is in */
  visit(location: string, node: Node, folder: string): void
  /** @param names the entries the snapshot has in the folder, or undefined where they are not all known */
  leaveFolder?(location: string, node: Node | undefined, names: readonly string[] | undefined): void
  onError(location: string, error: Error): void
}

export interface RestoreWalkOptions {
  readonly repository: Repository
  readonly select: RestoreSelector
  readonly pacer: Pacer
  readonly signal?: AbortSignal | undefined
}

/** @throws AbortedError, whatever concerns more than one item */
export async function walkSnapshot(
  root: Id,
  options: RestoreWalkOptions,
  visitor: RestoreVisitor,
): Promise<void> {
  const { names, anyRestored } = await walkFolder('/', root, options, visitor)
  if (anyRestored) guard('/', visitor, () => visitor.leaveFolder?.('/', undefined, names))
}

interface WalkedFolder {
  /** Whether anything was restored in it, so that the folders above get their metadata too. */
  readonly anyRestored: boolean
  readonly names: readonly string[] | undefined
}

const NOTHING_WALKED: WalkedFolder = { anyRestored: false, names: undefined }

async function walkFolder(
  location: string,
  tree: Id,
  options: RestoreWalkOptions,
  visitor: RestoreVisitor,
): Promise<WalkedFolder> {
  let nodes: Node[]
  try {
    nodes = await options.repository.loadTree(tree, options.signal)
  } catch (error) {
    if (!(error instanceof ResticError) || error.code === 'ABORTED') throw error
    visitor.onError(location, error)
    return NOTHING_WALKED
  }
  let anyRestored = false
  for (const node of nodes) {
    throwIfAborted(options.signal)
    if (options.pacer.isDue) await options.pacer.pause()
    const restored = await walkNode(location, node, options, visitor)
    anyRestored = anyRestored || restored
  }
  // Where a name is not to be trusted, neither is what is missing.
  const names = nodes.every(({ name }) => isSafeNodeName(name)) ? nodes.map(({ name }) => name) : undefined
  return { anyRestored, names }
}

async function walkNode(
  parent: string,
  node: Node,
  options: RestoreWalkOptions,
  visitor: RestoreVisitor,
): Promise<boolean> {
  if (!isSafeNodeName(node.name)) {
    // A name that would lead elsewhere comes from a hostile or broken writer.
    visitor.onError(
      parent,
      new Error(`refusing to restore an entry with the invalid name ${JSON.stringify(node.name)}`),
    )
    return false
  }
  if (node.type === 'socket') return false
  const location = parent === '/' ? `/${node.name}` : `${parent}/${node.name}`
  const isFolder = node.type === 'dir'
  const { selected, childMayBeSelected } = options.select(location, isFolder)
  if (!isFolder) {
    if (selected) guard(location, visitor, () => visitor.visit(location, node, parent))
    return selected
  }
  if (node.subtree === null) {
    if (selected || childMayBeSelected) visitor.onError(location, new Error('the folder has no tree'))
    return false
  }
  if (selected) {
    const entered = guard(location, visitor, () => visitor.enterFolder?.(location, node))
    if (!entered) return false
  }
  const walked = childMayBeSelected
    ? await walkFolder(location, node.subtree, options, visitor)
    : NOTHING_WALKED
  if (selected || walked.anyRestored) {
    guard(location, visitor, () => visitor.leaveFolder?.(location, node, walked.names))
  }
  return selected || walked.anyRestored
}

/** Trouble with one item is reported; the walk goes on. */
function guard(location: string, visitor: RestoreVisitor, call: () => void): boolean {
  try {
    call()
    return true
  } catch (error) {
    if (!(error instanceof Error) || !(error instanceof ResticError || 'syscall' in error)) throw error
    visitor.onError(location, error)
    return false
  }
}
