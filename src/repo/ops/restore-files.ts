/**
 * The content of all files of a restore, pack by pack: each range of a pack that is needed is fetched once and each
 * blob decoded once, however many files it goes to. A file whose blobs all lie in one stretch of one pack, as most do,
 * is made and finished by the thread that decodes them; others are opened here and finished with their last blob.
 */
import { closeSync } from 'node:fs'
import { CorruptDataError, ResticError } from '../../errors.ts'
import type { BlobIndex } from '../blob-index.ts'
import type { Id } from '../format/id.ts'
import { plaintextLengthOf, type PackedBlob } from '../format/pack-header.ts'
import { damageInPack, type PackPart } from '../pack-reader.ts'
import { forEachParallel } from '../parallel.ts'
import type { Repository } from '../repository.ts'
import type { WorkerPool } from '../worker-pool.ts'
import { DIRECT_FILE_BYTES_MIN, openDirectly } from './direct-places.ts'
import { filesToCreate, type FileToCreate } from './files-to-create.ts'
import { applyMetadata } from './node-metadata.ts'
import type { Pacer } from './operation.ts'
import { GroupMemory, groupsOf, type Group } from './restore-groups.ts'
import { locationOf, type PackJob, type Place, type PlannedFile, type RestorePlan } from './restore-plan.ts'
import { createXattrSelector, type SelectOptions } from './restore-select.ts'
import { isTargetFull, targetFullError, writeFully, type RestoreTarget } from './restore-target.ts'
import { sentBlobs } from './sent-blobs.ts'
import { systemErrorOf } from './system-failure.ts'
import { startThreads, type Tasks } from './threads.ts'
import type { WriteBlobsOutput } from './write-blobs-task.ts'

/** File descriptors kept open at once. */
const OPEN_FILES_MAX = 512
/** Of large ones a second time. */
const DIRECT_FILES_MAX = 64
/** Fewer are restored before threads have started. */
const FEW_BLOBS = 200

export interface FileWriterOptions {
  readonly repository: Repository
  readonly target: RestoreTarget
  readonly pacer: Pacer
  readonly sparse: boolean
  readonly xattrs: Pick<SelectOptions, 'includeXattrs' | 'excludeXattrs'>
  readonly signal?: AbortSignal | undefined
  readonly onBytes: (file: number, bytes: number) => void
  /** A file is whole and has its metadata, as far as `onMetadataError` does not say otherwise. */
  readonly onDone: (file: number) => void
  readonly onMetadataError: (file: number, error: Error) => void
  readonly onError: (file: number, error: Error) => void
}

/** Writes what is planned. */
export class FileWriter {
  readonly #options: FileWriterOptions
  readonly #plan: RestorePlan
  readonly #index: BlobIndex
  readonly #selectXattr: (name: string) => boolean
  readonly #open = new Map<number, OpenFile>()
  #directCount = 0
  readonly #memory = new GroupMemory()
  #pool: WorkerPool<Tasks> | undefined
  /** Nothing more can be written. */
  #isFull = false

  constructor(plan: RestorePlan, options: FileWriterOptions) {
    this.#plan = plan
    this.#options = options
    this.#index = options.repository.index
    this.#selectXattr = createXattrSelector(options.xattrs)
  }

