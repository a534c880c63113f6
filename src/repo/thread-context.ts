/** What a thread needs to work on blobs by itself: keys, compression, packs of its own. Made from plain data. */
import { nativeCrypto } from '../crypto/native.ts'
import { portableCrypto } from '../crypto/portable.ts'
import type { CryptoProvider } from '../crypto/provider.ts'
import type { SealKey } from '../crypto/seal.ts'
import { BlobWriter } from './blob-writer.ts'
import { Codec } from './codec.ts'
import type { CompressionMode } from './compression.ts'
import type { SharedClaims } from './id-claims.ts'
import { KnownBlobs, type SharedKnownBlobs } from './known-blobs.ts'
import type { FinishedPack } from './pack-builder.ts'

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
}

export class ThreadContext {
  readonly codec: Codec
  #sourceCodec: Codec | undefined
  readonly #setup: ThreadSetup
  readonly #onPack: (pack: FinishedPack) => void
  readonly #known: KnownBlobs | undefined
  /** Of packs that are stored. */
  readonly #buffers: Uint8Array[] = []
  #writer: BlobWriter | undefined
  #scratch = new Uint8Array(0)

  constructor(setup: ThreadSetup, onPack: (pack: FinishedPack) => void) {
    this.#setup = setup
    this.#onPack = onPack
    this.#known = setup.known === undefined ? undefined : new KnownBlobs(setup.known)
    this.codec = codecOf(setup, setup)
  }

  /** Decodes what another repository stored. */
  get sourceCodec(): Codec {
    this.#sourceCodec ??= codecOf(this.#setup, this.#setup.source ?? this.#setup)
    return this.#sourceCodec
  }

  /** Saves to packs of this thread. */
  get writer(): BlobWriter {
    this.#writer ??= new BlobWriter({
      codec: this.codec,
      packSizeBytes: this.#setup.packSizeBytes,
      isKnown: (type, id) => type === 'data' && this.#known?.isKnownOrClaim(id) === true,
      onPack: this.#onPack,
      ...(this.#setup.threadCount > 1 ? { openPacks: 1 } : {}),
      takeBuffer: () => this.#buffers.pop() ?? new Uint8Array(this.#setup.packSizeBytes + PACK_ROOM_BYTES),
    })
    return this.#writer
  }

  /** Hands out the packs that are not full. */
  finishPacks(): void {
    this.#writer?.finish()
  }

  /** Takes a pack's memory back for the next one. */
  reuse(buffer: Uint8Array): void {
    this.#buffers.push(buffer)
  }

  growClaims(): SharedClaims | undefined {
    return this.#known?.grow()
  }

  addClaims(table: SharedClaims): void {
    this.#known?.addClaims(table)
  }

  /** Memory for one task at a time, `length` bytes or more. */
  scratch(length: number): Uint8Array {
    if (this.#scratch.length < length) this.#scratch = new Uint8Array(length)
    return this.#scratch
  }
}

function codecOf(setup: ThreadSetup, { key, version }: Pick<ThreadSetup, 'key' | 'version'>): Codec {
  return new Codec({
    crypto: setup.provider === 'native' ? nativeCrypto : portableCrypto,
    key,
    version,
    compression: setup.compression,
    extraVerify: setup.extraVerify,
  })
}
