/**
 * The content of all files of a restore, pack by pack: each range of a pack that is needed is fetched once and each
 * blob decoded once, however many files it goes to.
 * Budget: 24 bytes for each place a blob goes to, a path and a few numbers for each file.
 */
import { closeSync } from 'node:fs'
import { CorruptDataError, ResticError } from '../../errors.ts'
import type { BlobIndex } from '../blob-index.ts'
import type { Id } from '../format/id.ts'
import { plaintextLengthOf, type PackedBlob } from '../format/pack-header.ts'
import { damageInPack, type PackPart } from '../pack-reader.ts'
import { forEachParallel } from '../parallel.ts'
import type { Repository } from '../repository.ts'
import { Uint32Column } from '../uint32-column.ts'
import type { WorkerPool } from '../worker-pool.ts'
import type { Pacer } from './operation.ts'
import { isTargetFull, targetFullError, writeFully, type RestoreTarget } from './restore-target.ts'
import { systemErrorOf } from './system-failure.ts'
import { startThreads, type Tasks } from './threads.ts'

/** File descriptors kept open at once. */
const OPEN_FILES_MAX = 512
/** What one task of a thread gets, at most … */
const GROUP_BLOBS = 64
/** … in stored bytes, where it is not a single larger blob. */
const GROUP_BYTES = 2 << 20
/** Fewer are restored before threads have started. */
const FEW_BLOBS = 200

export interface FileWriterOptions {
  readonly repository: Repository
  readonly target: RestoreTarget
  readonly pacer: Pacer
  readonly sparse: boolean
  readonly signal?: AbortSignal | undefined
  readonly onBytes: (file: number, bytes: number) => void
  readonly onDone: (file: number) => void
  readonly onError: (file: number, error: Error) => void
}

interface PlannedFile {
  readonly location: string
  readonly size: number
  readonly isUpdate: boolean
  missing: number
  failed: boolean
  opened: boolean
  isNew: boolean
}

/** Collects what is to be written, then writes it. */
export class FileWriter {
  readonly #options: FileWriterOptions
  readonly #index: BlobIndex
  readonly #files: PlannedFile[] = []
  readonly #rows = new Uint32Column()
  readonly #fileOf = new Uint32Column()
  readonly #offsetLow = new Uint32Column()
  readonly #offsetHigh = new Uint32Column()
  readonly #open = new Map<number, OpenFile>()
  #pool: WorkerPool<Tasks> | undefined
  /** Nothing more can be written. */
  #isFull = false

  constructor(options: FileWriterOptions) {
    this.#options = options
    this.#index = options.repository.index
  }

  /** Plans a file and returns its number. */
  add(location: string, size: number, isUpdate: boolean): number {
    this.#files.push({ location, size, isUpdate, missing: 0, failed: false, opened: false, isNew: false })
    return this.#files.length - 1
  }

  /** Plans one blob of a file: index row `row` goes to `offset`. */
  addBlob(file: number, row: number, offset: number): void {
    const planned = this.#files[file]
    if (planned === undefined) throw new RangeError(`no file ${file}`)
    planned.missing += 1
    this.#rows.push(row)
    this.#fileOf.push(file)
    this.#offsetLow.push(offset >>> 0)
    this.#offsetHigh.push(Math.floor(offset / 2 ** 32))
  }

  locationOf(file: number): string {
    return this.#files[file]?.location ?? ''
  }

  sizeOf(file: number): number {
    return this.#files[file]?.size ?? 0
  }

  isUpdate(file: number): boolean {
    return this.#files[file]?.isUpdate === true
  }

