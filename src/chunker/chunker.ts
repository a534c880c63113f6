/**
 * Content-defined chunking as restic does it (format spec §9): a chunk ends where the low 20 bits of a Rabin
 * fingerprint over the last 64 bytes are zero, not before 512 KiB and not after 8 MiB.
 */
import { createScanner } from './rabin-kernel.ts'
import { SCAN_BYTES, type CutScanner, type ScannerFactory } from './rabin-scan.ts'
import { rabinTables, WINDOW_SIZE } from './rabin-tables.ts'

export const MIN_CHUNK_SIZE: number = 512 * 1024
export const MAX_CHUNK_SIZE: number = 8 * 1024 * 1024

/** Bytes at a chunk's start at which no window that may cut begins: they are not looked at. */
const SKIPPED = MIN_CHUNK_SIZE - WINDOW_SIZE
/**
 * Bytes of a chunk after which the scan starts. The first digest that may cut is the one at the minimum, so the window
 * before it holds the 63 bytes from `SKIPPED` on and, in front, one that has no part in it.
 */
const SCAN_START = MIN_CHUNK_SIZE - 1

/** Cuts one stream of bytes after another. */
export class Chunker {
  /**
   * A MiB of memory that `next` looks at without copying it. All chunkers of a thread share it: what is read into it has to
   * be given to one of them before anything else is done.
   */
  readonly room: Uint8Array
  readonly #scanner: CutScanner
  /** The last 64 bytes, once the chunk is near its minimum. */
  readonly #window = new Uint8Array(WINDOW_SIZE)
  /** Bytes of the current chunk seen so far. */
  #length = 0

  /** @throws RangeError where the polynomial is not of degree 53 */
  constructor(polynomial: bigint, scannerFactory: ScannerFactory = createScanner) {
    this.#scanner = scannerFactory(rabinTables(polynomial))
    this.room = this.#scanner.input.subarray(WINDOW_SIZE)
  }

  /** Starts a new chunk, as at the start of a file. */
  reset(): void {
    this.#length = 0
  }

  /**
   * Takes the next bytes of the stream, `data[start … end)`.
   * @returns the offset in `data` where the current chunk ends, its bytes being those before it (the rest is to be
   * given again), or −1 where all of `data` belongs to the current chunk and more may follow
   */
  next(data: Uint8Array, start: number, end: number): number {
    let position = start + Math.min(end - start, Math.max(0, SCAN_START - this.#length))
    this.#pass(data, start, position)
    const limit = Math.min(end, position + MAX_CHUNK_SIZE - this.#length)
    while (position < limit) {
      const length = Math.min(SCAN_BYTES, limit - position)
      const cut = this.#scan(data, position, length)
      if (cut >= 0) {
        this.#length = 0
        return position + cut
      }
      position += length
    }
    if (this.#length < MAX_CHUNK_SIZE) return -1
    this.#length = 0
    return position
  }

  /** Takes bytes at which no cut is possible. */
  #pass(data: Uint8Array, start: number, end: number): void {
    this.#length += end - start
    if (this.#length <= SKIPPED) return
    const kept = Math.min(WINDOW_SIZE, end - start)
    this.#window.copyWithin(0, kept)
    this.#window.set(data.subarray(end - kept, end), WINDOW_SIZE - kept)
  }

  #scan(data: Uint8Array, start: number, length: number): number {
    const { input } = this.#scanner
    const isInPlace = data === this.room
    // In place, the window comes over bytes that were taken before: its own, but at the room's beginning.
    const from = isInPlace ? start : 0
    input.set(this.#window, from)
    if (!isInPlace) input.set(data.subarray(start, start + length), WINDOW_SIZE)
    const cut = this.#scanner.scan(from, length)
    this.#window.set(input.subarray(from + length, from + length + WINDOW_SIZE))
    this.#length += length
    return cut
  }
}
