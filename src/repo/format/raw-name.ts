/**
 * File names and other byte strings as JavaScript strings, without loss: each byte that is not part of valid UTF-8
 * becomes the lone surrogate U+DC00 + byte (U+DC80..U+DCFF), as Python's `surrogateescape` does (PEP 383). Valid UTF-8
 * never decodes to a lone surrogate, so the two cannot be confused.
 */

const ESCAPE_BASE = 0xdc00
const FIRST_ESCAPE = 0xdc80
const LAST_ESCAPE = 0xdcff
const FIRST_SURROGATE = 0xd800
const REPLACEMENT = '\ufffd'
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const encoder = new TextEncoder()

/** The string for raw bytes. Inverse of `encodeRawName` for all bytes. */
export function decodeRawName(bytes: Uint8Array): string {
  const text = decoder.decode(bytes)
  // U+FFFD comes out for damage and for a genuine U+FFFD: only then the slow way must tell.
  return text.includes(REPLACEMENT) ? decodeWithEscapes(bytes) : text
}

/** The raw bytes of a name. Surrogates that stand for no byte (none come from `decodeRawName`) become U+FFFD. */
export function encodeRawName(name: string): Uint8Array {
  return isWellFormedName(name) ? encoder.encode(name) : encodeWithEscapes(name)
}

/** Whether a name has no escaped bytes, that is whether its bytes are valid UTF-8. */
export function isWellFormedName(name: string): boolean {
  return name.isWellFormed()
}

/** Whether a code unit that is no half of a pair stands for a byte. */
export function isEscapedByte(codeUnit: number): boolean {
  return codeUnit >= FIRST_ESCAPE && codeUnit <= LAST_ESCAPE
}

/** Orders names by their raw bytes, as trees are ordered (format spec §10): negative, 0 or positive. */
export function compareRawNames(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length)
  for (let i = 0; i < shorter; i++) {
    const unitA = a.charCodeAt(i)
    const unitB = b.charCodeAt(i)
    if (unitA === unitB) continue
    // Below the surrogates the order of code units is that of the bytes.
    return unitA < FIRST_SURROGATE && unitB < FIRST_SURROGATE
      ? unitA - unitB
      : compareBytes(encodeRawName(a), encodeRawName(b))
  }
  return a.length - b.length
}

/** Whether a node name is one component of a path: not empty, `.` or `..`, and without `/` and NUL. */
export function isSafeNodeName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0')
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length)
  for (let i = 0; i < shorter; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

function encodeWithEscapes(name: string): Uint8Array {
  const bytes = new Uint8Array(name.length * 3)
  let length = 0
  for (const character of name) {
    const unit = character.charCodeAt(0)
    if (character.length === 1 && isEscapedByte(unit)) bytes[length++] = unit - ESCAPE_BASE
    else length += encoder.encodeInto(character, bytes.subarray(length)).written
  }
  return bytes.slice(0, length)
}

function decodeWithEscapes(bytes: Uint8Array): string {
  let text = ''
  let start = 0
  let position = 0
  while (position < bytes.length) {
    const length = sequenceLength(bytes, position)
    if (length === 0) {
      text += decoder.decode(bytes.subarray(start, position))
      text += String.fromCharCode(ESCAPE_BASE + (bytes[position] ?? 0))
      start = position + 1
    }
    position += length || 1
  }
  return text + decoder.decode(bytes.subarray(start))
}

/** Length of the valid UTF-8 sequence at `position` (RFC 3629, §4), or 0 where there is none. */
function sequenceLength(bytes: Uint8Array, position: number): number {
  const lead = bytes[position] ?? 0
  if (lead < 0x80) return 1
  if (lead < 0xc2 || lead > 0xf4) return 0
  const second = bytes[position + 1] ?? 0
  // Overlong forms, surrogates and what lies above U+10FFFF are excluded by the second byte.
  const lowest = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
  const highest = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
  if (second < lowest || second > highest) return 0
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
  for (let i = 2; i < length; i++) {
    if (((bytes[position + i] ?? 0) & 0xc0) !== 0x80) return 0
  }
  return length
}
