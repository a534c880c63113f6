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

export class RestorePlan {
  readonly metadata: MetadataTable = new MetadataTable()
  readonly #files: PlannedFile[] = []
  readonly #rows = new Uint32Column()
  readonly #fileOf = new Uint32Column()
  readonly #offsetLow = new Uint32Column()
  readonly #offsetHigh = new Uint32Column()

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
    this.#rows.push(row)
    this.#fileOf.push(file)
    this.#offsetLow.push(offset >>> 0)
    this.#offsetHigh.push(Math.floor(offset / 2 ** 32))
  }

  get files(): readonly PlannedFile[] {
    return this.#files
  }

  get placeCount(): number {
    return this.#rows.length
  }

  fileAt(file: number): PlannedFile {
    const planned = this.#files[file]
    if (planned === undefined) throw new RangeError(`no file ${file}`)
    return planned
  }

  /** One job a pack. Rows lie pack by pack and by offset, so sorting by row sorts both. */
  *jobs(index: BlobIndex): Generator<PackJob> {
    const count = this.#rows.length
    const keys = new Float64Array(count)
    for (let entry = 0; entry < count; entry++) keys[entry] = this.#rows.at(entry) * count + entry
    keys.sort()
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
}
