/**
 * Decides what a prune does, from the index, the blobs in use and the listing of packs: no I/O, nothing changed
 * (format spec §17.2, steps 2–5). The rules are restic's, so that both leave a repository in the same shape.
 */

import { InvalidInputError, RepositoryDamagedError } from '../../errors.ts'
import { Bitmap } from '../bitmap.ts'
import type { BlobIndex } from '../blob-index.ts'
import type { Id } from '../format/id.ts'
import { DEFAULT_MAX_UNUSED, maxUnusedBytes, validateMaxUnused, type MaxUnused } from './prune-limits.ts'
import { PackUsage } from './prune-usage.ts'

/** What of restic's flags bears on the plan. */
export interface PrunePlanOptions {
  /** Unused data to tolerate; 5 % unless given. */
  readonly maxUnused?: MaxUnused | undefined
  /** Stop repacking before this many bytes have been rewritten. */
  readonly maxRepackSizeBytes?: number | undefined
  /** Leave packs of data alone: repack only what a cache holds anyway. */
  readonly repackCacheableOnly?: boolean | undefined
  /** Repack data that is stored plain, to compress it (trees always are). */
  readonly repackUncompressed?: boolean | undefined
  /** Packs smaller than this are repacked, instead of those far smaller than the others. */
  readonly repackSmallerThanBytes?: number | undefined
}

/** Everything a plan follows from. */
export interface PrunePlanInput {
  readonly index: BlobIndex
  /** Rows of the first copies of all blobs needed. */
  readonly used: Bitmap
  /** The packs the store has, with their sizes. */
  readonly storedPacks: Iterable<{ readonly id: Id; readonly size: number }>
  readonly version: 1 | 2
  readonly options?: PrunePlanOptions
}

/** Counts before and of a prune. `bytes` are stored bytes of blobs; `unreferenced` those of whole pack files. */
export interface PruneStats {
  readonly blobs: {
    used: number
    duplicate: number
    unused: number
    remove: number
    repack: number
    repackRemove: number
  }
  readonly bytes: {
    used: number
    duplicate: number
    unused: number
    remove: number
    repack: number
    repackRemove: number
    unreferenced: number
    uncompressed: number
  }
  readonly packs: {
    used: number
    unused: number
    partlyUsed: number
    unreferenced: number
    keep: number
    repack: number
    remove: number
  }
}

/** What to do, in the order of doing it. */
export interface PrunePlan {
  readonly stats: PruneStats
  /** Packs no index names; they go first. */
  readonly unreferencedPacks: readonly Id[]
  /** Numbers of packs to copy the wanted blobs out of and then to remove. */
  readonly repackPacks: readonly number[]
  /** Rows of the first copies of the blobs to copy: those that no pack left alone holds. */
  readonly blobsToCopy: Bitmap
  /** Packs without any used blob. */
  readonly removePacks: readonly Id[]
  /** Packs the index names but the store does not have; nobody needs them. */
  readonly missingPacks: readonly Id[]
}

/** Fewer small packs than this are left alone, or each prune would repack the last pack of the one before. */
const SMALL_PACKS_MIN = 10
const SMALLEST_PACK_SIZE_BYTES = 4 * 1024 * 1024

/**
 * Plans a prune (format spec §17.2).
 * @throws RepositoryDamagedError where a needed pack is missing or not as long as the index says; InvalidInputError
 */
export function planPrune(input: PrunePlanInput): PrunePlan {
  const { maxUnused = DEFAULT_MAX_UNUSED, repackUncompressed = false } = input.options ?? {}
  validateMaxUnused(maxUnused)
  if (input.version < 2 && repackUncompressed) {
    throw new InvalidInputError('compression requires at least repository format version 2')
  }
  return new Planner(input, maxUnused).plan()
}

class Planner {
  readonly #input: PrunePlanInput
  readonly #options: PrunePlanOptions
  readonly #maxUnused: MaxUnused
  readonly #usage: PackUsage
  readonly #stats: PruneStats
  readonly #smallPackBytes: number
  readonly #unreferenced: Id[] = []
  readonly #remove = new Set<number>()
  readonly #repack = new Set<number>()
  readonly #missing = new Set<number>()
  readonly #candidates: number[] = []
  readonly #smallCandidates: number[] = []

