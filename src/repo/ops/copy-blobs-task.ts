/** Thread tasks: copy blobs of one pack into new packs, each decoded and checked first. */
import { CorruptDataError } from '../../errors.ts'
import type { PackPart } from '../pack-reader.ts'
import type { ThreadContext } from '../thread-context.ts'

export interface CopyBlobsInput extends PackPart {
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

/**
 * Copies blobs of another repository, whose key and version the thread was set up with.
 * @returns numbers of the blobs that are damaged and were not copied
 */
export function recodeBlobs(context: ThreadContext, { bytes, start, blobs }: PackPart): number[] {
  const damaged: number[] = []
  for (const [i, blob] of blobs.entries()) {
    const offset = blob.offset - start
    try {
      const plaintext = context.sourceCodec.decodeToScratch(
        blob,
        bytes.subarray(offset, offset + blob.length),
      )
      context.writer.saveAgain(blob.type, plaintext, blob.id)
    } catch (error) {
      if (!(error instanceof CorruptDataError)) throw error
      damaged.push(i)
    }
  }
  return damaged
}
