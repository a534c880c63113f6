/** What a thread needs to work on blobs by itself: keys, compression, packs of its own. Made from plain data. */
import type { CryptoProvider } from '../crypto/provider.ts'
import type { SealKey } from '../crypto/seal.ts'
import { BlobWriter, type SavedBlob } from './blob-writer.ts'
import { Codec } from './codec.ts'
import type { CompressionMode } from './compression.ts'
import type { Id } from './format/id.ts'
import type { BlobType } from './format/pack-header.ts'
import type { SharedClaims } from './id-claims.ts'
import { KnownBlobs, type SharedKnownBlobs } from './known-blobs.ts'
import type { FinishedPack } from './pack-builder.ts'
import { PackColumns } from './pack-columns.ts'

/** Room for one blob more than the size at which a pack is full, and for the header. What is not used costs nothing. */
const PACK_ROOM_BYTES = 10 << 20

/** Can be sent to another thread. */
export interface ThreadSetup {
  readonly provider: CryptoProvider['name']
  readonly key: SealKey
  readonly version: 1 | 2
  readonly compression: CompressionMode
  readonly extraVerify: boolean
  readonly packSizeBytes: number
  /** The repository blobs are copied from, if that is another one. */
  readonly source?: { readonly key: SealKey; readonly version: 1 | 2 } | undefined
  /** How many threads save beside each other: what one of them stores is spread by whoever gives it work. */
  readonly threadCount: number
  /** For operations that save new data. */
  readonly known?: SharedKnownBlobs | undefined
  /** More repositories that get whatever is saved. */
  readonly mirrors?: readonly MirrorSetup[] | undefined
}

export interface MirrorSetup {
  readonly key: SealKey
  readonly version: 1 | 2
  readonly known: SharedKnownBlobs
}

/** Claims of one of the repositories, 0 for the first: another table where the last one fills up. */
export interface ClaimsGrowth {
  readonly member: number
  readonly table: SharedClaims
}

/** What saving to one repository takes. */
interface Member {
  readonly codec: Codec
  readonly known: KnownBlobs | undefined
  writer?: BlobWriter
}

export class ThreadContext {
  readonly codec: Codec
  #sourceCodec: Codec | undefined
  readonly #setup: ThreadSetup
  readonly #onPack: (pack: FinishedPack, member: number) => void
  readonly #members: readonly [Member, ...Member[]]
  /** Of packs that are stored. */
  readonly #buffers: Uint8Array[] = []
  #scratch = new Uint8Array(0)
  #handedOver: ArrayBufferLike[] = []
  #columns: PackColumns | undefined

  readonly #crypto: CryptoProvider

  /**
   * @param crypto the provider that the setup names
   * @param onPack told which repository the pack is for: 0 for the first, 1 for the first mirror …
   */
  constructor(
    setup: ThreadSetup,
    crypto: CryptoProvider,
    onPack: (pack: FinishedPack, member: number) => void,
  ) {
    this.#setup = setup
    this.#crypto = crypto
    this.#onPack = onPack
    this.codec = this.#codecOf(setup)
    const known = setup.known === undefined ? undefined : new KnownBlobs(setup.known)
    const mirrors = (setup.mirrors ?? []).map((mirror) => ({
      codec: this.#codecOf(mirror),
      known: new KnownBlobs(mirror.known),
    }))
    this.#members = [{ codec: this.codec, known }, ...mirrors]
  }

  /** Decodes what another repository stored. */
  get sourceCodec(): Codec {
    this.#sourceCodec ??= this.#codecOf(this.#setup.source ?? this.#setup)
    return this.#sourceCodec
  }

  /** Saves to packs of this thread. */
  get writer(): BlobWriter {
    return this.#writerOf(this.#members[0], 0)
  }

  /**
   * Saves a blob to every repository that lacks it.
   * @param knownId where it was computed before
   * @returns what it came to in the first
   */
  save(type: BlobType, plaintext: Uint8Array, knownId?: Id): SavedBlob {
    const saved = this.writer.save(type, plaintext, knownId)
    for (let number = 1; number < this.#members.length; number++) {
      const member = this.#members[number]
      if (member !== undefined) this.#writerOf(member, number).save(type, plaintext, saved.id)
    }
    return saved
  }

  /** Whether no repository lacked the data blob of the ID at `ids[offset …]` when the operation began. */
  isStored(ids: Uint8Array, offset: number): boolean {
    return this.#members.every(({ known }) => known?.isStored(ids, offset) === true)
  }

  /** Hands out the packs that are not full. */
  finishPacks(): void {
    for (const { writer } of this.#members) writer?.finish()
  }

  #writerOf(member: Member, number: number): BlobWriter {
    const { known, codec } = member
    member.writer ??= new BlobWriter({
      codec,
      packSizeBytes: this.#setup.packSizeBytes,
      isKnown: (type, id) => type === 'data' && known?.isKnownOrClaim(id) === true,
      claimedType: known === undefined ? undefined : 'data',
      onPack: (pack) => this.#onPack(pack, number),
      ...(this.#setup.threadCount > 1 ? { openPacks: 1 } : {}),
      takeBuffer: () => this.#buffers.pop() ?? new Uint8Array(this.#setup.packSizeBytes + PACK_ROOM_BYTES),
    })
    return member.writer
  }

  /** Takes a pack's memory back for the next one. */
  reuse(buffer: Uint8Array): void {
    this.#buffers.push(buffer)
  }

  growClaims(): readonly ClaimsGrowth[] {
    return this.#members.flatMap(({ known }, member) => {
      const table = known?.grow()
      return table === undefined ? [] : [{ member, table }]
    })
  }

  addClaims({ member, table }: ClaimsGrowth): void {
    this.#members[member]?.known?.addClaims(table)
  }

  /** Memory for one task at a time, `length` bytes or more. */
  scratch(length: number): Uint8Array {
    if (this.#scratch.length < length) this.#scratch = new Uint8Array(length)
    return this.#scratch
  }

  /** Where index files are taken apart, one task at a time. */
  get columns(): PackColumns {
    this.#columns ??= new PackColumns()
    return this.#columns
  }

  /** Says that memory in what the task gives is not needed here: it goes along instead of being copied. */
  handOver(memory: ArrayBufferLike): void {
    this.#handedOver.push(memory)
  }

  /** What was handed over since this was last asked. */
  takeHandedOver(): readonly ArrayBufferLike[] {
    const memory = this.#handedOver
    this.#handedOver = []
    return memory
  }

  #codecOf({ key, version }: Pick<ThreadSetup, 'key' | 'version'>): Codec {
    const { compression, extraVerify } = this.#setup
    return new Codec({ crypto: this.#crypto, key, version, compression, extraVerify })
  }
}
