/** The header of a pack file: what blobs it holds, in their order (format spec §7). */
import { CorruptDataError, InvalidInputError } from '../../errors.ts'
import { ID_BYTES, idFromBytes, idInto, idToBytes, type Id } from './id.ts'

export type BlobType = 'data' | 'tree'

/** A blob and where it lies in its pack. */
export interface PackedBlob {
  readonly type: BlobType
  readonly id: Id
  readonly offset: number
  /** Stored bytes, crypto overhead included. */
  readonly length: number
  /** Bytes of plaintext where it is stored compressed, 0 where it is stored plain. */
  readonly uncompressedLength: number
}

/** The length field that ends a pack file: u32, little-endian, of the sealed header. */
export const PACK_TRAILER_BYTES = 4
/** What sealing adds to a blob or header. */
export const SEAL_OVERHEAD_BYTES = 32
/** Bytes of a pack besides its blobs and header entries. */
export const PACK_FIXED_BYTES: number = PACK_TRAILER_BYTES + SEAL_OVERHEAD_BYTES
/** Type, length, ID. */
export const PLAIN_ENTRY_BYTES = 37
/** Type, length, uncompressed length, ID. */
export const COMPRESSED_ENTRY_BYTES = 41

const UINT32_MAX = 0xffff_ffff
const TREE_FLAG = 1
const COMPRESSED_FLAG = 2
const WHAT = 'pack header'

/** Bytes a blob has when it is decoded. */
export function plaintextLengthOf(blob: Pick<PackedBlob, 'length' | 'uncompressedLength'>): number {
  return blob.uncompressedLength === 0 ? blob.length - SEAL_OVERHEAD_BYTES : blob.uncompressedLength
}

/** Bytes of a blob's entry in the header. */
export function headerEntrySize(blob: Pick<PackedBlob, 'uncompressedLength'>): number {
  return blob.uncompressedLength === 0 ? PLAIN_ENTRY_BYTES : COMPRESSED_ENTRY_BYTES
}

/** Bytes of a pack file that holds exactly these blobs. */
export function packSize(blobs: readonly PackedBlob[]): number {
  let size = PACK_FIXED_BYTES
  for (const blob of blobs) size += blob.length + headerEntrySize(blob)
  return size
}

/** The header's plaintext for blobs in the order they lie in; offsets follow from the lengths and are not stored. */
export function encodePackHeader(blobs: readonly PackedBlob[]): Uint8Array {
  const header = new PackHeaderEncoder(blobs.length)
  for (const { type, length, uncompressedLength, id } of blobs)
    header.add(type, length, uncompressedLength, idToBytes(id))
  return header.finish()
}

/** Encodes a header blob by blob, without an object for each. */
export class PackHeaderEncoder {
  #bytes: Uint8Array
  #view: DataView
  #length = 0
  #count = 0

  /** @param expectedCount of blobs; there may be more */
  constructor(expectedCount: number) {
    this.#bytes = new Uint8Array(expectedCount * COMPRESSED_ENTRY_BYTES)
    this.#view = new DataView(this.#bytes.buffer)
  }

  /** Of the plaintext so far, in bytes. */
  get length(): number {
    return this.#length
  }

  /** Of blobs. */
  get count(): number {
    return this.#count
  }

