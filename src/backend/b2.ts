/**
 * A repository in a Backblaze B2 bucket (B2 spec §1, §6): restic's names and layout, through the native API, with as few
 * billed calls as it takes. What passes by itself is reported as transient; waiting and trying again is the retry
 * decorator's work.
 */
import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { BackendError, FileNotFoundError, throwIfAborted } from '../errors.ts'
import { B2Access, requireCapability } from './b2-access.ts'
import type { B2Page } from './b2-answers.ts'
import { LibraryApi, type B2Api, type B2File } from './b2-api.ts'
import type { B2CallerOptions } from './b2-call.ts'
import { B2Error, toBackendError } from './b2-errors.ts'
import type { B2Settings } from './b2-location.ts'
import { B2Removal } from './b2-removal.ts'
import { B2Uploader } from './b2-uploader.ts'
import type { Backend, ByteRange, FileInfo, FileType, Handle } from './backend.ts'
import { folderOf, isFileName, pathOf, type NamedFileType } from './layout.ts'
import { Semaphore } from './semaphore.ts'

/** What connections are made with, and what a test sets in place of the world. */
export interface B2World extends B2CallerOptions {
  readonly api?: B2Api
  readonly sleep?: (ms: number, signal?: AbortSignal) => Promise<void>
  /** In [0, 1). */
  readonly random?: () => number
}

/** Below this many files it costs less to ask for each file's version than to list 1000 of them. */
const PREPARED_PER_PAGE = 5
const PAGE = 1000
/** How many files a listing is guessed to have when none was made before. */
const PAGES_UNKNOWN = 40

export class B2Backend implements Backend {
  readonly location: string
  readonly connections: number
  readonly hasAtomicReplace: boolean = true
  readonly #bucket: string
  readonly #prefix: string
  readonly #api: B2Api
  readonly #access: B2Access
  readonly #uploader: B2Uploader
  readonly #removal: B2Removal
  readonly #slots: Semaphore
  /** How many files the last listing of a type had. */
  readonly #counts = new Map<NamedFileType, number>()

