/**
 * Memory that large reads fill again and again: fresh memory costs as much as the read itself, and what is thrown away
 * lies about until the garbage collector comes by.
 */

/** Less is not worth the trouble, and might hold a large piece for long. */
const PIECE_BYTES_MIN = 4 << 20
/** Packs differ in size: one should do for the next. What is not written to costs nothing. */
const ROUND_BYTES = 4 << 20
/** The largest are kept. */
const KEPT_PIECES = 3

export class ReadMemory {
  /** Smallest first. */
  readonly #kept: ArrayBuffer[] = []

  /** `length` bytes, whatever was in them before. */
  take(length: number): Uint8Array<ArrayBuffer> {
    if (length < PIECE_BYTES_MIN) return new Uint8Array(length)
    const i = this.#kept.findIndex(({ byteLength }) => byteLength >= length)
    const [kept] = i < 0 ? [] : this.#kept.splice(i, 1)
    return new Uint8Array(kept ?? new ArrayBuffer(Math.ceil(length / ROUND_BYTES) * ROUND_BYTES), 0, length)
  }

  /** Takes back what nobody looks at any more. */
  give({ buffer }: Uint8Array): void {
    if (!(buffer instanceof ArrayBuffer)) return
    if (buffer.byteLength < PIECE_BYTES_MIN) return
    this.#kept.push(buffer)
    this.#kept.sort((a, b) => a.byteLength - b.byteLength)
    if (this.#kept.length > KEPT_PIECES) this.#kept.shift()
  }
}
