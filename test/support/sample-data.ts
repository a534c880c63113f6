/** Small repositories with known contents: trees written as objects, saved through the engine without a backup. */
import { parseTime } from '../../src/repo/format/time.ts'
import type { Id } from '../../src/repo/format/id.ts'
import { compareRawNames } from '../../src/repo/format/raw-name.ts'
import type { Snapshot } from '../../src/repo/format/snapshot.ts'
import { encodeTree, type Node } from '../../src/repo/format/tree.ts'
import type { Repository } from '../../src/repo/repository.ts'

/** A directory: its entries are directories, or files given as their blobs. */
export interface SampleTree {
  readonly [name: string]: SampleTree | readonly Uint8Array[]
}

const EPOCH = parseTime('2024-01-01T00:00:00Z')
const FILE_MODE = 0o644
const DIRECTORY_MODE = 2 ** 31 + 0o755

/** Numbers in [0, 1) that are the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Bytes that cannot be compressed, the same for the same seed. */
export function noise(seed: number, length: number): Uint8Array {
  const random = seededRandom(seed)
  return Uint8Array.from({ length }, () => Math.floor(random() * 256))
}

/** Saves a tree and all below it; between `startWriting` and `flush`. */
export async function saveTree(repository: Repository, tree: SampleTree): Promise<Id> {
  const nodes: Node[] = []
  for (const [name, entry] of Object.entries(tree).toSorted(([a], [b]) => compareRawNames(a, b))) {
    nodes.push(
      isFile(entry) ? await saveFile(repository, name, entry) : await saveDirectory(repository, name, entry),
    )
  }
  return (await repository.saveBlob('tree', encodeTree(nodes))).id
}

/** Saves a tree with packs of its own, then a snapshot of it. */
export async function addSnapshot(
  repository: Repository,
  tree: SampleTree,
  fields: Partial<Snapshot> = {},
): Promise<Id> {
  await repository.loadIndex()
  repository.startWriting()
  const root = await saveTree(repository, tree)
  await repository.flush()
  return repository.saveSnapshot(sampleSnapshot(root, fields))
}

export function sampleSnapshot(tree: Id, fields: Partial<Snapshot> = {}): Snapshot {
  return {
    time: EPOCH,
    tree,
    paths: ['/srv'],
    hostname: 'vm',
    username: 'root',
    uid: 0,
    gid: 0,
    excludes: [],
    tags: [],
    programVersion: '',
    ...fields,
  }
}

export function sampleNode(fields: Pick<Node, 'name' | 'type'> & Partial<Node>): Node {
  return {
    mode: FILE_MODE,
    mtime: EPOCH,
    atime: EPOCH,
    ctime: EPOCH,
    uid: 0,
    gid: 0,
    user: '',
    group: '',
    inode: 0n,
    deviceId: 0n,
    size: 0,
    links: 0,
    linkTarget: '',
    extendedAttributes: [],
    device: 0n,
    content: null,
    subtree: null,
    error: '',
    ...fields,
  }
}

function isFile(entry: SampleTree | readonly Uint8Array[]): entry is readonly Uint8Array[] {
  return Array.isArray(entry)
}

async function saveFile(repository: Repository, name: string, blobs: readonly Uint8Array[]): Promise<Node> {
  const content: Id[] = []
  let size = 0
  for (const blob of blobs) {
    content.push((await repository.saveBlob('data', blob)).id)
    size += blob.length
  }
  return sampleNode({ name, type: 'file', content, size, links: 1 })
}

async function saveDirectory(repository: Repository, name: string, tree: SampleTree): Promise<Node> {
  return sampleNode({ name, type: 'dir', mode: DIRECTORY_MODE, subtree: await saveTree(repository, tree) })
}