  /**
   * Writes everything planned.
   * @throws AbortedError, BackendError where the disk is full, errors of the store that concern more than one pack
   */
  async write(): Promise<void> {
    try {
      await forEachParallel(this.#jobs(), this.#options.repository.backend.connections, (job) =>
        this.#writePack(job),
      )
    } finally {
      // First the threads end: nobody may write to a number that could be another file's by then.
      await this.#pool?.close()
      for (const { fd } of this.#open.values()) closeSync(fd)
      this.#open.clear()
      if (this.#isFull) this.#removeHalves()
    }
  }

  /** Files of full size with holes in them would pass for restored. */
  #removeHalves(): void {
    for (const { location, opened, isNew, missing } of this.#files)
      if (opened && isNew && missing > 0) this.#options.target.clear(location)
  }

  /** One job a pack. Rows lie pack by pack and by offset, so sorting by row sorts both. */
  *#jobs(): Generator<PackJob> {
    const count = this.#rows.length
    const keys = new Float64Array(count)
    for (let entry = 0; entry < count; entry++) keys[entry] = this.#rows.at(entry) * count + entry
    keys.sort()
    let job: PackJob | undefined
    for (const key of keys) {
      const row = Math.floor(key / count)
      const pack = this.#index.packOfRow(row)
      if (job?.pack !== pack) {
        if (job !== undefined) yield job
        job = { pack, packId: this.#index.packIdAt(pack), rows: [], places: [] }
      }
      if (job.rows.at(-1) !== row) {
        job.rows.push(row)
        job.places.push([])
      }
      job.places.at(-1)?.push(this.#placeAt(key - row * count))
    }
    if (job !== undefined) yield job
  }

  #placeAt(entry: number): Place {
    return {
      file: this.#fileOf.at(entry),
      offset: this.#offsetHigh.at(entry) * 2 ** 32 + this.#offsetLow.at(entry),
    }
  }

  async #writePack(job: PackJob): Promise<void> {
    const all = this.#index.blobsAt(job.pack)
    const { start } = this.#index.rowsOfPack(job.pack)
    const blobs = job.rows.map((row) => all[row - start]).filter((blob) => blob !== undefined)
    let next = 0
    let failure: ResticError | undefined
    for await (const part of this.#readParts(job.packId, blobs, (error) => (failure = error))) {
      await this.#writePart(job.packId, part, job.places.slice(next, next + part.blobs.length))
      next += part.blobs.length
    }
    if (failure === undefined) return
    for (; next < blobs.length; next++) {
      const blob = blobs[next]
      if (blob !== undefined) await this.#placeOtherCopy(job.places[next] ?? [], blob, failure)
    }
  }

  /** A pack that cannot be read is told of, and not thrown: other packs can. */
  async *#readParts(
    packId: Id,
    blobs: readonly PackedBlob[],
    onFailure: (error: ResticError) => void,
  ): AsyncGenerator<PackPart> {
    const { repository, signal } = this.#options
    try {
      yield* repository.readPackParts(packId, blobs, signal)
    } catch (error) {
      if (!isPackFailure(error)) throw error
      onFailure(error)
    }
  }

  async #writePart(packId: Id, part: PackPart, places: readonly (readonly Place[])[]): Promise<void> {
    const { pacer } = this.#options
    const groups: Promise<void>[] = []
    try {
      for (const group of groupsOf(part, places)) {
        await this.#pool?.ready()
        if (pacer.isDue) await pacer.pause()
        if (this.#isFull) break
        const writing = this.#writeGroup(group, packId)
        // It is waited for below; until then it must not pass for unhandled.
        writing.catch(() => undefined)
        groups.push(writing)
      }
    } finally {
      // Whatever happens, nobody may be writing when the files are closed.
      await Promise.allSettled(groups)
    }
    await Promise.all(groups)
  }

  /** Opens the files of a group here, has a thread write them, and closes those that are whole. */
  async #writeGroup({ bytes, blobs, places }: Group, packId: Id): Promise<void> {
    const opened = places.map((ofBlob) => ofBlob.filter(({ file }) => this.#pin(file)))
    const flat = opened.flat()
    const output = await this.#threads().run(
      'writeBlobs',
      {
        bytes,
        blobs,
        placeCounts: Uint32Array.from(opened, ({ length }) => length),
        fds: Int32Array.from(flat, ({ file }) => this.#open.get(file)?.fd ?? -1),
        offsets: Float64Array.from(flat, ({ offset }) => offset),
        skipZeros: Uint8Array.from(flat, ({ file }) => this.#maySkipZeros(file)),
      },
      [bytes.buffer],
    )
    for (const { file } of flat) this.#unpin(file)
    let place = 0
    for (const [i, blob] of blobs.entries()) {
      const ofBlob = opened[i] ?? []
      const damage = output.damaged.get(i)
      if (damage !== undefined) {
        await this.#placeOtherCopy(ofBlob, blob, damageOf(blob, packId, damage))
        place += ofBlob.length
        continue
      }
      for (const { file } of ofBlob) {
        const failure = output.failures.get(place++)
        if (failure === undefined) this.#placed(file, plaintextLengthOf(blob))
        else this.#fail(file, systemErrorOf(failure))
      }
    }
  }

  /** Opens a file and keeps it open until `#unpin`. False where that failed, now or before. */
  #pin(file: number): boolean {
    const planned = this.#files[file]
    if (planned === undefined || planned.failed) return false
    try {
      this.#descriptor(file, planned).uses += 1
      return true
    } catch (error) {
      if (!(error instanceof Error) || !('syscall' in error)) throw error
      this.#fail(file, error)
      return false
    }
  }

  #unpin(file: number): void {
    const open = this.#open.get(file)
    if (open !== undefined) open.uses -= 1
    // Its failure could not close it while others were at it.
    if (this.#files[file]?.failed === true) this.#close(file)
  }

  #maySkipZeros(file: number): number {
    return this.#options.sparse && this.#files[file]?.isNew === true ? 1 : 0
  }

