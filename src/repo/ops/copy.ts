/**
 * Copies snapshots with all they need into another repository (command spec, "copy"). Blobs are read pack by pack and
 * encoded anew under the other repository's key; what it has already is not read at all.
 */
import { RepositoryDamagedError } from '../../errors.ts'
import type { Id } from '../format/id.ts'
import { sameInstant } from '../format/time.ts'
import type { Snapshot } from '../format/snapshot.ts'
import { forEachParallel } from '../parallel.ts'
import type { Repository } from '../repository.ts'
import type { WorkerPool } from '../worker-pool.ts'
import type { Bitmap } from '../bitmap.ts'
import type { ItemError } from './operation.ts'
import { findSnapshots, loadSnapshots, type SnapshotFilter, type SnapshotRecord } from './snapshots.ts'
import { startThreads, type Tasks } from './threads.ts'
import { findUsedBlobs } from './walk.ts'

export interface CopyOptions {
  /** IDs, prefixes or `latest`; all snapshots that fit `filter` by default. */
  readonly ids?: readonly string[] | undefined
  readonly filter?: SnapshotFilter | undefined
  readonly signal?: AbortSignal | undefined
  readonly onError?: ((error: ItemError) => void) | undefined
  /** A snapshot that was copied before; `copy` is the destination's. */
  readonly onSkipped?: ((source: SnapshotRecord, copy: SnapshotRecord) => void) | undefined
  /** What is to be copied, once that is known. */
  readonly onPlan?: ((plan: CopyPlan) => void) | undefined
  readonly onProgress?: ((packsDone: number, packsTotal: number) => void) | undefined
  readonly onCopied?: ((source: SnapshotRecord, copyId: Id) => void) | undefined
}

export interface CopyPlan {
  readonly snapshots: readonly SnapshotRecord[]
  readonly blobCount: number
  /** Stored bytes in the source. */
  readonly bytes: number
  readonly packCount: number
}

export interface CopyResult extends CopyPlan {
  readonly skippedCount: number
}

/** Packs read at once: each may hold 32 MiB of stored bytes in memory. */
const READS_AT_ONCE_MAX = 4
/** Fewer are copied before threads have started. */
const FEW_BLOBS = 100

/**
 * Copies what is selected of `source` to `destination`. Both are locked against being pruned meanwhile.
 * @throws RepositoryDamagedError where a blob is in no index; CorruptDataError where all its copies are damaged
 */
export async function copy(
  source: Repository,
  destination: Repository,
  options: CopyOptions = {},
): Promise<CopyResult> {
  const sourceLock = source.settings.noLock === true ? undefined : await source.lock(false, options.signal)
  try {
    const lock = await destination.lock(false, sourceLock?.signal ?? options.signal)
    try {
      return await copyLocked(source, destination, { ...options, signal: lock.signal })
    } finally {
      await destination.abandonWriting()
      await lock.release()
    }
  } finally {
    await sourceLock?.release()
  }
}

async function copyLocked(
  source: Repository,
  destination: Repository,
  options: CopyOptions,
): Promise<CopyResult> {
  const { signal } = options
  const { snapshots, skippedCount } = await selectSnapshots(source, destination, options)
  for (const repository of [source, destination]) {
    repository.discardIndex()
    await repository.loadIndex({ signal })
  }
  const roots = [...new Set(snapshots.map(({ snapshot }) => snapshot.tree))]
  const wanted = await findUsedBlobs(source, roots, { signal })
  const plan: CopyPlan = { snapshots, ...leaveOutKnown(source, destination, wanted) }
  options.onPlan?.(plan)
  await copyBlobs(source, destination, { ...options, wanted, packCount: plan.packCount })
  for (const record of snapshots) {
    // What the parent was means nothing over there.
    const { parent: _parent, ...rest } = record.snapshot
    const copied: Snapshot = { ...rest, original: record.snapshot.original ?? record.id }
    const copyId = await destination.saveSnapshot(copied, signal)
    options.onCopied?.(record, copyId)
  }
  return { ...plan, skippedCount }
}

