/** Thread task: reads small files whole, one blob each, and chunks of large ones, and saves them. */
import { closeSync, readSync } from 'node:fs'
import { MIN_CHUNK_SIZE } from '../../chunker/chunker.ts'
import { idToBytes, type Id } from '../format/id.ts'
import type { ThreadContext } from '../thread-context.ts'
import { FINGERPRINT_LENGTH, fingerprintOf } from './file-stat.ts'
import { statOfOpen } from './libc.ts'
import { nativePath } from './native-path.ts'
import { openQuietly } from './quiet-open.ts'
import { systemFailureOf, type SystemFailure } from './system-failure.ts'
import { isZero } from './zeros.ts'

/** A file up to this size has no cut in it. */
export const SMALL_FILE_BYTES: number = MIN_CHUNK_SIZE

export interface SaveFilesInput {
  /** Surrogate-escaped. */
  readonly paths: readonly string[]
  /** `FINGERPRINT_LENGTH` numbers for each file. */
  readonly fingerprints: BigUint64Array
}

export interface SaveFilesOutput {
  /** 32 bytes for each file; without meaning for empty files and those not saved. */
  readonly ids: Uint8Array
  /** For each file: bytes its blob added to the repository, 0 where it was known, or one of the two below. */
  readonly added: Float64Array
  readonly failures: ReadonlyMap<number, SystemFailure>
}

/** The file is not the one that was seen, or changed while it was read. */
export const CHANGED = -1
export const FAILED = -2

export function saveFiles(context: ThreadContext, input: SaveFilesInput): SaveFilesOutput {
  const count = input.paths.length
  const ids = new Uint8Array(32 * count)
  const added = new Float64Array(count)
  const failures = new Map<number, SystemFailure>()
  for (const [i, path] of input.paths.entries()) {
    try {
      const start = i * FINGERPRINT_LENGTH
      const seen = input.fingerprints.subarray(start, start + FINGERPRINT_LENGTH)
      const content = readSmallFile(context, path, seen)
      if (content === undefined) {
        added[i] = CHANGED
      } else if (content.length > 0) {
        const saved = context.save('data', content)
        ids.set(idToBytes(saved.id), 32 * i)
        added[i] = saved.packedLength
      }
    } catch (error) {
      failures.set(i, systemFailureOf(error))
      added[i] = FAILED
    }
  }
  return { ids, added, failures }
}

/** IDs of zeros by their length: a disk image is mostly those, and they need not be hashed each time. */
const zeroIds = new Map<number, Id>()
const ZERO_IDS_MAX = 64

export interface SaveChunkInput {
  readonly fd: number
  readonly offset: number
  readonly length: number
}

export interface SaveChunkOutput {
  readonly id: string
  /** Bytes there were to read: fewer than asked for where the file was cut off meanwhile. */
  readonly length: number
  readonly added: number
  readonly isNew: boolean
  readonly failure?: SystemFailure | undefined
}

export function saveChunk(context: ThreadContext, { fd, offset, length }: SaveChunkInput): SaveChunkOutput {
  const buffer = context.scratch(length).subarray(0, length)
  try {
    const filled = readFrom(fd, buffer, offset)
    if (filled === 0) return { id: '', length: 0, added: 0, isNew: false }
    const chunk = buffer.subarray(0, filled)
    const isSparse = isZero(chunk)
    const { id, packedLength, isNew } = context.save(
      'data',
      chunk,
      isSparse ? zeroIds.get(filled) : undefined,
    )
    if (isSparse && zeroIds.size < ZERO_IDS_MAX) zeroIds.set(filled, id)
    return { id, length: filled, added: packedLength, isNew }
  } catch (error) {
    return { id: '', length: 0, added: 0, isNew: false, failure: systemFailureOf(error) }
  }
}

/** Hands out this thread's packs that are not full. */
export function finishPacks(context: ThreadContext, _input: undefined): void {
  context.finishPacks()
}

/** As `readOpenFile` of what is at `path`; undefined as well where it is not what was seen. */
function readSmallFile(context: ThreadContext, path: string, seen: BigUint64Array): Uint8Array | undefined {
  const fd = openQuietly(nativePath(path))
  try {
    const stat = statOfOpen(fd)
    const isSeen = fingerprintOf(stat).every((number, place) => BigInt.asUintN(64, number) === seen[place])
    return isSeen ? readOpenFile(context, fd, stat.size) : undefined
  } finally {
    closeSync(fd)
  }
}

/**
 * The whole content of a file of at most `SMALL_FILE_BYTES`, valid until the next one; undefined where it is not of that
 * size any more.
 * @throws what the system says
 */
export function readOpenFile(context: ThreadContext, fd: number, size: number): Uint8Array | undefined {
  const buffer = context.scratch(SMALL_FILE_BYTES + 1)
  // One byte more than there should be: a read that does not fill it has met the end.
  let filled = readSync(fd, buffer, 0, size + 1, null)
  while (filled < size) {
    const length = readSync(fd, buffer, filled, size + 1 - filled, null)
    if (length === 0) return undefined
    filled += length
  }
  return filled === size ? buffer.subarray(0, size) : undefined
}

function readFrom(fd: number, buffer: Uint8Array, offset: number): number {
  let filled = 0
  while (filled < buffer.length) {
    const length = readSync(fd, buffer, filled, buffer.length - filled, offset + filled)
    if (length === 0) break
    filled += length
  }
  return filled
}
