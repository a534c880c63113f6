/**
 * Saves the content of files on worker threads: small files in batches, large ones chunk by chunk. The walk goes on
 * meanwhile; how far it may get ahead is bounded by the pool's queues and the store's.
 */
import { readSync } from 'node:fs'
import { Chunker } from '../../chunker/chunker.ts'
import { throwIfAborted } from '../../errors.ts'
import { idFromBytes, parseId, type Id } from '../format/id.ts'
import { allocateClaims } from '../id-claims.ts'
import type { SharedKnownBlobs } from '../known-blobs.ts'
import type { WorkerPool } from '../worker-pool.ts'
import type { BackupGroup, BackupMember } from './backup-group.ts'
import type { SourceFile } from './backup-source.ts'
import { emptyItemStatistics, type ItemStatistics } from './backup-statistics.ts'
import { FINGERPRINT_LENGTH } from './file-stat.ts'
import { CHANGED, FAILED, SMALL_FILE_BYTES, type SaveChunkOutput, type SaveFilesOutput } from './save-files-task.ts' // prettier-ignore
import { systemErrorOf } from './system-failure.ts'
import { startThreads, type Tasks } from './threads.ts'

const BATCH_FILES = 128
const BATCH_BYTES = 2 << 20

export interface SavedContent {
  readonly content: readonly Id[]
  readonly size: number
  readonly item: ItemStatistics
}

export interface ContentSaverOptions {
  readonly group: BackupGroup
  /** Files read at once: a thread each. */
  readonly readConcurrency?: number | undefined
  readonly signal?: AbortSignal | undefined
}

interface BatchedFile {
  readonly path: string
  readonly size: number
  readonly fingerprint: readonly bigint[]
  readonly resolve: (saved: SavedContent | undefined) => void
  readonly reject: (error: unknown) => void
}

export class ContentSaver {
  readonly #options: ContentSaverOptions
  readonly #chunker: Chunker
  #pool: WorkerPool<Tasks> | undefined
  #batch: BatchedFile[] = []
  #batchBytes = 0

  constructor(options: ContentSaverOptions) {
    this.#options = options
    this.#chunker = new Chunker(options.group.leader.repository.config.chunkerPolynomial)
  }

  /** Whether a file of this size is read whole by a thread. */
  static isSmall(size: number): boolean {
    return size <= SMALL_FILE_BYTES
  }

  /** Whether there was enough to do for threads to be started. */
  get hasThreads(): boolean {
    return this.#pool !== undefined && this.#pool.threadCount > 0
  }

  /** Resolves when the walk may go on; undefined where it may at once. @throws what storing packs came to */
  ready(): Promise<void> | undefined {
    return this.#pool?.ready() ?? this.#options.group.storing()
  }

