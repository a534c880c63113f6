/** Checks that everything snapshots refer to is there (format spec §17.3). Contents are not read but for the trees. */

import { Bitmap } from '../bitmap.ts'
import type { BlobIndex } from '../blob-index.ts'
import { quoteName } from '../format/go-quote.ts'
import { ID_BYTES, type Id } from '../format/id.ts'
import { DIR, type TreeOutline } from '../format/tree-outline.ts'
import type { Node } from '../format/tree.ts'
import type { Repository } from '../repository.ts'
import { messageOf, type CheckReport } from './check-report.ts'
import { walkTrees } from './walk.ts'

export interface CheckTreesOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((done: number, total: number) => void) | undefined
}

/** What a walk over the trees has seen. */
export interface CheckedTrees {
  readonly treeCount: number
  /** Rows of the first copies of all blobs referred to and present. */
  readonly used: Bitmap
}

/** The ID that stands for none, which no blob has. */
const NULL_ID = '0'.repeat(64)

/** Visits all trees below `roots` and reports what is wrong with them. */
export async function checkTrees(
  repo: Repository,
  roots: readonly Id[],
  report: CheckReport,
  options: CheckTreesOptions,
): Promise<CheckedTrees> {
  const { index } = repo
  const used = new Bitmap(index.blobCount)
  let treeCount = 0
  await walkTrees(repo, roots, {
    ...options,
    onTree: (id, tree) => {
      treeCount++
      const row = index.rowOf('tree', id)
      if (row >= 0) used.add(row)
      for (let node = 0; node < tree.nodeCount; node++) {
        if (isSound(tree, node, index, used)) continue
        for (const problem of problemsOf(tree.nodeAt(node), index)) {
          report.error('tree', id, `tree ${id}: ${problem}`)
        }
      }
    },
    onTreeError: (id, error) => {
      treeCount++
      report.error('tree', id, `tree ${id}: ${messageOf(error)}`)
    },
  })
  return { treeCount, used }
}

/** Notes the blobs of a node as used. False where something may be wrong with it. */
// oxlint-disable-next-line max-params -- called for every node
function isSound(tree: TreeOutline, node: number, index: BlobIndex, used: Bitmap): boolean {
  const type = tree.typeAt(node)
  let isGood = !tree.isOdd(node)
  for (let i = tree.idStartAt(node); i < tree.idEndAt(node); i++) {
    if (type === DIR) {
      isGood &&= tree.idAt(i) !== NULL_ID
      continue
    }
    const row = index.rowOfBytes('data', tree.ids, i * ID_BYTES)
    if (row >= 0) used.add(row)
    else isGood = false
  }
  return isGood
}

function problemsOf(node: Node, index: BlobIndex): string[] {
  const problems: string[] = []
  const name = `"${quoteName(node.name)}"`
  switch (node.type) {
    case 'file':
      if (node.content === null) problems.push(`file ${name} has nil blob list`)
      node.content?.forEach((id, position) => {
        if (index.has('data', id)) return
        if (id === NULL_ID) problems.push(`file ${name} blob ${position} has null ID`)
        else problems.push(`file ${name} blob ${id} not found in index`)
      })
      break
    case 'dir':
      if (node.subtree === null) problems.push(`dir node ${name} has no subtree`)
      else if (node.subtree === NULL_ID) problems.push(`dir node ${name} subtree id is null`)
      break
    case 'symlink':
    case 'dev':
    case 'chardev':
    case 'fifo':
    case 'socket':
      break
    case 'irregular':
    case '':
      problems.push(`node ${name} with invalid type "${node.type}"`)
      break
  }
  if (node.name === '') problems.push('node with empty name')
  return problems
}
