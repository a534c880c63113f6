/** A growing column of 32-bit numbers in segments: growing copies nothing, so memory never doubles for a moment. */

const SEGMENT_SHIFT = 15
const SEGMENT_MASK = (1 << SEGMENT_SHIFT) - 1

export class Uint32Column {
  readonly #segments: Uint32Array[] = []
  #length = 0

  get length(): number {
    return this.#length
  }

  push(value: number): void {
    const row = this.#length
    let segment = this.#segments[row >>> SEGMENT_SHIFT]
    if (segment === undefined) {
      segment = new Uint32Array(1 << SEGMENT_SHIFT)
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
