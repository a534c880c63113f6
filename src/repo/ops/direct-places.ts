/**
 * Writes blobs of large files past the page cache (O_DIRECT), but for the ends of each that share a page with its
 * neighbours. The cache would take a copy of all that is restored and the place of what others read; and two threads that
 * write to one file wait for each other longer than the disk takes.
 */
import { constants, openSync, writeSync } from 'node:fs'
import { isRefusal, O_DIRECT, PAGE_BYTES } from '../../direct-io.ts'
import { writeFully } from './restore-target.ts'

/** Files from this size on are worth a second descriptor. */
export const DIRECT_FILE_BYTES_MIN: number = 8 << 20
const DIRECT_BYTES_MIN = 64 << 10
/** A thread that gets less through is better served by the cache, which takes what a slow disk will write later. */
const WORTHWHILE_BYTES_PER_MS = 150_000
const TRIAL_BYTES = 32 << 20

/** Opens a file once more for direct writes; undefined where the system cannot. Other writes go on as before. */
export function openDirectly(fd: number): number | undefined {
  if (O_DIRECT === undefined) return undefined
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | O_DIRECT)
  } catch {
    return undefined
  }
}

/** How far into a page the memory must begin that is to be written to `offset`. */
export function leadOf(offset: number): number {
  return offset % PAGE_BYTES
}

/** One thread's direct writes, until they turn out to be no use. */
export class DirectPlaces {
  readonly #worthwhileBytesPerMs: number
  #isUseless = false
  #bytes = 0
  #milliseconds = 0

  constructor(worthwhileBytesPerMs: number = WORTHWHILE_BYTES_PER_MS) {
    this.#worthwhileBytesPerMs = worthwhileBytesPerMs
  }

  /** Whether there are no more direct writes. */
  get isUseless(): boolean {
    return this.#isUseless
  }

  /**
   * Writes all of `data` at `offset`, in part through `directFd`, the same file.
   * @param data in memory from `allocatePages`, `leadOf(offset)` bytes into a page; otherwise nothing is written directly
   * @throws what the system says
   */
  // oxlint-disable-next-line max-params -- called for every place: an object each would be garbage
  write(fd: number, directFd: number, data: Uint8Array, offset: number): void {
    const head = (PAGE_BYTES - leadOf(offset)) % PAGE_BYTES
    const body = data.length - head - ((data.length - head) % PAGE_BYTES)
    const isAligned = (data.byteOffset + head) % PAGE_BYTES === 0
    let end = head
    if (!this.#isUseless && isAligned && body >= DIRECT_BYTES_MIN)
      end += this.#writeDirectly(directFd, data.subarray(head, head + body), offset + head)
    if (end === head) {
      writeFully(fd, data, offset)
      return
    }
    writeFully(fd, data.subarray(0, head), offset)
    writeFully(fd, data.subarray(end), offset + end)
  }

  /** How much was written, if not all. */
  #writeDirectly(fd: number, pages: Uint8Array, offset: number): number {
    const started = performance.now()
    try {
      const written = writeSync(fd, pages, 0, pages.length, offset)
      this.#bytes += written
      return written
    } catch (error) {
      if (!isRefusal(error)) throw error
      this.#isUseless = true
      return 0
    } finally {
      this.#milliseconds += performance.now() - started
      if (this.#bytes >= TRIAL_BYTES) this.#judge()
    }
  }

  #judge(): void {
    if (this.#bytes < this.#milliseconds * this.#worthwhileBytesPerMs) this.#isUseless = true
    this.#bytes = 0
    this.#milliseconds = 0
  }
}
