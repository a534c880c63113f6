/**
 * One pack file in the making (format spec §7): sealed blobs end to end, then the sealed header and its length.
 * Blobs are encoded straight into the pack's own buffer.
 */
import { CorruptDataError } from '../errors.ts'
import type { Codec, EncodedLengths } from './codec.ts'
import type { Id } from './format/id.ts'
import { PackHeaderEncoder, type BlobType } from './format/pack-header.ts'

/** A complete pack file, ready to be stored under its ID. */
export interface FinishedPack {
  readonly id: Id
  readonly type: BlobType
  readonly bytes: Uint8Array
  /** The header's plaintext, which says what blobs there are: no object for each, as packs go from thread to thread. */
  readonly header: Uint8Array<ArrayBuffer>
  readonly blobCount: number
}

export interface PackBuilderOptions {
  readonly buffer?: Uint8Array | undefined
  /** Whether `has` is going to be asked: remembering an ID costs as much as sealing a small blob. */
  readonly tracksIds: boolean
}

const INITIAL_BYTES = 1 << 20
const INITIAL_BLOBS = 64
const HEADER_LENGTH_BYTES = 4
const SEAL_OVERHEAD = 32
/** restic refuses sealed headers above 16 MiB: no pack of ours may come near. */
const MAX_HEADER_BYTES = 8 << 20

export class PackBuilder {
  readonly type: BlobType
  readonly #codec: Codec
  #buffer: Uint8Array
  #length = 0
  readonly #header = new PackHeaderEncoder(INITIAL_BLOBS)
  readonly #ids: Set<Id> | undefined

  /** @param options.buffer memory of an earlier pack that is not needed any more */
  constructor(
    type: BlobType,
    codec: Codec,
    { buffer = new Uint8Array(INITIAL_BYTES), tracksIds }: PackBuilderOptions,
  ) {
    this.type = type
    this.#ids = tracksIds ? new Set() : undefined
    this.#codec = codec
    this.#buffer = buffer
  }

  /** Bytes of sealed blobs so far. */
  get length(): number {
    return this.#length
  }

  get isEmpty(): boolean {
    return this.#header.count === 0
  }

  /** Whether its header must not grow further. */
  get isHeaderFull(): boolean {
    return this.#header.length >= MAX_HEADER_BYTES
  }

  /** @throws RangeError where the pack does not track its IDs */
  has(id: Id): boolean {
    if (this.#ids === undefined) throw new RangeError('this pack does not track IDs')
    return this.#ids.has(id)
  }

  /** Encodes a blob into the pack. */
  add(id: Id, plaintext: Uint8Array): EncodedLengths {
    this.#reserve(this.#codec.encodedBound(plaintext.length))
    const lengths = this.#codec.encodeBlob(this.type, id, plaintext, this.#buffer.subarray(this.#length))
    this.#record(id, lengths)
    return lengths
  }

  /** Takes a blob over as it is stored already. */
  addSealed(id: Id, lengths: EncodedLengths, sealed: Uint8Array): void {
    this.#reserve(sealed.length)
    this.#buffer.set(sealed, this.#length)
    this.#record(id, lengths)
  }

  /** Takes all blobs of another unfinished pack of the same type to its end. */
  append(other: PackBuilder): void {
    this.#reserve(other.#length)
    this.#buffer.set(other.#buffer.subarray(0, other.#length), this.#length)
    this.#length += other.#length
    this.#header.append(other.#header)
    if (other.#ids !== undefined) for (const id of other.#ids) this.#ids?.add(id)
  }

  /**
   * Closes the pack. The builder must not be used afterwards: its buffer is the finished pack's.
   * @throws CorruptDataError where the header just sealed does not read back
   */
  finish(): FinishedPack {
    const header = this.#header.finish()
    const sealed = this.#codec.seal(header)
    if (Buffer.compare(this.#codec.open(sealed, 'pack header to be saved'), header) !== 0)
      throw new CorruptDataError('pack header to be saved', 'it does not decode to what was encoded')
    this.#reserve(sealed.length + HEADER_LENGTH_BYTES)
    this.#buffer.set(sealed, this.#length)
    const end = this.#length + sealed.length
    new DataView(this.#buffer.buffer, this.#buffer.byteOffset).setUint32(end, sealed.length, true)
    const bytes = this.#buffer.subarray(0, end + HEADER_LENGTH_BYTES)
    return { id: this.#codec.idOf(bytes), type: this.type, bytes, header, blobCount: this.#header.count }
  }

  #record(id: Id, { length, uncompressedLength }: EncodedLengths): void {
    this.#header.add(this.type, length, uncompressedLength, id)
    this.#ids?.add(id)
    this.#length += length
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#buffer.length) return
    const headroom = this.#header.length + SEAL_OVERHEAD + HEADER_LENGTH_BYTES
    const grown = new Uint8Array(
      Math.max(needed + headroom, Math.min(this.#buffer.length * 2, needed + (8 << 20))),
    )
    grown.set(this.#buffer.subarray(0, this.#length))
    this.#buffer = grown
  }
}
