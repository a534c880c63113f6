/**
 * Rows keyed by 32-byte IDs, many millions of them: the IDs lie in segments of a typed array in the order they were
 * added, and an open-addressing hash table of row numbers points at them. No object per row.
 * Other threads can read along: rows added after `share` are none of theirs.
 * Budget: 32 bytes for the ID and 4 / load bytes for the slot (load between 0.4 and 0.8), so 37 to 42 bytes a row.
 */
import { allocateShared } from './shared-memory.ts'

export const ID_BYTES = 32
const SEGMENT_SHIFT = 15
const SEGMENT_ROWS = 1 << SEGMENT_SHIFT
const SEGMENT_MASK = SEGMENT_ROWS - 1
const MAX_LOAD = 0.8
const MIN_CAPACITY = 1024

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
  #mask: number
  #size: number

  /** @param shared what another thread's `share` gave: to be read only */
  constructor(shared: SharedIdTable = { segments: [], slots: allocateSlots(MIN_CAPACITY), size: 0 }) {
    this.#segments = [...shared.segments]
    this.#slots = shared.slots
    this.#mask = shared.slots.length - 1
    this.#size = shared.size
  }

  share(): SharedIdTable {
    return { segments: this.#segments, slots: this.#slots, size: this.#size }
  }

  /** Rows added so far; rows are numbered from 0. */
  get size(): number {
    return this.#size
  }

  /** Appends a row for the ID at `bytes[offset …]` and returns its number. Equal IDs get rows of their own. */
  add(bytes: Uint8Array, offset = 0): number {
    const row = this.#size
    if ((row + 1) / this.#slots.length > MAX_LOAD) this.#grow()
    let segment = this.#segments[row >>> SEGMENT_SHIFT]
    if (segment === undefined) {
      segment = new Uint8Array(allocateShared(SEGMENT_ROWS * ID_BYTES))
      this.#segments.push(segment)
    }
    const target = (row & SEGMENT_MASK) * ID_BYTES
    for (let i = 0; i < ID_BYTES; i++) segment[target + i] = bytes[offset + i] ?? 0
    this.#size = row + 1
    this.#insert(row, hashOf(bytes, offset))
    return row
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

  #segment(row: number): Uint8Array {
    const segment = this.#segments[row >>> SEGMENT_SHIFT]
    if (segment === undefined) throw new RangeError(`no row ${row}`)
    return segment
  }

  #probe(bytes: Uint8Array, offset: number, after: number): number {
    const slots = this.#slots
    const mask = this.#mask
    let passed = after < 0
    for (let slot = hashOf(bytes, offset) & mask; ; slot = (slot + 1) & mask) {
      const row = (slots[slot] ?? 0) - 1
      if (row < 0) return -1
      // Added by the owner since this thread got its share.
      if (row >= this.#size) continue
      if (!passed) passed = row === after
      else if (this.#equals(row, bytes, offset)) return row
    }
  }

  #equals(row: number, bytes: Uint8Array, offset: number): boolean {
    const segment = this.#segment(row)
    const start = (row & SEGMENT_MASK) * ID_BYTES
    for (let i = 0; i < ID_BYTES; i++) if (segment[start + i] !== bytes[offset + i]) return false
    return true
  }

  #insert(row: number, hash: number): void {
    const slots = this.#slots
    let slot = hash & this.#mask
    while (slots[slot] !== 0) slot = (slot + 1) & this.#mask
    slots[slot] = row + 1
  }

  #grow(): void {
    this.#slots = allocateSlots(this.#slots.length * 2)
    this.#mask = this.#slots.length - 1
    for (let row = 0; row < this.#size; row++) {
      this.#insert(row, hashOf(this.#segment(row), (row & SEGMENT_MASK) * ID_BYTES))
    }
  }
}

function allocateSlots(capacity: number): Uint32Array {
  return new Uint32Array(allocateShared(capacity * 4))
}

/** IDs are SHA-256 sums, so any four of their bytes are as good a hash as any. */
function hashOf(bytes: Uint8Array, offset: number): number {
  return (
    ((bytes[offset] ?? 0) |
      ((bytes[offset + 1] ?? 0) << 8) |
      ((bytes[offset + 2] ?? 0) << 16) |
      ((bytes[offset + 3] ?? 0) << 24)) >>>
    0
  )
}
