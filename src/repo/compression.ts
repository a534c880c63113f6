/**
 * zstd as the repository format uses it (format spec §6): zstd-napi where its native module loads, node:zlib's zstd
 * (Node ≥ 22.15) where it does not. Contexts are made once per compressor and reused for every blob.
 */
import { createRequire } from 'node:module'
import * as zlib from 'node:zlib'
import type * as ZstdBinding from 'zstd-napi/binding.js'
import { CorruptDataError, UnsupportedError } from '../errors.ts'

/** restic's `--compression` modes. In a version 2 repository `off` only spares data blobs. */
export type CompressionMode = 'auto' | 'off' | 'fastest' | 'better' | 'max'

/** Compresses and decompresses whole buffers. Not reentrant: one per thread. */
export interface Zstd {
  readonly implementation: 'zstd-napi' | 'node:zlib'
  /** An upper bound of `compress`'s result for `length` bytes. */
  bound(length: number): number
  /** Compresses `source` into `destination` (at least `bound` long); the compressed length. */
  compressInto(destination: Uint8Array, source: Uint8Array): number
  /**
   * Decompresses what must fill `destination` exactly.
   * @throws CorruptDataError
   */
  decompressInto(destination: Uint8Array, source: Uint8Array): void
  /**
   * Decompresses a frame of unknown length, `maxLength` at most.
   * @param take gives memory of a length that the frame claims; what is returned may lie elsewhere
   * @throws CorruptDataError
   */
  decompress(source: Uint8Array, maxLength: number, take: (length: number) => Uint8Array): Uint8Array
  /**
   * Whether `source` decompresses to exactly these bytes; a copy of them is not made where they are many.
   * @throws CorruptDataError
   */
  decompressesTo(source: Uint8Array, expected: Uint8Array): boolean
}

/** C zstd's levels that stand nearest to the Go encoder's four speeds in ratio. */
const LEVELS: Record<CompressionMode, number> = { auto: 3, off: 3, fastest: 1, better: 7, max: 12 }

/** What is compressed: trees and unpacked files are JSON, in which long hashes stand between words that come again. */
export type CompressedKind = 'data' | 'json'

/**
 * The shortest match level 3 looks for in JSON, where its own choice is 4 or 5 bytes. Digits of hashes match in that many
 * by chance, and such matches cost more bits than they save: trees become 1 to 10 % smaller, index files 4 %, all faster.
 */
const MIN_JSON_MATCH = 7

const SMALL_INPUT_BYTES = 128 << 10

/** Larger than any window restic's decoder accepts is never written: 8 MiB is C zstd's own bound at these levels. */
const UNKNOWN_SIZE_STEP = 1 << 20
/** What is compared gets room for more than is expected: then it is found to be too long. */
const SPARE_BYTES = 4096

/** A zstd block holds 128 KiB at most and takes 4 bytes at least (RFC 8878, §3.1.1.2): no frame grows by more. */
export const MAX_GROWTH = 32_768

type ZstdNapi = typeof ZstdBinding
type ZlibWithZstd = Pick<typeof zlib, 'zstdCompressSync' | 'zstdDecompressSync' | 'constants'>

let napi: ZstdNapi | undefined | null = null

function loadNapi(): ZstdNapi | undefined {
  if (napi === null) {
    try {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the module's own types
      napi = createRequire(import.meta.url)('zstd-napi/binding') as ZstdNapi
    } catch {
      napi = undefined // not compiled for this platform: node:zlib may still serve
    }
  }
  return napi
}

interface Parameters {
  readonly level: number
  /** 0 for what the level says. */
  readonly minMatch: number
}

function parametersFor(mode: CompressionMode, kind: CompressedKind): Parameters {
  const level = LEVELS[mode]
  return { level, minMatch: level === LEVELS.auto && kind === 'json' ? MIN_JSON_MATCH : 0 }
}

/**
 * The best zstd this runtime has.
 * @throws UnsupportedError where there is none
 */
export function createZstd(mode: CompressionMode, kind: CompressedKind = 'data'): Zstd {
  const parameters = parametersFor(mode, kind)
  const binding = loadNapi()
  if (binding !== undefined) return new NapiZstd(binding, parameters)
  if (typeof (zlib as Partial<ZlibWithZstd>).zstdCompressSync === 'function') return new ZlibZstd(parameters)
  throw new UnsupportedError('no zstd implementation can be loaded', {
    hint: 'reinstall with a C++ compiler present so that zstd-napi can be built (npm rebuild zstd-napi), or use Node 22.15 or newer',
  })
}

class NapiZstd implements Zstd {
  readonly implementation = 'zstd-napi'
  readonly #binding: ZstdNapi
  readonly #compressor: ZstdBinding.CCtx
  readonly #decompressor: ZstdBinding.DCtx

  constructor(binding: ZstdNapi, { level, minMatch }: Parameters) {
    this.#binding = binding
    this.#compressor = new binding.CCtx()
    this.#compressor.setParameter(binding.CParameter.compressionLevel, level)
    this.#compressor.setParameter(binding.CParameter.minMatch, minMatch)
    this.#decompressor = new binding.DCtx()
  }

