/**
 * Go's strconv.Quote and Unquote without the outer quotes: how node names are written before JSON encodes them once
 * more (format spec §11), so that any bytes survive.
 */
import { isPrintableRune } from './printable-runes.ts'
import { decodeRawName, encodeRawName, isEscapedByte } from './raw-name.ts'

const SUSPICIOUS = /[^ !#-[\]-~]/
const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}
const SHORT_ESCAPES_BY_CHARACTER = new Map(
  Object.entries(SHORT_ESCAPES).map(([letter, character]) => [character, letter]),
)
/** A well-formed escape sequence, or else (last) a character that must not stand alone. */
const ESCAPES = /\\(?:x[0-9a-fA-F]{2}|[0-3][0-7]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[abfnrtv\\"])|[\\"\n]/g
const ESCAPE_BASE = 0xdc00

/** The quoted form of a raw name: valid UTF-8 without control characters, quotes and lone backslashes. */
export function quoteName(name: string): string {
  if (!SUSPICIOUS.test(name)) return name
  let quoted = ''
  for (const character of name) quoted += quoteCharacter(character)
  return quoted
}

function quoteCharacter(character: string): string {
  const short = SHORT_ESCAPES_BY_CHARACTER.get(character)
  if (short !== undefined) return `\\${short}`
  const codePoint = character.codePointAt(0) ?? 0
  if (isPrintableRune(codePoint)) return character
  if (isEscapedByte(codePoint)) return hexEscape('x', codePoint - ESCAPE_BASE, 2)
  if (codePoint < 0x20 || codePoint === 0x7f) return hexEscape('x', codePoint, 2)
  // Other lone surrogates stand for nothing; the name's raw bytes have U+FFFD there.
  if (codePoint >= 0xd800 && codePoint <= 0xdfff) return '\ufffd'
  return codePoint < 0x1_0000 ? hexEscape('u', codePoint, 4) : hexEscape('U', codePoint, 8)
}

function hexEscape(letter: string, value: number, digits: number): string {
  return `\\${letter}${value.toString(16).padStart(digits, '0')}`
}

/** The raw name a quoted form stands for, or undefined where it is malformed. `quoted` has no lone surrogates. */
export function unquoteName(quoted: string): string | undefined {
  let isValid = true
  let hasBytes = false
  const name = quoted.replaceAll(ESCAPES, (escape) => {
    const character = unescape(escape)
    isValid &&= character !== undefined
    hasBytes ||= character !== undefined && isEscapedByte(character.charCodeAt(0))
    return character ?? ''
  })
  if (!isValid) return undefined
  // Bytes spelt one by one may make up valid UTF-8 together.
  return hasBytes ? decodeRawName(encodeRawName(name)) : name
}

function unescape(escape: string): string | undefined {
  const kind = escape.charAt(1)
  if (kind === 'u' || kind === 'U') return runeOf(Number.parseInt(escape.slice(2), 16))
  if (kind === 'x') return byteOf(Number.parseInt(escape.slice(2), 16))
  return SHORT_ESCAPES[kind] ?? (kind === '' ? undefined : byteOf(Number.parseInt(escape.slice(1), 8)))
}

function runeOf(codePoint: number): string | undefined {
  const isRune = codePoint < 0xd800 || (codePoint > 0xdfff && codePoint <= 0x10_ffff)
  return isRune ? String.fromCodePoint(codePoint) : undefined
}

function byteOf(value: number): string {
  return String.fromCharCode(value < 0x80 ? value : ESCAPE_BASE + value)
}