  /**
   * Saves a file that `isSmall`. Call `ready` first.
   * @returns undefined where the file is no longer what its fingerprint says
   */
  saveSmall(path: string, size: number, fingerprint: readonly bigint[]): Promise<SavedContent | undefined> {
    return new Promise((resolve, reject) => {
      this.#batch.push({ path, size, fingerprint, resolve, reject })
      this.#batchBytes += size
      if (this.#batch.length >= BATCH_FILES || this.#batchBytes >= BATCH_BYTES) this.#sendBatch(false)
    })
  }

  /**
   * Reads a file to its end, finds its chunks and has them saved. Resolves when it is read; the file must stay open
   * until `saved` settles.
   * @param onBytes called as they are read
   */
  async saveLarge(
    file: SourceFile & { readonly fd: number },
    onBytes: (bytes: number) => Promise<void> | undefined,
  ): Promise<{ readonly saved: Promise<SavedContent> }> {
    const pool = this.threads()
    const chunks: Promise<SaveChunkOutput>[] = []
    let failure: { readonly error: unknown } | undefined
    const save = (offset: number, length: number): void => {
      const chunk = pool.run('saveChunk', { fd: file.fd, offset, length })
      chunk.catch((error: unknown) => (failure ??= { error }))
      chunks.push(chunk)
    }
    const { room } = this.#chunker
    let start = 0
    let position = 0
    this.#chunker.reset()
    try {
      for (;;) {
        // Nothing else is done before all of it is taken: others may use the same room.
        const length = readSync(file.fd, room, 0, room.length, position)
        if (length === 0) break
        for (let from = 0; from < length;) {
          const cut = this.#chunker.next(room, from, length)
          from = cut < 0 ? length : cut
          if (cut < 0) break
          save(start, position + cut - start)
          start = position + cut
        }
        position += length
        await onBytes(length)
        await this.ready()
        throwIfAborted(this.#options.signal)
        // Nobody is to read the rest of a large file, and of others that wait for it, for nothing.
        if (failure !== undefined) throw failure.error
      }
    } catch (error) {
      // The file is closed next: nobody may be reading it by then.
      await Promise.allSettled(chunks)
      throw error
    }
    if (position > start) save(start, position - start)
    const saved = joinChunks(chunks)
    saved.catch(() => undefined)
    return { saved }
  }

  /** Sends what waits for company. Call it when no more files come. */
  flush(): void {
    if (this.#batch.length > 0) this.#sendBatch(this.#pool === undefined)
  }

  /** Hands out the packs that are not full, once everything is saved. */
  async finish(): Promise<void> {
    this.flush()
    await this.#pool?.runOnAll('finishPacks', undefined)
  }

  async close(): Promise<void> {
    await this.#pool?.close()
  }

  /**
   * The threads, started at first need. A backup with next to nothing new is done before they have: @param isSmall
   */
  threads(isSmall = false): WorkerPool<Tasks> {
    const { group } = this.#options
    const [first, ...mirrors] = group.members
    if (first === undefined) throw new RangeError('no repository')
    this.#pool ??= startThreads(first.repository, {
      known: knownBy(first),
      mirrors: mirrors.map((member) => ({ repository: member.repository, known: knownBy(member) })),
      onPack: (pack, member) => group.storePack(pack, member),
      count: this.#options.readConcurrency,
      isSmall,
    })
    return this.#pool
  }

  #sendBatch(isSmall: boolean): void {
    const batch = this.#batch
    this.#batch = []
    this.#batchBytes = 0
    const fingerprints = new BigUint64Array(batch.length * FINGERPRINT_LENGTH)
    for (const [i, file] of batch.entries()) fingerprints.set(file.fingerprint, i * FINGERPRINT_LENGTH)
    const input = { paths: batch.map(({ path }) => path), fingerprints }
    void this.#saveBatch(batch, this.threads(isSmall).run('saveFiles', input))
  }

  /** Tells every file of a batch what became of it. */
  async #saveBatch(batch: readonly BatchedFile[], saving: Promise<SaveFilesOutput>): Promise<void> {
    try {
      const { ids, added, failures } = await saving
      for (const [i, file] of batch.entries()) {
        const failure = failures.get(i)
        if (failure !== undefined) file.reject(systemErrorOf(failure))
        else file.resolve(savedSmall(ids, i, added[i] ?? FAILED, file.size))
      }
    } catch (error) {
      for (const file of batch) file.reject(error)
    }
  }
}

function knownBy({ repository }: BackupMember): SharedKnownBlobs {
  return { stored: repository.index.share(), claims: [allocateClaims(0)] }
}

// oxlint-disable-next-line max-params -- one file's share of a batch
function savedSmall(ids: Uint8Array, i: number, added: number, size: number): SavedContent | undefined {
  if (added === CHANGED) return undefined
  const item = emptyItemStatistics()
  if (added > 0) {
    item.dataBlobs = 1
    item.dataSize = size
    item.dataSizeInRepo = added
  }
  return { content: size === 0 ? [] : [idFromBytes(ids, 32 * i)], size, item }
}

async function joinChunks(chunks: readonly Promise<SaveChunkOutput>[]): Promise<SavedContent> {
  const content: Id[] = []
  const item = emptyItemStatistics()
  let size = 0
  for (const chunk of await Promise.all(chunks)) {
    if (chunk.failure !== undefined) throw systemErrorOf(chunk.failure)
    if (chunk.length === 0) continue
    content.push(parseId(chunk.id))
    size += chunk.length
    if (!chunk.isNew) continue
    item.dataBlobs += 1
    item.dataSize += chunk.length
    item.dataSizeInRepo += chunk.added
  }
  return { content, size, item }
}
