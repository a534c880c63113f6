/**
 * IDs: SHA-256 hashes that name blobs and stored files (format spec §2). Strings at the API, because they are printed,
 * compared and used as keys; bytes where millions of them are kept.
 */
import { InvalidInputError } from '../../errors.ts'
import { HEX_VALUES } from './hex.ts'

declare const brand: unique symbol

/** A SHA-256 hash as 64 lower-case hexadecimal digits. */
export type Id = string & { readonly [brand]: 'Id' }

export const ID_BYTES = 32
export const ID_DIGITS = 64
const SHORT_DIGITS = 8
const ID_PATTERN = /^[0-9a-f]{64}$/

const HIGH_DIGITS = Uint8Array.from({ length: 256 }, (_, byte) => (byte >>> 4).toString(16).charCodeAt(0))
const LOW_DIGITS = Uint8Array.from({ length: 256 }, (_, byte) => (byte & 15).toString(16).charCodeAt(0))
const digitBuffer = new Uint8Array(ID_DIGITS)
const decoder = new TextDecoder()

/** Whether `text` is 64 lower-case hexadecimal digits. */
export function isId(text: string): text is Id {
  return ID_PATTERN.test(text)
}

/**
 * The ID `text` spells, in either case.
 * @param what names the thing in the message
 * @throws InvalidInputError
 */
export function parseId(text: string, what = 'ID'): Id {
  const id = text.toLowerCase()
  if (!isId(id)) throw new InvalidInputError(`${what} ${JSON.stringify(text)} is not 64 hexadecimal digits`)
  return id
}

/** The ID that a provider's `sha256Hex` spells: 64 lower-case digits, which are not looked at again. */
export function idFromHash(digits: string): Id {
  return branded(digits)
}

/**
 * The ID whose 32 bytes lie at `offset`. Decoding a buffer of digits makes a flat string: half the time and a tenth of
 * the memory of joining 32 pieces.
 * @throws InvalidInputError where fewer bytes are left
 */
export function idFromBytes(bytes: Uint8Array, offset = 0): Id {
  if (!(offset >= 0 && offset + ID_BYTES <= bytes.length)) {
    throw new InvalidInputError(`an ID is ${ID_BYTES} bytes long, but ${bytes.length - offset} are left`)
  }
  digitsInto(bytes, offset, digitBuffer, 0)
  return branded(decoder.decode(digitBuffer))
}

/** Writes the 64 digits of the ID whose 32 bytes lie at `offset` to `target[start …]`. */
// oxlint-disable-next-line max-params -- where from and where to; called for every blob of an index
export function digitsInto(bytes: Uint8Array, offset: number, target: Uint8Array, start: number): void {
  for (let i = 0; i < ID_BYTES; i++) {
    const byte = bytes[offset + i] ?? 0
    target[start + 2 * i] = HIGH_DIGITS[byte] ?? 0
    target[start + 2 * i + 1] = LOW_DIGITS[byte] ?? 0
  }
}

/** The ID whose 64 digits lie at `start`, undefined where there are no 64 digits. */
export function idFromDigits(digits: Uint8Array, start: number): Id | undefined {
  let seen = 0
  let upperCase = 0
  for (let i = start; i < start + ID_DIGITS; i++) {
    const digit = digits[i] ?? 0
    seen |= HEX_VALUES[digit] ?? -1
    upperCase |= ~digit & 0x20 // of the digits only A to F lack bit 5
  }
  if (seen < 0) return undefined
  const text = decoder.decode(digits.subarray(start, start + ID_DIGITS))
  return branded(upperCase === 0 ? text : text.toLowerCase())
}

/** The 32 bytes of an ID, in a new array. */
export function idToBytes(id: Id): Uint8Array {
  const bytes = new Uint8Array(ID_BYTES)
  idInto(id, bytes, 0)
  return bytes
}

/** Writes the 32 bytes of an ID to `target[offset …]`. */
export function idInto(id: Id, target: Uint8Array, offset: number): void {
  for (let i = 0; i < ID_BYTES; i++) {
    const high = HEX_VALUES[id.charCodeAt(2 * i)] ?? 0
    const low = HEX_VALUES[id.charCodeAt(2 * i + 1)] ?? 0
    target[offset + i] = (high << 4) | low
  }
}

/** The first 8 digits: what people are shown. */
export function shortId(id: Id): string {
  return id.slice(0, SHORT_DIGITS)
}

function branded(digits: string): Id {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- made of checked digits: testing again costs as much as decoding
  return digits as Id
}
