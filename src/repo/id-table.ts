/**
 * Rows keyed by 32-byte IDs, many millions of them: the IDs lie in segments of a typed array in the order they were
 * added, and an open-addressing hash table of row numbers points at them. No object per row.
 * Rows are hashed when something is looked up, so that the table gets its size once where many are added before that.
 * Other threads can read along: rows added after `share` are none of theirs.
 * Budget: 32 bytes for the ID and 4 / load bytes for the slot (load between 0.53 and 0.8), so 37 to 40 bytes a row.
 */
import { allocateShared } from './shared-memory.ts'

export const ID_BYTES = 32
const SEGMENT_SHIFT = 15
const SEGMENT_ROWS = 1 << SEGMENT_SHIFT
const SEGMENT_MASK = SEGMENT_ROWS - 1
const MAX_LOAD = 0.8
/** Of a table made for rows that are there: some may be added before it has to grow. */
const FIRST_LOAD = 0.7
const GROWTH = 1.5
const MIN_CAPACITY = 1024
/** Rows that are put in order together: 12 bytes of memory each, for a moment. */
const BATCH_ROWS_MIN = 1 << 16
const BATCH_ROWS_MAX = 1 << 19
/** How finely they are ordered: a table has 65,536 regions. */
const REGION_BITS = 16

/** A table's rows so far, for other threads. */
export interface SharedIdTable {
  readonly segments: readonly Uint8Array[]
  readonly slots: Uint32Array
  readonly size: number
}

/** A table whose rows may share an ID: `find` gives the first, `findNext` the ones after it. */
export class IdTable {
  readonly #segments: Uint8Array[]
  #slots: Uint32Array
  #size: number
  /** Rows that slots point at: the first so many. */
  #hashed: number

  /** @param shared what another thread's `share` gave: to be read only */
  constructor(shared: SharedIdTable = { segments: [], slots: allocateSlots(MIN_CAPACITY), size: 0 }) {
    this.#segments = [...shared.segments]
    this.#slots = shared.slots
    this.#size = shared.size
    this.#hashed = shared.size
  }

  share(): SharedIdTable {
    this.#hashRows()
    return { segments: this.#segments, slots: this.#slots, size: this.#size }
  }

  /** Rows added so far; rows are numbered from 0. */
  get size(): number {
    return this.#size
  }

  /** Appends a row for the ID at `bytes[offset …]` and returns its number. Equal IDs get rows of their own. */
  add(bytes: Uint8Array, offset = 0): number {
    const row = this.#size
    const segment = this.#segmentForNext()
    const target = (row & SEGMENT_MASK) * ID_BYTES
    for (let i = 0; i < ID_BYTES; i++) segment[target + i] = bytes[offset + i] ?? 0
    this.#size = row + 1
    return row
  }

  /** As `add`, for IDs that lie one after another, 32 bytes each. */
  addAll(ids: Uint8Array): void {
    for (let at = 0; at < ids.length;) {
      const segment = this.#segmentForNext()
      const target = (this.#size & SEGMENT_MASK) * ID_BYTES
      const part = ids.subarray(at, at + segment.length - target)
      segment.set(part, target)
      this.#size += part.length / ID_BYTES
      at += part.length
    }
  }

  /** The first row with the ID at `bytes[offset …]`, or -1. */
  find(bytes: Uint8Array, offset = 0): number {
    return this.#probe(bytes, offset, -1)
  }

  /** The row with the same ID that follows `row`, or -1. */
  findNext(bytes: Uint8Array, row: number, offset = 0): number {
    return this.#probe(bytes, offset, row)
  }

  /** Copies the ID of `row` to `target[offset …]`. */
  copyId(row: number, target: Uint8Array, offset = 0): void {
    const segment = this.#segment(row)
    const start = (row & SEGMENT_MASK) * ID_BYTES
    for (let i = 0; i < ID_BYTES; i++) target[offset + i] = segment[start + i] ?? 0
  }

  /** The ID of `row`, a view that must not be changed or kept. */
  idAt(row: number): Uint8Array {
    const start = (row & SEGMENT_MASK) * ID_BYTES
    return this.#segment(row).subarray(start, start + ID_BYTES)
  }

  /** Whether the ID of `row` is the one at `bytes[offset …]`. */
  isAt(row: number, bytes: Uint8Array, offset = 0): boolean {
    const segment = this.#segment(row)
    const start = (row & SEGMENT_MASK) * ID_BYTES
    for (let i = 0; i < ID_BYTES; i++) if (segment[start + i] !== bytes[offset + i]) return false
    return true
  }

  #segmentForNext(): Uint8Array {
    let segment = this.#segments[this.#size >>> SEGMENT_SHIFT]
    if (segment === undefined) {
      segment = new Uint8Array(allocateShared(SEGMENT_ROWS * ID_BYTES))
      this.#segments.push(segment)
    }
    return segment
  }

  #segment(row: number): Uint8Array {
    const segment = this.#segments[row >>> SEGMENT_SHIFT]
    if (segment === undefined) throw new RangeError(`no row ${row}`)
    return segment
  }

