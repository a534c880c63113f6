/**
 * Any store with a cache on a local disk, as restic's and shared with it (format spec §14): index files, snapshots and
 * packs of trees are kept when they are written or read. A cache is a convenience. It is believed only where the hash
 * is right, and nothing that goes wrong with it is more than a warning.
 */
import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { FileNotFoundError, throwIfAborted } from '../errors.ts'
import type { Backend, ByteRange, FileInfo, Handle } from './backend.ts'
import { CACHED_TYPES, makeTemporaryCacheBase, openCacheFolder, type CachedType } from './cache-directory.ts'
import { CacheFiles, type CachedHandle } from './cache-files.ts'
import { ForwardingBackend } from './forwarding.ts'
import type { NamedFileType } from './layout.ts'
import { SharedCall } from './shared-call.ts'
import type { CacheOptions, OpenedCache } from './with-cache.ts'

export class CacheBackend extends ForwardingBackend {
  readonly #warned = new Set<string>()
  readonly #onWarning: (message: string) => void
  readonly #fetches = new Map<string, SharedCall<Uint8Array>>()
  /** Files that the store itself has not with the right hash: their owner must see them as they are. */
  readonly #notKept = new Set<string>()
  #files: CacheFiles | undefined
  #base: string | undefined
  #temporaryBase: string | undefined
  #canWrite = true

  constructor(inner: Backend, options: CacheOptions = {}) {
    super(inner)
    this.#onWarning = options.onWarning ?? (() => undefined)
    const forgetInner = this.forgetCopies
    this.forgetCopies = async (isPresent) => {
      await this.#forgetPacks(isPresent)
      await forgetInner?.(isPresent)
    }
  }

  get cacheFolder(): string | undefined {
    return this.#base
  }

  /**
   * Begins to use the cache: which one, only the config tells, and that is read without one. Where it cannot be used
   * a warning says so, and the store is used as it is.
   * @param base as `cacheBase` finds it
   */
  async useFor(repositoryId: string, base: string): Promise<OpenedCache | undefined> {
    try {
      const { path, isNew } = await openCacheFolder(base, repositoryId)
      this.#files = new CacheFiles(path)
      this.#base = base
      return { base, isNew }
    } catch (error) {
      this.#warn('open', `unable to open cache: ${messageOf(error)}`)
      return undefined
    }
  }

  /**
   * As `useFor`, with a cache that holds nothing of before and is removed by `close`: for a check.
   * @param parent folder to make it in; the system's for temporary files by default
   */
  async useTemporary(repositoryId: string, parent?: string): Promise<OpenedCache | undefined> {
    try {
      this.#temporaryBase = await makeTemporaryCacheBase(parent)
    } catch (error) {
      this.#warn(
        'open',
        `unable to create cache directory during check, disabling cache: ${messageOf(error)}`,
      )
      return undefined
    }
    return this.useFor(repositoryId, this.#temporaryBase)
  }

  override async stat(handle: Handle, signal?: AbortSignal): Promise<FileInfo> {
    try {
      return await this.inner.stat(handle, signal)
    } catch (error) {
      if (error instanceof FileNotFoundError) await this.#drop(handle)
      throw error
    }
  }

  /** Drops the copies of files that are not listed, once the listing is complete. */
  override async *list(type: NamedFileType, signal?: AbortSignal): AsyncGenerator<FileInfo> {
    const cachedType = CACHED_TYPES.find((cached) => cached === type)
    const unlisted = cachedType === undefined ? new Set<string>() : await this.#namesOf(cachedType)
    for await (const file of this.inner.list(type, signal)) {
      unlisted.delete(file.name)
      yield file
    }
    if (cachedType === undefined) return
    for (const name of unlisted) await this.#drop({ type: cachedType, name })
  }

