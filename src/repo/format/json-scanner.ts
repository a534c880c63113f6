/**
 * A cursor over JSON bytes that the readers of this folder step through a document with. It checks the grammar of
 * what it passes, never reads past the end, and makes objects only for what is asked of it.
 */
import { CorruptDataError } from '../../errors.ts'
import { HEX_VALUES, readHexId } from './hex.ts'

/** Nesting deeper than this is refused: no repository file comes near, and recursion stays bounded. */
export const MAX_JSON_DEPTH = 200

const QUOTE = 0x22
const BACKSLASH = 0x5c
const SPACE = 0x20
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const MINUS = 0x2d
const DIGIT_0 = 0x30
const END = -1
/** Half of what fits into a string of V8. */
const MAX_STRING_BYTES = 2 ** 28

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}

export class JsonScanner {
  readonly bytes: Uint8Array
  /** Names the document in errors. */
  readonly what: string
  position = 0
  /** What the last string passed consists of: set by `scanString`. */
  stringStart = 0
  stringEnd = 0
  #depth = 0
  #hasEscapes = false

  constructor(bytes: Uint8Array, what: string) {
    this.bytes = bytes
    this.what = what
  }

  /** @throws CorruptDataError always */
  fail(problem: string): never {
    throw new CorruptDataError(this.what, `${problem} at byte ${this.position}`)
  }

  /** The next byte that is not white space, or -1 at the end; the cursor stands on it. */
  peek(): number {
    for (;;) {
      const byte = this.bytes[this.position] ?? END
      if (byte > SPACE || byte === END) return byte
      if (byte !== SPACE && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte
      this.position++
    }
  }

  /** Nothing but white space may follow. */
  expectEnd(): void {
    if (this.peek() !== END) this.fail('unexpected data after the end')
  }

  /** Steps over `null` if it is next. */
  takeNull(): boolean {
    if (this.peek() !== 0x6e) return false
    this.#literal('null')
    return true
  }

  /**
   * Steps into an object. Then, until `nextMember` returns false: a member's name is passed and its value is to be read.
   */
  enterObject(): void {
    this.#enter(OPEN_BRACE, 'an object')
  }

  /** Steps into an array. Then, until `nextElement` returns false: an element is to be read. */
  enterArray(): void {
    this.#enter(OPEN_BRACKET, 'an array')
  }

  /** Steps to the value of the next member, whose name is then in `stringStart`/`stringEnd`; false at the end. */
  nextMember(isFirst: boolean): boolean {
    if (!this.#next(isFirst, CLOSE_BRACE)) return false
    this.scanString()
    if (this.peek() !== COLON) this.fail('a colon is missing')
    this.position++
    return true
  }

  /** Steps to the next element of an array; false at the end. */
  nextElement(isFirst: boolean): boolean {
    return this.#next(isFirst, CLOSE_BRACKET)
  }

  /** Passes a string; its contents are then `bytes[stringStart … stringEnd)`, escapes not yet resolved. */
  scanString(): void {
    if (this.peek() !== QUOTE) this.fail('a string is missing')
    const { bytes } = this
    let position = this.position + 1
    this.stringStart = position
    this.#hasEscapes = false
    for (;;) {
      const byte = bytes[position] ?? END
      if (byte === QUOTE) break
      if (byte < SPACE) {
        this.position = position
        this.fail(byte === END ? 'unexpected end' : 'a control character')
      }
      if (byte === BACKSLASH) {
        this.#hasEscapes = true
        position = this.#passEscape(position)
      } else position++
    }
    this.stringEnd = position
    this.position = position + 1
  }

  /** Whether the string last passed is spelt with escapes. */
  get hasEscapes(): boolean {
    return this.#hasEscapes
  }

  /** Reads a string. What is not valid UTF-8 and surrogates without partner become U+FFFD, as in Go. */
  readString(): string {
    this.scanString()
    return this.scannedString()
  }

  /** The string last passed. */
  scannedString(): string {
    if (this.stringEnd - this.stringStart > MAX_STRING_BYTES) this.fail('a string of hostile length ends')
    const contents = this.bytes.subarray(this.stringStart, this.stringEnd)
    const text = decoder.decode(contents)
    return this.#hasEscapes ? unescape(text) : text
  }

  /** Reads a string of 64 hexadecimal digits into the 32 bytes of `target`. */
  readIdInto(target: Uint8Array): void {
    // Digits hold no quotes or escapes: where there are 64 between two quotes, nothing is left to look for.
    const start = this.peek() === QUOTE ? this.position + 1 : END
    if (start > 0 && this.bytes[start + 64] === QUOTE && readHexId(this.bytes, start, target)) {
      this.position = start + 65
      return
    }
    this.scanString()
    if (this.stringEnd - this.stringStart !== 64 || !readHexId(this.bytes, this.stringStart, target)) {
      this.fail('a string that is no ID')
    }
  }

  /** Reads a decimal integer from 0 to `max`, which must be a safe integer. */
  readUint(max: number): number {
    this.peek()
    const start = this.position
    let value = 0
    let position = start
    for (;;) {
      const digit = (this.bytes[position] ?? END) - DIGIT_0
      if (digit < 0 || digit > 9) break
      value = value * 10 + digit
      // Larger numbers are no longer exact, but are out of range all the same.
      if (value > max) this.fail(`a number above ${max}`)
      position++
    }
    this.position = position
    this.#checkInteger(start)
    return value
  }

  /** Reads a decimal integer from 0 to 2^64 − 1. */
  readUint64(): bigint {
    this.peek()
    const start = this.position
    let value = 0
    let position = start
    for (;;) {
      const digit = (this.bytes[position] ?? END) - DIGIT_0
      if (digit < 0 || digit > 9) break
      value = value * 10 + digit
      position++
    }
    this.position = position
    this.#checkInteger(start)
    if (value <= Number.MAX_SAFE_INTEGER) return BigInt(value)
    const exact =
      position - start > 20 ? undefined : BigInt(decoder.decode(this.bytes.subarray(start, position)))
    if (exact === undefined || exact > 0xffff_ffff_ffff_ffffn) this.fail('a number of more than 64 bits')
    return exact
  }

  /** Reads `true` or `false`. */
  readBoolean(): boolean {
    const isTrue = this.peek() === 0x74
    this.#literal(isTrue ? 'true' : 'false')
    return isTrue
  }

  /** Passes a number of any form; its text. */
  readNumberText(): string {
    this.peek()
    const start = this.position
    if (this.bytes[this.position] === MINUS) this.position++
    const integer = this.position
    this.#passDigits()
    if (this.bytes[integer] === DIGIT_0 && this.position > integer + 1)
      this.fail('a number with leading zeros')
    if (this.bytes[this.position] === 0x2e) {
      this.position++
      this.#passDigits()
    }
    if (((this.bytes[this.position] ?? 0) | 0x20) === 0x65) {
      this.position++
      const sign = this.bytes[this.position]
      if (sign === MINUS || sign === 0x2b) this.position++
      this.#passDigits()
    }
    return decoder.decode(this.bytes.subarray(start, this.position))
  }

  /** Passes a value of any kind. */
  skipValue(): void {
    switch (this.peek()) {
      case OPEN_BRACE:
        this.enterObject()
        for (let first = true; this.nextMember(first); first = false) this.skipValue()
        return
      case OPEN_BRACKET:
        this.enterArray()
        for (let first = true; this.nextElement(first); first = false) this.skipValue()
        return
      case QUOTE:
        this.scanString()
        return
      case 0x6e:
        this.#literal('null')
        return
      case 0x74:
        this.#literal('true')
        return
      case 0x66:
        this.#literal('false')
        return
      default:
        this.readNumberText()
    }
  }

  #enter(bracket: number, what: string): void {
    if (this.peek() !== bracket) this.fail(`${what} is missing`)
    if (++this.#depth > MAX_JSON_DEPTH) this.fail('nesting is too deep')
    this.position++
  }

  #next(isFirst: boolean, close: number): boolean {
    const byte = this.peek()
    if (byte === close) {
      this.position++
      this.#depth--
      return false
    }
    if (isFirst) return true
    if (byte !== COMMA) this.fail(byte === END ? 'unexpected end' : 'a comma is missing')
    this.position++
    return true
  }

  #literal(word: string): void {
    for (let i = 0; i < word.length; i++) {
      if (this.bytes[this.position + i] !== word.charCodeAt(i)) this.fail('an unknown word')
    }
    this.position += word.length
  }