  #probe(bytes: Uint8Array, offset: number, after: number): number {
    if (this.#hashed < this.#size) this.#hashRows()
    const slots = this.#slots
    let passed = after < 0
    for (let slot = slotOf(bytes, offset, slots.length); ; slot++) {
      if (slot === slots.length) slot = 0
      const row = (slots[slot] ?? 0) - 1
      if (row < 0) return -1
      // Added by the owner since this thread got its share.
      if (row >= this.#size) continue
      if (!passed) passed = row === after
      else if (this.isAt(row, bytes, offset)) return row
    }
  }

  #hashRows(): void {
    if (this.#size > this.#slots.length * MAX_LOAD) {
      const capacity = Math.ceil(Math.max(this.#size / FIRST_LOAD, this.#slots.length * GROWTH))
      this.#slots = allocateSlots(capacity)
      this.#hashed = 0
    }
    while (this.#size - this.#hashed >= BATCH_ROWS_MIN) this.#hashBatch()
    for (let row = this.#hashed; row < this.#size; row++) this.#insert(row, this.#slotFor(row))
    this.#hashed = this.#size
  }

  /**
   * Hashes many rows in about the order of their slots: in the order they came, every single one would wait for memory
   * that is not in the processor's cache. Rows with the same ID stay in order.
   */
  #hashBatch(): void {
    const first = this.#hashed
    const count = Math.min(BATCH_ROWS_MAX, this.#size - first)
    const shift = Math.max(0, 32 - Math.clz32(this.#slots.length - 1) - REGION_BITS)
    const slots = new Uint32Array(count)
    /** Where in the order the next row of each region comes. */
    const places = new Uint32Array((1 << REGION_BITS) + 1)
    for (let i = 0; i < count; i++) {
      const slot = this.#slotFor(first + i)
      slots[i] = slot
      const region = (slot >>> shift) + 1
      places[region] = (places[region] ?? 0) + 1
    }
    for (let region = 1; region < places.length; region++)
      places[region] = (places[region] ?? 0) + (places[region - 1] ?? 0)
    const orderedRows = new Uint32Array(count)
    const orderedSlots = new Uint32Array(count)
    for (let i = 0; i < count; i++) {
      const slot = slots[i] ?? 0
      const place = places[slot >>> shift] ?? 0
      places[slot >>> shift] = place + 1
      orderedRows[place] = first + i
      orderedSlots[place] = slot
    }
    for (let i = 0; i < count; i++) this.#insert(orderedRows[i] ?? 0, orderedSlots[i] ?? 0)
    this.#hashed = first + count
  }

  #slotFor(row: number): number {
    return slotOf(this.#segment(row), (row & SEGMENT_MASK) * ID_BYTES, this.#slots.length)
  }

  /** @param slot where to look for a free one first */
  #insert(row: number, slot: number): void {
    const slots = this.#slots
    let free = slot
    while (slots[free] !== 0) free = free + 1 === slots.length ? 0 : free + 1
    slots[free] = row + 1
  }
}

function allocateSlots(capacity: number): Uint32Array {
  return new Uint32Array(allocateShared(capacity * 4))
}

/** Where to look first. IDs are SHA-256 sums, so four of their bytes say where among all IDs one stands. */
function slotOf(bytes: Uint8Array, offset: number, capacity: number): number {
  const first =
    (((bytes[offset] ?? 0) << 24) |
      ((bytes[offset + 1] ?? 0) << 16) |
      ((bytes[offset + 2] ?? 0) << 8) |
      (bytes[offset + 3] ?? 0)) >>>
    0
  return Math.floor(first * (capacity / 2 ** 32))
}