  #placed(file: number, bytes: number): void {
    const planned = this.#files[file]
    if (planned === undefined || planned.failed) return
    planned.missing -= 1
    this.#options.onBytes(file, bytes)
    if (planned.missing === 0) this.#finish(file)
  }

  /** A blob that is damaged here may lie whole in another pack. */
  async #placeOtherCopy(places: readonly Place[], blob: PackedBlob, error: Error): Promise<void> {
    const { repository, signal } = this.#options
    if (this.#index.rowsOf(blob.type, blob.id).length > 1) {
      try {
        this.#place(places, await repository.loadBlob(blob.type, blob.id, signal))
        return
      } catch (other) {
        if (!isPackFailure(other)) throw other
      }
    }
    for (const { file } of places) this.#fail(file, error)
  }

  #place(places: readonly Place[], plaintext: Uint8Array): void {
    for (const { file, offset } of places) {
      const planned = this.#files[file]
      if (planned === undefined || planned.failed) continue
      try {
        writeFully(this.#descriptor(file, planned).fd, plaintext, offset)
        this.#placed(file, plaintext.length)
      } catch (error) {
        if (!(error instanceof Error) || !('syscall' in error)) throw error
        this.#fail(file, error)
      }
    }
  }

  #descriptor(file: number, planned: PlannedFile): OpenFile {
    const known = this.#open.get(file)
    if (known !== undefined) return known
    if (this.#open.size >= OPEN_FILES_MAX) this.#closeOldest()
    let fd: number
    if (planned.opened) {
      fd = this.#options.target.reopenFile(planned.location)
    } else {
      const opened = this.#options.target.openFile(planned.location, planned.size)
      fd = opened.fd
      planned.opened = true
      planned.isNew = opened.isNew
    }
    const open = { fd, uses: 0 }
    this.#open.set(file, open)
    return open
  }

  #closeOldest(): void {
    for (const [file, { fd, uses }] of this.#open) {
      if (uses > 0) continue
      closeSync(fd)
      this.#open.delete(file)
      return
    }
  }

  #finish(file: number): void {
    this.#close(file)
    this.#options.onDone(file)
  }

  #fail(file: number, error: Error): void {
    const planned = this.#files[file]
    if (planned === undefined || planned.failed) return
    planned.failed = true
    this.#close(file)
    if (isTargetFull(error)) {
      this.#isFull = true
      throw targetFullError(this.#options.target.pathOf(planned.location), error)
    }
    this.#options.onError(file, error)
  }

  #close(file: number): void {
    const open = this.#open.get(file)
    if (open === undefined || open.uses > 0) return
    closeSync(open.fd)
    this.#open.delete(file)
  }

  #threads(): WorkerPool<Tasks> {
    this.#pool ??= startThreads(this.#options.repository, { isSmall: this.#rows.length < FEW_BLOBS })
    return this.#pool
  }
}

interface OpenFile {
  readonly fd: number
  /** Threads at work on it. */
  uses: number
}

interface Place {
  readonly file: number
  readonly offset: number
}

interface PackJob {
  readonly pack: number
  readonly packId: Id
  readonly rows: number[]
  readonly places: Place[][]
}

/** What concerns one pack or blob only; the rest of the restore goes on. */
function isPackFailure(error: unknown): error is ResticError {
  if (!(error instanceof ResticError)) return false
  return ['CORRUPT_DATA', 'FILE_NOT_FOUND', 'NOT_FOUND', 'BACKEND'].includes(error.code)
}

/** Blobs for one task, in memory of their own that can be sent; offsets are those in `bytes`. */
interface Group {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly blobs: readonly PackedBlob[]
  readonly places: readonly (readonly Place[])[]
}

/** Cuts a part into groups of bounded size, so that threads share it and not too many files are open at once. */
function* groupsOf(part: PackPart, places: readonly (readonly Place[])[]): Generator<Group> {
  let first = 0
  for (let i = 0; i < part.blobs.length; i++) {
    const start = part.blobs[first]?.offset ?? 0
    const next = part.blobs[i + 1]
    const isFull =
      next === undefined ||
      i + 1 - first >= GROUP_BLOBS ||
      next.offset + next.length - start > GROUP_BYTES ||
      next.offset < start
    if (!isFull) continue
    const blobs = part.blobs.slice(first, i + 1).map((blob) => ({ ...blob, offset: blob.offset - start }))
    const end = Math.max(...blobs.map((blob) => blob.offset + blob.length))
    const bytes = Uint8Array.from(part.bytes.subarray(start - part.start, start - part.start + end))
    yield { bytes, blobs, places: places.slice(first, i + 1) }
    first = i + 1
  }
}

/** As a thread threw it. */
function damageOf(blob: PackedBlob, packId: Id, message: string): CorruptDataError {
  const what = `${blob.type} blob ${blob.id}`
  return damageInPack(new CorruptDataError(what, message.replace(`${what} is damaged: `, '')), packId)
}
