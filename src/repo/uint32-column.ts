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
    const segment = this.#segmentForNext()
    segment[this.#length & SEGMENT_MASK] = value
    this.#length += 1
  }

  pushAll(values: Uint32Array): void {
    for (let at = 0; at < values.length;) {
      const segment = this.#segmentForNext()
      const target = this.#length & SEGMENT_MASK
      const part = values.subarray(at, at + segment.length - target)
      segment.set(part, target)
      this.#length += part.length
      at += part.length
    }
  }

  /** The value at `row`, or 0 past the end. */
  at(row: number): number {
    return this.#segments[row >>> SEGMENT_SHIFT]?.[row & SEGMENT_MASK] ?? 0
  }

  #segmentForNext(): Uint32Array {
    let segment = this.#segments[this.#length >>> SEGMENT_SHIFT]
    if (segment === undefined) {
      segment = new Uint32Array(allocateShared(4 << SEGMENT_SHIFT))
      this.#segments.push(segment)
    }
    return segment
  }
}