  override async read(handle: Handle, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal)
    const cached = cachedHandle(handle)
    if (cached === undefined || this.#files === undefined) return this.inner.read(handle, range, signal)
    const copy = await this.#files.read(cached, range)
    if (copy instanceof Uint8Array) return copy
    const isToBeKept = this.#canWrite && !this.#notKept.has(keyOf(cached))
    if (copy === 'too short' || !isToBeKept) return this.inner.read(handle, range, signal)
    const whole = await this.#fetch(cached, signal)
    const { offset, length } = range ?? { offset: 0, length: whole.length }
    if (offset + length > whole.length) return this.inner.read(handle, range, signal)
    return whole.slice(offset, offset + length)
  }

  override async write(handle: Handle, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.inner.write(handle, data, signal)
    const cached = cachedHandle(handle)
    if (cached !== undefined) await this.#keep(cached, data)
  }

  override async remove(handle: Handle, signal?: AbortSignal): Promise<void> {
    try {
      await this.inner.remove(handle, signal)
    } catch (error) {
      if (error instanceof FileNotFoundError) await this.#drop(handle)
      throw error
    }
    await this.#drop(handle)
  }

  override async close(): Promise<void> {
    this.#files = undefined
    const base = this.#temporaryBase
    this.#temporaryBase = undefined
    if (base !== undefined) {
      await rm(base, { recursive: true, force: true }).catch((error: unknown) =>
        this.#warn('close', `unable to remove the temporary cache ${base}: ${messageOf(error)}`),
      )
    }
    await this.inner.close()
  }

  /** The whole file from the store, for all who want it or a part of it now. */
  #fetch(cached: CachedHandle, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const key = keyOf(cached)
    let fetch = this.#fetches.get(key)
    if (fetch === undefined) {
      fetch = new SharedCall(async (shared) => {
        try {
          const bytes = await this.inner.read(cached, undefined, shared)
          if (createHash('sha256').update(bytes).digest('hex') === cached.name)
            await this.#keep(cached, bytes)
          else this.#notKept.add(key)
          return bytes
        } finally {
          this.#fetches.delete(key)
        }
      })
      this.#fetches.set(key, fetch)
    }
    return fetch.join(signal)
  }

  async #keep(cached: CachedHandle, data: Uint8Array): Promise<void> {
    if (this.#files === undefined || !this.#canWrite) return
    try {
      await this.#files.write(cached, data)
    } catch (error) {
      // A disk that is full now will not have room for the next one.
      this.#canWrite = false
      this.#warn('write', `unable to store files in the cache, going on without: ${messageOf(error)}`)
    }
  }

  async #drop(handle: Handle): Promise<void> {
    const type = CACHED_TYPES.find((cached) => cached === handle.type)
    if (type === undefined) return
    try {
      await this.#files?.remove({ type, name: handle.name })
    } catch (error) {
      this.#warn('drop', `unable to remove files from the cache: ${messageOf(error)}`)
    }
  }

  async #namesOf(type: CachedType): Promise<Set<string>> {
    try {
      return (await this.#files?.names(type)) ?? new Set()
    } catch (error) {
      this.#warn('drop', `unable to read the cache: ${messageOf(error)}`)
      return new Set()
    }
  }

  async #forgetPacks(isPresent: (packName: string) => boolean): Promise<void> {
    for (const name of await this.#namesOf('pack'))
      if (!isPresent(name)) await this.#drop({ type: 'pack', name })
  }

  #warn(kind: string, message: string): void {
    if (this.#warned.has(kind)) return
    this.#warned.add(kind)
    this.#onWarning(message)
  }
}

/** Undefined for what is never kept: data is too much and seldom read again, locks and keys must be as they are. */
function cachedHandle(handle: Handle): CachedHandle | undefined {
  const { type, name, isMetadata } = handle
  if (type === 'index' || type === 'snapshot') return { type, name }
  return type === 'pack' && isMetadata === true ? { type, name } : undefined
}

function keyOf({ type, name }: CachedHandle): string {
  return `${type}/${name}`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
