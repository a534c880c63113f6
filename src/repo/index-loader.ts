/** Reads all index files of a repository into the blob index: several at once, and decoded on threads where that pays. */
import { availableParallelism } from 'node:os'
import type { Backend } from '../backend/backend.ts'
import type { CryptoProvider } from '../crypto/provider.ts'
import { AbortedError, CorruptDataError, ResticError, throwIfAborted } from '../errors.ts'
import type { BlobIndex } from './blob-index.ts'
import type { Codec } from './codec.ts'
import type { Id } from './format/id.ts'
import { decodeIndexFile, INDEX_TASKS, type IndexTasks } from './index-decoding.ts'
import { PackColumns, type Columns } from './pack-columns.ts'
import { forEachParallel, Turns } from './parallel.ts'
import type { ThreadSetup } from './thread-context.ts'
import { findThreadModule } from './thread-module.ts'
import { listFiles } from './unpacked.ts'
import { WorkerPool } from './worker-pool.ts'

export interface LoadIndexOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((done: number, total: number) => void) | undefined
  /** Takes over index files that cannot be used; without it the first one is thrown. */
  readonly onError?: ((id: Id, error: Error) => void) | undefined
  /** Packs that more than one index file lists, alike (`same`) or with different blobs (`conflicting`). */
  readonly onRepeated?: ((pack: Id, kind: 'same' | 'conflicting') => void) | undefined
}

/** What loading needs of a repository. */
export interface IndexSource {
  readonly backend: Backend
  readonly codec: Codec
  readonly crypto: CryptoProvider
  readonly threadSetup: Omit<ThreadSetup, 'provider' | 'threadCount'>
  /** Threads that may be started; as many as there are processors by default. */
  readonly workers?: number | undefined
  /** Stored bytes, checked against the name. */
  loadRaw(type: 'index', id: Id, signal?: AbortSignal): Promise<Uint8Array>
}

/** When threads pay, and what they run: tests set it. */
export interface IndexThreads {
  readonly minBytes: number
  readonly entry: URL | undefined
}

/** 1.3 million blobs, which take 0.3 s here: with less, threads take more from the rest than they give. */
const MIN_BYTES = 64 << 20
/** Bytes of an index file that would be compressed, to those it has then. */
const PLAIN_RATIO = 3
/** Index files that each thread has: one to work on, one to go on with. */
const FILES_PER_THREAD = 2
/** Shorter arrays may share their memory with others, so it cannot be given away. */
const OWN_MEMORY_BYTES = 8192

/**
 * Each index file counts whole or not at all.
 * @returns the index files there are
 * @throws CorruptDataError for an unusable index file unless `onError` takes it
 * @throws WorkerError where a thread breaks down
 */
// oxlint-disable-next-line max-params -- the last is for tests
export async function loadIndexFiles(
  source: IndexSource,
  index: BlobIndex,
  options: LoadIndexOptions = {},
  threads: IndexThreads = { minBytes: MIN_BYTES, entry: findThreadModule('index-thread.js') },
): Promise<readonly Id[]> {
  const { signal } = options
  const ids: Id[] = []
  let bytes = 0
  for await (const { id, size } of listFiles(source.backend, 'index', signal)) {
    ids.push(id)
    bytes += size
  }
  let done = 0
  options.onProgress?.(0, ids.length)
  const pool = startPool(source, threads, { files: ids.length, bytes })
  const load = new Load(source, index, options, pool)
  const stop = (): void => void pool.close()
  signal?.addEventListener('abort', stop, { once: true })
  try {
    const limit = source.backend.connections + FILES_PER_THREAD * pool.threadCount
    await forEachParallel(ids, limit, async (id) => {
      throwIfAborted(signal)
      await load.file(id)
      done += 1
      options.onProgress?.(done, ids.length)
    })
    return ids
  } finally {
    signal?.removeEventListener('abort', stop)
    await pool.close()
  }
}

function startPool(
  source: IndexSource,
  { minBytes, entry }: IndexThreads,
  { files, bytes }: { readonly files: number; readonly bytes: number },
): WorkerPool<IndexTasks> {
  const { crypto, threadSetup: setup } = source
  const count = Math.min(source.workers ?? availableParallelism(), files)
  const isMuch = bytes >= (setup.version === 1 ? PLAIN_RATIO * minBytes : minBytes)
  // One thread alone would do what there is one for already.
  return new WorkerPool({ count: isMuch && count > 1 ? count : 0, entry, tasks: INDEX_TASKS, crypto, setup })
}

class Load {
  readonly #source: IndexSource
  readonly #index: BlobIndex
  readonly #options: LoadIndexOptions
  readonly #pool: WorkerPool<IndexTasks>
  /** More files may be under way than the store serves at once: the others are with threads. */
  readonly #reading: Turns
  /** No file need be read any more. */
  #hasFailed = false

  // oxlint-disable-next-line max-params -- what is loaded from where to where, how, and by whom
  constructor(
    source: IndexSource,
    index: BlobIndex,
    options: LoadIndexOptions,
    pool: WorkerPool<IndexTasks>,
  ) {
    this.#source = source
    this.#index = index
    this.#options = options
    this.#pool = pool
    this.#reading = new Turns(source.backend.connections)
  }

  async file(id: Id): Promise<void> {
    const { onRepeated } = this.#options
    try {
      const { repeated, conflicting } = this.#index.addColumns(await this.#columns(id))
      for (const pack of repeated) onRepeated?.(pack, 'same')
      for (const pack of conflicting) onRepeated?.(pack, 'conflicting')
    } catch (error) {
      this.#report(id, error)
    }
  }

  async #columns(id: Id): Promise<Columns> {
    const { backend, codec } = this.#source
    let sealed = await this.#reading.take(() => this.#read(id))
    const { byteOffset, length } = sealed
    const memory = length < OWN_MEMORY_BYTES ? undefined : sealed
    const columns = await this.#pool.run('decodeIndex', sealed, memory, ({ buffer }) => {
      sealed = new Uint8Array(buffer, byteOffset, length)
    })
    // Once more, for the error.
    if (columns === undefined) return decodeIndexFile(codec, sealed, `index ${id}`, new PackColumns())
    backend.reuse?.(sealed)
    return columns
  }

  #read(id: Id): Promise<Uint8Array> {
    const { signal } = this.#options
    throwIfAborted(signal)
    if (this.#hasFailed) throw new AbortedError()
    return this.#source.loadRaw('index', id, signal)
  }

  /** @throws whatever is not for `onError` */
  #report(id: Id, error: unknown): void {
    // What a thread was stopped in the middle of failed for the signal's reason.
    if (error instanceof AbortedError) throwIfAborted(this.#options.signal)
    const isOfFile = error instanceof ResticError && error.code !== 'ABORTED' && error.code !== 'WORKER'
    const named = error instanceof CorruptDataError ? damagedIndex(id, error) : error
    if (isOfFile && named instanceof Error && this.#options.onError !== undefined)
      this.#options.onError(id, named)
    else {
      this.#hasFailed = true
      throw named
    }
  }
}

function damagedIndex(id: Id, error: CorruptDataError): CorruptDataError {
  const what = `index ${id}`
  return new CorruptDataError(what, error.message.replace(`${what} is damaged: `, ''), {
    cause: error,
    hint: 'run `repair index` to rebuild the index from the packs',
  })
}
