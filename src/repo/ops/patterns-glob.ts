/**
 * Go's filepath.Match on one path component, as restic's patterns use it (format spec §12.4): `*` `?` `[a-z]` `[^x]`
 * and `\` to take the next character literally. Go's matcher works on UTF-8 bytes, and that shows (`*` may stop in the
 * middle of a character, a byte that is not UTF-8 counts as U+FFFD in a class), so this one does too: patterns and
 * names come as strings of bytes, one char code 0..255 for each.
 */

import { encodeRawName } from '../format/raw-name.ts'

const STAR = 0x2a
const QUESTION = 0x3f
const OPEN = 0x5b
const BACKSLASH = 0x5c
const CLOSE = 0x5d
const CARET = 0x5e
const DASH = 0x2d
const REPLACEMENT = 0xfffd

/** A name or pattern as a string with one character for each of its UTF-8 bytes. */
export function toByteString(name: string): string {
  let ascii = true
  for (let index = 0; index < name.length; index++) {
    if (name.charCodeAt(index) > 0x7f) {
      ascii = false
      break
    }
  }
  if (ascii) return name
  const bytes = encodeRawName(name)
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}

/** A piece of a pattern: whether `*` stands before it, and what follows without any `*`. */
interface Chunk {
  readonly afterStar: boolean
  readonly text: string
}

/** A component pattern taken apart at its stars. */
export type Glob = readonly Chunk[]

/** Takes a component pattern (a byte string) apart, or answers undefined where it is malformed. */
export function compileGlob(pattern: string): Glob | undefined {
  const chunks: Chunk[] = []
  let position = 0
  while (position < pattern.length) {
    const start = position
    while (pattern.charCodeAt(position) === STAR) position++
    const end = chunkEnd(pattern, position)
    const text = pattern.slice(position, end)
    if (!isWellFormed(text)) return undefined
    chunks.push({ afterStar: position > start, text })
    position = end
  }
  return chunks
}

/** Whether `name` (a byte string without slashes) matches the whole of `glob`. */
export function globMatches(glob: Glob, name: string): boolean {
  let position = 0
  for (let index = 0; index < glob.length; index++) {
    const chunk = glob[index]
    if (chunk === undefined) break
    if (chunk.afterStar && chunk.text === '') return true
    const isLast = index === glob.length - 1
    const next = advance(chunk, name, position, isLast)
    if (next < 0) return false
    position = next
  }
  return position === name.length
}

/** Where the text after `chunk` begins, at the first place the chunk fits, or -1. The last chunk must end the name. */
function advance(chunk: Chunk, name: string, from: number, isLast: boolean): number {
  const limit = chunk.afterStar ? name.length : from
  for (let start = from; start <= limit; start++) {
    const end = matchChunk(chunk.text, name, start)
    if (end >= 0 && (!isLast || end === name.length)) return end
  }
  return -1
}

function chunkEnd(pattern: string, from: number): number {
  let inClass = false
  let index = from
  for (; index < pattern.length; index++) {
    const code = pattern.charCodeAt(index)
    if (code === BACKSLASH) {
      if (index + 1 < pattern.length) index++
    } else if (code === OPEN) inClass = true
    else if (code === CLOSE) inClass = false
    else if (code === STAR && !inClass) break
  }
  return index
}

/** Where in `name` the match of a well-formed, star-free chunk starting at `position` ends, or -1. */
function matchChunk(chunk: string, name: string, position: number): number {
  let at = position
  let index = 0
  while (index < chunk.length) {
    if (at >= name.length) return -1
    const code = chunk.charCodeAt(index)
    if (code === OPEN) {
      const rune = decodeRune(name, at)
      at += rune.length
      const range = readClass(chunk, index + 1, rune.code)
      if (range === undefined || !range.matches) return -1
      index = range.end
    } else if (code === QUESTION) {
      at += decodeRune(name, at).length
      index++
    } else {
      if (code === BACKSLASH) index++
      if (chunk.charCodeAt(index) !== name.charCodeAt(at)) return -1
      at++
      index++
    }
  }
  return at
}

function isWellFormed(chunk: string): boolean {
  let index = 0
  while (index < chunk.length) {
    const code = chunk.charCodeAt(index)
    if (code === OPEN) {
      const range = readClass(chunk, index + 1, 0)
      if (range === undefined) return false
      index = range.end
    } else if (code === BACKSLASH) {
      if (index + 1 >= chunk.length) return false
      index += 2
    } else index++
  }
  return true
}

/** Reads the class whose inside begins at `start`; undefined where it is malformed. */
function readClass(
  chunk: string,
  start: number,
  code: number,
): { readonly matches: boolean; readonly end: number } | undefined {
  const isNegated = chunk.charCodeAt(start) === CARET
  let index = isNegated ? start + 1 : start
  let isMember = false
  for (let ranges = 0; ; ranges++) {
    if (ranges > 0 && chunk.charCodeAt(index) === CLOSE) break
    const low = readClassRune(chunk, index)
    if (low === undefined) return undefined
    let high = low
    if (chunk.charCodeAt(low.end) === DASH) {
      const read = readClassRune(chunk, low.end + 1)
      if (read === undefined) return undefined
      high = read
    }
    if (low.code <= code && code <= high.code) isMember = true
    index = high.end
  }
  return { matches: isMember !== isNegated, end: index + 1 }
}

/** One character of a class, perhaps escaped. It must be valid UTF-8 and something must follow it. */
function readClassRune(
  chunk: string,
  start: number,
): { readonly code: number; readonly end: number } | undefined {
  let index = start
  const code = chunk.charCodeAt(index)
  if (index >= chunk.length || code === DASH || code === CLOSE) return undefined
  if (code === BACKSLASH) index++
  if (index >= chunk.length) return undefined
  const rune = decodeRune(chunk, index)
  if (rune.code === REPLACEMENT && rune.length === 1) return undefined
  const end = index + rune.length
  return end >= chunk.length ? undefined : { code: rune.code, end }
}

/** The UTF-8 character at `at`; one byte as U+FFFD where there is none. */
function decodeRune(text: string, at: number): { readonly code: number; readonly length: number } {
  const first = text.charCodeAt(at)
  if (first < 0x80) return { code: first, length: 1 }
  const invalid = { code: REPLACEMENT, length: 1 }
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2
  if (first < 0xc2 || first > 0xf4 || at + length > text.length) return invalid
  let code = first & (0x7f >> length)
  for (let index = 1; index < length; index++) {
    const next = text.charCodeAt(at + index)
    if ((next & 0xc0) !== 0x80) return invalid
    code = (code << 6) | (next & 0x3f)
  }
  const isOverlong = (length === 3 && code < 0x800) || (length === 4 && code < 0x10000)
  const isSurrogate = code >= 0xd800 && code <= 0xdfff
  return isOverlong || isSurrogate || code > 0x10ffff ? invalid : { code, length }
}
