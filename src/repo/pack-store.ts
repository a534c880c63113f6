/**
 * Stores finished packs and then the index files that name them (format spec §8, §12.5): a pack is indexed only when
 * the store has it, so that a kill at any point leaves nothing but unreferenced packs.
 */
import type { Backend } from '../backend/backend.ts'
import { throwIfAborted } from '../errors.ts'
import type { Id } from './format/id.ts'
import { encodeIndexFile, type HeadedPack } from './format/index-file.ts'
import type { FinishedPack } from './pack-builder.ts'

/** An index file is saved once it would name this many blobs … */
const INDEX_BLOBS_FULL = 50_000
/** … or once its oldest entry is this old, so that a long backup that breaks off is not lost. */
const INDEX_AGE_FULL_MS = 10 * 60_000

export interface PackStoreOptions {
  readonly backend: Backend
  readonly saveIndexFile: (json: Uint8Array) => Promise<Id>
  /** Nothing is stored before this resolves. */
  readonly mayBegin?: Promise<void> | undefined
  readonly signal?: AbortSignal | undefined
  /** Called after a pack is stored, with its size. */
  readonly onStored?: ((bytes: number) => void) | undefined
}

/** Uploads packs, as many at once as the store serves well, and saves index files as they fill up. */
export class PackStore {
  readonly #options: PackStoreOptions
  readonly #uploads = new Set<Promise<void>>()
  #unsaved: HeadedPack[] = []
  #unsavedBlobs = 0
  #unsavedSinceMs = 0
  #failure: unknown
  #failed = false

  constructor(options: PackStoreOptions) {
    this.#options = options
  }

  /** Whether a write went wrong: blobs handed over may be lost, and nothing that refers to them may be saved. */
  get failed(): boolean {
    return this.#failed
  }

  /**
   * Starts storing a pack. Call `ready` before making the next one: it bounds the packs in memory.
   * @returns resolves when its bytes are not needed any more, stored or not
   */
  submit(pack: FinishedPack): Promise<void> {
    const upload = this.#store(pack).catch((error: unknown) => {
      this.#failure ??= error
      this.#failed = true
    })
    this.#uploads.add(upload)
    return this.#forget(upload)
  }

  /** Whether `ready` has something to wait for or to tell. */
  get isBusy(): boolean {
    return this.#failed || this.#uploads.size >= this.#options.backend.connections
  }

  /** Resolves when another pack may be made. @throws what storing an earlier pack came to */
  async ready(): Promise<void> {
    while (this.#uploads.size >= this.#options.backend.connections) await Promise.race(this.#uploads)
    this.#throwFailure()
  }

  /** Resolves when nothing is on its way any more, whatever became of it. */
  async settle(): Promise<void> {
    await Promise.all(this.#uploads)
  }

  /** Resolves when all packs submitted are stored and named in stored index files. */
  async flush(): Promise<void> {
    await this.settle()
    this.#throwFailure()
    await this.#saveIndex()
    this.#throwFailure()
  }

  async #forget(upload: Promise<void>): Promise<void> {
    await upload
    this.#uploads.delete(upload)
  }

  async #store(pack: FinishedPack): Promise<void> {
    await this.#options.mayBegin
    throwIfAborted(this.#options.signal)
    const handle = { type: 'pack', name: pack.id, isMetadata: pack.type === 'tree' } as const
    await this.#options.backend.write(handle, pack.bytes, this.#options.signal)
    this.#options.onStored?.(pack.bytes.length)
    if (this.#unsaved.length === 0) this.#unsavedSinceMs = Date.now()
    this.#unsaved.push({ id: pack.id, header: pack.header })
    this.#unsavedBlobs += pack.blobCount
    const isOld = Date.now() - this.#unsavedSinceMs >= INDEX_AGE_FULL_MS
    if (this.#unsavedBlobs >= INDEX_BLOBS_FULL || isOld) await this.#saveIndex()
  }

  async #saveIndex(): Promise<void> {
    if (this.#unsaved.length === 0) return
    const packs = this.#unsaved
    this.#unsaved = []
    this.#unsavedBlobs = 0
    await this.#options.saveIndexFile(encodeIndexFile(packs))
  }

  #throwFailure(): void {
    if (this.#failed) throw this.#failure
  }
}
