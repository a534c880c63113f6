/** What a file in the target of a restore has of the content it should have. */
import { closeSync, fstatSync } from 'node:fs'
import type { Codec } from '../codec.ts'
import type { Id } from '../format/id.ts'
import { readFully, type RestoreTarget } from './restore-target.ts'

/** A blob in its place within a file. */
export interface WantedBlob {
  readonly id: Id
  /** In the index. */
  readonly row: number
  readonly offset: number
  readonly length: number
}

/** The blobs an existing file does not have where they should be. @throws what the system says of reading it */
export function differingBlobs(
  target: RestoreTarget,
  location: string,
  { blobs, codec }: { readonly blobs: readonly WantedBlob[]; readonly codec: Codec },
): WantedBlob[] {
  const fd = target.openForReading(location)
  try {
    const { size } = fstatSync(fd)
    return blobs.filter((blob) => {
      if (blob.offset + blob.length > size) return true
      const content = new Uint8Array(blob.length)
      const length = readFully(fd, content, blob.offset)
      return length < blob.length || codec.idOf(content) !== blob.id
    })
  } finally {
    closeSync(fd)
  }
}
