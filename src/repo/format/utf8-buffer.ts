/** Text as UTF-8, appended piece by piece to memory that grows. */

const FLUSH_CHARACTERS = 1 << 11
const INITIAL_BYTES = 1 << 12
/** UTF-8 bytes a UTF-16 code unit takes at most. */
const MAX_UTF8_PER_UNIT = 3

const encoder = new TextEncoder()

export class Utf8Buffer {
  #bytes: Uint8Array
  #length = 0
  /** What is not yet in `#bytes`: encoding some pieces at once is faster, and many would be in the way of the collector. */
  #pending = ''

  /** @param expectedBytes so much can be appended before memory has to grow */
  constructor(expectedBytes: number = INITIAL_BYTES) {
    this.#bytes = new Uint8Array(expectedBytes)
  }

  append(text: string): void {
    this.#pending += text
    if (this.#pending.length >= FLUSH_CHARACTERS) this.#flush()
  }

  /** @param text in UTF-8 */
  appendBytes(text: Uint8Array): void {
    this.#flush()
    this.#reserve(text.length)
    this.#bytes.set(text, this.#length)
    this.#length += text.length
  }

  /** In bytes. */
  length(): number {
    this.#flush()
    return this.#length
  }

  /** All that was appended, in the memory it lies in. Nothing must be appended afterwards. */
  take(): Uint8Array {
    this.#flush()
    return this.#bytes.subarray(0, this.#length)
  }

  /** A copy of all that was appended. */
  toBytes(): Uint8Array {
    this.#flush()
    return this.#bytes.slice(0, this.#length)
  }

  #flush(): void {
    if (this.#pending === '') return
    this.#reserve(this.#pending.length * MAX_UTF8_PER_UNIT)
    this.#length += encoder.encodeInto(this.#pending, this.#bytes.subarray(this.#length)).written
    this.#pending = ''
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
  }
}
