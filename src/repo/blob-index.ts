/**
 * Which blob lies where, in memory: the union of all index files (format spec §8) plus the packs of this run.
 *
 * Rows lie pack by pack and within a pack by offset. As packs have no gaps, a blob's offset is the sum of the lengths
 * before it and its pack is found by binary search over the packs' first rows, so neither is stored per blob.
 * Budget: 32 (ID) + 4 (length) + 4 (uncompressed length) + 5 to 10 (hash slot) bytes a blob, plus 44 a pack.
 */
import { PackHeaderEncoder, type BlobType, type PackedBlob } from './format/pack-header.ts'
import { idFromBytes, idToBytes, type Id } from './format/id.ts'
import { scanIndexFile } from './format/index-file.ts'
import { CorruptDataError } from '../errors.ts'
import { ID_BYTES, IdTable, type SharedIdTable } from './id-table.ts'
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

/** The types share the length column: the top bit says tree. Blobs are far below 2 GiB. */
const TREE_BIT = 0x8000_0000
const LENGTH_MASK = 0x7fff_ffff

const SEAL_OVERHEAD = 32

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

  /** @param id 32 raw bytes */
  has(type: BlobType, id: Uint8Array): boolean {
    const isTree = type === 'tree'
    let row = this.#ids.find(id)
    while (row >= 0 && this.#lengths.at(row) >= TREE_BIT !== isTree) row = this.#ids.findNext(id, row)
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
    const staged = new StagedPack()
    staged.start(idToBytes(packId))
    for (const blob of blobs) {
      const type = blob.type === 'tree' ? 1 : 0
      staged.add(idToBytes(blob.id), type, blob.offset, blob.length, blob.uncompressedLength)
    }
    return this.#commit(staged)
  }

  /**
   * Adds all packs of one index file.
   * @returns IDs of packs that were listed before, and of those listed before with other contents
   * @throws CorruptDataError
   */
  addIndexFile(json: Uint8Array): { readonly repeated: Id[]; readonly conflicting: Id[] } {
    const repeated: Id[] = []
    const conflicting: Id[] = []
    const staged = new StagedPack()
    const commit = (): void => {
      if (!staged.started) return
      const added = this.#commit(staged)
      if (added === 'same') repeated.push(idFromBytes(staged.packId))
      if (added === 'conflicting') conflicting.push(idFromBytes(staged.packId))
    }
    scanIndexFile(json, {
      pack: (id) => {
        commit()
        staged.start(id)
      },
      // oxlint-disable-next-line max-params -- called for every blob: an object each would be garbage
      blob: (id, type, offset, length, uncompressedLength) => {
        staged.add(id, type, offset, length, uncompressedLength)
      },
    })
    commit()
    return { repeated, conflicting }
  }

  has(type: BlobType, id: Id): boolean {
    return this.rowOf(type, id) >= 0
  }

  /** The row of the first copy of a blob, or -1. Rows number from 0 to `blobCount` − 1 and never change. */
  rowOf(type: BlobType, id: Id): number {
    idInto(id, this.#scratch)
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
    idInto(id, this.#scratch)
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
    return this.#uncompressedLengths.at(row) || this.lengthAt(row) - SEAL_OVERHEAD
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

  #commit(staged: StagedPack): AddedPack {
    staged.sort()
    const known = this.#packs.find(staged.packId)
    if (known >= 0 && this.#holds(known, staged)) return 'same'
    const pack = this.#packs.add(staged.packId)
    this.#firstRows.push(this.blobCount)
    for (const entry of staged.entries) {
      this.#blobs.add(entry.id)
      this.#lengths.push(entry.type === 1 ? entry.length + TREE_BIT : entry.length)
      this.#uncompressedLengths.push(entry.uncompressedLength)
    }
    if (!staged.isContiguous()) {
      this.#irregularOffsets.set(
        pack,
        Uint32Array.from(staged.entries, (entry) => entry.offset),
      )
    }
    return known >= 0 ? 'conflicting' : 'new'
  }

  /** Whether any pack of this ID has exactly the staged blobs. */
  #holds(firstPack: number, staged: StagedPack): boolean {
    for (let pack = firstPack; pack >= 0; pack = this.#packs.findNext(staged.packId, pack)) {
      const blobs = this.blobsAt(pack)
      const same =
        blobs.length === staged.entries.length &&
        staged.entries.every((entry, i) => {
          const blob = blobs[i]
          return (
            blob !== undefined &&
            blob.offset === entry.offset &&
            blob.length === entry.length &&
            blob.uncompressedLength === entry.uncompressedLength &&
            (blob.type === 'tree') === (entry.type === 1) &&
            blob.id === idFromBytes(entry.id)
          )
        })
      if (same) return true
    }
    return false
  }
}

interface StagedBlob {
  readonly id: Uint8Array
  type: 0 | 1
  offset: number
  length: number
  uncompressedLength: number
}

/** One pack on its way into the index. Its entries are reused from pack to pack. */
class StagedPack {
  readonly packId = new Uint8Array(ID_BYTES)
  started = false
  entries: StagedBlob[] = []
  readonly #pool: StagedBlob[] = []

  start(packId: Uint8Array): void {
    this.packId.set(packId)
    this.started = true
    this.entries = []
  }

  // oxlint-disable-next-line max-params -- as above
  add(id: Uint8Array, type: 0 | 1, offset: number, length: number, uncompressedLength: number): void {
    if (length < SEAL_OVERHEAD || length > LENGTH_MASK) {
      throw new CorruptDataError(
        'index',
        `blob ${idFromBytes(id)} has an impossible length of ${length} bytes`,
      )
    }
    const at = this.entries.length
    let entry = this.#pool[at]
    if (entry === undefined) {
      entry = { id: new Uint8Array(ID_BYTES), type, offset, length, uncompressedLength }
      this.#pool.push(entry)
    }
    entry.id.set(id)
    entry.type = type
    entry.offset = offset
    entry.length = length
    entry.uncompressedLength = uncompressedLength
    this.entries.push(entry)
  }

  sort(): void {
    let previous = -1
    for (const entry of this.entries) {
      if (entry.offset < previous) {
        // The pool keeps its own order; sorting a copy leaves later packs their entries.
        this.entries = this.entries.toSorted((a, b) => a.offset - b.offset)
        return
      }
      previous = entry.offset
    }
  }

  isContiguous(): boolean {
    let offset = 0
    for (const entry of this.entries) {
      if (entry.offset !== offset) return false
      offset += entry.length
    }
    return true
  }
}

/** Decodes 64 hex digits without an allocation. */
function idInto(id: Id, target: Uint8Array): void {
  for (let i = 0; i < ID_BYTES; i++) {
    target[i] = (nibble(id.charCodeAt(2 * i)) << 4) | nibble(id.charCodeAt(2 * i + 1))
  }
}

/** '0'–'9' and 'a'–'f' only: an Id is nothing else. */
function nibble(code: number): number {
  return code < 58 ? code - 48 : code - 87
}
