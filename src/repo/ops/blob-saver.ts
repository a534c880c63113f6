/** Saves the blobs of a snapshot on this thread and counts what they came to; with `dryRun` it only counts. */
import type { Id } from '../format/id.ts'
import { encodeTree, type Node } from '../format/tree.ts'
import type { BackupGroup } from './backup-group.ts'
import type { ItemStatistics } from './backup-statistics.ts'

export class BlobSaver {
  readonly #group: BackupGroup
  readonly #dryRun: boolean
  /** With `dryRun`: blobs that would have been saved by now. */
  readonly #imagined = new Set<string>()

  constructor(group: BackupGroup, dryRun: boolean) {
    this.#group = group
    this.#dryRun = dryRun
  }

  async saveData(chunk: Uint8Array, item: ItemStatistics): Promise<Id> {
    const { id, isNew, packedLength } = await this.#save('data', chunk)
    if (isNew) {
      item.dataBlobs += 1
      item.dataSize += chunk.length
      item.dataSizeInRepo += packedLength
    }
    return id
  }

  /** @param nodes as `encodeTree` takes them */
  async saveTree(nodes: readonly (Node | Uint8Array)[], item: ItemStatistics): Promise<Id> {
    const bytes = encodeTree(nodes)
    const { id, isNew, packedLength } = await this.#save('tree', bytes)
    if (isNew) {
      item.treeBlobs += 1
      item.treeSize += bytes.length
      item.treeSizeInRepo += packedLength
    }
    return id
  }

  async #save(
    type: 'data' | 'tree',
    bytes: Uint8Array,
  ): Promise<{ id: Id; isNew: boolean; packedLength: number }> {
    const group = this.#group
    if (!this.#dryRun) return group.saveBlob(type, bytes)
    const { codec } = group.leader.repository
    const id = codec.idOf(bytes)
    const isNew = !group.hasBlob(type, id) && !this.#imagined.has(type + id)
    if (!isNew) return { id, isNew, packedLength: 0 }
    this.#imagined.add(type + id)
    return { id, isNew, packedLength: codec.measureBlob(type, bytes) }
  }
}
