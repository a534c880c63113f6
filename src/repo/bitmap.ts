/** A set of small numbers (rows of the blob index, packs) at one bit each. */
export class Bitmap {
  readonly #bits: Uint8Array
  #count = 0

  /** For members from 0 to `capacity` − 1. */
  constructor(capacity: number) {
    this.#bits = new Uint8Array((capacity + 7) >>> 3)
  }

  /** How many members the set has. */
  get count(): number {
    return this.#count
  }

  has(member: number): boolean {
    return ((this.#bits[member >>> 3] ?? 0) & (1 << (member & 7))) !== 0
  }

  /** Adds a member; whether it was not there before. */
  add(member: number): boolean {
    if (this.has(member)) return false
    this.#bits[member >>> 3] = (this.#bits[member >>> 3] ?? 0) | (1 << (member & 7))
    this.#count += 1
    return true
  }

  delete(member: number): boolean {
    if (!this.has(member)) return false
    this.#bits[member >>> 3] = (this.#bits[member >>> 3] ?? 0) & ~(1 << (member & 7))
    this.#count -= 1
    return true
  }
}
