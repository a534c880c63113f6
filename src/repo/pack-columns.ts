/**
 * Packs on their way into the blob index, as columns of numbers: no object per blob, and cheap to send to another
 * thread.
 */
import { CorruptDataError } from '../errors.ts'
import { ID_BYTES, idFromBytes } from './format/id.ts'
import type { IndexVisitor } from './format/index-file.ts'
import type { BlobRun } from './format/index-kernel.ts'
import { SEAL_OVERHEAD_BYTES } from './format/pack-header.ts'

/** The types share the length column: the top bit says tree. Blobs are far below 2 GiB. */
export const TREE_BIT = 0x8000_0000
export const LENGTH_MASK = 0x7fff_ffff

/** Packs one after another, the blobs of each by offset. */
export interface Columns {
  /** 32 bytes a pack. */
  readonly packIds: Uint8Array
  /** Which row is the first of each pack. */
  readonly firstRows: Uint32Array
  /** 32 bytes a blob. */
  readonly ids: Uint8Array
  /** Stored length, with `TREE_BIT` for trees. */
  readonly lengths: Uint32Array
  /** 0 where a blob is stored plain. */
  readonly uncompressedLengths: Uint32Array
  /** Offsets of packs, by number, whose blobs do not lie end to end from 0. */
  readonly irregularOffsets: ReadonlyMap<number, Uint32Array>
}

/** Takes packs in with their blobs in any order. Its memory is used again and again. */
export class PackColumns implements IndexVisitor {
  #packIds = new Uint8Array(ID_BYTES)
  #firstRows = new Uint32Array(1)
  #packCount = 0
  #ids = new Uint8Array(ID_BYTES)
  #offsets = new Uint32Array(1)
  #lengths = new Uint32Array(1)
  #uncompressedLengths = new Uint32Array(1)
  #rowCount = 0

  clear(): void {
    this.#packCount = 0
    this.#rowCount = 0
  }

  pack(id: Uint8Array): void {
    this.#reservePacks(1)
    this.#packIds.set(id, this.#packCount * ID_BYTES)
    this.#firstRows[this.#packCount++] = this.#rowCount
  }

  /** @throws CorruptDataError for a length no blob can have */
  // oxlint-disable-next-line max-params -- called for every blob: an object each would be garbage
  blob(id: Uint8Array, type: 0 | 1, offset: number, length: number, uncompressedLength: number): void {
    if (length < SEAL_OVERHEAD_BYTES || length > LENGTH_MASK) {
      throw new CorruptDataError(
        'index',
        `blob ${idFromBytes(id)} has an impossible length of ${length} bytes`,
      )
    }
    this.#reserveRows(1)
    const row = this.#rowCount++
    this.#ids.set(id, row * ID_BYTES)
    this.#offsets[row] = offset
    this.#lengths[row] = type === 1 ? length + TREE_BIT : length
    this.#uncompressedLengths[row] = uncompressedLength
  }

  run(run: BlobRun): void {
    const { blobCount, packCount } = run
    this.#reservePacks(packCount)
    this.#packIds.set(run.packIds.subarray(0, packCount * ID_BYTES), this.#packCount * ID_BYTES)
    for (let i = 0; i < packCount; i++)
      this.#firstRows[this.#packCount++] = this.#rowCount + (run.firstBlobs[i] ?? 0)
    this.#reserveRows(blobCount)
    this.#ids.set(run.ids.subarray(0, blobCount * ID_BYTES), this.#rowCount * ID_BYTES)
    this.#offsets.set(run.offsets.subarray(0, blobCount), this.#rowCount)
    this.#lengths.set(run.lengths.subarray(0, blobCount), this.#rowCount)
    this.#uncompressedLengths.set(run.uncompressedLengths.subarray(0, blobCount), this.#rowCount)
    this.#rowCount += blobCount
  }