  /**
   * @param id 32 raw bytes, or the digits that spell them
   * @throws InvalidInputError for a blob that is too long
   */
  // oxlint-disable-next-line max-params -- called for every blob: an object each would be garbage
  add(type: BlobType, length: number, uncompressedLength: number, id: Uint8Array | Id): void {
    if (length > UINT32_MAX || uncompressedLength > UINT32_MAX)
      throw new InvalidInputError(
        `a ${type} blob of ${uncompressedLength || length} bytes is too long for a pack`,
      )
    this.#reserve(COMPRESSED_ENTRY_BYTES)
    const start = this.#length
    const compressed = uncompressedLength !== 0
    this.#bytes[start] = (type === 'tree' ? TREE_FLAG : 0) | (compressed ? COMPRESSED_FLAG : 0)
    this.#view.setUint32(start + 1, length, true)
    if (compressed) this.#view.setUint32(start + 5, uncompressedLength, true)
    const end = start + (compressed ? COMPRESSED_ENTRY_BYTES : PLAIN_ENTRY_BYTES)
    if (typeof id === 'string') idInto(id, this.#bytes, end - ID_BYTES)
    else this.#bytes.set(id, end - ID_BYTES)
    this.#length = end
    this.#count += 1
  }

  /** Adds all that another one has. */
  append(other: PackHeaderEncoder): void {
    this.#reserve(other.#length)
    this.#bytes.set(other.#bytes.subarray(0, other.#length), this.#length)
    this.#length += other.#length
    this.#count += other.#count
  }

  /** The plaintext, in memory of its own. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length)
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}

/** Steps through a header's plaintext, without an object for each blob. */
export class PackHeaderCursor {
  readonly bytes: Uint8Array
  readonly #view: DataView
  #start = 0
  #end = 0
  /** Of the blob the cursor is at: as `PackedBlob`. */
  offset = 0
  length = 0
  uncompressedLength = 0

  /** @param bytes known to be well formed: see `parsePackHeader` */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Goes to the next blob; false where there is none. */
  next(): boolean {
    const start = this.#end
    this.#start = start
    this.offset += this.length
    if (start >= this.bytes.length) return false
    const compressed = ((this.bytes[start] ?? 0) & COMPRESSED_FLAG) !== 0
    this.length = this.#view.getUint32(start + 1, true)
    this.uncompressedLength = compressed ? this.#view.getUint32(start + 5, true) : 0
    this.#end = start + (compressed ? COMPRESSED_ENTRY_BYTES : PLAIN_ENTRY_BYTES)
    return true
  }

  get type(): BlobType {
    return ((this.bytes[this.#start] ?? 0) & TREE_FLAG) === 0 ? 'data' : 'tree'
  }

  /** Where in `bytes` the blob's ID begins. */
  get idStart(): number {
    return this.#end - ID_BYTES
  }
}

/**
 * The blobs a header's plaintext names, by offset.
 * @throws CorruptDataError
 */
export function parsePackHeader(plaintext: Uint8Array): PackedBlob[] {
  const view = new DataView(plaintext.buffer, plaintext.byteOffset, plaintext.byteLength)
  const blobs: PackedBlob[] = []
  let position = 0
  let offset = 0
  while (position < plaintext.length) {
    const blob = parseEntry(plaintext, view, position, offset)
    blobs.push(blob)
    position += headerEntrySize(blob)
    offset += blob.length
  }
  return blobs
}

function parseEntry(bytes: Uint8Array, view: DataView, position: number, offset: number): PackedBlob {
  const kind = bytes[position] ?? 0
  if (kind > (TREE_FLAG | COMPRESSED_FLAG))
    throw new CorruptDataError(WHAT, `it names a blob of unknown type ${kind}`)
  const compressed = (kind & COMPRESSED_FLAG) !== 0
  const end = position + (compressed ? COMPRESSED_ENTRY_BYTES : PLAIN_ENTRY_BYTES)
  if (end > bytes.length) throw new CorruptDataError(WHAT, 'it ends within an entry')
  const length = view.getUint32(position + 1, true)
  const uncompressedLength = compressed ? view.getUint32(position + 5, true) : 0
  if (length < SEAL_OVERHEAD_BYTES) {
    throw new CorruptDataError(WHAT, `it names a blob of ${length} bytes, less than sealing adds`)
  }
  if (compressed && uncompressedLength === 0)
    throw new CorruptDataError(WHAT, 'it names a compressed blob of no content')
  return {
    type: (kind & TREE_FLAG) === 0 ? 'data' : 'tree',
    id: idFromBytes(bytes, end - ID_BYTES),
    offset,
    length,
    uncompressedLength,
  }
}
