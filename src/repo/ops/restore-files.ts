/**
 * The content of all files of a restore, pack by pack: each range of a pack that is needed is fetched once and each
 * blob decoded once, however many files it goes to.
 * Budget: 24 bytes for each place a blob goes to, a path and a few numbers for each file.
 */
import { closeSync } from 'node:fs'
import { ResticError } from '../../errors.ts'
import type { BlobIndex } from '../blob-index.ts'
import type { Id } from '../format/id.ts'
import type { PackedBlob } from '../format/pack-header.ts'
import { forEachParallel } from '../parallel.ts'
import type { Repository } from '../repository.ts'
import { Uint32Column } from '../uint32-column.ts'
import type { Pacer } from './operation.ts'
import { writeFully, type RestoreTarget } from './restore-target.ts'

/** File descriptors kept open at once. */
const OPEN_FILES_MAX = 128

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
  readonly #open = new Map<number, number>()

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

  /** Writes everything planned. @throws AbortedError, errors of the store that concern more than one pack */
  async write(): Promise<void> {
    try {
      await forEachParallel(this.#jobs(), this.#options.repository.backend.connections, (job) =>
        this.#writePack(job),
      )
    } finally {
      for (const fd of this.#open.values()) closeSync(fd)
      this.#open.clear()
    }
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
    const { repository, signal, pacer } = this.#options
    const all = this.#index.blobsAt(job.pack)
    const { start } = this.#index.rowsOfPack(job.pack)
    const blobs = job.rows.map((row) => all[row - start]).filter((blob) => blob !== undefined)
    let next = 0
    try {
      await repository.readPackBlobs(job.packId, blobs, {
        signal,
        visit: async ({ blob, plaintext, error }) => {
          const places = job.places[next++] ?? []
          if (plaintext !== undefined) this.#place(places, plaintext)
          else await this.#placeOtherCopy(places, blob, error)
          if (pacer.isDue) await pacer.pause()
        },
      })
    } catch (error) {
      if (!isPackFailure(error)) throw error
      for (; next < blobs.length; next++) {
        const blob = blobs[next]
        if (blob !== undefined) await this.#placeOtherCopy(job.places[next] ?? [], blob, error)
      }
    }
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
        const fd = this.#descriptor(file, planned)
        if (!(this.#options.sparse && planned.isNew && isZero(plaintext))) writeFully(fd, plaintext, offset)
        planned.missing -= 1
        this.#options.onBytes(file, plaintext.length)
        if (planned.missing === 0) this.#finish(file)
      } catch (error) {
        if (!(error instanceof Error) || !('syscall' in error)) throw error
        this.#fail(file, error)
      }
    }
  }

  #descriptor(file: number, planned: PlannedFile): number {
    const open = this.#open.get(file)
    if (open !== undefined) return open
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
    this.#open.set(file, fd)
    return fd
  }

  #closeOldest(): void {
    for (const [file, fd] of this.#open) {
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
    this.#options.onError(file, error)
  }

  #close(file: number): void {
    const fd = this.#open.get(file)
    if (fd === undefined) return
    closeSync(fd)
    this.#open.delete(file)
  }
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

function isZero(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 0) return false
  return true
}
