/** Copies the blobs still wanted out of packs that are to be removed (format spec §17.2, step 6). */

import { RepositoryDamagedError } from '../../errors.ts'
import type { Bitmap } from '../bitmap.ts'
import type { PackedBlob } from '../format/pack-header.ts'
import type { ReadBlob } from '../pack-reader.ts'
import { forEachParallel } from '../parallel.ts'
import type { Repository } from '../repository.ts'
import type { PrunePlan } from './prune-plan.ts'

export interface RepackOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((done: number, total: number) => void) | undefined
}

/** Packs read at once: each may hold 32 MiB of stored bytes in memory. */
const READS_AT_ONCE_MAX = 4

/**
 * Copies `plan.blobsToCopy` into new packs, pack by pack, and indexes those. Empties that bitmap on the way.
 * When it resolves, every blob wanted is stored and indexed outside of the packs to be removed.
 * @throws RepositoryDamagedError, CorruptDataError where a blob cannot be read anywhere: nothing may be removed then
 */
export async function repackBlobs(
  repo: Repository,
  plan: PrunePlan,
  options: RepackOptions = {},
): Promise<void> {
  const { repackPacks, blobsToCopy } = plan
  const { signal, onProgress } = options
  // One connection stays free for storing what is read.
  const limit = Math.min(READS_AT_ONCE_MAX, Math.max(1, repo.backend.connections - 1))
  let done = 0
  onProgress?.(done, repackPacks.length)
  repo.startWriting({ signal })
  try {
    await forEachParallel(repackPacks, limit, async (pack) => {
      await repackPack(repo, pack, blobsToCopy, signal)
      onProgress?.(++done, repackPacks.length)
    })
    await repo.flush()
  } catch (error) {
    await repo.abandonWriting()
    throw error
  }
  if (blobsToCopy.count !== 0) {
    throw new RepositoryDamagedError(`internal error: ${blobsToCopy.count} blobs were not repacked`, {
      hint: 'nothing was removed; run `check`',
    })
  }
}

async function repackPack(
  repo: Repository,
  pack: number,
  wanted: Bitmap,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { index } = repo
  const { start } = index.rowsOfPack(pack)
  const blobs: PackedBlob[] = []
  const firstCopies: number[] = []
  index.blobsAt(pack).forEach((blob, position) => {
    const first = index.firstCopyOf(start + position)
    if (!wanted.has(first)) return
    blobs.push(blob)
    firstCopies.push(first)
  })
  let position = 0
  await repo.readPackBlobs(index.packIdAt(pack), blobs, {
    signal,
    visit: async (read) => {
      // Another reader may have copied the blob out of another pack meanwhile.
      if (wanted.delete(firstCopies[position++] ?? -1)) await copy(repo, read, signal)
    },
  })
}

async function copy(repo: Repository, read: ReadBlob, signal: AbortSignal | undefined): Promise<void> {
  const { blob, sealed, plaintext } = read
  if (plaintext === undefined) {
    // This copy is damaged; another pack may hold a good one.
    await repo.copyBlob(blob.type, await repo.loadBlob(blob.type, blob.id, signal), blob.id)
    return
  }
  const isCompressible = repo.config.version >= 2 && blob.uncompressedLength === 0
  if (isCompressible) await repo.copyBlob(blob.type, plaintext, blob.id)
  else await repo.copySealedBlob(blob, sealed)
}
