/**
 * Reads the members of a small JSON object as Go's decoder does: what is missing or null is zero, what has another
 * type is damage, members not asked for are ignored.
 */
import { CorruptDataError } from '../../errors.ts'
import { decodeBase64 } from './base64.ts'
import { isId, type Id } from './id.ts'
import { parseJson, type JsonObject, type JsonValue } from './json.ts'
import { parseTime, ZERO_TIME, type Time } from './time.ts'

export const UINT32_MAX = 0xffff_ffff

export class JsonFields {
  readonly #object: JsonObject
  readonly #what: string

  /** @param what names the document in errors */
  constructor(object: JsonObject, what: string) {
    this.#object = object
    this.#what = what
  }

  /** @throws CorruptDataError where the document is not one JSON object */
  static parse(bytes: Uint8Array, what: string): JsonFields {
    const value = parseJson(bytes, what)
    if (!isObject(value)) throw new CorruptDataError(what, 'it is not a JSON object')
    return new JsonFields(value, what)
  }

  /** @throws CorruptDataError always, blaming member `key` */
  fail(key: string, problem: string): never {
    throw new CorruptDataError(this.#what, `"${key}" ${problem}`)
  }

  string(key: string): string {
    const value = this.#object[key] ?? ''
    return typeof value === 'string' ? value : this.fail(key, 'is not a string')
  }

  boolean(key: string): boolean {
    const value = this.#object[key] ?? false
    return typeof value === 'boolean' ? value : this.fail(key, 'is not true or false')
  }

  /** A whole number from `min` to `max`, both safe integers. */
  integer(key: string, min: number, max: number): number {
    const value = this.#object[key] ?? 0
    const fits = typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
    return fits ? value + 0 : this.fail(key, `is not a whole number from ${min} to ${max}`)
  }

  uint(key: string, max: number = Number.MAX_SAFE_INTEGER): number {
    return this.integer(key, 0, max)
  }

  time(key: string): Time {
    const text = this.#object[key] ?? null
    if (text === null) return ZERO_TIME
    if (typeof text !== 'string') return this.fail(key, 'is not a time')
    try {
      return parseTime(text)
    } catch (error) {
      throw new CorruptDataError(this.#what, `"${key}" is not a time`, { cause: error })
    }
  }

  bytes(key: string): Uint8Array {
    return decodeBase64(this.string(key)) ?? this.fail(key, 'is not base64')
  }

  id(key: string): Id | undefined {
    const value = this.#object[key] ?? null
    if (value === null) return undefined
    const id = typeof value === 'string' ? value.toLowerCase() : ''
    return isId(id) ? id : this.fail(key, 'is not an ID')
  }

  strings(key: string): string[] {
    const value = this.#object[key] ?? []
    if (!Array.isArray(value)) return this.fail(key, 'is not a list')
    return value.map((element) => {
      if (element === null) return ''
      return typeof element === 'string' ? element : this.fail(key, 'is not a list of strings')
    })
  }

  /** The members of an object within this one. */
  object(key: string): JsonFields | undefined {
    const value = this.#object[key] ?? null
    if (value === null) return undefined
    return isObject(value) ? new JsonFields(value, this.#what) : this.fail(key, 'is not an object')
  }
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
