/** What a backup counts, as snapshots keep it in their summary (format spec §12.3, §13). */
import type { Node } from '../format/tree.ts'
import { nodesEqual } from './node-equality.ts'

/** What saving one item added to the repository. Plain sizes are plaintext, `InRepo` stored bytes. */
export interface ItemStatistics {
  dataBlobs: number
  dataSize: number
  dataSizeInRepo: number
  treeBlobs: number
  treeSize: number
  treeSizeInRepo: number
}

export type ItemAction = 'new' | 'unchanged' | 'modified'

export interface BackupStatistics {
  filesNew: number
  filesChanged: number
  filesUnmodified: number
  dirsNew: number
  dirsChanged: number
  dirsUnmodified: number
  dataBlobs: number
  treeBlobs: number
  dataAdded: number
  dataAddedPacked: number
  totalFilesProcessed: number
  totalBytesProcessed: number
}

/** What unchanged folders come to: files, their bytes, and folders in them. */
export interface UnchangedTotals {
  files: number
  bytes: number
  folders: number
}

export function emptyItemStatistics(): ItemStatistics {
  return { dataBlobs: 0, dataSize: 0, dataSizeInRepo: 0, treeBlobs: 0, treeSize: 0, treeSizeInRepo: 0 }
}

export function emptyBackupStatistics(): BackupStatistics {
  return {
    filesNew: 0,
    filesChanged: 0,
    filesUnmodified: 0,
    dirsNew: 0,
    dirsChanged: 0,
    dirsUnmodified: 0,
    dataBlobs: 0,
    treeBlobs: 0,
    dataAdded: 0,
    dataAddedPacked: 0,
    totalFilesProcessed: 0,
    totalBytesProcessed: 0,
  }
}

export function addItemStatistics(total: BackupStatistics, item: ItemStatistics): void {
  total.dataBlobs += item.dataBlobs
  total.treeBlobs += item.treeBlobs
  total.dataAdded += item.dataSize + item.treeSize
  total.dataAddedPacked += item.dataSizeInRepo + item.treeSizeInRepo
}

/** Counts a file or folder; other node types are not counted, as in restic. */
export function countNode(total: BackupStatistics, node: Node, action: ItemAction): void {
  if (node.type === 'dir') {
    if (action === 'new') total.dirsNew += 1
    else if (action === 'modified') total.dirsChanged += 1
    else total.dirsUnmodified += 1
  }
  if (node.type === 'file') {
    if (action === 'new') total.filesNew += 1
    else if (action === 'modified') total.filesChanged += 1
    else total.filesUnmodified += 1
    total.totalFilesProcessed += 1
    total.totalBytesProcessed += node.size
  }
}

/** @param times −1 takes back what was counted */
export function countUnchanged(
  total: BackupStatistics,
  { files, bytes, folders }: UnchangedTotals,
  times: 1 | -1,
): void {
  total.filesUnmodified += times * files
  total.totalFilesProcessed += times * files
  total.totalBytesProcessed += times * bytes
  total.dirsUnmodified += times * folders
}

/** What threads saved of new files, and the blobs it took. */
export function countNewFiles(
  total: BackupStatistics,
  saved: Omit<ItemStatistics, `tree${string}`> & { readonly files: number; readonly bytes: number },
): void {
  total.filesNew += saved.files
  total.totalFilesProcessed += saved.files
  total.totalBytesProcessed += saved.bytes
  total.dataBlobs += saved.dataBlobs
  total.dataAdded += saved.dataSize
  total.dataAddedPacked += saved.dataSizeInRepo
}

export function actionFor(previous: Node | undefined, current: Node): ItemAction {
  if (previous === undefined) return 'new'
  return nodesEqual(previous, current) ? 'unchanged' : 'modified'
}
