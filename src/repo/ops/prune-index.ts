/**
 * Rewrites the index files of a repository without some packs (format spec §17.2, step 6): everything is saved anew
 * before anything old goes, so that at every moment the files in the store name all packs that stay.
 */

import { throwIfAborted } from '../../errors.ts'
import type { BlobIndex } from '../blob-index.ts'
import type { Id } from '../format/id.ts'
import { encodeIndexFile, parseIndexFile, type IndexPack } from '../format/index-file.ts'
import { forEachParallel } from '../parallel.ts'
import type { Repository } from '../repository.ts'
import { removeFiles } from './prune-files.ts'

/** An index file is complete with this many blobs. */
const FULL_BLOBS = 50_000
/** As many header entries as a pack can have: an index file with more than a full one and such a pack is split. */
const OVERSIZED_BLOBS: number = FULL_BLOBS + 409_199

export interface RewriteIndexOptions {
  readonly signal?: AbortSignal | undefined
  readonly onRewritten?: ((done: number, total: number) => void) | undefined
  readonly onRemoved?: ((done: number, total: number) => void) | undefined
}

/**
 * Saves new index files that name what the present ones do, less the packs of `exclude`, and then removes those they
 * replace. Index files that are full, of a good size and without anything to leave out stay as they are.
 * The index in memory is not touched.
 */
export async function rewriteIndexFiles(
  repo: Repository,
  exclude: ReadonlySet<Id>,
  options: RewriteIndexOptions = {},
): Promise<void> {
  const { signal, onRewritten, onRemoved } = options
  const indexIds: Id[] = []
  for await (const { id } of repo.list('index', signal)) indexIds.push(id)
  const obsolete: Id[] = []
  const known = new Set<Id>()
  const writer = new IndexFileWriter(repo, signal)
  let done = 0
  onRewritten?.(done, indexIds.length)
  await forEachParallel(indexIds, repo.backend.connections, async (id) => {
    throwIfAborted(signal)
    const { packs } = parseIndexFile(await repo.loadUnpacked('index', id, signal))
    const fingerprints = packs.map((pack) => fingerprint(repo, pack))
    if (isWorthKeeping(packs, exclude) && fingerprints.every((print) => !known.has(print))) {
      for (const print of fingerprints) known.add(print)
    } else {
      obsolete.push(id)
      await writer.addAll(packs.filter((pack, i) => !exclude.has(pack.id) && isNew(known, fingerprints[i])))
    }
    onRewritten?.(++done, indexIds.length)
  })
  await writer.finish()
  await removeFiles(repo, 'index', obsolete, { signal, onProgress: onRemoved })
}

/** Saves index files for all packs of an index in memory but those of `exclude`. */
export async function saveIndexFiles(
  repo: Repository,
  index: BlobIndex,
  exclude: ReadonlySet<Id>,
): Promise<void> {
  const writer = new IndexFileWriter(repo, undefined)
  for (let pack = 0; pack < index.packCount; pack++) {
    const id = index.packIdAt(pack)
    if (!exclude.has(id)) await writer.addAll([{ id, blobs: index.blobsAt(pack) }])
  }
  await writer.finish()
}

function isWorthKeeping(packs: readonly IndexPack[], exclude: ReadonlySet<Id>): boolean {
  let blobCount = 0
  for (const pack of packs) {
    if (exclude.has(pack.id)) return false
    blobCount += pack.blobs.length
  }
  return blobCount >= FULL_BLOBS && blobCount < OVERSIZED_BLOBS
}

class IndexFileWriter {
  readonly #repo: Repository
  readonly #signal: AbortSignal | undefined
  #packs: IndexPack[] = []
  #blobCount = 0

  constructor(repo: Repository, signal: AbortSignal | undefined) {
    this.#repo = repo
    this.#signal = signal
  }

  async addAll(packs: readonly IndexPack[]): Promise<void> {
    for (const pack of packs) {
      this.#packs.push(pack)
      this.#blobCount += pack.blobs.length
      if (this.#blobCount >= FULL_BLOBS) await this.finish()
    }
  }

  async finish(): Promise<void> {
    const packs = this.#packs
    if (packs.length === 0) return
    // Before the wait: several callers may be adding at once.
    this.#packs = []
    this.#blobCount = 0
    await this.#repo.saveUnpacked('index', encodeIndexFile(packs), this.#signal)
  }
}

/**
 * A hash over a pack's ID and its blobs: of two entries of one pack only an equal one is a duplicate. restic before
 * 0.10 spread a pack over several entries, and dropping one of those would lose blobs.
 */
function fingerprint(repo: Repository, { id, blobs }: IndexPack): Id {
  const sorted = blobs.toSorted((a, b) => a.offset - b.offset)
  return repo.codec.idOf(encodeIndexFile([{ id, blobs: sorted }]))
}

/** Adds a fingerprint; whether it was not known before. */
function isNew(known: Set<Id>, print: Id | undefined): boolean {
  if (print === undefined || known.has(print)) return false
  known.add(print)
  return true
}
