/**
 * Which blob lies where, in memory: the union of all index files (format spec §8) plus the packs of this run.
 *
 * Rows lie pack by pack and within a pack by offset. As packs have no gaps, a blob's offset is the sum of the lengths
 * before it and its pack is found by binary search over the packs' first rows, so neither is stored per blob.
 * Budget: 32 (ID) + 4 (length) + 4 (uncompressed length) + 5 to 7.5 (hash slot) bytes a blob, plus 44 a pack.
 */
import {
  PackHeaderCursor,
  PackHeaderEncoder,
  SEAL_OVERHEAD_BYTES,
  type BlobType,
  type PackedBlob,
} from './format/pack-header.ts'
import { idFromBytes, idInto, idToBytes, type Id } from './format/id.ts'
import { ID_BYTES, IdTable, type SharedIdTable } from './id-table.ts'
import { LENGTH_MASK, PackColumns, TREE_BIT, type Columns } from './pack-columns.ts'
import { Uint32Column, type SharedColumn } from './uint32-column.ts'

/** Where one copy of a blob lies. `length` counts stored bytes; `uncompressedLength` is 0 where stored plain. */
export interface BlobLocation extends PackedBlob {
  readonly packId: Id
}

/** What became of a pack added: it was new, it was there already, or it was there with other contents (damage). */
export type AddedPack = 'new' | 'same' | 'conflicting'

/** Offsets are summed up each time they are asked for, unless there are more blobs before them. */
const FEW_ROWS = 64
const RECENT_PACKS = 16

/** The blobs an index knows, for other threads. */
export interface SharedBlobs {
  readonly ids: SharedIdTable
  readonly lengths: SharedColumn
}

/** Which blobs an index of another thread knew when it was shared. */
export class BlobLookup {
  readonly #ids: IdTable
  readonly #lengths: Uint32Column

  constructor(shared: SharedBlobs) {
    this.#ids = new IdTable(shared.ids)
    this.#lengths = new Uint32Column(shared.lengths)
  }

  /** @param id has 32 raw bytes at `offset` */
  has(type: BlobType, id: Uint8Array, offset = 0): boolean {
    const isTree = type === 'tree'
    let row = this.#ids.find(id, offset)
    while (row >= 0 && this.#lengths.at(row) >= TREE_BIT !== isTree) row = this.#ids.findNext(id, row, offset)
    return row >= 0
  }
}

export class BlobIndex {
  readonly #blobs = new IdTable()
  readonly #lengths = new Uint32Column()
  readonly #uncompressedLengths = new Uint32Column()
  readonly #packs = new IdTable()
  readonly #firstRows = new Uint32Column()
  /** Offsets of packs whose blobs do not lie end to end from 0: none but in damaged or foreign indexes. */
  readonly #irregularOffsets = new Map<number, Uint32Array>()
  readonly #recentOffsets = new Map<number, Uint32Array>()
  /** Of packs with trees, as far as they were asked for. */
  readonly #packEnds = new Map<number, number>()
  readonly #scratch = new Uint8Array(ID_BYTES)
  readonly #added = new PackColumns()

  get blobCount(): number {
    return this.#blobs.size
  }

  get packCount(): number {
    return this.#packs.size
  }

