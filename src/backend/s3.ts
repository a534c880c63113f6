/** A repository in an S3 bucket: restic's names and layout, one object a file. */
import { throwIfAborted } from '../errors.ts'
import type { Backend, ByteRange, FileInfo, Handle } from './backend.ts'
import { folderOf, isFileName, pathOf, type NamedFileType } from './layout.ts'
import type { S3Bucket, S3Page } from './s3-client.ts'
import { isBucketThere, isNoBucket, isNotFound, s3ErrorOf, statusOf, tooShort } from './s3-errors.ts'
import type { S3Location } from './s3-location.ts'

export interface S3BackendOptions {
  /** The location as shown to people. */
  readonly location: string
  readonly connections?: number | undefined
}

const DEFAULT_CONNECTIONS = 5
/** From here on it is cheaper to list what is there than to ask for every file before it is removed. */
const WORTH_LISTING = 20

export class S3Backend implements Backend {
  readonly location: string
  readonly connections: number
  readonly hasAtomicReplace: boolean = true
  readonly #store: S3Bucket
  readonly #bucket: string
  readonly #prefix: string
  /** Objects that were there when a removal was announced. */
  readonly #known = new Set<string>()

  constructor(
    store: S3Bucket,
    { bucket, prefix }: Pick<S3Location, 'bucket' | 'prefix'>,
    options: S3BackendOptions,
  ) {
    this.location = options.location
    this.connections = options.connections ?? DEFAULT_CONNECTIONS
    this.#store = store
    this.#bucket = bucket
    this.#prefix = prefix === '' ? '' : `${prefix}/`
  }

  async create(signal?: AbortSignal): Promise<void> {
    await this.#attempt({ what: `create ${this.location}` }, signal, async () => {
      if (!(await this.#hasBucket(signal))) await this.#createBucket(signal)
    })
  }

  async stat(handle: Handle, signal?: AbortSignal): Promise<FileInfo> {
    const file = pathOf(handle)
    const size = await this.#attempt({ what: `stat ${file}`, file }, signal, () =>
      this.#store.head(this.#prefix + file, signal),
    )
    return { name: handle.name, size }
  }

  async *list(type: NamedFileType, signal?: AbortSignal): AsyncGenerator<FileInfo> {
    const folder = `${folderOf(type)}/`
    let next: string | undefined
    do {
      const page = await this.#attempt({ what: `list ${folder}` }, signal, () =>
        this.#listPage(this.#prefix + folder, next, signal),
      )
      for (const { key, size } of page.objects) {
        throwIfAborted(signal)
        const name = key.slice(key.lastIndexOf('/') + 1)
        if (isFileName(name) && key === this.#prefix + pathOf({ type, name })) yield { name, size }
      }
      next = page.next
    } while (next !== undefined)
  }

  async read(handle: Handle, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    const file = pathOf(handle)
    const what = `read ${file}`
    if (range?.length === 0) {
      // No range of HTTP is empty.
      const { size } = await this.stat(handle, signal)
      if (size < range.offset) throw tooShort(what)
      return new Uint8Array(0)
    }
    const bytes = await this.#attempt({ what, file }, signal, () =>
      this.#store.get(this.#prefix + file, range, signal),
    )
    if (range !== undefined && bytes.length !== range.length) throw tooShort(what)
    return bytes
  }

  async write(handle: Handle, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    const file = pathOf(handle)
    await this.#attempt({ what: `write ${file}` }, signal, () =>
      this.#store.put(this.#prefix + file, data, handle, signal),
    )
  }

  async remove(handle: Handle, signal?: AbortSignal): Promise<void> {
    const file = pathOf(handle)
    await this.#attempt({ what: `remove ${file}`, file }, signal, async () => {
      // Deleting what is not there is a success to S3.
      if (!this.#known.delete(file)) await this.#store.head(this.#prefix + file, signal)
      await this.#store.delete(this.#prefix + file, signal)
    })
  }

  async prepareRemoval(type: NamedFileType, names: readonly string[], signal?: AbortSignal): Promise<void> {
    if (names.length < WORTH_LISTING) return
    const wanted = new Set(names)
    for await (const { name } of this.list(type, signal))
      if (wanted.has(name)) this.#known.add(pathOf({ type, name }))
  }

  close(): Promise<void> {
    this.#store.close()
    return Promise.resolve()
  }

  async #hasBucket(signal: AbortSignal | undefined): Promise<boolean> {
    try {
      await this.#store.exists(signal)
      return true
    } catch (error) {
      if (isNotFound(error)) return false
      // Keys for one bucket are often not allowed to ask; whether they may write shows soon.
      if (statusOf(error) === 403) return true
      throw error
    }
  }

  /** Before `init` made the bucket there is nothing in it. */
  async #listPage(
    prefix: string,
    from: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<S3Page> {
    try {
      return await this.#store.list(prefix, from, signal)
    } catch (error) {
      if (from === undefined && isNoBucket(error)) return { objects: [], next: undefined }
      throw error
    }
  }

  async #createBucket(signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#store.create(signal)
    } catch (error) {
      if (!isBucketThere(error)) throw error
    }
  }

  async #attempt<T>(
    failure: { readonly what: string; readonly file?: string },
    signal: AbortSignal | undefined,
    call: () => Promise<T>,
  ): Promise<T> {
    throwIfAborted(signal)
    try {
      return await call()
    } catch (error) {
      throwIfAborted(signal)
      throw s3ErrorOf(error, { ...failure, bucket: this.#bucket })
    }
  }
}
