/** Copies the blobs still wanted out of packs that are to be removed (format spec §17.2, step 6). */

import { RepositoryDamagedError } from '../../errors.ts'
import type { Bitmap } from '../bitmap.ts'
import { forEachParallel } from '../parallel.ts'
import type { Repository } from '../repository.ts'
import type { WorkerPool } from '../worker-pool.ts'
import type { PrunePlan } from './prune-plan.ts'
import { startThreads, type Tasks } from './threads.ts'

export interface RepackOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((done: number, total: number) => void) | undefined
}

/** Packs read at once: each may hold 32 MiB of stored bytes in memory. */
const READS_AT_ONCE_MAX = 4
/** Fewer are copied before threads have started. */
const FEW_BLOBS = 200

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
  const threads = startThreads(repo, {
    onPack: (pack) => repo.storePack(pack),
    isSmall: blobsToCopy.count < FEW_BLOBS,
  })
  try {
    await forEachParallel(repackPacks, limit, async (pack) => {
      await repackPack(repo, pack, blobsToCopy, { threads, signal })
      onProgress?.(++done, repackPacks.length)
    })
    await threads.runOnAll('finishPacks', undefined)
    await threads.close()
    await repo.flush()
  } catch (error) {
    await threads.close()
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
  { threads, signal }: { readonly threads: WorkerPool<Tasks>; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const { index } = repo
  const { start } = index.rowsOfPack(pack)
  // Deleted as they are given out: another reader may meet the same blob in another pack meanwhile.
  const blobs = index
    .blobsAt(pack)
    .filter((_blob, position) => wanted.delete(index.firstCopyOf(start + position)))
  const compress = repo.config.version >= 2
  for await (const part of repo.readPackParts(index.packIdAt(pack), blobs, signal)) {
    await threads.ready()
    await repo.storing()
    const takeBack = (memory: Uint8Array): void => repo.reuse(memory)
    for (const damaged of await threads.run('copyBlobs', { ...part, compress }, part.bytes, takeBack)) {
      const blob = part.blobs[damaged]
      // This copy is damaged; another pack may hold a good one.
      if (blob !== undefined)
        await repo.copyBlob(blob.type, await repo.loadBlob(blob.type, blob.id, signal), blob.id)
    }
  }
}
