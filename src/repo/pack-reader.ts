/**
 * Reads blobs out of packs pack by pack: the ranges wanted are merged where the gap between them is small, fetched in
 * bounded parts.
 */
import type { Backend } from '../backend/backend.ts'
import { CorruptDataError, throwIfAborted } from '../errors.ts'
import type { Codec } from './codec.ts'
import type { Id } from './format/id.ts'
import { packSize, parsePackHeader, type PackedBlob } from './format/pack-header.ts'

/** Reading over a gap is cheaper than a second request up to about here. */
const MAX_GAP_BYTES = 1 << 20
/** Upper bound of one fetch that covers more than one blob. */
const MAX_PART_BYTES = 32 << 20
const HEADER_LENGTH_BYTES = 4
const SEAL_OVERHEAD = 32
/** Enough for a header of 15 entries: most small packs need no second read. */
const EAGER_HEADER_BYTES = 15 * 41 + SEAL_OVERHEAD + HEADER_LENGTH_BYTES
const MAX_HEADER_BYTES = 16 << 20

export interface PackReaderContext {
  readonly backend: Backend
  readonly codec: Codec
}

/** A run of blobs fetched together: stored bytes `start` to `end` of the pack. */
interface Part {
  readonly blobs: PackedBlob[]
  readonly start: number
  end: number
}

/** A run of blobs and the stored bytes that hold them, `start` being the offset of the first byte in the pack. */
export interface PackPart {
  readonly blobs: readonly PackedBlob[]
  readonly start: number
  readonly bytes: Uint8Array
}

/** Fetches `blobs` (by offset) of one pack undecoded, in as few reads as pay. */
export async function* readPackParts(
  backend: Backend,
  packId: Id,
  blobs: readonly PackedBlob[],
  options: { readonly signal?: AbortSignal | undefined },
): AsyncGenerator<PackPart> {
  for (const { start, end, blobs: wanted } of planParts(blobs)) {
    throwIfAborted(options.signal)
    const range = { offset: start, length: end - start }
    const isMetadata = wanted.every((blob) => blob.type === 'tree')
    const bytes = await backend.read({ type: 'pack', name: packId, isMetadata }, range, options.signal)
    yield { blobs: wanted, start, bytes }
  }
}

/** The same damage, with the file it is in and what to do about it. */
export function damageInPack(error: CorruptDataError, packId: Id): CorruptDataError {
  const problem = error.message.replace(`${error.what} is damaged: `, '')
  return new CorruptDataError(error.what, `${problem} (in pack ${packId})`, {
    cause: error,
    hint: 'run `check --read-data` to see what is affected, then `repair packs`',
  })
}

function planParts(blobs: readonly PackedBlob[]): Part[] {
  const parts: Part[] = []
  let current: Part | undefined
  for (const blob of blobs) {
    const end = blob.offset + blob.length
    const joins =
      current !== undefined &&
      blob.offset >= current.start &&
      blob.offset - current.end <= MAX_GAP_BYTES &&
      end - current.start <= MAX_PART_BYTES
    if (current !== undefined && joins) {
      current.blobs.push(blob)
      current.end = Math.max(current.end, end)
    } else {
      current = { blobs: [blob], start: blob.offset, end }
      parts.push(current)
    }
  }
  return parts
}

/**
 * The blobs a pack's own header names, by offset.
 * @param size stored length of the pack file
 * @throws CorruptDataError
 */
export async function readPackHeader(
  context: PackReaderContext,
  packId: Id,
  size: number,
  signal?: AbortSignal,
): Promise<PackedBlob[]> {
  const what = `pack ${packId}`
  if (size < HEADER_LENGTH_BYTES + SEAL_OVERHEAD)
    throw new CorruptDataError(what, `it is only ${size} bytes long`)
  const handle = { type: 'pack', name: packId } as const
  const eager = Math.min(size, EAGER_HEADER_BYTES)
  let tail = await context.backend.read(handle, { offset: size - eager, length: eager }, signal)
  const headerLength = headerLengthOf(tail, size, what)
  const needed = headerLength + HEADER_LENGTH_BYTES
  if (needed > tail.length)
    tail = await context.backend.read(handle, { offset: size - needed, length: needed }, signal)
  const sealed = tail.subarray(tail.length - needed, tail.length - HEADER_LENGTH_BYTES)
  return parsePackHeader(context.codec.open(sealed, `header of ${what}`))
}

/** As `readPackHeader`, from the whole pack's bytes. */
export function parsePackFile(codec: Codec, packId: Id, bytes: Uint8Array): PackedBlob[] {
  const what = `pack ${packId}`
  if (bytes.length < HEADER_LENGTH_BYTES + SEAL_OVERHEAD) {
    throw new CorruptDataError(what, `it is only ${bytes.length} bytes long`)
  }
  const headerLength = headerLengthOf(bytes, bytes.length, what)
  const start = bytes.length - HEADER_LENGTH_BYTES - headerLength
  const blobs = parsePackHeader(codec.open(bytes.subarray(start, start + headerLength), `header of ${what}`))
  if (packSize(blobs) !== bytes.length) {
    throw new CorruptDataError(what, `its header accounts for ${packSize(blobs)} of ${bytes.length} bytes`)
  }
  return blobs
}

function headerLengthOf(tail: Uint8Array, size: number, what: string): number {
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength)
  const length = view.getUint32(tail.length - HEADER_LENGTH_BYTES, true)
  if (length < SEAL_OVERHEAD || length > MAX_HEADER_BYTES || length + HEADER_LENGTH_BYTES > size) {
    throw new CorruptDataError(what, `its header cannot be ${length} bytes long`)
  }
  return length
}
