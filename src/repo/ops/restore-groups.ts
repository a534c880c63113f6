/** Cuts what is read of a pack into pieces of work for threads. */
import type { PackedBlob } from '../format/pack-header.ts'
import type { PackPart } from '../pack-reader.ts'
import type { Place } from './restore-plan.ts'

/** What one task of a thread gets, at most … */
const GROUP_BLOBS = 128
/** … in stored bytes, where it is not a single larger blob. */
const GROUP_BYTES = 2 << 20
/** Memory of larger groups is used again, of so many. */
const SMALL_BYTES = 1 << 20
const KEPT_GROUPS = 4

/** Blobs for one task, with memory of their own that can be sent. */
export interface Group {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Where in the pack `bytes` begin. */
  readonly start: number
  readonly blobs: readonly PackedBlob[]
  readonly places: readonly (readonly Place[])[]
}

/** Memory of groups that are done, for others. */
export class GroupMemory {
  readonly #kept: ArrayBuffer[] = []

  copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const { length } = bytes
    if (length <= SMALL_BYTES) return Uint8Array.from(bytes)
    const i = this.#kept.findIndex(({ byteLength }) => byteLength >= length)
    const [kept] = i < 0 ? [] : this.#kept.splice(i, 1)
    const copy = new Uint8Array(kept ?? new ArrayBuffer(Math.max(length, GROUP_BYTES)), 0, length)
    copy.set(bytes)
    return copy
  }

  give({ buffer }: Uint8Array): void {
    const isLarge = buffer instanceof ArrayBuffer && buffer.byteLength > SMALL_BYTES
    if (isLarge && this.#kept.length < KEPT_GROUPS) this.#kept.push(buffer)
  }
}

/** Cuts a part into groups of bounded size, so that threads share it and not too many files are open at once. */
export function* groupsOf(
  part: PackPart,
  places: readonly (readonly Place[])[],
  memory: GroupMemory,
): Generator<Group> {
  let first = 0
  for (let i = 0; i < part.blobs.length; i++) {
    const start = part.blobs[first]?.offset ?? 0
    const next = part.blobs[i + 1]
    const isFull =
      next === undefined ||
      i + 1 - first >= GROUP_BLOBS ||
      next.offset + next.length - start > GROUP_BYTES ||
      next.offset < start
    if (!isFull) continue
    const blobs = part.blobs.slice(first, i + 1)
    const end = Math.max(...blobs.map((blob) => blob.offset + blob.length))
    const bytes = memory.copyOf(part.bytes.subarray(start - part.start, end - part.start))
    yield { bytes, start, blobs, places: places.slice(first, i + 1) }
    first = i + 1
  }
}
