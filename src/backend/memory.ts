/** A repository in memory: for tests, and for embedders that move the bytes themselves. */
import { BackendError, FileNotFoundError, throwIfAborted } from '../errors.ts'
import type { Backend, ByteRange, FileInfo, FileType, Handle } from './backend.ts'
import { folderOf, pathOf } from './layout.ts'

export class MemoryBackend implements Backend {
  readonly location: string = 'memory'
  readonly connections: number = 4
  readonly hasAtomicReplace: boolean = true
  readonly listsForFree: boolean = true
  readonly #files = new Map<string, Uint8Array>()

  async create(signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal)
  }

  async stat(handle: Handle, signal?: AbortSignal): Promise<FileInfo> {
    throwIfAborted(signal)
    return { name: handle.name, size: this.#file(handle).length }
  }

  async *list(type: Exclude<FileType, 'config'>, signal?: AbortSignal): AsyncGenerator<FileInfo> {
    throwIfAborted(signal)
    const folder = `${folderOf(type)}/`
    for (const [path, bytes] of Array.from(this.#files)) {
      throwIfAborted(signal)
      if (path.startsWith(folder)) yield { name: path.slice(path.lastIndexOf('/') + 1), size: bytes.length }
    }
  }

  async read(handle: Handle, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal)
    const bytes = this.#file(handle)
    if (range === undefined) return bytes.slice()
    if (range.offset + range.length > bytes.length) {
      throw new BackendError(
        `read ${pathOf(handle)}: the file is too short: no ${range.length} bytes at ${range.offset}`,
        { hint: 'run `check` to see what is affected' },
      )
    }
    return bytes.slice(range.offset, range.offset + range.length)
  }

  async write(handle: Handle, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal)
    this.#files.set(pathOf(handle), data.slice())
  }

  async remove(handle: Handle, signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal)
    this.#file(handle)
    this.#files.delete(pathOf(handle))
  }

  async close(): Promise<void> {
    // Nothing is held open.
  }

  #file(handle: Handle): Uint8Array {
    const path = pathOf(handle)
    const bytes = this.#files.get(path)
    if (bytes === undefined) throw new FileNotFoundError(path)
    return bytes
  }
}
