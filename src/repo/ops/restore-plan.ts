/**
 * Which blobs go where in a restore, in the order of the packs.
 * Budget: 24 bytes for each place a blob goes to; 36 bytes, a path and a few numbers for each file.
 */
import type { BlobIndex } from '../blob-index.ts'
import type { Id } from '../format/id.ts'
import { Uint32Column } from '../uint32-column.ts'
import { MetadataTable } from './metadata-table.ts'
import { joinPath } from './native-path.ts'
import type { Metadata } from './node-metadata.ts'

export interface PlannedFile {
  /** Its folder, as a location. */
  readonly folder: string
  readonly name: string
  readonly size: number
  /** Parts of what stands there stay. */
  readonly isUpdate: boolean
  /** Nothing stood there when the file was planned. */
  readonly isFree: boolean
  /** Places that wait for their blob. */
  missing: number
  failed: boolean
  opened: boolean
  isNew: boolean
  /** Zeros need not be written. */
  isZeroed: boolean
}

/** Where a blob goes to. */
export interface Place {
  readonly file: number
  readonly offset: number
}

/** What is needed of one pack. */
export interface PackJob {
  readonly pack: number
  readonly packId: Id
  /** Index rows in the order of the pack. */
  readonly rows: number[]
  /** For each row. */
  readonly places: Place[][]
}

export interface NewFile {
  readonly folder: string
  readonly name: string
  readonly size: number
  readonly isUpdate: boolean
  readonly isFree: boolean
  readonly metadata: Metadata
}

/** Where a file is in the snapshot. */
export function locationOf({ folder, name }: PlannedFile): string {
  return joinPath(folder, name)
}

/** So many blobs lie together in a pack, on average, where reading them is not mostly seeking. */
const DENSE_RUN_BLOBS = 16

export class RestorePlan {
  readonly metadata: MetadataTable = new MetadataTable()
  /** Without those that are done. */
  readonly #files: (PlannedFile | undefined)[] = []
  #waiting = new Places()
  #placeCount = 0

  /** Plans a file and returns its number. */
  add({ folder, name, size, isUpdate, isFree, metadata }: NewFile): number {
    const state = { missing: 0, failed: false, opened: false, isNew: false, isZeroed: false }
    this.#files.push({ folder, name, size, isUpdate, isFree, ...state })
    this.metadata.push(metadata)
    return this.#files.length - 1
  }

  /** Plans one blob of a file: index row `row` goes to `offset`. */
  addBlob(file: number, row: number, offset: number): void {
    this.fileAt(file).missing += 1
    this.#placeCount += 1
    this.#waiting.push(row, file, offset)
  }

  /** Those that are not done. */
  *files(): Generator<PlannedFile> {
    for (const file of this.#files) if (file !== undefined) yield file
  }

  get placeCount(): number {
    return this.#placeCount
  }

  /** Places that no job has been made of. */
  get waitingCount(): number {
    return this.#waiting.count
  }

  fileAt(file: number): PlannedFile {
    const planned = this.#files[file]
    if (planned === undefined) throw new RangeError(`no file ${file}`)
    return planned
  }

  /** A file that is done is not asked for again. */
  forget(file: number): void {
    this.#files[file] = undefined
  }

  /** One job for each pack that places wait for, which then wait no more. */
  takeAll(index: BlobIndex): Iterable<PackJob> {
    const places = this.#waiting
    this.#waiting = new Places()
    return jobsOf(places, places.sorted(), index)
  }

  /** As `takeAll`, but undefined where the blobs do not lie together in their packs, most of them. */
  takeDense(index: BlobIndex): Iterable<PackJob> | undefined {
    const places = this.#waiting
    const keys = places.sorted()
    if (runCount(places, keys) * DENSE_RUN_BLOBS > places.count) return undefined
    this.#waiting = new Places()
    return jobsOf(places, keys, index)
  }
}

/** Where blobs go to, in columns. */
class Places {
  readonly #rows = new Uint32Column()
  readonly #fileOf = new Uint32Column()
  readonly #offsetLow = new Uint32Column()
  readonly #offsetHigh = new Uint32Column()

  get count(): number {
    return this.#rows.length
  }

  push(row: number, file: number, offset: number): void {
    this.#rows.push(row)
    this.#fileOf.push(file)
    this.#offsetLow.push(offset >>> 0)
    this.#offsetHigh.push(Math.floor(offset / 2 ** 32))
  }

  at(entry: number): Place {
    return {
      file: this.#fileOf.at(entry),
      offset: this.#offsetHigh.at(entry) * 2 ** 32 + this.#offsetLow.at(entry),
    }
  }

  /** For each place its row times their count, plus its number: rows lie pack by pack and by offset, and so do these. */
  sorted(): Float64Array {
    const { count } = this
    const keys = new Float64Array(count)
    for (let entry = 0; entry < count; entry++) keys[entry] = this.#rows.at(entry) * count + entry
    keys.sort()
    return keys
  }
}

/** Runs of rows without a gap. */
function runCount({ count }: Places, keys: Float64Array): number {
  let runs = 0
  let last = -2
  for (const key of keys) {
    const row = Math.floor(key / count)
    if (row > last + 1) runs += 1
    last = row
  }
  return runs
}

function* jobsOf(places: Places, keys: Float64Array, index: BlobIndex): Generator<PackJob> {
  const { count } = places
  let job: PackJob | undefined
  for (const key of keys) {
    const row = Math.floor(key / count)
    const pack = index.packOfRow(row)
    if (job?.pack !== pack) {
      if (job !== undefined) yield job
      job = { pack, packId: index.packIdAt(pack), rows: [], places: [] }
    }
    if (job.rows.at(-1) !== row) {
      job.rows.push(row)
      job.places.push([])
    }
    job.places.at(-1)?.push(places.at(key - row * count))
  }
  if (job !== undefined) yield job
}
