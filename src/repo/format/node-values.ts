/**
 * Reads the values of a node's members. Neighbours in a directory have most of them in common (owner, times): what is
 * spelt as it was last time is not read again.
 */
import { decodeBase64 } from './base64.ts'
import { unquoteName } from './go-quote.ts'
import { ID_DIGITS, idFromDigits, type Id } from './id.ts'
import { readJsonValue, type JsonValue } from './json.ts'
import type { JsonScanner } from './json-scanner.ts'
import { KnownStrings } from './known-strings.ts'
import { decodeRawName } from './raw-name.ts'
import { timeFromBytes, type Time } from './time.ts'
import type { ExtendedAttribute, NodeType } from './tree.ts'

const NODE_TYPES = ['file', 'dir', 'symlink', 'dev', 'chardev', 'fifo', 'socket', 'irregular'] as const
const TYPE_NAMES = new KnownStrings(NODE_TYPES)
const ATTRIBUTE_KEYS = new KnownStrings(['name', 'value'])

export class NodeValues {
  readonly #scanner: JsonScanner
  readonly #users: RepeatedText<string>
  readonly #groups: RepeatedText<string>
  readonly #times: RepeatedText<Time>
  #rawLinkTarget: string | undefined

  constructor(scanner: JsonScanner) {
    this.#scanner = scanner
    this.#users = new RepeatedText(scanner, () => scanner.scannedString())
    this.#groups = new RepeatedText(scanner, () => scanner.scannedString())
    this.#times = new RepeatedText(scanner, () => scannedTime(scanner))
  }

  name(): string {
    const text = this.#scanner.readString()
    // Whatever Go's quoting changes is spelt with a backslash, and that with two in JSON.
    if (!this.#scanner.hasEscapes) return text
    return unquoteName(text) ?? this.#scanner.fail('a name that is not quoted as Go does ends')
  }

  type(): NodeType {
    this.#scanner.scanString()
    return NODE_TYPES[TYPE_NAMES.find(this.#scanner, 0)] ?? ''
  }

  string(): string {
    return this.#scanner.readString()
  }

  user(): string {
    return this.#users.read()
  }

  group(): string {
    return this.#groups.read()
  }

  time(): Time {
    return this.#times.read()
  }

  uint(max: number): number {
    return this.#scanner.readUint(max)
  }

  uint64(): bigint {
    return this.#scanner.readUint64()
  }

  id(): Id {
    const scanner = this.#scanner
    scanner.scanString()
    const isLongEnough = scanner.stringEnd - scanner.stringStart === ID_DIGITS
    const id = isLongEnough ? idFromDigits(scanner.bytes, scanner.stringStart) : undefined
    return id ?? scanner.fail('a string that is no ID ends')
  }

  ids(): Id[] {
    const ids: Id[] = []
    this.#scanner.enterArray()
    for (let first = true; this.#scanner.nextElement(first); first = false) ids.push(this.id())
    return ids
  }

  /** Keeps the bytes of a link target for `takeRawLinkTarget`. */
  rawLinkTarget(): void {
    this.#rawLinkTarget = decodeRawName(this.#base64())
  }

  /** The link target whose bytes were read, once. */
  takeRawLinkTarget(): string | undefined {
    const target = this.#rawLinkTarget
    this.#rawLinkTarget = undefined
    return target
  }

  extendedAttributes(): ExtendedAttribute[] {
    const attributes: ExtendedAttribute[] = []
    this.#scanner.enterArray()
    for (let first = true; this.#scanner.nextElement(first); first = false)
      attributes.push(this.#extendedAttribute())
    return attributes
  }

  genericAttributes(): Record<string, JsonValue> {
    const value = readJsonValue(this.#scanner)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? value : this.#scanner.fail('generic attributes that are no object end')
  }

  #extendedAttribute(): ExtendedAttribute {
    const scanner = this.#scanner
    let name = ''
    let value: Uint8Array = new Uint8Array()
    scanner.enterObject()
    for (let first = true; scanner.nextMember(first); first = false) {
      const key = ATTRIBUTE_KEYS.find(scanner, first ? 0 : 1)
      if (key < 0) scanner.skipValue()
      else if (scanner.takeNull()) continue
      else if (key === 0) name = scanner.readString()
      else value = this.#base64()
    }
    if (name === '') scanner.fail('an extended attribute without name ends')
    return { name, value }
  }

  #base64(): Uint8Array {
    return decodeBase64(this.#scanner.readString()) ?? this.#scanner.fail('a string that is not base64 ends')
  }
}

function scannedTime(scanner: JsonScanner): Time {
  // No writer escapes any character of a time.
  const time = scanner.hasEscapes
    ? undefined
    : timeFromBytes(scanner.bytes, scanner.stringStart, scanner.stringEnd)
  return time ?? scanner.fail('a string that is no time ends')
}

/** Reads a value given as a string that is often the one read last. */
class RepeatedText<Value> {
  readonly #scanner: JsonScanner
  readonly #convert: () => Value
  #last: { readonly value: Value; readonly start: number; readonly length: number } | undefined

  /** @param convert makes a value of the string just scanned */
  constructor(scanner: JsonScanner, convert: () => Value) {
    this.#scanner = scanner
    this.#convert = convert
  }

  read(): Value {
    const scanner = this.#scanner
    scanner.scanString()
    if (this.#last !== undefined && this.#isSpelled(this.#last.start, this.#last.length))
      return this.#last.value
    const value = this.#convert()
    this.#last = { value, start: scanner.stringStart, length: scanner.stringEnd - scanner.stringStart }
    return value
  }

  #isSpelled(start: number, length: number): boolean {
    const { bytes, stringStart, stringEnd } = this.#scanner
    if (length !== stringEnd - stringStart) return false
    for (let i = 0; i < length; i++) {
      if (bytes[start + i] !== bytes[stringStart + i]) return false
    }
    return true
  }
}