  bound(length: number): number {
    // As ZSTD_COMPRESSBOUND in zstd.h: asking the library is a call for every blob.
    return length + (length >> 8) + (length < SMALL_INPUT_BYTES ? (SMALL_INPUT_BYTES - length) >> 11 : 0)
  }

  compressInto(destination: Uint8Array, source: Uint8Array): number {
    return this.#compressor.compress2(destination, source)
  }

  decompressInto(destination: Uint8Array, source: Uint8Array): void {
    let produced: number
    try {
      produced = this.#decompressor.decompress(destination, source)
    } catch (error) {
      throw new CorruptDataError('compressed data', messageOf(error), { cause: error })
    }
    const { length } = destination
    if (produced !== length)
      throw new CorruptDataError('compressed data', `holds ${produced} bytes, not ${length}`)
  }

  decompress(source: Uint8Array, maxLength: number, take: (length: number) => Uint8Array): Uint8Array {
    return this.#decompressClaimed(source, maxLength, take) ?? this.#decompressParts(source, maxLength)
  }

  /** In one go, where the frame says how long it is, as nearly all do; undefined where that comes to nothing. */
  #decompressClaimed(
    source: Uint8Array,
    maxLength: number,
    take: (length: number) => Uint8Array,
  ): Uint8Array | undefined {
    try {
      const claimed = this.#binding.getFrameContentSize(source)
      // Checked before there is memory for it: the claim may be anybody's.
      if (claimed === null || claimed > Math.min(maxLength, source.length * MAX_GROWTH)) return undefined
      const destination = take(claimed)
      return this.#decompressor.decompress(destination, source) === claimed ? destination : undefined
    } catch {
      // What is wrong, or lies behind the first frame, the other way finds out.
      return undefined
    }
  }

  #decompressParts(source: Uint8Array, maxLength: number): Uint8Array {
    const parts: Uint8Array[] = []
    let total = 0
    this.#stream(source, UNKNOWN_SIZE_STEP, (part) => {
      total += part.length
      if (total > maxLength)
        throw new CorruptDataError('compressed data', `is larger than ${maxLength} bytes`)
      parts.push(part.slice())
    })
    return concat(parts, total)
  }

  decompressesTo(source: Uint8Array, expected: Uint8Array): boolean {
    let total = 0
    let isEqual = true
    this.#stream(source, Math.min(expected.length + SPARE_BYTES, UNKNOWN_SIZE_STEP), (part) => {
      isEqual &&= Buffer.compare(part, expected.subarray(total, total + part.length)) === 0
      total += part.length
    })
    return isEqual && total === expected.length
  }

  /**
   * Decompresses step by step, in memory that each part is overwritten in by the next.
   * @throws CorruptDataError
   */
  #stream(source: Uint8Array, stepBytes: number, onPart: (part: Uint8Array) => void): void {
    const memory = new Uint8Array(stepBytes)
    let consumed = 0
    try {
      this.#decompressor.reset(this.#binding.ResetDirective.sessionOnly)
      for (;;) {
        const [pending, produced, used] = this.#decompressor.decompressStream(
          memory,
          source.subarray(consumed),
        )
        consumed += used
        onPart(memory.subarray(0, produced))
        if (consumed < source.length) continue
        if (pending === 0) break
        if (produced < memory.length) throw new CorruptDataError('compressed data', 'ends too early')
      }
    } catch (error) {
      if (error instanceof CorruptDataError) throw error
      throw new CorruptDataError('compressed data', messageOf(error), { cause: error })
    }
  }
}

class ZlibZstd implements Zstd {
  readonly implementation = 'node:zlib'
  readonly #parameters: Parameters

  constructor(parameters: Parameters) {
    this.#parameters = parameters
  }

  bound(length: number): number {
    return length + (length >> 8) + 512
  }

  compressInto(destination: Uint8Array, source: Uint8Array): number {
    const { level, minMatch } = this.#parameters
    const { ZSTD_c_compressionLevel, ZSTD_c_minMatch } = zlib.constants
    const params = { [ZSTD_c_compressionLevel]: level, [ZSTD_c_minMatch]: minMatch }
    const compressed = zlib.zstdCompressSync(source, { params })
    destination.set(compressed)
    return compressed.length
  }

  decompressInto(destination: Uint8Array, source: Uint8Array): void {
    const { length } = destination
    const plain = this.decompress(source, length)
    if (plain.length !== length) {
      throw new CorruptDataError('compressed data', `holds ${plain.length} bytes, not ${length}`)
    }
    destination.set(plain)
  }

  decompressesTo(source: Uint8Array, expected: Uint8Array): boolean {
    return Buffer.compare(this.decompress(source, expected.length), expected) === 0
  }

  decompress(source: Uint8Array, maxLength: number): Uint8Array {
    try {
      // zlib refuses a limit of 0, which an empty blob would ask for.
      return zlib.zstdDecompressSync(source, { maxOutputLength: Math.max(1, maxLength) })
    } catch (error) {
      throw new CorruptDataError('compressed data', messageOf(error), { cause: error })
    }
  }
}

function concat(parts: readonly Uint8Array[], total: number): Uint8Array {
  const [first] = parts
  if (parts.length === 1 && first !== undefined) return first
  const whole = new Uint8Array(total)
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
