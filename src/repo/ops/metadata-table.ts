/** What a great many files get besides their content, without an object for each: 36 bytes a file. */
import type { ExtendedAttribute } from '../format/tree.ts'
import { Uint32Column } from '../uint32-column.ts'
import type { Metadata } from './node-metadata.ts'

/** Mode, owner, group; nanoseconds, low and high half of the seconds of both times. */
const NUMBERS = 9
const NO_ATTRIBUTES: readonly ExtendedAttribute[] = []

/** Rows of a table on their way to another thread. */
export interface MetadataRows {
  readonly numbers: Uint32Array
  /** Few files have any. */
  readonly xattrs: ReadonlyMap<number, readonly ExtendedAttribute[]>
}

/** Of files only: folders and such are few enough for objects. */
export class MetadataTable {
  readonly #numbers = new Uint32Column()
  readonly #xattrs = new Map<number, readonly ExtendedAttribute[]>()
  #length = 0

  /** Adds a row; the first is row 0. */
  push({ mode, uid, gid, atime, mtime, extendedAttributes }: Metadata): void {
    const numbers = this.#numbers
    numbers.push(mode)
    numbers.push(uid)
    numbers.push(gid)
    for (const { seconds, nanoseconds } of [atime, mtime]) {
      numbers.push(nanoseconds)
      numbers.push(seconds >>> 0)
      numbers.push(Math.floor(seconds / 2 ** 32) >>> 0)
    }
    if (extendedAttributes.length > 0) this.#xattrs.set(this.#length, extendedAttributes)
    this.#length += 1
  }

  at(row: number): Metadata {
    return metadataAt(this.pick([row]), 0)
  }

  /** Some rows, numbered anew from 0. */
  pick(rows: readonly number[]): MetadataRows {
    const numbers = new Uint32Array(rows.length * NUMBERS)
    const xattrs = new Map<number, readonly ExtendedAttribute[]>()
    rows.forEach((row, i) => {
      for (let n = 0; n < NUMBERS; n++) numbers[i * NUMBERS + n] = this.#numbers.at(row * NUMBERS + n)
      const attributes = this.#xattrs.size === 0 ? undefined : this.#xattrs.get(row)
      if (attributes !== undefined) xattrs.set(i, attributes)
    })
    return { numbers, xattrs }
  }
}

export function metadataAt({ numbers, xattrs }: MetadataRows, row: number): Metadata {
  const first = row * NUMBERS
  return {
    type: 'file',
    mode: numbers[first] ?? 0,
    uid: numbers[first + 1] ?? 0,
    gid: numbers[first + 2] ?? 0,
    atime: timeAt(numbers, first + 3),
    mtime: timeAt(numbers, first + 6),
    extendedAttributes: xattrs.get(row) ?? NO_ATTRIBUTES,
  }
}

function timeAt(numbers: Uint32Array, first: number): Metadata['atime'] {
  const high = (numbers[first + 2] ?? 0) | 0
  return { seconds: high * 2 ** 32 + (numbers[first + 1] ?? 0), nanoseconds: numbers[first] ?? 0 }
}
