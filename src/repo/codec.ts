/**
 * The two ways bytes are wrapped for storage: blobs (compressed where the version and mode say so, then sealed) and
 * unpacked files (format spec §5–7). Everything decoded is checked; what was encoded is decoded again before it is
 * relied on, unless the caller gave that up.
 */
import type { CryptoProvider } from '../crypto/provider.ts'
import { openInto, seal, sealInPlace, sealInto, SEAL_OVERHEAD, type SealKey } from '../crypto/seal.ts'
import { CorruptDataError } from '../errors.ts'
import { allocatePages } from '../direct-io.ts'
import {
  createZstd,
  MAX_GROWTH,
  type CompressedKind,
  type CompressionMode,
  type Zstd,
} from './compression.ts'
import { HEX_VALUES } from './format/hex.ts'
import { ID_BYTES, idFromHash, type Id } from './format/id.ts'
import { headerEntrySize, type BlobType, type PackedBlob } from './format/pack-header.ts'

/** Length of the initialisation vector in front of every sealed buffer. */
const IV_LENGTH = 16
/** First byte of a compressed unpacked file. */
const COMPRESSED_MARK = 2
const OPENING_BRACKET = 0x5b
const OPENING_BRACE = 0x7b
/** No unpacked file comes near this; it bounds what a damaged length can make us allocate. */
const MAX_UNPACKED_BYTES = 2 ** 31

export interface CodecOptions {
  readonly crypto: CryptoProvider
  readonly key: SealKey
  readonly version: 1 | 2
  readonly compression: CompressionMode
  readonly extraVerify: boolean
}

/** How a blob was encoded: `length` stored bytes, `uncompressedLength` 0 where it was stored plain. */
export interface EncodedLengths {
  readonly length: number
  readonly uncompressedLength: number
}

/** Encodes and decodes for one repository. Holds compression contexts: one per thread. */
export class Codec {
  readonly crypto: CryptoProvider
  readonly #key: SealKey
  readonly #options: CodecOptions
  readonly #zstd: Partial<Record<CompressedKind, Zstd>> = {}
  /** For what nobody keeps. */
  readonly #opened = new Scratch()
  readonly #decompressed = new Scratch()
  readonly #scratch: DecodingMemory = { opened: this.#opened, decompressed: this.#decompressed }

  constructor(options: CodecOptions) {
    this.crypto = options.crypto
    this.#key = options.key
    this.#options = options
  }

  /** The blob ID of a plaintext. */
  idOf(plaintext: Uint8Array): Id {
    return idFromHash(this.crypto.sha256Hex(plaintext))
  }