  /** What was taken in, in views that are good until more is. */
  finish(): Columns {
    const irregularOffsets = new Map<number, Uint32Array>()
    for (let pack = 0; pack < this.#packCount; pack++) {
      const start = this.#firstRows[pack] ?? 0
      const end = pack + 1 < this.#packCount ? (this.#firstRows[pack + 1] ?? 0) : this.#rowCount
      if (!this.#isOrdered(start, end)) this.#sort(start, end)
      if (!this.#isContiguous(start, end)) irregularOffsets.set(pack, this.#offsets.slice(start, end))
    }
    return {
      packIds: this.#packIds.subarray(0, this.#packCount * ID_BYTES),
      firstRows: this.#firstRows.subarray(0, this.#packCount),
      ids: this.#ids.subarray(0, this.#rowCount * ID_BYTES),
      lengths: this.#lengths.subarray(0, this.#rowCount),
      uncompressedLengths: this.#uncompressedLengths.subarray(0, this.#rowCount),
      irregularOffsets,
    }
  }

  #isOrdered(start: number, end: number): boolean {
    const offsets = this.#offsets
    for (let row = start + 1; row < end; row++)
      if ((offsets[row] ?? 0) < (offsets[row - 1] ?? 0)) return false
    return true
  }

  #isContiguous(start: number, end: number): boolean {
    let offset = 0
    for (let row = start; row < end; row++) {
      if (this.#offsets[row] !== offset) return false
      offset += (this.#lengths[row] ?? 0) & LENGTH_MASK
    }
    return true
  }

  /** Blobs that claim the same offset stay in the order they came. */
  #sort(start: number, end: number): void {
    const offsets = this.#offsets
    const order = Array.from({ length: end - start }, (_, i) => start + i)
    order.sort((a, b) => (offsets[a] ?? 0) - (offsets[b] ?? 0))
    const ids = this.#ids.slice(start * ID_BYTES, end * ID_BYTES)
    for (const [i, row] of order.entries()) {
      const from = (row - start) * ID_BYTES
      this.#ids.set(ids.subarray(from, from + ID_BYTES), (start + i) * ID_BYTES)
    }
    for (const column of [this.#lengths, this.#uncompressedLengths, offsets])
      column.set(Uint32Array.from(order, (row) => column[row] ?? 0), start) // prettier-ignore
  }

  #reservePacks(more: number): void {
    const wanted = this.#packCount + more
    if (wanted <= this.#firstRows.length) return
    const capacity = Math.max(wanted, 2 * this.#firstRows.length)
    this.#packIds = grown(this.#packIds, new Uint8Array(capacity * ID_BYTES))
    this.#firstRows = grown(this.#firstRows, new Uint32Array(capacity))
  }

  #reserveRows(more: number): void {
    const wanted = this.#rowCount + more
    if (wanted <= this.#offsets.length) return
    const capacity = Math.max(wanted, 2 * this.#offsets.length)
    this.#ids = grown(this.#ids, new Uint8Array(capacity * ID_BYTES))
    this.#offsets = grown(this.#offsets, new Uint32Array(capacity))
    this.#lengths = grown(this.#lengths, new Uint32Array(capacity))
    this.#uncompressedLengths = grown(this.#uncompressedLengths, new Uint32Array(capacity))
  }
}

/** As the views given, but in one piece of memory of its own, which can be sent. */
export function copyColumns(columns: Columns): Columns {
  const { packIds, firstRows, ids, lengths, uncompressedLengths, irregularOffsets } = columns
  const parts = [ids, lengths, uncompressedLengths, packIds, firstRows] as const
  const buffer = new ArrayBuffer(parts.reduce((sum, { byteLength }) => sum + byteLength, 0))
  let end = 0
  const place = ({ byteLength }: ArrayBufferView): [ArrayBuffer, number] => [
    buffer,
    (end += byteLength) - byteLength,
  ]
  const copy = (part: Uint8Array): Uint8Array => {
    const own = new Uint8Array(...place(part), part.length)
    own.set(part)
    return own
  }
  const copyNumbers = (part: Uint32Array): Uint32Array => {
    const own = new Uint32Array(...place(part), part.length)
    own.set(part)
    return own
  }
  return {
    ids: copy(ids),
    lengths: copyNumbers(lengths),
    uncompressedLengths: copyNumbers(uncompressedLengths),
    packIds: copy(packIds),
    firstRows: copyNumbers(firstRows),
    irregularOffsets,
  }
}

function grown<T extends Uint8Array | Uint32Array>(old: T, larger: T): T {
  larger.set(old)
  return larger
}