  /**
   * Writes everything planned.
   * @throws AbortedError, BackendError where the disk is full, errors of the store that concern more than one pack
   */
  async write(): Promise<void> {
    try {
      await forEachParallel(
        this.#plan.jobs(this.#index),
        this.#options.repository.backend.connections,
        (job) => this.#writePack(job),
      )
    } finally {
      // First the threads end: nobody may write to a number that could be another file's by then.
      await this.#pool?.close()
      for (const file of this.#open.keys()) this.#closeNow(file)
      if (this.#isFull) this.#removeHalves()
    }
  }

  /** Files of full size with holes in them would pass for restored. */
  #removeHalves(): void {
    for (const planned of this.#plan.files)
      if (planned.opened && planned.isNew && planned.missing > 0)
        this.#options.target.clear(locationOf(planned))
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
      for (const group of groupsOf(part, places, this.#memory)) {
        await this.#pool?.ready()
        if (pacer.isDue) await pacer.pause()
        if (this.#isFull) break
        const writing = this.#writeGroup(group, packId)
        // It is waited for below; until then it must not pass for unhandled.
        writing.catch(() => undefined)
        groups.push(writing)
      }
      // Groups have copies.
      this.#options.repository.reuse(part.bytes)
    } finally {
      // Whatever happens, nobody may be writing when the files are closed.
      await Promise.allSettled(groups)
    }
    await Promise.all(groups)
  }

  /** Has a thread write a group, and sees to the files that it cannot finish. */
  async #writeGroup(group: Group, packId: Id): Promise<void> {
    const { bytes, blobs } = group
    const whole = this.#takeWhole(group)
    const opened = group.places.map((ofBlob) =>
      ofBlob.filter(({ file }) => whole.numbers.has(file) || this.#pin(file)),
    )
    const flat = opened.flat()
    const output = await this.#threads().run(
      'writeBlobs',
      {
        bytes,
        blobs: sentBlobs(blobs, group.start),
        placeCounts: Uint32Array.from(opened, ({ length }) => length),
        targets: Int32Array.from(flat, ({ file }) => this.#targetOf(file, whole)),
        directTargets: Int32Array.from(flat, ({ file }) => this.#open.get(file)?.directFd ?? -1),
        offsets: Float64Array.from(flat, ({ offset }) => offset),
        skipZeros: Uint8Array.from(flat, ({ file }) => (this.#plan.fileAt(file).isZeroed ? 1 : 0)),
        files: filesToCreate(whole.files, this.#plan.metadata),
        sparse: this.#options.sparse,
        xattrs: this.#options.xattrs,
      },
      bytes,
      (memory) => this.#memory.give(memory),
    )
    for (const { file } of flat) if (!whole.numbers.has(file)) this.#unpin(file)
    this.#takeOutcome(whole, output.files)
    let place = 0
    for (const [i, blob] of blobs.entries()) {
      const missing: Place[] = []
      const damage = output.damaged.get(i)
      for (const one of opened[i] ?? []) {
        const failure = output.failures.get(place++)
        const number = whole.numbers.get(one.file)
        const isWritten = number === undefined ? damage === undefined : !output.files.undone.has(number)
        if (!isWritten) missing.push(one)
        else if (number === undefined) {
          if (failure === undefined) this.#placed(one.file, plaintextLengthOf(blob))
          else this.#fail(one.file, systemErrorOf(failure))
        }
      }
      if (missing.length === 0) continue
      if (damage === undefined) await this.#placeAgain(missing, blob)
      else await this.#placeOtherCopy(missing, blob, damageOf(blob, packId, damage))
    }
  }

  /** Files that nothing stood in the way of and that are whole with this group. */
  #takeWhole({ places }: Group): WholeFiles {
    const counts = new Map<number, number>()
    for (const ofBlob of places) for (const { file } of ofBlob) counts.set(file, (counts.get(file) ?? 0) + 1)
    const numbers = new Map<number, number>()
    const byNumber: number[] = []
    const files: FileToCreate[] = []
    let folder: FileFolder | undefined
    for (const [file, placeCount] of counts) {
      const planned = this.#plan.fileAt(file)
      if (!planned.isFree || planned.opened || planned.failed || planned.missing !== placeCount) continue
      if (folder?.location !== planned.folder) folder = this.#folderFor(file, planned)
      if (folder === undefined) continue
      numbers.set(file, byNumber.length)
      byNumber.push(file)
      files.push({ folder: folder.path, name: planned.name, size: planned.size, placeCount, row: file })
    }
    return { numbers, byNumber, files }
  }

  #folderFor(file: number, { folder }: PlannedFile): FileFolder | undefined {
    const { target } = this.#options
    if (!this.#attempt(file, () => target.ensureFolder(folder))) return undefined
    return { location: folder, path: target.pathOf(folder) }
  }

  #targetOf(file: number, { numbers }: WholeFiles): number {
    const number = numbers.get(file)
    return number === undefined ? (this.#open.get(file)?.fd ?? -1) : -1 - number
  }

  #takeOutcome(whole: WholeFiles, outcome: WriteBlobsOutput['files']): void {
    for (const [number, failure] of outcome.metadataFailures) {
      const file = whole.byNumber[number]
      if (file !== undefined) this.#options.onMetadataError(file, systemErrorOf(failure))
    }
    for (const [number, file] of whole.byNumber.entries()) {
      const failure = outcome.failures.get(number)
      if (failure !== undefined) this.#fail(file, systemErrorOf(failure))
      else if (!outcome.undone.has(number)) this.#isWhole(file)
    }
  }

  #isWhole(file: number): void {
    const planned = this.#plan.fileAt(file)
    planned.missing = 0
    planned.opened = true
    planned.isNew = true
    this.#options.onBytes(file, planned.size)
    this.#options.onDone(file)
  }

  /** Opens a file and keeps it open until `#unpin`. False where that failed, now or before. */
  #pin(file: number): boolean {
    const planned = this.#plan.fileAt(file)
    if (planned.failed) return false
    return this.#attempt(file, () => {
      this.#descriptor(file, planned).uses += 1
    })
  }

  /** False where the system would not: then the file has failed. */
  #attempt(file: number, work: () => void): boolean {
    try {
      work()
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
    if (this.#plan.fileAt(file).failed) this.#close(file)
  }

  #placed(file: number, bytes: number): void {
    const planned = this.#plan.fileAt(file)
    if (planned.failed) return
    planned.missing -= 1
    this.#options.onBytes(file, bytes)
    if (planned.missing === 0) this.#finish(file)
  }

  /** A blob that is damaged here may lie whole in another pack, or have been spoiled on its way only. */
  async #placeOtherCopy(places: readonly Place[], blob: PackedBlob, error: Error): Promise<void> {
    const { repository, signal } = this.#options
    if (error instanceof CorruptDataError || this.#index.rowsOf(blob.type, blob.id).length > 1) {
      try {
        this.#place(places, await repository.loadBlob(blob.type, blob.id, signal))
        return
      } catch (other) {
        if (!isPackFailure(other)) throw other
      }
    }
    for (const { file } of places) this.#fail(file, error)
  }

