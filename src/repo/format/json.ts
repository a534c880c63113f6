/**
 * JSON as Go's encoding/json reads and writes it (format spec §11), without loss: integers that a double cannot hold
 * are bigints. For small documents; trees and indexes have readers of their own on the same scanner.
 */
import { JsonScanner } from './json-scanner.ts'

export type JsonValue = null | boolean | number | bigint | string | JsonValue[] | JsonObject

/** An object without a prototype, so that no key is special. */
export interface JsonObject {
  [key: string]: JsonValue
}

const INTEGER = /^-?\d+$/
/** What may need an escape; surrogates only where they have no partner. */
const SUSPICIOUS = /["\\<>&\u2028\u2029\ud800-\udfff]|[^ -\uffff]/
const TO_ESCAPE = /["\\<>&\u2028\u2029]|\p{Surrogate}|[^ -\u{10ffff}]/gu
const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}

/**
 * The value of a JSON document. Of equal keys in an object the last one counts.
 * @param what names the document in errors
 * @throws CorruptDataError
 */
export function parseJson(bytes: Uint8Array, what = 'JSON'): JsonValue {
  const scanner = new JsonScanner(bytes, what)
  const value = readJsonValue(scanner)
  scanner.expectEnd()
  return value
}

/** Reads the value the scanner stands before. */
export function readJsonValue(scanner: JsonScanner): JsonValue {
  switch (scanner.peek()) {
    case 0x7b:
      return readObject(scanner)
    case 0x5b:
      return readArray(scanner)
    case 0x22:
      return scanner.readString()
    case 0x6e:
      scanner.takeNull()
      return null
    case 0x74:
    case 0x66:
      return scanner.readBoolean()
    default:
      return readNumber(scanner)
  }
}

/** JSON for a value: keys in their order, no white space. */
export function encodeJson(value: JsonValue): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return encodeJsonString(value)
  if (Array.isArray(value)) return `[${value.map(encodeJson).join(',')}]`
  if (typeof value !== 'object') return String(value)
  return `{${Object.entries(value)
    .map(([key, member]) => `${encodeJsonString(key)}:${encodeJson(member)}`)
    .join(',')}}`
}

/** A string with its quotes, escaped as Go does it for HTML; an escaped raw byte or lone surrogate becomes `\ufffd`. */
export function encodeJsonString(text: string): string {
  return SUSPICIOUS.test(text) ? `"${text.replace(TO_ESCAPE, escapeCharacter)}"` : `"${text}"`
}

function escapeCharacter(character: string): string {
  const short = SHORT_ESCAPES[character]
  if (short !== undefined) return short
  const unit = character.charCodeAt(0)
  return unit >= 0xd800 ? String.raw`\ufffd` : `\\u${unit.toString(16).padStart(4, '0')}`
}

function readObject(scanner: JsonScanner): JsonObject {
  const object: JsonObject = { __proto__: null }
  scanner.enterObject()
  for (let first = true; scanner.nextMember(first); first = false) {
    const key = scanner.scannedString()
    object[key] = readJsonValue(scanner)
  }
  return object
}

function readArray(scanner: JsonScanner): JsonValue[] {
  const elements: JsonValue[] = []
  scanner.enterArray()
  for (let first = true; scanner.nextElement(first); first = false) elements.push(readJsonValue(scanner))
  return elements
}

function readNumber(scanner: JsonScanner): number | bigint {
  const text = scanner.readNumberText()
  const value = Number(text)
  if (!Number.isFinite(value)) scanner.fail('a number out of range')
  return INTEGER.test(text) && !Number.isSafeInteger(value) ? BigInt(text) : value
}
