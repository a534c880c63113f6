/**
 * What of each pack is used, counted from the index alone (format spec §17.2, step 2). Of a blob that is stored more
 * than once one copy counts as used, the others as duplicates.
 * Budget: one byte and one bit per blob, 30 bytes per pack.
 */

import type { BlobIndex } from '../blob-index.ts'
import { Bitmap } from '../bitmap.ts'
import { COMPRESSED_ENTRY_BYTES, PACK_FIXED_BYTES, PLAIN_ENTRY_BYTES } from '../format/pack-header.ts'

/** Which blobs a pack holds. */
export type PackKind = 'empty' | 'data' | 'tree' | 'mixed'

/** Numbers of blobs and bytes of them, over all packs. */
export interface UsageTotals {
  readonly used: number
  readonly unused: number
  readonly duplicate: number
}

const KINDS: readonly PackKind[] = ['empty', 'data', 'tree', 'mixed']
const DATA_BIT = 1
const TREE_BIT = 2
const UNCOMPRESSED_BIT = 4

const COPIES_MAX = 255
/** Instead of a count of 1 once all copies but one have been given up: the one left must be kept. */
const LAST_COPY = 0

/**
 * Use of each pack by its number in the index. A pack that the index lists several times, with parts of its blobs
 * (restic before 0.10 wrote such) or different ones (damage), is counted whole under the first of its numbers.
 */
export class PackUsage {
  readonly usedBlobs: Uint32Array
  readonly unusedBlobs: Uint32Array
  /** Of the unused ones, those of which another copy is or may be used. */
  readonly duplicateBlobs: Uint32Array
  /** Stored bytes of used blobs, and of the header. */
  readonly usedBytes: Float64Array
  readonly unusedBytes: Float64Array
  readonly #kinds: Uint8Array
  readonly #index: BlobIndex
  readonly #used: Bitmap
  /** Rows that hold another copy of a blob in an earlier row. */
  readonly #copies: Bitmap
  readonly #blobs = { used: 0, unused: 0, duplicate: 0 }
  readonly #bytes = { used: 0, unused: 0, duplicate: 0 }

  /** @param used rows of the first copies of all blobs needed */
  constructor(index: BlobIndex, used: Bitmap) {
    const { packCount, blobCount } = index
    this.usedBlobs = new Uint32Array(packCount)
    this.unusedBlobs = new Uint32Array(packCount)
    this.duplicateBlobs = new Uint32Array(packCount)
    this.usedBytes = new Float64Array(packCount)
    this.unusedBytes = new Float64Array(packCount)
    this.#kinds = new Uint8Array(packCount)
    this.#index = index
    this.#used = used
    this.#copies = new Bitmap(blobCount)
    const counts = this.#countCopies()
    this.#classify(counts)
    if (this.#blobs.duplicate > 0) this.#chooseCopies(counts)
  }

  get blobs(): UsageTotals {
    return this.#blobs
  }

  get bytes(): UsageTotals {
    return this.#bytes
  }

  /** Size the pack file must have, as far as the index knows. */
  sizeOf(pack: number): number {
    return (this.usedBytes[pack] ?? 0) + (this.unusedBytes[pack] ?? 0)
  }

  kindOf(pack: number): PackKind {
    return KINDS[(this.#kinds[pack] ?? 0) & (DATA_BIT | TREE_BIT)] ?? 'empty'
  }

  /** Whether any blob of the pack is stored plain. */
  hasUncompressed(pack: number): boolean {
    return ((this.#kinds[pack] ?? 0) & UNCOMPRESSED_BIT) !== 0
  }

  /** The number under which a pack that is listed several times is counted. */
  canonical(pack: number): number {
    return this.#index.packNumber(this.#index.packIdAt(pack))
  }

  /** How often each used blob is stored, at the row of its first copy; 0 for unused blobs. */
  #countCopies(): Uint8Array {
    const counts = new Uint8Array(this.#index.blobCount)
    for (let row = 0; row < counts.length; row++) {
      const first = this.#index.firstCopyOf(row)
      if (first !== row) this.#copies.add(row)
      if (!this.#used.has(first)) continue
      counts[first] = Math.min((counts[first] ?? 0) + 1, COPIES_MAX)
    }
    return counts
  }

  #firstOf(row: number): number {
    return this.#copies.has(row) ? this.#index.firstCopyOf(row) : row
  }

  /** Visits all rows with the number their pack is counted under. */
  #forEachRow(visit: (row: number, pack: number) => void): void {
    for (let listed = 0; listed < this.#index.packCount; listed++) {
      const pack = this.canonical(listed)
      const { start, end } = this.#index.rowsOfPack(listed)
      for (let row = start; row < end; row++) visit(row, pack)
    }
  }

  #classify(counts: Uint8Array): void {
    this.usedBytes.fill(PACK_FIXED_BYTES)
    this.#forEachRow((row, pack) => {
      const isPlain = this.#index.uncompressedLengthAt(row) === 0
      const bytes = this.#index.lengthAt(row)
      this.#addTo(this.usedBytes, pack, isPlain ? PLAIN_ENTRY_BYTES : COMPRESSED_ENTRY_BYTES)
      const kind = this.#index.typeAt(row) === 'tree' ? TREE_BIT : DATA_BIT
      this.#kinds[pack] = (this.#kinds[pack] ?? 0) | kind | (isPlain ? UNCOMPRESSED_BIT : 0)
      const count = counts[this.#firstOf(row)] ?? 0
      if (count === 1) {
        this.#addTo(this.usedBlobs, pack, 1)
        this.#addTo(this.usedBytes, pack, bytes)
        this.#count('used', bytes)
        return
      }
      this.#addTo(this.unusedBlobs, pack, 1)
      this.#addTo(this.unusedBytes, pack, bytes)
      if (count > 1) this.#addTo(this.duplicateBlobs, pack, 1)
      this.#count(count > 1 ? 'duplicate' : 'unused', bytes)
    })
  }

  /**
   * Chooses the copy to keep of each blob stored more than once: one in a pack with other used blobs; or in a pack of
   * nothing but duplicates, which is what an interrupted prune has already repacked; or else the last one.
   */
  #chooseCopies(counts: Uint8Array): void {
    const chosen = new Bitmap(this.#index.blobCount)
    this.#forEachRow((row, pack) => {
      const first = this.#firstOf(row)
      const count = counts[first] ?? 0
      if (!this.#used.has(first) || count === 1 || chosen.has(first)) return
      const hasUsed = (this.usedBlobs[pack] ?? 0) > 0
      const isAllDuplicates = this.duplicateBlobs[pack] === this.unusedBlobs[pack]
      if (!hasUsed && !isAllDuplicates && count !== LAST_COPY) {
        counts[first] = count === 2 ? LAST_COPY : count - 1
        return
      }
      chosen.add(first)
      const bytes = this.#index.lengthAt(row)
      this.#addTo(this.usedBlobs, pack, 1)
      this.#addTo(this.usedBytes, pack, bytes)
      this.#addTo(this.unusedBlobs, pack, -1)
      this.#addTo(this.unusedBytes, pack, -bytes)
      this.#count('used', bytes)
      this.#count('duplicate', -bytes, -1)
    })
  }

  #addTo(column: Uint32Array | Float64Array, pack: number, amount: number): void {
    column[pack] = (column[pack] ?? 0) + amount
  }

  #count(what: keyof UsageTotals, bytes: number, blobs = 1): void {
    this.#blobs[what] += blobs
    this.#bytes[what] += bytes
  }
}