  /** Steps over the escape sequence that begins at `position`. */
  #passEscape(position: number): number {
    const kind = this.bytes[position + 1] ?? 0
    if (kind === 0x75) {
      for (let i = 2; i < 6; i++) {
        if ((HEX_VALUES[this.bytes[position + i] ?? 0] ?? -1) < 0)
          this.#failAt(position, 'a malformed escape')
      }
      return position + 6
    }
    if (SHORT_ESCAPES[String.fromCharCode(kind)] === undefined) this.#failAt(position, 'an unknown escape')
    return position + 2
  }

  #passDigits(): void {
    const start = this.position
    for (;;) {
      const digit = (this.bytes[this.position] ?? END) - DIGIT_0
      if (digit < 0 || digit > 9) break
      this.position++
    }
    if (this.position === start) this.fail('a value is missing')
  }

  /** That digits stood at `start`, without leading zeros, and no fraction or exponent follows. */
  #checkInteger(start: number): void {
    const next = this.bytes[this.position] ?? 0
    if (this.position === start || next === 0x2e || (next | 0x20) === 0x65)
      this.fail('a whole number is missing')
    if (this.bytes[start] === DIGIT_0 && this.position > start + 1) this.fail('a number with leading zeros')
  }

  #failAt(position: number, problem: string): never {
    this.position = position
    return this.fail(problem)
  }
}

const ESCAPES = /\\(?:u([0-9a-fA-F]{4})|(.))/gs
const LONE_SURROGATES = /\p{Surrogate}/gu

/** Resolves JSON's escapes, which are known to be well formed. */
function unescape(text: string): string {
  const resolved = text.replace(ESCAPES, (_, hex: string | undefined, short: string | undefined) =>
    hex === undefined ? (SHORT_ESCAPES[short ?? ''] ?? '') : String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return resolved.replace(LONE_SURROGATES, '\ufffd')
}
