/** What a great many files get besides their content, without an object for each: 36 bytes a file. */
import type { ExtendedAttribute } from '../format/tree.ts'
import { Uint32Column } from '../uint32-column.ts'
import type { Metadata } from './node-metadata.ts'

/** Mode, owner, group; nanoseconds, low and high half of the seconds of both times. */
const NUMBERS = 9

/** Of files only: folders and such are few enough for objects. */
export class MetadataTable {
  readonly #numbers = new Uint32Column()
  /** Few files have any. */
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
    const first = row * NUMBERS
    return {
      type: 'file',
      mode: this.#numbers.at(first),
      uid: this.#numbers.at(first + 1),
      gid: this.#numbers.at(first + 2),
      atime: this.#timeAt(first + 3),
      mtime: this.#timeAt(first + 6),
      extendedAttributes: this.#xattrs.get(row) ?? [],
    }
  }

  #timeAt(first: number): Metadata['atime'] {
    const high = this.#numbers.at(first + 2) | 0
    return { seconds: high * 2 ** 32 + this.#numbers.at(first + 1), nanoseconds: this.#numbers.at(first) }
  }
}