  /** What other threads need to look blobs up. */
  share(): SharedBlobs {
    return { ids: this.#blobs.share(), lengths: this.#lengths.share() }
  }

  /** Adds a pack with its blobs in any order. Conflicting contents are added as another pack of the same ID. */
  addPack(packId: Id, blobs: readonly PackedBlob[]): AddedPack {
    const columns = new PackColumns()
    columns.pack(idToBytes(packId))
    for (const blob of blobs) {
      const type = blob.type === 'tree' ? 1 : 0
      columns.blob(idToBytes(blob.id), type, blob.offset, blob.length, blob.uncompressedLength)
    }
    const { repeated, conflicting } = this.addColumns(columns.finish())
    if (repeated.length > 0) return 'same'
    return conflicting.length > 0 ? 'conflicting' : 'new'
  }

  /** As `addPack`, for a pack with such a header (its plaintext). */
  addHeader(packId: Id, header: Uint8Array): void {
    this.#added.clear()
    this.#added.pack(idToBytes(packId))
    const blob = new PackHeaderCursor(header)
    while (blob.next()) {
      const id = header.subarray(blob.idStart, blob.idStart + ID_BYTES)
      const type = blob.type === 'tree' ? 1 : 0
      this.#added.blob(id, type, blob.offset, blob.length, blob.uncompressedLength)
    }
    this.addColumns(this.#added.finish())
  }

  /**
   * Adds all packs of one index file (`scanIndexFile`).
   * @returns IDs of packs that were listed before, and of those listed before with other contents
   */
  addColumns(columns: Columns): { readonly repeated: Id[]; readonly conflicting: Id[] } {
    const repeated: Id[] = []
    const conflicting: Id[] = []
    const { packIds, firstRows } = columns
    const packCount = firstRows.length
    const rowCount = columns.lengths.length
    /** Rows from here on are not added yet, but their packs are. */
    let from = 0
    const startOf = (pack: number): number => (pack < packCount ? (firstRows[pack] ?? 0) : rowCount)
    for (let pack = 0; pack < packCount; pack++) {
      const start = startOf(pack)
      const known = this.#packs.find(packIds, pack * ID_BYTES)
      if (known >= 0) {
        this.#addRows(columns, from, start)
        from = start
        const end = startOf(pack + 1)
        const id = idFromBytes(packIds.subarray(pack * ID_BYTES, (pack + 1) * ID_BYTES))
        if (this.#holds(known, { columns, pack, start, end })) {
          repeated.push(id)
          from = end
          continue
        }
        conflicting.push(id)
      }
      const number = this.#packs.add(packIds, pack * ID_BYTES)
      this.#firstRows.push(this.blobCount + start - from)
      const offsets = columns.irregularOffsets.get(pack)
      if (offsets !== undefined) this.#irregularOffsets.set(number, offsets)
    }
    this.#addRows(columns, from, rowCount)
    return { repeated, conflicting }
  }

  has(type: BlobType, id: Id): boolean {
    return this.rowOf(type, id) >= 0
  }

  /** The row of the first copy of a blob, or -1. Rows number from 0 to `blobCount` − 1 and never change. */
  rowOf(type: BlobType, id: Id): number {
    idInto(id, this.#scratch, 0)
    return this.rowOfBytes(type, this.#scratch)
  }

  /** As `rowOf`, for the 32 raw bytes at `id[offset …]`. */
  rowOfBytes(type: BlobType, id: Uint8Array, offset = 0): number {
    let row = this.#blobs.find(id, offset)
    while (row >= 0 && this.typeAt(row) !== type) row = this.#blobs.findNext(id, row, offset)
    return row
  }

  /** Rows of all copies of a blob, the first copy first. */
  rowsOf(type: BlobType, id: Id): number[] {
    idInto(id, this.#scratch, 0)
    const rows: number[] = []
    for (
      let row = this.#blobs.find(this.#scratch);
      row >= 0;
      row = this.#blobs.findNext(this.#scratch, row)
    ) {
      if (this.typeAt(row) === type) rows.push(row)
    }
    return rows
  }

  /** The first row of the same blob as `row`: equal for all copies, so that a bitmap by it holds a set of blobs. */
  firstCopyOf(row: number): number {
    const first = this.rowOfBytes(this.typeAt(row), this.#blobs.idAt(row))
    return first < 0 ? row : first
  }

  lookup(type: BlobType, id: Id): BlobLocation | undefined {
    const row = this.rowOf(type, id)
    return row < 0 ? undefined : this.locationAt(row)
  }

  /** Plaintext length of a blob in bytes. */
  sizeOf(type: BlobType, id: Id): number | undefined {
    const row = this.rowOf(type, id)
    return row < 0 ? undefined : this.plaintextLengthAt(row)
  }

  typeAt(row: number): BlobType {
    return this.#lengths.at(row) >= TREE_BIT ? 'tree' : 'data'
  }

  idAt(row: number): Id {
    return idFromBytes(this.#blobs.idAt(row))
  }

  /** Stored length of the blob at `row`, crypto overhead included. */
  lengthAt(row: number): number {
    return this.#lengths.at(row) & LENGTH_MASK
  }

  uncompressedLengthAt(row: number): number {
    return this.#uncompressedLengths.at(row)
  }

  plaintextLengthAt(row: number): number {
    return this.#uncompressedLengths.at(row) || this.lengthAt(row) - SEAL_OVERHEAD_BYTES
  }

  locationAt(row: number): BlobLocation {
    const pack = this.packOfRow(row)
    return { ...this.#blobAt(row, this.#offsetAt(row, pack)), packId: this.packIdAt(pack) }
  }

  /** Where the blobs of the pack that holds `row` end, as an offset in the pack. */
  endOfPackOf(row: number): number {
    const pack = this.packOfRow(row)
    let end = this.#packEnds.get(pack)
    if (end === undefined) {
      const last = this.rowsOfPack(pack).end - 1
      end = this.#offsetAt(last, pack) + this.lengthAt(last)
      this.#packEnds.set(pack, end)
    }
    return end
  }

  /** Number of the pack that holds `row`, from 0 to `packCount` − 1. */
  packOfRow(row: number): number {
    let low = 0
    let high = this.packCount - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.#firstRows.at(middle) <= row) low = middle
      else high = middle - 1
    }
    return low
  }

  packIdAt(pack: number): Id {
    return idFromBytes(this.#packs.idAt(pack))
  }

  /** The pack's number, or -1. */
  packNumber(packId: Id): number {
    return this.#packs.find(idToBytes(packId))
  }

  /** First row of a pack and the row after its last. */
  rowsOfPack(pack: number): { readonly start: number; readonly end: number } {
    const end = pack + 1 < this.packCount ? this.#firstRows.at(pack + 1) : this.blobCount
    return { start: this.#firstRows.at(pack), end }
  }

  /** The blobs of pack number `pack`, by offset. */
  blobsAt(pack: number): PackedBlob[] {
    const { start, end } = this.rowsOfPack(pack)
    const irregular = this.#irregularOffsets.get(pack)
    const blobs: PackedBlob[] = []
    let offset = 0
    for (let row = start; row < end; row++) {
      blobs.push(this.#blobAt(row, irregular?.[row - start] ?? offset))
      offset += this.lengthAt(row)
    }
    return blobs
  }

  /** What the header of pack number `pack` must hold; undefined where blobs do not lie end to end from its start. */
  packHeaderAt(pack: number): Uint8Array | undefined {
    if (this.#irregularOffsets.has(pack)) return undefined
    const { start, end } = this.rowsOfPack(pack)
    const header = new PackHeaderEncoder(end - start)
    for (let row = start; row < end; row++)
      header.add(this.typeAt(row), this.lengthAt(row), this.uncompressedLengthAt(row), this.#blobs.idAt(row))
    return header.finish()
  }

  /** The blobs of a pack by offset, none where the pack is unknown. */
  blobsOfPack(packId: Id): PackedBlob[] {
    const pack = this.packNumber(packId)
    return pack < 0 ? [] : this.blobsAt(pack)
  }

  #blobAt(row: number, offset: number): PackedBlob {
    return {
      type: this.typeAt(row),
      id: this.idAt(row),
      offset,
      length: this.lengthAt(row),
      uncompressedLength: this.uncompressedLengthAt(row),
    }
  }

  #offsetAt(row: number, pack: number): number {
    const first = this.#firstRows.at(pack)
    const isFar = row - first > FEW_ROWS
    const known = this.#irregularOffsets.get(pack) ?? (isFar ? this.#offsetsOf(pack) : undefined)
    if (known !== undefined) return known[row - first] ?? 0
    let offset = 0
    for (let before = first; before < row; before++) offset += this.lengthAt(before)
    return offset
  }

  /** Offsets of a pack of many blobs, kept for a while: who asks for one tree asks for its neighbours. */
  #offsetsOf(pack: number): Uint32Array {
    let offsets = this.#recentOffsets.get(pack)
    if (offsets !== undefined) return offsets
    const { start, end } = this.rowsOfPack(pack)
    offsets = new Uint32Array(end - start)
    for (let row = start, offset = 0; row < end; row++) {
      offsets[row - start] = offset
      offset += this.lengthAt(row)
    }
    if (this.#recentOffsets.size >= RECENT_PACKS) this.#recentOffsets.clear()
    this.#recentOffsets.set(pack, offsets)
    return offsets
  }

  #addRows(columns: Columns, start: number, end: number): void {
    this.#blobs.addAll(columns.ids.subarray(start * ID_BYTES, end * ID_BYTES))
    this.#lengths.pushAll(columns.lengths.subarray(start, end))
    this.#uncompressedLengths.pushAll(columns.uncompressedLengths.subarray(start, end))
  }

  /** Whether any pack of this ID, of which `firstPack` is one, has exactly the blobs of the pack in the columns. */
  #holds(firstPack: number, listed: ListedPack): boolean {
    const { packIds } = listed.columns
    const idAt = listed.pack * ID_BYTES
    for (let pack = firstPack; pack >= 0; pack = this.#packs.findNext(packIds, pack, idAt)) {
      if (this.#isSame(pack, listed)) return true
    }
    return false
  }

  #isSame(pack: number, { columns, pack: listed, start, end }: ListedPack): boolean {
    const { start: own, end: ownEnd } = this.rowsOfPack(pack)
    if (ownEnd - own !== end - start) return false
    for (let row = start; row < end; row++) {
      const isSame =
        this.#lengths.at(own + row - start) === columns.lengths[row] &&
        this.#uncompressedLengths.at(own + row - start) === columns.uncompressedLengths[row] &&
        this.#blobs.isAt(own + row - start, columns.ids, row * ID_BYTES)
      if (!isSame) return false
    }
    // Equal lengths come to equal offsets where blobs lie end to end.
    const offsets = columns.irregularOffsets.get(listed)
    const ownOffsets = this.#irregularOffsets.get(pack)
    return (
      offsets?.length === ownOffsets?.length && (offsets?.every((at, i) => at === ownOffsets?.[i]) ?? true)
    )
  }
}

/** Which rows of some columns are a pack's. */
interface ListedPack {
  readonly columns: Columns
  readonly pack: number
  readonly start: number
  readonly end: number
}
