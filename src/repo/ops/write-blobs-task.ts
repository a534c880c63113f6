/** Thread task: decodes blobs of one pack and writes each to its places in open files. */
import { CorruptDataError } from '../../errors.ts'
import type { PackedBlob } from '../format/pack-header.ts'
import type { ThreadContext } from '../thread-context.ts'
import { writeFully } from './restore-target.ts'
import { systemFailureOf, type SystemFailure } from './system-failure.ts'

export interface WriteBlobsInput {
  /** Stored bytes that hold all the blobs. */
  readonly bytes: Uint8Array
  /** Offsets are those in `bytes`. */
  readonly blobs: readonly PackedBlob[]
  /** How many places each blob goes to; the places of all blobs follow in the columns below. */
  readonly placeCounts: Uint32Array
  readonly fds: Int32Array
  readonly offsets: Float64Array
  /** 1 where zeros need not be written: the file is new and full of them. */
  readonly skipZeros: Uint8Array
}

export interface WriteBlobsOutput {
  /** By number of the blob. */
  readonly damaged: ReadonlyMap<number, string>
  /** By number of the place. */
  readonly failures: ReadonlyMap<number, SystemFailure>
}

export function writeBlobs(context: ThreadContext, input: WriteBlobsInput): WriteBlobsOutput {
  const damaged = new Map<number, string>()
  const failures = new Map<number, SystemFailure>()
  let place = 0
  for (const [i, blob] of input.blobs.entries()) {
    const end = place + (input.placeCounts[i] ?? 0)
    try {
      const sealed = input.bytes.subarray(blob.offset, blob.offset + blob.length)
      const plaintext = context.codec.decodeToScratch(blob, sealed)
      const isZeros = input.skipZeros.subarray(place, end).includes(1) && isZero(plaintext)
      for (; place < end; place++) {
        if (isZeros && input.skipZeros[place] === 1) continue
        writePlace(input, place, plaintext, failures)
      }
    } catch (error) {
      if (!(error instanceof CorruptDataError)) throw error
      damaged.set(i, error.message)
    }
    place = end
  }
  return { damaged, failures }
}

// oxlint-disable-next-line max-params -- called for every place: an object each would be garbage
function writePlace(
  { fds, offsets }: WriteBlobsInput,
  place: number,
  plaintext: Uint8Array,
  failures: Map<number, SystemFailure>,
): void {
  try {
    writeFully(fds[place] ?? -1, plaintext, offsets[place] ?? 0)
  } catch (error) {
    failures.set(place, systemFailureOf(error))
  }
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}
