/**
 * Cuts a stream of bytes into chunks with one buffer for all files: bytes are read straight into it and chunks are
 * handed out as views of it.
 */
import { MAX_CHUNK_SIZE, MIN_CHUNK_SIZE, type Chunker } from '../../chunker/chunker.ts'

/** How much is read at a time while a chunk's end is being looked for. */
const READ_BYTES = 1 << 20

export class ChunkBuffer {
  readonly #chunker: Chunker
  /** Grows to its full size with the first file that needs it: most files are far smaller than a chunk. */
  #buffer = new Uint8Array(READ_BYTES)
  #start = 0
  #scanned = 0
  #end = 0

  constructor(chunker: Chunker) {
    this.#chunker = chunker
  }

  /** Forgets everything read so far, for the next file. */
  reset(): void {
    this.#chunker.reset()
    this.#start = 0
    this.#scanned = 0
    this.#end = 0
  }

  /** Room to read the next bytes into; tell how many with `filled`. Chunks handed out before become invalid. */
  room(): Uint8Array {
    if (this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end)
      this.#scanned -= this.#start
      this.#end -= this.#start
      this.#start = 0
    }
    if (this.#buffer.length - this.#end < READ_BYTES / 2) this.#grow()
    return this.#buffer.subarray(this.#end, Math.min(this.#buffer.length, this.#end + READ_BYTES))
  }

  filled(bytes: number): void {
    this.#end += bytes
  }

  /** The next whole chunk, or undefined until more bytes are there. Valid until the next `room` or `reset`. */
  next(): Uint8Array | undefined {
    const cut = this.#chunker.next(this.#buffer, this.#scanned, this.#end)
    if (cut < 0) {
      this.#scanned = this.#end
      return undefined
    }
    const chunk = this.#buffer.subarray(this.#start, cut)
    this.#start = cut
    this.#scanned = cut
    return chunk
  }

  /** What is left at the end of the file: its last chunk, or undefined. */
  rest(): Uint8Array | undefined {
    return this.#end > this.#start ? this.#buffer.subarray(this.#start, this.#end) : undefined
  }

  #grow(): void {
    // No chunk is larger than the maximum, so with one read more there is always room.
    const size = this.#buffer.length < MIN_CHUNK_SIZE * 4 ? MIN_CHUNK_SIZE * 4 : MAX_CHUNK_SIZE + READ_BYTES
    const grown = new Uint8Array(Math.max(size, this.#buffer.length))
    grown.set(this.#buffer.subarray(0, this.#end))
    this.#buffer = grown
  }
}