  /** Files that a thread could not make get their blobs one by one. */
  async #placeAgain(places: readonly Place[], blob: PackedBlob): Promise<void> {
    const { repository, signal } = this.#options
    try {
      this.#place(places, await repository.loadBlob(blob.type, blob.id, signal))
    } catch (error) {
      if (!isPackFailure(error)) throw error
      for (const { file } of places) this.#fail(file, error)
    }
  }

  #place(places: readonly Place[], plaintext: Uint8Array): void {
    for (const { file, offset } of places) {
      const planned = this.#plan.fileAt(file)
      if (planned.failed) continue
      const isDone = this.#attempt(file, () =>
        writeFully(this.#descriptor(file, planned).fd, plaintext, offset),
      )
      if (isDone) this.#placed(file, plaintext.length)
    }
  }

  #descriptor(file: number, planned: PlannedFile): OpenFile {
    const known = this.#open.get(file)
    if (known !== undefined) return known
    if (this.#open.size >= OPEN_FILES_MAX) this.#closeOldest()
    let fd: number
    if (planned.opened) {
      fd = this.#options.target.reopenFile(locationOf(planned))
    } else {
      const opened = this.#options.target.openFile(locationOf(planned), planned.size, this.#options.sparse)
      fd = opened.fd
      planned.opened = true
      planned.isNew = opened.isNew
      planned.isZeroed = opened.isZeroed
    }
    const isLarge = planned.size >= DIRECT_FILE_BYTES_MIN && this.#directCount < DIRECT_FILES_MAX
    const directFd = isLarge ? openDirectly(fd) : undefined
    if (directFd !== undefined) this.#directCount += 1
    const open = { fd, directFd, uses: 0 }
    this.#open.set(file, open)
    return open
  }

  #closeOldest(): void {
    for (const [file, { uses }] of this.#open) {
      if (uses > 0) continue
      this.#closeNow(file)
      return
    }
  }

  #finish(file: number): void {
    this.#close(file)
    const path = this.#options.target.pathOf(locationOf(this.#plan.fileAt(file)))
    for (const error of applyMetadata(path, this.#plan.metadata.at(file), this.#selectXattr))
      this.#options.onMetadataError(file, error)
    this.#options.onDone(file)
  }

  #fail(file: number, error: Error): void {
    const planned = this.#plan.fileAt(file)
    if (planned.failed) return
    planned.failed = true
    this.#close(file)
    if (isTargetFull(error)) {
      this.#isFull = true
      throw targetFullError(this.#options.target.pathOf(locationOf(planned)), error)
    }
    this.#options.onError(file, error)
  }

  #close(file: number): void {
    const open = this.#open.get(file)
    if (open !== undefined && open.uses === 0) this.#closeNow(file)
  }

  #closeNow(file: number): void {
    const open = this.#open.get(file)
    if (open === undefined) return
    this.#open.delete(file)
    closeSync(open.fd)
    if (open.directFd === undefined) return
    closeSync(open.directFd)
    this.#directCount -= 1
  }

  #threads(): WorkerPool<Tasks> {
    this.#pool ??= startThreads(this.#options.repository, { isSmall: this.#plan.placeCount < FEW_BLOBS })
    return this.#pool
  }
}

interface OpenFile {
  readonly fd: number
  readonly directFd: number | undefined
  /** Threads at work on it. */
  uses: number
}

interface FileFolder {
  readonly location: string
  readonly path: string
}

/** Files of a group that a thread makes, with their numbers in the task. */
interface WholeFiles {
  readonly numbers: ReadonlyMap<number, number>
  readonly byNumber: readonly number[]
  readonly files: readonly FileToCreate[]
}

/** What concerns one pack or blob only; the rest of the restore goes on. */
function isPackFailure(error: unknown): error is ResticError {
  if (!(error instanceof ResticError)) return false
  return ['CORRUPT_DATA', 'FILE_NOT_FOUND', 'NOT_FOUND', 'BACKEND'].includes(error.code)
}

/** As a thread threw it. */
function damageOf(blob: PackedBlob, packId: Id, message: string): CorruptDataError {
  const what = `${blob.type} blob ${blob.id}`
  return damageInPack(new CorruptDataError(what, message.replace(`${what} is damaged: `, '')), packId)
}
