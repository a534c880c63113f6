/** Thread task: copies blobs of one pack into new packs, each decoded and checked first. */
import { CorruptDataError } from '../../errors.ts'
import type { PackedBlob } from '../format/pack-header.ts'
import type { ThreadContext } from '../thread-context.ts'

export interface CopyBlobsInput {
  /** Stored bytes that hold all the blobs. */
  readonly bytes: Uint8Array
  /** Offset of the first of these bytes in the pack. */
  readonly start: number
  readonly blobs: readonly PackedBlob[]
  /** Encode anew what is stored plain: version 2 repositories compress what version 1 could not. */
  readonly compress: boolean
}

/** @returns numbers of the blobs that are damaged and were not copied */
export function copyBlobs(
  context: ThreadContext,
  { bytes, start, blobs, compress }: CopyBlobsInput,
): number[] {
  const damaged: number[] = []
  for (const [i, blob] of blobs.entries()) {
    const offset = blob.offset - start
    const sealed = bytes.subarray(offset, offset + blob.length)
    try {
      const plaintext = context.codec.decodeToScratch(blob, sealed)
      if (compress && blob.uncompressedLength === 0) {
        // Encoding checks its result in the memory the plaintext lies in.
        context.writer.saveAgain(blob.type, Uint8Array.from(plaintext), blob.id)
      } else {
        context.writer.saveSealed(blob, sealed)
      }
    } catch (error) {
      if (!(error instanceof CorruptDataError)) throw error
      damaged.push(i)
    }
  }
  return damaged
}
