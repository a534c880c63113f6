/**
 * A growing column of 32-bit numbers in segments: growing copies nothing, so memory never doubles for a moment. Other
 * threads can read along.
 */
import { allocateShared } from './shared-memory.ts'

const SEGMENT_SHIFT = 15
const SEGMENT_MASK = (1 << SEGMENT_SHIFT) - 1

/** A column's values so far, for other threads. */
export interface SharedColumn {
  readonly segments: readonly Uint32Array[]
  readonly length: number
}

export class Uint32Column {
  readonly #segments: Uint32Array[]
  #length: number

  /** @param shared what another thread's `share` gave: to be read only */
  constructor(shared: SharedColumn = { segments: [], length: 0 }) {
    this.#segments = [...shared.segments]
    this.#length = shared.length
  }

  share(): SharedColumn {
    return { segments: this.#segments, length: this.#length }
  }

  get length(): number {
    return this.#length
  }

  push(value: number): void {
    const row = this.#length
    let segment = this.#segments[row >>> SEGMENT_SHIFT]
    if (segment === undefined) {
      segment = new Uint32Array(allocateShared(4 << SEGMENT_SHIFT))
      this.#segments.push(segment)
    }
    segment[row & SEGMENT_MASK] = value
    this.#length = row + 1
  }

  /** The value at `row`, or 0 past the end. */
  at(row: number): number {
    return this.#segments[row >>> SEGMENT_SHIFT]?.[row & SEGMENT_MASK] ?? 0
  }
}
