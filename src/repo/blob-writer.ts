/**
 * Turns plaintexts into packs: hash, skip what is known, compress, seal, append to an open pack. Synchronous and free
 * of I/O, so that the same code runs inline and in a worker; finished packs go to `onPack`.
 *
 * Two packs are open per blob type and each blob goes to one of them at random, so that the sizes of neighbouring
 * blobs do not show the chunk sequence of a file to whoever sees the store (restic ≥ 0.18 does the same).
 */
import type { Codec, EncodedLengths } from './codec.ts'
import type { Id } from './format/id.ts'
import { headerEntrySize, type BlobType, type PackedBlob } from './format/pack-header.ts'
import { PackBuilder, type FinishedPack } from './pack-builder.ts'

const OPEN_PACKS_PER_TYPE = 2
/** Stored bytes of a pack besides its blobs and header entries: seal overhead and length field. */
const PACK_FIXED_BYTES = 36

/** What saving one blob came to. Lengths are 0 where the blob was known already. */
export interface SavedBlob {
  readonly id: Id
  readonly isNew: boolean
  /** Stored bytes, header entry included: what the repository grew by. */
  readonly packedLength: number
}

export interface BlobWriterOptions {
  readonly codec: Codec
  readonly packSizeBytes: number
  /** Whether a blob is stored already or in a pack handed out before. */
  readonly isKnown: (type: BlobType, id: Id) => boolean
  /** A type of which `isKnown` says so once only: what it was asked for before, it knows. */
  readonly claimedType?: BlobType | undefined
  readonly onPack: (pack: FinishedPack) => void
  /** Open packs of each type; 2 by default. */
  readonly openPacks?: number
  /** Memory for the next pack. */
  readonly takeBuffer?: () => Uint8Array | undefined
  /** A number in [0, 1): which open pack gets the next blob. */
  readonly random?: () => number
}

export class BlobWriter {
  readonly #options: BlobWriterOptions
  readonly #random: () => number
  readonly #open: Record<BlobType, (PackBuilder | undefined)[]> = { data: [], tree: [] }

  constructor(options: BlobWriterOptions) {
    this.#options = options
    this.#random = options.random ?? Math.random
  }

  /** Saves a blob unless it is known. `plaintext` is not kept. */
  save(type: BlobType, plaintext: Uint8Array, knownId?: Id): SavedBlob {
    const id = knownId ?? this.#options.codec.idOf(plaintext)
    if (this.#options.isKnown(type, id) || this.#isOpen(type, id))
      return { id, isNew: false, packedLength: 0 }
    return this.saveAgain(type, plaintext, id)
  }

  /** Saves a blob even if a copy of it is stored: prune copies blobs out of packs that are to go. */
  saveAgain(type: BlobType, plaintext: Uint8Array, id: Id): SavedBlob {
    return this.#append(type, id, (builder) => builder.add(id, plaintext))
  }

  /** As `saveAgain`, for a blob just read and checked whose stored bytes can stay as they are. */
  saveSealed(blob: PackedBlob, sealed: Uint8Array): SavedBlob {
    return this.#append(blob.type, blob.id, (builder) => {
      builder.addSealed(blob.id, blob, sealed)
      return blob
    })
  }

  /** Hands out all open packs, those of one type merged where they fit into one. */
  finish(): void {
    for (const type of ['data', 'tree'] as const) {
      const builders = this.#open[type].filter((builder) => builder !== undefined && !builder.isEmpty)
      this.#open[type] = []
      const [first, second] = builders
      if (
        first !== undefined &&
        second !== undefined &&
        first.length + second.length < this.#options.packSizeBytes
      ) {
        first.append(second)
        builders.length = 1
      }
      for (const builder of builders) if (builder !== undefined) this.#options.onPack(builder.finish())
    }
  }

  #append(type: BlobType, id: Id, add: (builder: PackBuilder) => EncodedLengths): SavedBlob {
    const { codec, takeBuffer, openPacks = OPEN_PACKS_PER_TYPE } = this.#options
    const slot = Math.floor(this.#random() * openPacks)
    const builder = (this.#open[type][slot] ??= new PackBuilder(type, codec, {
      buffer: takeBuffer?.(),
      tracksIds: type !== this.#options.claimedType,
    }))
    const lengths = add(builder)
    let packedLength = lengths.length + headerEntrySize(lengths)
    if (builder.length >= this.#options.packSizeBytes || builder.isHeaderFull) {
      this.#open[type][slot] = undefined
      this.#options.onPack(builder.finish())
      packedLength += PACK_FIXED_BYTES
    }
    return { id, isNew: true, packedLength }
  }

  #isOpen(type: BlobType, id: Id): boolean {
    return type !== this.#options.claimedType && this.#open[type].some((builder) => builder?.has(id) === true)
  }
}