  /** An upper bound of the stored length of a blob with `length` bytes of plaintext. */
  encodedBound(length: number): number {
    const plainBound = length + SEAL_OVERHEAD
    return this.#options.version === 1
      ? plainBound
      : Math.max(plainBound, this.#compressor().bound(length) + SEAL_OVERHEAD)
  }

  /**
   * Encodes a blob to the start of `destination`, which must have room for `encodedBound`.
   * @throws CorruptDataError where what was encoded does not decode to the same bytes (bad memory or a bug)
   */
  encodeBlob(type: BlobType, id: Id, plaintext: Uint8Array, destination: Uint8Array): EncodedLengths {
    const lengths = this.#shouldCompress(type, plaintext)
      ? this.#encodeCompressed(type, plaintext, destination)
      : this.#encodePlain(plaintext, destination)
    if (this.#options.extraVerify) {
      const { length, uncompressedLength } = lengths
      const blob = { type, id, offset: 0, length, uncompressedLength }
      this.decodeToScratch(blob, destination.subarray(0, length))
    }
    return lengths
  }

  /** Stored length a blob would have, header entry included. */
  measureBlob(type: BlobType, plaintext: Uint8Array): number {
    const scratch = new Uint8Array(this.encodedBound(plaintext.length))
    const lengths = this.#shouldCompress(type, plaintext)
      ? this.#encodeCompressed(type, plaintext, scratch)
      : this.#encodePlain(plaintext, scratch)
    return lengths.length + headerEntrySize(lengths)
  }

  /**
   * The plaintext of a blob from its stored bytes.
   * @throws CorruptDataError naming the blob where MAC, compression or hash is wrong
   */
  decodeBlob(blob: PackedBlob, sealed: Uint8Array): Uint8Array {
    return this.#decode(blob, sealed, { opened: NEW_MEMORY, decompressed: NEW_MEMORY })
  }

  /**
   * As `decodeBlob`, to memory of this codec: valid until the next call.
   * @param lead how many bytes it is to begin after a page boundary
   */
  decodeToScratch(blob: PackedBlob, sealed: Uint8Array, lead = 0): Uint8Array {
    this.#decompressed.lead = lead
    this.#opened.lead = blob.uncompressedLength === 0 ? lead : 0
    return this.#decode(blob, sealed, this.#scratch)
  }

  /**
   * Whether stored bytes are those of a blob, to the last.
   * @param id holds the 32 bytes of its ID at `idStart`
   */
  // oxlint-disable-next-line max-params -- called for every blob of a pack: an object each would be garbage
  isBlob(sealed: Uint8Array, uncompressedLength: number, id: Uint8Array, idStart: number): boolean {
    this.#decompressed.lead = 0
    this.#opened.lead = 0
    try {
      return isSpelled(this.idOf(this.#unwrap(sealed, uncompressedLength, this.#scratch)), id, idStart)
    } catch (error) {
      if (error instanceof CorruptDataError) return false
      throw error
    }
  }

  #decode(blob: PackedBlob, sealed: Uint8Array, memory: DecodingMemory): Uint8Array {
    let plaintext: Uint8Array
    try {
      plaintext = this.#unwrap(sealed, blob.uncompressedLength, memory)
    } catch (error) {
      if (error instanceof CorruptDataError)
        throw new CorruptDataError(nameOf(blob), error.message, { cause: error })
      throw error
    }
    const found = this.idOf(plaintext)
    if (found !== blob.id) throw new CorruptDataError(nameOf(blob), `its content has the hash ${found}`)
    return plaintext
  }

  /** What stored bytes hold, which may be any blob. @throws CorruptDataError */
  #unwrap(sealed: Uint8Array, uncompressedLength: number, memory: DecodingMemory): Uint8Array {
    if (sealed.length < SEAL_OVERHEAD)
      throw new CorruptDataError('sealed data', `${sealed.length} bytes are too few`)
    const isPlain = uncompressedLength === 0
    const opened = (isPlain ? memory.opened : this.#opened).take(sealed.length - SEAL_OVERHEAD)
    openInto(this.crypto, this.#key, sealed, opened)
    if (isPlain) return opened
    // Checked before there is memory for it: the claim may be anybody's.
    if (uncompressedLength > opened.length * MAX_GROWTH)
      throw new CorruptDataError('compressed data', `cannot hold ${uncompressedLength} bytes`)
    const plaintext = memory.decompressed.take(uncompressedLength)
    this.#compressor().decompressInto(plaintext, opened)
    return plaintext
  }

  /** Seals as it is: pack headers, the config file. */
  seal(plaintext: Uint8Array): Uint8Array {
    return seal(this.crypto, this.#key, plaintext)
  }

  /** @throws CorruptDataError */
  open(sealed: Uint8Array, what: string): Uint8Array {
    return this.#open(sealed, what, NEW_MEMORY)
  }

  #open(sealed: Uint8Array, what: string, memory: Memory): Uint8Array {
    const plaintext = memory.take(Math.max(0, sealed.length - SEAL_OVERHEAD))
    try {
      openInto(this.crypto, this.#key, sealed, plaintext)
      return plaintext
    } catch (error) {
      if (error instanceof CorruptDataError)
        throw new CorruptDataError(what, 'ciphertext verification failed', { cause: error })
      throw error
    }
  }

  /**
   * The stored bytes of an index, snapshot or lock file.
   * @throws CorruptDataError where what was encoded does not decode to the same bytes (bad memory or a bug)
   */
  encodeUnpacked(json: Uint8Array): Uint8Array {
    const sealed = this.#options.version === 1 ? this.seal(json) : this.#sealCompressed(json)
    if (this.#options.extraVerify && !this.#decodesTo(sealed, json))
      throw new CorruptDataError('file to be saved', 'it does not decode to what was encoded')
    return sealed
  }

  /** Compares piece by piece: index files are long. @throws CorruptDataError */
  #decodesTo(sealed: Uint8Array, json: Uint8Array): boolean {
    const plaintext = this.open(sealed, 'file to be saved')
    if (this.#options.version === 1) return Buffer.compare(plaintext, json) === 0
    return plaintext[0] === COMPRESSED_MARK && this.#compressor().decompressesTo(plaintext.subarray(1), json)
  }

  /** @throws CorruptDataError */
  decodeUnpacked(sealed: Uint8Array, what: string): Uint8Array {
    return this.#decodeUnpacked(sealed, what, { opened: NEW_MEMORY, decompressed: NEW_MEMORY })
  }

  /** As `decodeUnpacked`, to memory of this codec: valid until the next call. */
  decodeUnpackedToScratch(sealed: Uint8Array, what: string): Uint8Array {
    return this.#decodeUnpacked(sealed, what, this.#scratch)
  }

  #decodeUnpacked(sealed: Uint8Array, what: string, memory: DecodingMemory): Uint8Array {
    const plaintext = this.#open(sealed, what, memory.opened)
    const [first] = plaintext
    if (first === undefined || first === OPENING_BRACKET || first === OPENING_BRACE) return plaintext
    if (this.#options.version === 1 || first !== COMPRESSED_MARK) {
      throw new CorruptDataError(what, `it starts with the unknown byte ${first}`)
    }
    const compressed = plaintext.subarray(1)
    const take = (length: number): Uint8Array => memory.decompressed.take(length)
    return this.#compressor().decompress(compressed, MAX_UNPACKED_BYTES, take)
  }

  #shouldCompress(type: BlobType, plaintext: Uint8Array): boolean {
    if (this.#options.version === 1 || plaintext.length === 0) return false
    return type === 'tree' || this.#options.compression !== 'off'
  }

  #encodePlain(plaintext: Uint8Array, destination: Uint8Array): EncodedLengths {
    const length = plaintext.length + SEAL_OVERHEAD
    sealInto(this.crypto, this.#key, plaintext, destination.subarray(0, length))
    return { length, uncompressedLength: 0 }
  }

  /** Compresses to where the ciphertext will lie and encrypts in place, so that nothing is copied. */
  #encodeCompressed(type: BlobType, plaintext: Uint8Array, destination: Uint8Array): EncodedLengths {
    const zstd = this.#compressor(type === 'tree' ? 'json' : 'data')
    const compressedLength = zstd.compressInto(destination.subarray(IV_LENGTH), plaintext)
    sealInPlace(this.crypto, this.#key, destination, compressedLength)
    return { length: compressedLength + SEAL_OVERHEAD, uncompressedLength: plaintext.length }
  }

  /** As `#encodeCompressed`, behind the mark. */
  #sealCompressed(json: Uint8Array): Uint8Array {
    const zstd = this.#compressor('json')
    const room = new Uint8Array(1 + zstd.bound(json.length) + SEAL_OVERHEAD)
    room[IV_LENGTH] = COMPRESSED_MARK
    const length = 1 + zstd.compressInto(room.subarray(IV_LENGTH + 1), json)
    sealInPlace(this.crypto, this.#key, room, length)
    return room.subarray(0, length + SEAL_OVERHEAD)
  }

  /** Made at first need: a version 1 repository works where no zstd can be loaded. */
  #compressor(kind: CompressedKind = 'data'): Zstd {
    return (this.#zstd[kind] ??= createZstd(this.#options.compression, kind))
  }
}

function nameOf({ type, id }: PackedBlob): string {
  return `${type} blob ${id}`
}

/** Whether the 64 digits of an ID spell the 32 bytes at `start`. */
function isSpelled(id: Id, bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < ID_BYTES; i++) {
    const high = HEX_VALUES[id.charCodeAt(2 * i)] ?? 0
    const low = HEX_VALUES[id.charCodeAt(2 * i + 1)] ?? 0
    if (((high << 4) | low) !== bytes[start + i]) return false
  }
  return true
}

interface DecodingMemory {
  readonly opened: Memory
  readonly decompressed: Memory
}

interface Memory {
  take(length: number): Uint8Array
}

const NEW_MEMORY: Memory = { take: (length) => new Uint8Array(length) }

/** Memory that is used again and again. */
class Scratch implements Memory {
  /** Bytes left out at its beginning, which is a page boundary. */
  lead = 0
  #bytes = new Uint8Array(0)

  take(length: number): Uint8Array {
    const end = this.lead + length
    // What is asked for grows step by step, and not much of it is touched.
    if (this.#bytes.length < end) this.#bytes = allocatePages(Math.max(end, 2 * this.#bytes.length))
    return this.#bytes.subarray(this.lead, end)
  }
}
