/**
 * Text that is safe on a terminal. File names, tags and host names come from anywhere: they must neither move the
 * cursor nor pass for other lines.
 */
import { isPrintableRune, quoteName } from '../index.ts'

const ORDINARY = /^[ -~]*$/
const SUSPICIOUS = /[^\n -~]/gu
const LONE_SURROGATES = /\p{Surrogate}/gu

/** A name as it is, or in double quotes with escapes where it has characters that cannot be shown (as restic). */
export function quoteUnprintable(name: string): string {
  if (ORDINARY.test(name)) return name
  // The table of what can be shown is one of names, which have no slash.
  const parts = name.split('/')
  const isShown = parts.every((part) => !part.includes('\ufffd') && Array.from(part).every(isPrintable))
  return isShown ? name : `"${parts.map(quoteName).join('/')}"`
}

/** Running text: characters that cannot be shown are escaped, line ends stay. */
export function safeText(text: string): string {
  return text.replace(SUSPICIOUS, (character) => (isPrintable(character) ? character : quoteName(character)))
}

/** For JSON, which cannot hold bytes that are not UTF-8: they become U+FFFD. */
export function wellFormed(text: string): string {
  return text.replace(LONE_SURROGATES, '\ufffd')
}

/** Columns a text takes on a terminal. */
export function displayWidth(text: string): number {
  if (ORDINARY.test(text)) return text.length
  let width = 0
  for (const character of text) width += widthOf(character.codePointAt(0) ?? 0)
  return width
}

/** As much of the beginning as fits into `columns`. */
export function truncate(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text
  let width = 0
  let length = 0
  for (const character of text) {
    width += widthOf(character.codePointAt(0) ?? 0)
    if (width > columns) break
    length += character.length
  }
  return text.slice(0, length)
}

function isPrintable(character: string): boolean {
  return isPrintableRune(character.codePointAt(0) ?? 0)
}

/** East Asian wide and fullwidth blocks, and pictures: two columns each. */
const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0xa4cf],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1f64f],
  [0x1f900, 0x1f9ff],
  [0x20000, 0x3fffd],
]

function widthOf(codePoint: number): number {
  if (codePoint < 0x300) return 1
  if (/^\p{Mn}$/u.test(String.fromCodePoint(codePoint))) return 0
  return WIDE.some(([first, last]) => codePoint >= first && codePoint <= last) ? 2 : 1
}