async function selectSnapshots(
  source: Repository,
  destination: Repository,
  { ids = [], filter = {}, signal, onError, onSkipped }: CopyOptions,
): Promise<{ snapshots: SnapshotRecord[]; skippedCount: number }> {
  const loading = {
    ...(signal === undefined ? {} : { signal }),
    onError: (error: ItemError) => onError?.(error),
  }
  const existing = await loadSnapshots(destination, loading)
  const snapshots: SnapshotRecord[] = []
  let skippedCount = 0
  for (const record of await findSnapshots(source, { ids, filter }, loading)) {
    const original = record.snapshot.original ?? record.id
    const known = existing.find(
      (other) =>
        (other.id === original || other.snapshot.original === original) &&
        isSimilar(other.snapshot, record.snapshot),
    )
    if (known === undefined) {
      snapshots.push(record)
    } else {
      skippedCount += 1
      onSkipped?.(record, known)
    }
  }
  return { snapshots, skippedCount }
}

/** Everything but parent and original says the same. */
function isSimilar(a: Snapshot, b: Snapshot): boolean {
  return (
    sameInstant(a.time, b.time) &&
    (['tree', 'hostname', 'username', 'uid', 'gid'] as const).every((field) => a[field] === b[field]) &&
    sameMembers(a.paths, b.paths) &&
    sameMembers(a.tags, b.tags) &&
    a.excludes.length === b.excludes.length &&
    a.excludes.every((exclude, i) => exclude === b.excludes[i])
  )
}

function sameMembers(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && b.every((member) => a.includes(member))
}

/** Takes out of `wanted` what the destination has; counts what is left, and the packs it lies in. */
function leaveOutKnown(
  { index }: Repository,
  destination: Repository,
  wanted: Bitmap,
): Omit<CopyPlan, 'snapshots'> {
  let bytes = 0
  let packCount = 0
  for (let pack = 0; pack < index.packCount; pack++) {
    const { start, end } = index.rowsOfPack(pack)
    let isNeeded = false
    for (let row = start; row < end; row++) {
      if (!wanted.has(row)) continue
      if (destination.hasBlob(index.typeAt(row), index.idAt(row))) {
        wanted.delete(row)
      } else {
        bytes += index.lengthAt(row)
        isNeeded = true
      }
    }
    if (isNeeded) packCount += 1
  }
  return { blobCount: wanted.count, bytes, packCount }
}

interface CopyBlobsOptions extends CopyOptions {
  /** Rows of the source's index, each the first copy of its blob. */
  readonly wanted: Bitmap
  readonly packCount: number
}

async function copyBlobs(
  source: Repository,
  destination: Repository,
  options: CopyBlobsOptions,
): Promise<void> {
  const { wanted, packCount, signal, onProgress } = options
  if (wanted.count === 0) return
  destination.startWriting({ signal })
  const threads = startThreads(destination, {
    source,
    onPack: (pack) => destination.storePack(pack),
    isSmall: wanted.count < FEW_BLOBS,
  })
  let done = 0
  onProgress?.(done, packCount)
  try {
    const limit = Math.min(READS_AT_ONCE_MAX, source.backend.connections)
    await forEachParallel(packsOf(source, wanted), limit, async (pack) => {
      await copyPack(source, destination, pack, { ...options, threads })
      onProgress?.(++done, packCount)
    })
    await threads.runOnAll('finishPacks', undefined)
  } finally {
    await threads.close()
  }
  await destination.flush()
  if (wanted.count > 0)
    throw new RepositoryDamagedError(`internal error: ${wanted.count} blobs were not copied`)
}

function* packsOf({ index }: Repository, wanted: Bitmap): Generator<number> {
  for (let pack = 0; pack < index.packCount; pack++) {
    const { start, end } = index.rowsOfPack(pack)
    for (let row = start; row < end; row++) {
      if (!wanted.has(row)) continue
      yield pack
      break
    }
  }
}

// oxlint-disable-next-line max-params -- from where, to where, what, how
async function copyPack(
  source: Repository,
  destination: Repository,
  pack: number,
  { wanted, threads, signal }: CopyBlobsOptions & { readonly threads: WorkerPool<Tasks> },
): Promise<void> {
  const { index } = source
  const { start } = index.rowsOfPack(pack)
  const blobs = index.blobsAt(pack).filter((_blob, position) => wanted.delete(start + position))
  for await (const part of source.readPackParts(index.packIdAt(pack), blobs, signal)) {
    await threads.ready()
    await destination.storing()
    const takeBack = (memory: Uint8Array): void => source.reuse(memory)
    for (const damaged of await threads.run('recodeBlobs', part, part.bytes, takeBack)) {
      const blob = part.blobs[damaged]
      // This copy is damaged; another pack may hold a good one.
      if (blob !== undefined)
        await destination.copyBlob(blob.type, await source.loadBlob(blob.type, blob.id, signal), blob.id)
    }
  }
}
