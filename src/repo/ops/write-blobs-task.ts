/**
 * Thread task: decodes blobs of one pack and writes each to its places. Files all of whose blobs are here are made,
 * written and given their metadata by the thread; others are opened by whoever asks.
 */
import { CorruptDataError } from '../../errors.ts'
import type { PackedBlob } from '../format/pack-header.ts'
import type { ThreadContext } from '../thread-context.ts'
import { CreatedFiles, type CreatedFilesOutcome } from './created-files.ts'
import { DirectPlaces, leadOf } from './direct-places.ts'
import type { FilesToCreate } from './files-to-create.ts'
import { createXattrSelector, type SelectOptions } from './restore-select.ts'
import { writeFully } from './restore-target.ts'
import { blobAt, type SentBlobs } from './sent-blobs.ts'
import { systemFailureOf, type SystemFailure } from './system-failure.ts'
import { isZero } from './zeros.ts'

export interface WriteBlobsInput {
  /** Stored bytes that hold all the blobs. */
  readonly bytes: Uint8Array
  /** Offsets are those in `bytes`. */
  readonly blobs: SentBlobs
  /** How many places each blob goes to; the places of all blobs follow in the columns below. */
  readonly placeCounts: Uint32Array
  /** An open file, or `-1 - n` for number n of `files`. */
  readonly targets: Int32Array
  /** The same file opened for direct writes, or -1. Of open files. */
  readonly directTargets: Int32Array
  readonly offsets: Float64Array
  /** 1 where zeros need not be written: the file is new and full of them. Of open files. */
  readonly skipZeros: Uint8Array
  readonly files: FilesToCreate
  /** Zeros are not written to `files`. */
  readonly sparse: boolean
  readonly xattrs: Pick<SelectOptions, 'includeXattrs' | 'excludeXattrs'>
}

export interface WriteBlobsOutput {
  /** By number of the blob. */
  readonly damaged: ReadonlyMap<number, string>
  /** By number of the place, in open files. */
  readonly failures: ReadonlyMap<number, SystemFailure>
  readonly files: CreatedFilesOutcome
}

/** Of this thread. */
const directPlaces = new DirectPlaces()

export function writeBlobs(context: ThreadContext, input: WriteBlobsInput): WriteBlobsOutput {
  const created = new CreatedFiles(input.files, {
    sparse: input.sparse,
    selectXattr: createXattrSelector(input.xattrs),
  })
  try {
    const { damaged, failures } = writeAll(context, input, created)
    return { damaged, failures, files: created.outcome }
  } finally {
    created.close()
  }
}

function writeAll(
  context: ThreadContext,
  input: WriteBlobsInput,
  created: CreatedFiles,
): Pick<WriteBlobsOutput, 'damaged' | 'failures'> {
  const damaged = new Map<number, string>()
  const failures = new Map<number, SystemFailure>()
  let place = 0
  for (let i = 0; i < input.placeCounts.length; i++) {
    const blob = blobAt(input.blobs, i)
    const end = place + (input.placeCounts[i] ?? 0)
    const plaintext = decode(context, input, { blob, place }, (reason) => damaged.set(i, reason))
    const isSkipped =
      plaintext !== undefined && input.skipZeros.subarray(place, end).includes(1) && isZero(plaintext)
    for (; place < end; place++) {
      const target = input.targets[place] ?? 0
      if (plaintext === undefined) {
        if (target < 0) created.giveUp(-1 - target)
      } else if (target < 0) {
        created.write(-1 - target, input.offsets[place] ?? 0, plaintext)
      } else if (!isSkipped || input.skipZeros[place] !== 1) {
        writePlace(input, place, plaintext, failures)
      }
    }
  }
  return { damaged, failures }
}

/** The plaintext, good until the next is decoded, and where in a page its first place wants it. */
function decode(
  context: ThreadContext,
  { bytes, offsets }: WriteBlobsInput,
  { blob, place }: { readonly blob: PackedBlob; readonly place: number },
  onDamage: (reason: string) => void,
): Uint8Array | undefined {
  const sealed = bytes.subarray(blob.offset, blob.offset + blob.length)
  try {
    return context.codec.decodeToScratch(blob, sealed, leadOf(offsets[place] ?? 0))
  } catch (error) {
    if (!(error instanceof CorruptDataError)) throw error
    onDamage(error.message)
    return undefined
  }
}

// oxlint-disable-next-line max-params -- called for every place: an object each would be garbage
function writePlace(
  { targets, directTargets, offsets }: WriteBlobsInput,
  place: number,
  plaintext: Uint8Array,
  failures: Map<number, SystemFailure>,
): void {
  const [fd = -1, directFd = -1, offset = 0] = [targets[place], directTargets[place], offsets[place]]
  try {
    if (directFd < 0) writeFully(fd, plaintext, offset)
    else directPlaces.write(fd, directFd, plaintext, offset)
  } catch (error) {
    failures.set(place, systemFailureOf(error))
  }
}
