/** Thread task: checks every byte of a pack (format spec §17.3): hash, blobs, header, and the index's view. */
import type { Codec } from '../codec.ts'
import type { Id } from '../format/id.ts'
import { CorruptDataError } from '../../errors.ts'
import {
  headerEntrySize,
  PACK_TRAILER_BYTES,
  PackHeaderCursor,
  parsePackHeader,
  SEAL_OVERHEAD_BYTES,
  type PackedBlob,
} from '../format/pack-header.ts'
import { parsePackFile } from '../pack-reader.ts'
import type { ThreadContext } from '../thread-context.ts'
import { messageOf } from './check-report.ts'

export interface CheckPackInput {
  readonly id: Id
  /** The whole file. */
  readonly bytes: Uint8Array
  /** What its header must hold by the index, or its blobs where they do not lie as a header says. */
  readonly indexed: Uint8Array | readonly PackedBlob[]
}

/** What is wrong with the pack. */
export function checkPackBytes(context: ThreadContext, { id, bytes, indexed }: CheckPackInput): string[] {
  const { codec } = context
  if (!(indexed instanceof Uint8Array)) return findProblems(codec, id, bytes, indexed)
  return isSound(codec, id, bytes, indexed) ? [] : findProblems(codec, id, bytes, parsePackHeader(indexed))
}

/** Whether all is as it should be: what exactly is not, is another question. */
// oxlint-disable-next-line max-params -- a pack, and what it is held against
function isSound(codec: Codec, id: Id, bytes: Uint8Array, header: Uint8Array): boolean {
  const blob = new PackHeaderCursor(header)
  while (blob.next()) {
    const sealed = bytes.subarray(blob.offset, blob.offset + blob.length)
    if (!codec.isBlob(sealed, blob.uncompressedLength, header, blob.idStart)) return false
  }
  const headerEnd = blob.offset + header.length + SEAL_OVERHEAD_BYTES
  if (bytes.length !== headerEnd + PACK_TRAILER_BYTES || codec.idOf(bytes) !== id) return false
  const view = new DataView(bytes.buffer, bytes.byteOffset + headerEnd, PACK_TRAILER_BYTES)
  if (view.getUint32(0, true) !== header.length + SEAL_OVERHEAD_BYTES) return false
  try {
    return Buffer.compare(codec.open(bytes.subarray(blob.offset, headerEnd), 'pack header'), header) === 0
  } catch (error) {
    if (error instanceof CorruptDataError) return false
    throw error
  }
}

// oxlint-disable-next-line max-params -- as above
function findProblems(codec: Codec, id: Id, bytes: Uint8Array, indexed: readonly PackedBlob[]): string[] {
  const problems: string[] = []
  if (!isContiguous(indexed)) problems.push('index for pack contains gaps / overlapping blobs')
  for (const blob of indexed) {
    const problem = problemOfBlob(codec, bytes, blob)
    if (problem !== undefined) problems.push(`blob ${blob.id}: ${problem}`)
  }
  const hash = codec.idOf(bytes)
  if (hash !== id) return [...problems, `unexpected pack id ${hash}`]
  return [...problems, ...problemsOfHeader(codec, id, bytes, indexed)]
}

function problemOfBlob(codec: Codec, bytes: Uint8Array, blob: PackedBlob): string | undefined {
  const end = blob.offset + blob.length
  if (end > bytes.length) return `it ends at byte ${end} of a pack of ${bytes.length}`
  try {
    codec.decodeToScratch(blob, bytes.subarray(blob.offset, end))
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

// oxlint-disable-next-line max-params -- a pack, and the two things it is held against
function problemsOfHeader(codec: Codec, id: Id, bytes: Uint8Array, indexed: readonly PackedBlob[]): string[] {
  let headerBlobs: PackedBlob[]
  try {
    headerBlobs = parsePackFile(codec, id, bytes)
  } catch (error) {
    return [messageOf(error)]
  }
  const problems: string[] = []
  const wanted = headerSize(indexed)
  const found = headerSize(headerBlobs)
  if (wanted !== found) problems.push(`pack header size does not match, want ${wanted}, got ${found}`)
  const known = new Set(indexed.map(fingerprint))
  for (const blob of headerBlobs) {
    if (known.has(fingerprint(blob))) continue
    problems.push(`blob ${blob.id} is not contained in index or position is incorrect`)
  }
  return problems
}

function isContiguous(blobs: readonly PackedBlob[]): boolean {
  let offset = 0
  for (const blob of blobs) {
    if (blob.offset !== offset) return false
    offset += blob.length
  }
  return true
}

function headerSize(blobs: readonly PackedBlob[]): number {
  return blobs.reduce((sum, blob) => sum + headerEntrySize(blob), 0)
}

function fingerprint(blob: PackedBlob): string {
  return `${blob.type} ${blob.id} ${blob.offset} ${blob.length} ${blob.uncompressedLength}`
}
