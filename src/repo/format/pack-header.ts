/** The header of a pack file: what blobs it holds, in their order (format spec §7). */
import { CorruptDataError, InvalidInputError } from '../../errors.ts'
import { ID_BYTES, idFromBytes, idToBytes, type Id } from './id.ts'

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
export function plaintextLengthOf(blob: PackedBlob): number {
  return blob.uncompressedLength === 0 ? blob.length - SEAL_OVERHEAD_BYTES : blob.uncompressedLength
}

/** Bytes of a blob's entry in the header. */
export function headerEntrySize(blob: PackedBlob): number {
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
  let size = 0
  for (const blob of blobs) size += headerEntrySize(blob)
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  let position = 0
  for (const blob of blobs) {
    if (blob.length > UINT32_MAX || blob.uncompressedLength > UINT32_MAX) {
      throw new InvalidInputError(`${blob.type} blob ${blob.id} is too long for a pack`)
    }
    const compressed = blob.uncompressedLength !== 0
    bytes[position] = (blob.type === 'tree' ? TREE_FLAG : 0) | (compressed ? COMPRESSED_FLAG : 0)
    view.setUint32(position + 1, blob.length, true)
    if (compressed) view.setUint32(position + 5, blob.uncompressedLength, true)
    position += headerEntrySize(blob)
    bytes.set(idToBytes(blob.id), position - ID_BYTES)
  }
  return bytes
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
