/**
 * Reads tree blobs a window at a time: trees are small, lie together in their packs and are asked for one after
 * another, so that most of them come with the read of a neighbour. The last windows are kept, as they are stored.
 */
import type { Backend } from '../backend/backend.ts'
import { BackendError } from '../errors.ts'
import type { PackedBlob } from './format/pack-header.ts'
import type { Id } from './format/id.ts'

const WINDOW_BYTES = 1 << 20
const WINDOWS_KEPT = 24

interface Window {
  readonly start: number
  readonly bytes: Promise<Uint8Array>
}

export class TreeWindows {
  readonly #backend: Backend
  /** By pack and position; the one used last stands last. */
  readonly #windows = new Map<string, Window>()

  constructor(backend: Backend) {
    this.#backend = backend
  }

  /**
   * The stored bytes of a blob, a view that must not be changed.
   * @param packEnd where the blobs of its pack end
   */
  async read(packId: Id, blob: PackedBlob, packEnd: number, signal?: AbortSignal): Promise<Uint8Array> {
    const first = Math.floor(blob.offset / WINDOW_BYTES)
    const end = blob.offset + blob.length
    // One that lies across a border is read by itself: no window holds it.
    if (end <= (first + 1) * WINDOW_BYTES && end <= packEnd) {
      try {
        const { start, bytes } = this.#window(packId, first, packEnd, signal)
        const offset = blob.offset - start
        return (await bytes).subarray(offset, offset + blob.length)
      } catch (error) {
        // A pack that was cut off still has what lies before the cut.
        if (!(error instanceof BackendError)) throw error
      }
    }
    return this.#backend.read(
      { type: 'pack', name: packId, isMetadata: true },
      { offset: blob.offset, length: blob.length },
      signal,
    )
  }

  // oxlint-disable-next-line max-params -- which window of which pack, and how long it may take
  #window(packId: Id, number: number, packEnd: number, signal: AbortSignal | undefined): Window {
    const key = `${packId}${number}`
    let window = this.#windows.get(key)
    if (window === undefined) {
      const start = number * WINDOW_BYTES
      const range = { offset: start, length: Math.min(WINDOW_BYTES, packEnd - start) }
      const bytes = this.#backend.read({ type: 'pack', name: packId, isMetadata: true }, range, signal)
      window = { start, bytes }
      bytes.catch(() => this.#windows.delete(key))
      for (const oldest of this.#windows.keys()) {
        if (this.#windows.size < WINDOWS_KEPT) break
        this.#windows.delete(oldest)
      }
    } else {
      this.#windows.delete(key)
    }
    this.#windows.set(key, window)
    return window
  }
}