  constructor(input: PrunePlanInput, maxUnused: MaxUnused) {
    this.#input = input
    this.#options = input.options ?? {}
    this.#maxUnused = maxUnused
    this.#usage = new PackUsage(input.index, input.used)
    this.#smallPackBytes = this.#options.repackSmallerThanBytes ?? this.#usualSmallPackBytes()
    this.#stats = {
      blobs: { ...this.#usage.blobs, remove: 0, repack: 0, repackRemove: 0 },
      bytes: {
        ...this.#usage.bytes,
        remove: 0,
        repack: 0,
        repackRemove: 0,
        unreferenced: 0,
        uncompressed: 0,
      },
      packs: { used: 0, unused: 0, partlyUsed: 0, unreferenced: 0, keep: 0, repack: 0, remove: 0 },
    }
  }

  plan(): PrunePlan {
    const listed = this.#sortListedPacks()
    this.#sortMissingPacks(listed)
    this.#chooseCandidates()
    const { index, version } = this.#input
    const { packs, bytes } = this.#stats
    packs.unreferenced = this.#unreferenced.length
    packs.repack = this.#repack.size
    packs.remove = this.#remove.size
    if (version < 2) bytes.uncompressed = 0
    return {
      stats: this.#stats,
      unreferencedPacks: this.#unreferenced,
      repackPacks: this.#allNumbers(this.#repack),
      blobsToCopy: this.#blobsToCopy(),
      removePacks: [...this.#remove].map((pack) => index.packIdAt(pack)),
      missingPacks: [...this.#missing].map((pack) => index.packIdAt(pack)),
    }
  }

  /** 80 % of what all but 3 % of the packs reach, so that only few packs ever count as small. */
  #usualSmallPackBytes(): number {
    const sizes: number[] = []
    this.#forEachPack((pack) => sizes.push(this.#usage.sizeOf(pack)))
    if (sizes.length === 0) return 0
    const percentile = Float64Array.from(sizes).toSorted()[Math.floor((sizes.length * 3) / 100)] ?? 0
    return Math.floor((Math.max(SMALLEST_PACK_SIZE_BYTES, percentile) * 4) / 5)
  }

  /** Visits each pack of the index once, however often it is listed. */
  #forEachPack(visit: (pack: number) => void): void {
    for (let pack = 0; pack < this.#input.index.packCount; pack++) {
      if (this.#usage.canonical(pack) === pack) visit(pack)
    }
  }

  #sortListedPacks(): Bitmap {
    const { index, storedPacks } = this.#input
    const listed = new Bitmap(index.packCount)
    for (const { id, size } of storedPacks) {
      const pack = index.packNumber(id)
      if (pack < 0) {
        this.#unreferenced.push(id)
        this.#stats.bytes.unreferenced += size
      } else if (listed.add(pack)) {
        this.#sortListedPack(pack, id, size)
      }
    }
    return listed
  }

  #sortListedPack(pack: number, id: Id, size: number): void {
    const usage = this.#usage
    const { packs, bytes } = this.#stats
    const used = usage.usedBlobs[pack] ?? 0
    const unused = usage.unusedBlobs[pack] ?? 0
    const kind = usage.kindOf(pack)
    // A pack without used blobs is removed, whatever its size.
    if (usage.sizeOf(pack) !== size && used > 0) throw wrongSize(id, usage.sizeOf(pack), size)
    if (used === 0) packs.unused++
    else if (unused === 0) packs.used++
    else packs.partlyUsed++
    if (usage.hasUncompressed(pack)) bytes.uncompressed += usage.sizeOf(pack)

    if (used === 0) {
      this.#remove.add(pack)
      this.#countRemoved(pack)
    } else if (this.#options.repackCacheableOnly === true && kind === 'data') packs.keep++
    else if (unused > 0 || kind === 'mixed' || this.#mustCompress(pack)) this.#candidates.push(pack)
    else if (size < this.#smallPackBytes) this.#smallCandidates.push(pack)
    else packs.keep++
  }

  #countRemoved(pack: number): void {
    this.#stats.blobs.remove += this.#usage.unusedBlobs[pack] ?? 0
    this.#stats.bytes.remove += this.#usage.unusedBytes[pack] ?? 0
  }

  #mustCompress(pack: number): boolean {
    if (this.#input.version < 2 || !this.#usage.hasUncompressed(pack)) return false
    return this.#usage.kindOf(pack) === 'tree' || this.#options.repackUncompressed === true
  }

  #sortMissingPacks(listed: Bitmap): void {
    const needed: Id[] = []
    this.#forEachPack((pack) => {
      if (listed.has(pack)) return
      if ((this.#usage.usedBlobs[pack] ?? 0) > 0) {
        needed.push(this.#input.index.packIdAt(pack))
        return
      }
      this.#missing.add(pack)
      this.#countRemoved(pack)
    })
    if (needed.length === 0) return
    throw new RepositoryDamagedError(
      `packs from index missing in repo: ${needed.length} needed pack files: ${needed.slice(0, 20).join(', ')}`,
      { hint: 'nothing was changed; run `repair index`, then `repair snapshots`' },
    )
  }

