/**
 * Writes large files past the page cache (O_DIRECT). What a repository stores is synced at once and not read again soon:
 * in the cache it would take a copy, fresh pages for it, and the place of what others will read.
 */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { allocatePages, isRefusal, O_DIRECT, PAGE_BYTES } from '../direct-io.ts'

/** Smaller files are not worth a second open. */
export const DIRECT_BYTES_MIN: number = 1 << 20
/** Copied to aligned memory and written at once. */
const PIECE_BYTES = 4 << 20

export class DirectWriter {
  /** Memory that no write is using. */
  readonly #free: Uint8Array[] = []
  readonly #allocate: (length: number) => Uint8Array
  #isRefused = O_DIRECT === undefined

  /** @param allocate memory of at least so many bytes, page by page */
  constructor(allocate: (length: number) => Uint8Array = allocatePages) {
    this.#allocate = allocate
  }

  /**
   * Writes the beginning of a file that is there and empty, as far as it can be done in whole pages.
   * @returns how many bytes were written: the rest, if not all, is to be written in the ordinary way
   * @throws what the system says, but for refusals
   */
  async write(path: string, data: Uint8Array): Promise<number> {
    if (this.#isRefused || data.length < DIRECT_BYTES_MIN) return 0
    const piece = this.#free.pop() ?? this.#allocate(PIECE_BYTES)
    try {
      return await writePages(path, data, piece)
    } catch (error) {
      if (!isRefusal(error)) throw error
      this.#isRefused = true
      return 0
    } finally {
      this.#free.push(piece)
    }
  }
}

async function writePages(path: string, data: Uint8Array, piece: Uint8Array): Promise<number> {
  const end = data.length - (data.length % PAGE_BYTES)
  const file = await open(path, constants.O_WRONLY | (O_DIRECT ?? 0))
  try {
    let position = 0
    while (position < end) {
      const length = Math.min(PIECE_BYTES, end - position)
      piece.set(data.subarray(position, position + length))
      const { bytesWritten } = await file.write(piece, 0, length, position)
      position += bytesWritten
      // A disk that is nearly full takes a part; what is said of the rest, an ordinary write will hear.
      if (bytesWritten < length) return position
    }
    return position
  } finally {
    await file.close()
  }
}