  constructor(settings: B2Settings, world: B2World = {}) {
    const { bucket, prefix, connections } = settings
    this.location = prefix === '' ? `b2:${bucket}` : `b2:${bucket}:${prefix}`
    this.connections = connections
    this.#bucket = bucket
    this.#prefix = prefix === '' ? '' : `${prefix}/`
    this.#api = world.api ?? new LibraryApi({ ...settings, ...world })
    this.#access = new B2Access(this.#api, { bucket, prefix })
    this.#uploader = new B2Uploader({
      api: this.#api,
      access: this.#access,
      sleep: world.sleep ?? ((ms, signal) => delay(ms, undefined, signal === undefined ? {} : { signal })),
      random: world.random ?? Math.random,
    })
    this.#removal = new B2Removal(this.#access, bucket)
    this.#slots = new Semaphore(connections)
  }

  create(signal?: AbortSignal): Promise<void> {
    return this.#attempt(`create ${this.location}`, signal, () => this.#access.createBucket(signal))
  }

  stat(handle: Handle, signal?: AbortSignal): Promise<FileInfo> {
    return this.#transfer('stat', handle, signal, async (file) => ({
      name: handle.name,
      size: (await this.#access.inBucket(signal, (session) => session.head(file, signal))).length,
    }))
  }

  async *list(type: NamedFileType, signal?: AbortSignal): AsyncGenerator<FileInfo> {
    let count = 0
    let from: B2Page['next']
    do {
      const page = await this.#listPage(type, from, signal)
      for (const { name, length } of page.files) {
        throwIfAborted(signal)
        const file = name.slice(name.lastIndexOf('/') + 1)
        if (!this.#isOurs(name, { type, name: file })) continue
        count += 1
        yield { name: file, size: length }
      }
      from = page.next
    } while (from !== undefined)
    this.#counts.set(type, count)
  }

  read(handle: Handle, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#transfer('read', handle, signal, async (file) => {
      // There is no way to ask for no bytes, but whether they could be had is known.
      if (range?.length === 0) return this.#readNothing(file, range, signal)
      return this.#access.inBucket(signal, (session) => session.download(file, range, signal))
    })
  }

  write(handle: Handle, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.#transfer('write', handle, signal, async ({ name }) => {
      requireCapability(await this.#access.allowance(signal), 'writeFiles', 'write')
      const body = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
      const sha1 = createHash('sha1').update(body).digest('hex')
      this.#removal.forget(name)
      const fileId = await this.#uploader.upload({ name, body, sha1 }, signal)
      // Packs are too many to remember, and seldom removed by who wrote them.
      if (handle.type !== 'pack') this.#removal.remember(name, fileId)
    })
  }

  remove(handle: Handle, signal?: AbortSignal): Promise<void> {
    return this.#transfer('remove', handle, signal, ({ name }) => this.#removal.remove(name, signal))
  }

  async prepareRemoval(type: NamedFileType, names: readonly string[], signal?: AbortSignal): Promise<void> {
    const count = this.#counts.get(type)
    const pages = count === undefined ? PAGES_UNKNOWN : Math.max(1, Math.ceil(count / PAGE))
    if (names.length < pages * PREPARED_PER_PAGE) return
    const prefix = this.#folderOf(type)
    const files = new Set(names.map((name) => this.#fileOf({ type, name }).name))
    await this.#attempt(`list versions of ${prefix}`, signal, () =>
      this.#slots.run(signal, () => this.#removal.prepare(prefix, files, signal)),
    )
  }

  close(): Promise<void> {
    this.#uploader.close()
    this.#api.close()
    return Promise.resolve()
  }

  #fileOf(handle: Handle): B2File {
    return { bucket: this.#bucket, name: `${this.#prefix}${pathOf(handle)}` }
  }

  /** With a slash at its end, or a folder whose name only begins alike would be listed as well. */
  #folderOf(type: NamedFileType): string {
    return `${this.#prefix}${folderOf(type)}/`
  }

  /** Whether an object is this file, and not a stray in its folder. */
  #isOurs(name: string, handle: Handle): boolean {
    return isFileName(handle.name) && name === this.#fileOf(handle).name
  }

  async #listPage(
    type: NamedFileType,
    from: B2Page['next'],
    signal: AbortSignal | undefined,
  ): Promise<B2Page> {
    const prefix = this.#folderOf(type)
    const list = (): Promise<B2Page> =>
      this.#access.inBucket(signal, (session, bucketId) =>
        session.listNames({ bucketId, prefix, from }, signal),
      )
    try {
      return await this.#attempt(`list ${prefix}`, signal, () => this.#inTurn(type, signal, list))
    } catch (error) {
      // What holds nothing lists nothing, a missing bucket too.
      if (error instanceof FileNotFoundError) return { files: [], next: undefined }
      throw error
    }
  }

  async #readNothing(file: B2File, range: ByteRange, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { length } = await this.#access.inBucket(signal, (session) => session.head(file, signal))
    if (length >= range.offset) return new Uint8Array(0)
    throw new BackendError(`read ${file.name}: it has ${length} bytes only, nothing at ${range.offset}`)
  }

  async #transfer<T>(
    verb: string,
    handle: Handle,
    signal: AbortSignal | undefined,
    work: (file: B2File) => Promise<T>,
  ): Promise<T> {
    const file = this.#fileOf(handle)
    const inTurn = (): Promise<T> => this.#inTurn(handle.type, signal, () => work(file))
    return this.#attempt(`${verb} ${file.name}`, signal, inTurn, file.name)
  }

  /** Lock files never wait for packs: a lock that is not refreshed in time is lost. */
  #inTurn<T>(type: FileType, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    return type === 'lock' ? work() : this.#slots.run(signal, work)
  }

  /** @param file what is not there when B2 says so */
  async #attempt<T>(
    what: string,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
    file: string = this.location,
  ): Promise<T> {
    try {
      throwIfAborted(signal)
      return await work()
    } catch (error) {
      throwIfAborted(signal)
      if (!(error instanceof B2Error)) throw error
      throw error.kind === 'not-found'
        ? new FileNotFoundError(file, { cause: error })
        : toBackendError(error, what)
    }
  }
}