  #chooseCandidates(): void {
    if (this.#smallCandidates.length < SMALL_PACKS_MIN) this.#stats.packs.keep += this.#smallCandidates.length
    else for (const pack of this.#smallCandidates) this.#candidates.push(pack)
    this.#candidates.sort((a, b) => this.#compareCandidates(a, b))

    const { bytes, packs } = this.#stats
    const maxUnused = maxUnusedBytes(this.#maxUnused, bytes.used)
    const maxRepack = this.#options.maxRepackSizeBytes ?? Number.POSITIVE_INFINITY
    for (const pack of this.#candidates) {
      const size = this.#usage.sizeOf(pack)
      const unusedLeft = bytes.duplicate + bytes.unused - bytes.remove - bytes.repackRemove
      const isOptional = this.#usage.kindOf(pack) === 'data' && !this.#mustCompress(pack)
      const isGoodEnough = unusedLeft < maxUnused && size >= this.#smallPackBytes
      if (bytes.repack + size >= maxRepack || (isOptional && isGoodEnough)) packs.keep++
      else this.#repackPack(pack, size)
    }
  }

  /** Trees first, then small packs, then those with the largest share of unused bytes. */
  #compareCandidates(a: number, b: number): number {
    const usage = this.#usage
    const rank = (pack: number): number =>
      (usage.kindOf(pack) === 'data' ? 2 : 0) + (usage.sizeOf(pack) < this.#smallPackBytes ? 0 : 1)
    const shareOfA = (usage.unusedBytes[a] ?? 0) * (usage.usedBytes[b] ?? 0)
    const shareOfB = (usage.unusedBytes[b] ?? 0) * (usage.usedBytes[a] ?? 0)
    return rank(a) - rank(b) || shareOfB - shareOfA || a - b
  }

  #repackPack(pack: number, size: number): void {
    const { blobs, bytes } = this.#stats
    const unused = this.#usage.unusedBlobs[pack] ?? 0
    this.#repack.add(pack)
    blobs.repack += unused + (this.#usage.usedBlobs[pack] ?? 0)
    bytes.repack += size
    blobs.repackRemove += unused
    bytes.repackRemove += this.#usage.unusedBytes[pack] ?? 0
    if (this.#usage.hasUncompressed(pack)) bytes.uncompressed -= size
  }

  /**
   * The used blobs that only packs about to go hold. A pack that is missing keeps nothing, even though no one asks for
   * it: a blob it has a copy of must be copied from where it is.
   */
  #blobsToCopy(): Bitmap {
    const { index, used } = this.#input
    const copy = new Bitmap(index.blobCount)
    if (this.#repack.size === 0) return copy
    for (const pack of this.#allNumbers(this.#repack)) {
      const { start, end } = index.rowsOfPack(pack)
      for (let row = start; row < end; row++) {
        const first = index.firstCopyOf(row)
        if (used.has(first)) copy.add(first)
      }
    }
    for (let pack = 0; pack < index.packCount; pack++) {
      const counted = this.#usage.canonical(pack)
      if (this.#repack.has(counted) || this.#remove.has(counted) || this.#missing.has(counted)) continue
      const { start, end } = index.rowsOfPack(pack)
      for (let row = start; row < end; row++) copy.delete(index.firstCopyOf(row))
    }
    return copy
  }

  /** The packs with all the numbers they are listed under. */
  #allNumbers(packs: ReadonlySet<number>): number[] {
    const numbers: number[] = []
    if (packs.size === 0) return numbers
    for (let pack = 0; pack < this.#input.index.packCount; pack++) {
      if (packs.has(this.#usage.canonical(pack))) numbers.push(pack)
    }
    return numbers
  }
}

function wrongSize(id: Id, expected: number, found: number): RepositoryDamagedError {
  return new RepositoryDamagedError(
    `pack size does not match calculated size from index: pack ${id}: calculated size ${expected} does not match real size ${found}`,
    { hint: 'nothing was changed; run `repair index`' },
  )
}
