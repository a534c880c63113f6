/**
 * Content-defined chunking as restic does it (format spec §9): a chunk ends where the low 20 bits of a Rabin
 * fingerprint over the last 64 bytes are zero, not before 512 KiB and not after 8 MiB.
 */
import { rabinTables, WINDOW_SIZE, type RabinTables } from './rabin-tables.ts'

export const MIN_CHUNK_SIZE: number = 512 * 1024
export const MAX_CHUNK_SIZE: number = 8 * 1024 * 1024
/** A cut falls where these bits of the digest's low half are zero: every MiB on average past the minimum. */
const SPLIT_MASK = 0xfffff

export class Chunker {
  readonly #tables: RabinTables
  readonly #window = new Uint8Array(WINDOW_SIZE)
  #low = 0
  #high = 0
  #slot = 0
  /** Bytes of the current chunk seen so far. */
  #length = 0

  /** @throws RangeError where the polynomial is not of degree 53 */
  constructor(polynomial: bigint) {
    this.#tables = rabinTables(polynomial)
    this.reset()
  }

  /** Starts a new chunk, as at the start of a file. */
  reset(): void {
    this.#length = 0
    this.#low = 0
    this.#high = 0
    this.#slot = 0
    this.#window.fill(0)
    this.#push(1) // so that leading zero bytes do not leave the digest at zero
  }

  /**
   * Takes the next bytes of the stream, `data[start … end)`.
   * @returns the offset in `data` where the current chunk ends, its bytes being those before it (the rest is to be
   * given again), or −1 where all of `data` belongs to the current chunk and more may follow
   */
  next(data: Uint8Array, start: number, end: number): number {
    // The window decides, so what the first cut cannot depend on need not be looked at.
    const skipped = Math.min(end - start, Math.max(0, MIN_CHUNK_SIZE - WINDOW_SIZE - this.#length))
    this.#length += skipped
    const cut = this.#scan(data, start + skipped, end)
    if (cut >= 0) this.reset()
    return cut
  }

  #scan(data: Uint8Array, start: number, end: number): number {
    const { outLow, outHigh, modLow, modHigh } = this.#tables
    const window = this.#window
    let low = this.#low
    let high = this.#high
    let slot = this.#slot
    const first = start + MIN_CHUNK_SIZE - this.#length - 1
    const last = start + MAX_CHUNK_SIZE - this.#length - 1
    let i = start
    for (; i < end; i++) {
      const byte = data[i]!
      const leaving = window[slot]!
      window[slot] = byte
      slot = (slot + 1) & (WINDOW_SIZE - 1)
      low ^= outLow[leaving]!
      high ^= outHigh[leaving]!
      const top = (high >>> 13) & 0xff
      high = ((high << 8) | (low >>> 24)) ^ modHigh[top]!
      low = ((low << 8) | byte) ^ modLow[top]!
      if (((low & SPLIT_MASK) === 0 && i >= first) || i >= last) return i + 1
    }
    this.#low = low
    this.#high = high
    this.#slot = slot
    this.#length += end - start
    return -1
  }

  #push(byte: number): void {
    const { outLow, outHigh, modLow, modHigh } = this.#tables
    const leaving = this.#window[this.#slot]!
    this.#window[this.#slot] = byte
    this.#slot = (this.#slot + 1) & (WINDOW_SIZE - 1)
    const low = this.#low ^ outLow[leaving]!
    const high = this.#high ^ outHigh[leaving]!
    const top = (high >>> 13) & 0xff
    this.#high = ((high << 8) | (low >>> 24)) ^ modHigh[top]!
    this.#low = ((low << 8) | byte) ^ modLow[top]!
  }
}
