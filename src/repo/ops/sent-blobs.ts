/** Data blobs on their way to a thread, in columns: an object for each would take longer to send. */
import { ID_DIGITS, idFromHash } from '../format/id.ts'
import type { PackedBlob } from '../format/pack-header.ts'

export interface SentBlobs {
  /** One after another. */
  readonly ids: string
  /** Offset, length and uncompressed length of each. */
  readonly numbers: Uint32Array
}

const NUMBERS = 3

/** @param start what offsets are to count from */
export function sentBlobs(blobs: readonly PackedBlob[], start: number): SentBlobs {
  const numbers = new Uint32Array(blobs.length * NUMBERS)
  blobs.forEach(({ offset, length, uncompressedLength }, i) => {
    numbers[i * NUMBERS] = offset - start
    numbers[i * NUMBERS + 1] = length
    numbers[i * NUMBERS + 2] = uncompressedLength
  })
  return { ids: blobs.map(({ id }) => id).join(''), numbers }
}

export function blobAt({ ids, numbers }: SentBlobs, i: number): PackedBlob {
  const first = i * NUMBERS
  return {
    type: 'data',
    id: idFromHash(ids.slice(i * ID_DIGITS, (i + 1) * ID_DIGITS)),
    offset: numbers[first] ?? 0,
    length: numbers[first + 1] ?? 0,
    uncompressedLength: numbers[first + 2] ?? 0,
  }
}
