/**
 * One pack file in the making (format spec §7): sealed blobs end to end, then the sealed header and its length.
 * Blobs are encoded straight into the pack's own buffer.
 */
import { CorruptDataError } from '../errors.ts'
import type { Codec } from './codec.ts'
import type { Id } from './format/id.ts'
import {
  encodePackHeader,
  headerEntrySize,
  parsePackHeader,
  type BlobType,
  type PackedBlob,
} from './format/pack-header.ts'

/** A complete pack file, ready to be stored under its ID. */
export interface FinishedPack {
  readonly id: Id
  readonly type: BlobType
  readonly bytes: Uint8Array
  readonly blobs: readonly PackedBlob[]
}

export interface PackBuilderOptions {
  readonly buffer?: Uint8Array | undefined
  /** Whether `has` is going to be asked: remembering an ID costs as much as sealing a small blob. */
  readonly tracksIds: boolean
}

const INITIAL_BYTES = 1 << 20
const HEADER_LENGTH_BYTES = 4
const SEAL_OVERHEAD = 32
/** restic refuses sealed headers above 16 MiB: no pack of ours may come near. */
const MAX_HEADER_BYTES = 8 << 20

export class PackBuilder {
  readonly type: BlobType
  readonly #codec: Codec
  #buffer: Uint8Array
  #length = 0
  #headerBytes = 0
  readonly #blobs: PackedBlob[] = []
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
    return this.#blobs.length === 0
  }

  /** Whether its header must not grow further. */
  get isHeaderFull(): boolean {
    return this.#headerBytes >= MAX_HEADER_BYTES
  }

  /** @throws RangeError where the pack does not track its IDs */
  has(id: Id): boolean {
    if (this.#ids === undefined) throw new RangeError('this pack does not track IDs')
    return this.#ids.has(id)
  }

  /** Encodes a blob into the pack. */
  add(id: Id, plaintext: Uint8Array): PackedBlob {
    this.#reserve(this.#codec.encodedBound(plaintext.length))
    const lengths = this.#codec.encodeBlob(this.type, id, plaintext, this.#buffer.subarray(this.#length))
    return this.#record({ type: this.type, id, offset: this.#length, ...lengths })
  }

  /** Takes a blob over as it is stored already. */
  addSealed(blob: PackedBlob, sealed: Uint8Array): PackedBlob {
    this.#reserve(sealed.length)
    this.#buffer.set(sealed, this.#length)
    return this.#record({ ...blob, type: this.type, offset: this.#length })
  }

  /** Moves all blobs of another unfinished pack of the same type to the end of this one. */
  append(other: PackBuilder): void {
    for (const blob of other.#blobs) {
      this.addSealed(blob, other.#buffer.subarray(blob.offset, blob.offset + blob.length))
    }
  }

  /**
   * Closes the pack. The builder must not be used afterwards: its buffer is the finished pack's.
   * @throws CorruptDataError where the header just sealed does not read back
   */
  finish(): FinishedPack {
    const header = this.#codec.seal(encodePackHeader(this.#blobs))
    this.#checkHeader(header)
    this.#reserve(header.length + HEADER_LENGTH_BYTES)
    this.#buffer.set(header, this.#length)
    const end = this.#length + header.length
    new DataView(this.#buffer.buffer, this.#buffer.byteOffset).setUint32(end, header.length, true)
    const bytes = this.#buffer.subarray(0, end + HEADER_LENGTH_BYTES)
    return { id: this.#codec.idOf(bytes), type: this.type, bytes, blobs: this.#blobs }
  }

  #record(blob: PackedBlob): PackedBlob {
    this.#blobs.push(blob)
    this.#ids?.add(blob.id)
    this.#length += blob.length
    this.#headerBytes += headerEntrySize(blob)
    return blob
  }

  #checkHeader(sealed: Uint8Array): void {
    const blobs = parsePackHeader(this.#codec.open(sealed, 'pack header to be saved'))
    const same =
      blobs.length === this.#blobs.length &&
      this.#blobs.every(
        (blob, i) =>
          blobs[i]?.id === blob.id && blobs[i].offset === blob.offset && blobs[i].length === blob.length,
      )
    if (!same) throw new CorruptDataError('pack header to be saved', 'it does not decode to what was encoded')
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#buffer.length) return
    const headroom = this.#headerBytes + SEAL_OVERHEAD + HEADER_LENGTH_BYTES
    const grown = new Uint8Array(
      Math.max(needed + headroom, Math.min(this.#buffer.length * 2, needed + (8 << 20))),
    )
    grown.set(this.#buffer.subarray(0, this.#length))
    this.#buffer = grown
  }
}
