/**
 * Reads trees (format spec §10) as every writer spells them, in AssemblyScript: nodes without white space, members in
 * the usual order, names without escapes and in their order. It stops at whatever is spelled in another way, or wrongly,
 * and leaves that to node-parsing.ts.
 *
 *     {"name":"a","type":"file","mode":420,"mtime":"…", … ,"content":["…"]},{"name":"b","type":"dir", … ,"subtree":"…"},{…
 */

import { readId } from './hex-simd'

/** No more than these fit into the input. */
const MAX_NODES: usize = 1024
const MAX_IDS: usize = 2048

/** Where each node ends, from the beginning of the input: 4 bytes each, as all that follow. */
export const ENDS: usize = 0
/** Where its content begins, with the comma before it. */
export const TAILS: usize = ENDS + MAX_NODES * 4
/** In bytes. */
export const NAME_LENGTHS: usize = TAILS + MAX_NODES * 4
/** Numbers of TYPES. */
export const TYPES: usize = NAME_LENGTHS + MAX_NODES * 4
/** How many IDs there are up to its last one. */
export const ID_COUNTS: usize = TYPES + MAX_NODES * 4
/** 8 bytes each, as a floating point number. */
export const SIZES: usize = ID_COUNTS + MAX_NODES * 4
/** Of files the content, of folders the tree: 32 bytes each. */
export const IDS: usize = SIZES + MAX_NODES * 8
/** Where text is put, 128 KiB at most. */
export const INPUT: usize = IDS + MAX_IDS * 32
/** Nothing looks further ahead than this. */
const GUARD: usize = 512

/** How many nodes the last call found. */
export let nodes: u32 = 0
/** How many IDs it has read, those of a node that turned out to be none included. */
let ids: u32 = 0

const QUOTE: u8 = 0x22
const BACKSLASH: u8 = 0x5c
const COMMA: u8 = 0x2c
const COLON: u8 = 0x3a
const OPEN_BRACKET_CLOSE: u16 = 0x5d5b // []
const OPEN_BRACKET_QUOTE: u16 = 0x225b // ["
const QUOTE_CLOSE_BRACKET: u16 = 0x5d22 // "]
const QUOTE_COMMA: u16 = 0x2c22 // ",
const COMMA_QUOTE: u16 = 0x222c // ,"
const QUOTE_QUOTE: u16 = 0x2222 // ""
const QUOTE_COLON: u16 = 0x3a22 // ":
const CLOSE_BRACE: u8 = 0x7d
const CLOSE_BRACKET: u8 = 0x5d
const DIGIT_0: u32 = 0x30
const ID_DIGITS: usize = 64

/** What stands between the values, as little-endian numbers; names say which bytes. */
const BRACE_NAME: u64 = 0x3a22656d616e227b // {"name":
const TYPE_KEY: u64 = 0x223a226570797422 // "type":"
const FILE: u64 = 0x22656c6966 // file"
const DIR: u32 = 0x22726964 // dir"
const SYMLINK: u64 = 0x226b6e696c6d7973 // symlink"
const DEV: u32 = 0x22766564 // dev"
const CHARDEV: u64 = 0x2276656472616863 // chardev"
const FIFO: u64 = 0x226f666966 // fifo"
const SOCKET: u64 = 0x2274656b636f73 // socket"
const MODE_KEY: u64 = 0x3a2265646f6d222c // ,"mode":
const MTIME_KEY: u64 = 0x22656d69746d222c // ,"mtime"
const ATIME_KEY: u64 = 0x22656d697461222c // ,"atime"
const CTIME_KEY: u64 = 0x22656d697463222c // ,"ctime"
const COLON_QUOTE: u16 = 0x223a // :"
const UID_KEY: u64 = 0x3a22646975222c // ,"uid":
const GID_KEY: u64 = 0x3a22646967222c // ,"gid":
const USER_KEY: u64 = 0x3a2272657375222c // ,"user":
const GROUP_KEY: u64 = 0x2270756f7267222c // ,"group"
const INODE_KEY: u64 = 0x2265646f6e69222c // ,"inode"
const DEVICE_KEY: u64 = 0x656369766564222c // ,"device
const ID_QUOTE: u32 = 0x2264695f // _id"
const SIZE_KEY: u64 = 0x3a22657a6973222c // ,"size":
const LINKS_KEY: u64 = 0x22736b6e696c222c // ,"links"
const LINKTARG: u64 = 0x7261746b6e696c22 // "linktar
const GET_COLON: u64 = 0x3a22746567 // get":
const EXTENDED: u64 = 0x6465646e65747865 // extended
const ATTRIBU: u64 = 0x756269727474615f // _attribu
const TES_BRACKET: u64 = 0x5b3a22736574 // tes":[
const VALUE_KEY: u64 = 0x223a2265756c6176 // value":"
const CONTENT_KEY: u64 = 0x6e65746e6f63222c // ,"conten
const T_QUOTE_COLON: u32 = 0x3a2274 // t":
const NULL: u32 = 0x6c6c756e
const SUBTREE_KEY: u64 = 0x6565727462757322 // "subtree
const QUOTE_COLON_QUOTE: u32 = 0x223a22 // ":"

const FILE_TYPE: u32 = 0
const DIR_TYPE: u32 = 1
const OTHER_TYPE: u32 = 2

const UINT32_MAX: u64 = 0xffffffff
const SAFE_MAX: u64 = 0x1fffffffffffff
/** Numbers of 20 digits may be too large for 64 bits. */
const MAX_DIGITS: usize = 19

/** Where what was read last ends, 0 if it was something else. */
let end: usize = 0

/**
 * Reads `length` bytes of text that begin at a node; what the nodes in it are is then in memory.
 * @returns how many bytes were read: to behind the last node
 */
export function scan(length: usize): usize {
  // What lies there is of another text.
  memory.fill(INPUT + length, 0, GUARD)
  let next: usize = INPUT
  let read: usize = 0
  let previous: usize = 0
  nodes = 0
  ids = 0
  while (<usize>nodes < MAX_NODES) {
    const after = readNode(next)
    if (after == 0 || (previous != 0 && !isAscending(previous, next))) break
    store<u32>(ENDS + ((<usize>nodes) << 2), <u32>(after - INPUT))
    store<u32>(ID_COUNTS + ((<usize>nodes) << 2), ids)
    nodes++
    read = after - INPUT
    if (load<u8>(after) != COMMA) break
    previous = next
    next = after + 1
  }
  return read
}

/** Reads a node. Where it ends; 0 where it is spelled otherwise. */
function readNode(start: usize): usize {
  const row = (<usize>nodes) << 2
  if (load<u64>(start) != BRACE_NAME || load<u8>(start + 8) != QUOTE) return 0
  const nameEnd = readName(start + 9)
  if (nameEnd <= start + 9 || load<u8>(nameEnd + 1) != COMMA || load<u64>(nameEnd + 2) != TYPE_KEY) return 0
  const type = readType(nameEnd + 10)
  if (end == 0) return 0
  let at = readOwner(readTimes(readOptional(end, MODE_KEY, 8, UINT32_MAX)))
  if (at == 0) return 0
  if (load<u64>(at) == INODE_KEY) at = readNumberBehindColon(at + 8, u64.MAX_VALUE)
  if (at != 0 && isDeviceId(at)) at = readNumber(at + 13, u64.MAX_VALUE)
  if (at == 0) return 0
  let size: u64 = 0
  if (load<u64>(at) == SIZE_KEY) {
    at = readNumber(at + 8, SAFE_MAX)
    size = number
  }
  if (at != 0 && load<u64>(at) == LINKS_KEY) at = readNumberBehindColon(at + 8, SAFE_MAX)
  at = readDevice(readAttributes(readLinkTarget(at)))
  if (at == 0) return 0
  store<u32>(TAILS + row, <u32>(at - INPUT))
  store<u32>(NAME_LENGTHS + row, <u32>(nameEnd - start - 9))
  store<u32>(TYPES + row, type)
  store<f64>(SIZES + (row << 1), <f64>size)
  return readTail(at, type)
}

/** Reads a type, to behind its quote. */
// @ts-ignore: a decorator of AssemblyScript
@inline
function readType(at: usize): u32 {
  const eight = load<u64>(at)
  const four = <u32>eight
  end = 0
  if ((eight & 0xffffffffff) == FILE) {
    end = at + 5
    return FILE_TYPE
  }
  if (four == DIR) {
    end = at + 4
    return DIR_TYPE
  }
  if (eight == SYMLINK || eight == CHARDEV) end = at + 8
  else if ((eight & 0xffffffffff) == FIFO) end = at + 5
  else if ((eight & 0xffffffffffffff) == SOCKET) end = at + 7
  else if (four == DEV) end = at + 4
  return OTHER_TYPE
}

/** Reads a number behind a key of so many bytes, if that is there. */
// @ts-ignore: a decorator of AssemblyScript
@inline
function readOptional(at: usize, key: u64, keyLength: usize, max: u64): usize {
  return load<u64>(at) == key ? readNumber(at + keyLength, max) : at
}

// @ts-ignore: a decorator of AssemblyScript
@inline
function isDeviceId(at: usize): bool {
  return load<u64>(at) == DEVICE_KEY && load<u32>(at + 8) == ID_QUOTE && load<u8>(at + 12) == COLON
}

/** Reads the three times. Behind them; 0 where they are not there, as for all that follow here. */
function readTimes(at: usize): usize {
  if (at == 0 || load<u64>(at) != MTIME_KEY || load<u16>(at + 8) != COLON_QUOTE) return 0
  at = readTime(at + 10)
  if (at == 0 || load<u64>(at) != ATIME_KEY || load<u16>(at + 8) != COLON_QUOTE) return 0
  at = readTime(at + 10)
  if (at == 0 || load<u64>(at) != CTIME_KEY || load<u16>(at + 8) != COLON_QUOTE) return 0
  return readTime(at + 10)
}

function readOwner(at: usize): usize {
  if (at == 0 || (load<u64>(at) & 0xffffffffffffff) != UID_KEY) return 0
  at = readNumber(at + 7, UINT32_MAX)
  if (at == 0 || (load<u64>(at) & 0xffffffffffffff) != GID_KEY) return 0
  at = readNumber(at + 7, UINT32_MAX)
  if (at != 0 && load<u64>(at) == USER_KEY) at = readString(at + 8)
  if (at != 0 && load<u64>(at) == GROUP_KEY) at = load<u8>(at + 8) == COLON ? readString(at + 9) : 0
  return at
}

function readLinkTarget(at: usize): usize {
  if (at == 0 || load<u8>(at) != COMMA || load<u64>(at + 1) != LINKTARG) return at
  return (load<u64>(at + 9) & 0xffffffffff) == GET_COLON ? readString(at + 14) : 0
}

/** Extended attributes: `,"extended_attributes":[{"name":"…","value":"…"},{…}]`. */
function readAttributes(at: usize): usize {
  if (at == 0 || load<u16>(at) != COMMA_QUOTE || load<u64>(at + 2) != EXTENDED) return at
  if (load<u64>(at + 10) != ATTRIBU || (load<u64>(at + 18) & 0xffffffffffff) != TES_BRACKET) return 0
  at += 24
  while (true) {
    // A name of no length is damage.
    if (load<u64>(at) != BRACE_NAME || load<u16>(at + 8) == QUOTE_QUOTE) return 0
    at = readString(at + 8)
    if (at == 0 || load<u16>(at) != COMMA_QUOTE || load<u64>(at + 2) != VALUE_KEY) return 0
    at = readBase64(at + 10)
    if (at == 0 || load<u8>(at) != CLOSE_BRACE) return 0
    const next = load<u8>(at + 1)
    at += 2
    if (next == CLOSE_BRACKET) return at
    if (next != COMMA) return 0
  }
}

function readDevice(at: usize): usize {
  const isThere = at != 0 && load<u64>(at) == DEVICE_KEY && load<u16>(at + 8) == QUOTE_COLON
  return isThere ? readNumber(at + 10, u64.MAX_VALUE) : at
}

/** Reads `,"content":…` and for a folder `,"subtree":"…"`, to the brace at the end. */
function readTail(at: usize, type: u32): usize {
  if (load<u64>(at) != CONTENT_KEY || (load<u32>(at + 8) & 0xffffff) != T_QUOTE_COLON) return 0
  at += 11
  if (type == FILE_TYPE) {
    at = readContent(at)
  } else {
    if (load<u32>(at) != NULL) return 0
    at += 4
    if (type == DIR_TYPE) {
      if (load<u8>(at) != COMMA || load<u64>(at + 1) != SUBTREE_KEY) return 0
      if ((load<u32>(at + 9) & 0xffffff) != QUOTE_COLON_QUOTE || !readNextId(at + 12)) return 0
      at += 12 + ID_DIGITS
      if (load<u8>(at) != QUOTE) return 0
      at++
    }
  }
  return at != 0 && load<u8>(at) == CLOSE_BRACE ? at + 1 : 0
}

/** Reads `[]` or `["…","…"]`. */
function readContent(at: usize): usize {
  if (load<u16>(at) == OPEN_BRACKET_CLOSE) return at + 2
  if (load<u16>(at) != OPEN_BRACKET_QUOTE) return 0
  at += 2
  while (true) {
    if (!readNextId(at)) return 0
    at += ID_DIGITS
    const after = load<u16>(at)
    if (after == QUOTE_CLOSE_BRACKET) return at + 2
    if (after != QUOTE_COMMA || load<u8>(at + 2) != QUOTE) return 0
    at += 3
  }
}

let number: u64 = 0

// @ts-ignore: a decorator of AssemblyScript
@inline
function readNumberBehindColon(at: usize, max: u64): usize {
  return load<u8>(at) == COLON ? readNumber(at + 1, max) : 0
}

/** Reads a number without leading zeros. Where it ends; 0 where there is none, or too large a one. */
function readNumber(start: usize, max: u64): usize {
  let value: u64 = 0
  let at = start
  for (const last = start + MAX_DIGITS; at <= last; at++) {
    const digit = <u32>load<u8>(at) - DIGIT_0
    if (digit > 9) break
    value = value * 10 + digit
  }
  const digits = at - start
  const isUsual = digits > 0 && digits <= MAX_DIGITS && (digits == 1 || <u32>load<u8>(start) != DIGIT_0)
  number = value
  return isUsual && value <= max ? at : 0
}

/** The text behind `"`, up to a quote, without escapes and of well-formed UTF-8: where it ends, 0 if it is otherwise. */
function readName(start: usize): usize {
  const after = endOfText(start)
  if (load<u8>(after) != QUOTE) return 0
  return isAscii || isWellFormed(start, after) ? after : 0
}

/** Reads a string with its quotes. Behind it, 0 where it is none. */
function readString(start: usize): usize {
  if (load<u8>(start) != QUOTE) return 0
  let at = endOfText(start + 1)
  while (load<u8>(at) == BACKSLASH) {
    const kind = load<u8>(at + 1)
    if (kind == 0x75) {
      if (!isHex(at + 2) || !isHex(at + 3) || !isHex(at + 4) || !isHex(at + 5)) return 0
      at = endOfText(at + 6)
    } else {
      if (!isShortEscape(kind)) return 0
      at = endOfText(at + 2)
    }
  }
  return load<u8>(at) == QUOTE ? at + 1 : 0
}

let isAscii: bool = true

/** Where the next quote, backslash or control character stands. */
function endOfText(start: usize): usize {
  isAscii = true
  let at = start
  while (true) {
    const text = v128.load(at)
    const ends = i8x16.bitmask(
      v128.or(
        v128.or(i8x16.eq(text, i8x16.splat(QUOTE)), i8x16.eq(text, i8x16.splat(BACKSLASH))),
        i8x16.lt_u(text, i8x16.splat(0x20)),
      ),
    )
    const high = i8x16.bitmask(text)
    if (ends != 0) {
      const length = ctz(ends)
      if ((high & ((1 << length) - 1)) != 0) isAscii = false
      return at + length
    }
    if (high != 0) isAscii = false
    at += 16
  }
}

function isHex(at: usize): bool {
  const byte = <u32>load<u8>(at)
  return byte - DIGIT_0 <= 9 || (byte | 0x20) - 0x61 <= 5
}

function isShortEscape(kind: u8): bool {
  return (
    kind == QUOTE ||
    kind == BACKSLASH ||
    kind == 0x2f ||
    kind == 0x62 ||
    kind == 0x66 ||
    kind == 0x6e ||
    kind == 0x72 ||
    kind == 0x74
  )
}

/** Whether text is UTF-8 with neither overlong forms nor surrogates. */
function isWellFormed(start: usize, after: usize): bool {
  let at = start
  while (at < after) {
    const lead = <u32>load<u8>(at)
    const second = <u32>load<u8>(at + 1)
    if (lead < 0x80) at += 1
    else if (lead < 0xc2) return false
    else if (lead < 0xe0) {
      if (!isContinuation(at + 1)) return false
      at += 2
    } else if (lead < 0xf0) {
      if (!isContinuation(at + 1) || !isContinuation(at + 2)) return false
      if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second >= 0xa0)) return false
      at += 3
    } else {
      if (lead > 0xf4 || !isContinuation(at + 1) || !isContinuation(at + 2) || !isContinuation(at + 3)) return false
      if ((lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second >= 0x90)) return false
      at += 4
    }
  }
  return true
}

function isContinuation(at: usize): bool {
  return (load<u8>(at) & 0xc0) == 0x80
}

/** Whether the name of the node at `next` comes after that of the one at `previous`. */
function isAscending(previous: usize, next: usize): bool {
  let a = previous + 9
  let b = next + 9
  while (load<u8>(a) == load<u8>(b)) {
    if (load<u8>(a) == QUOTE) return false
    a++
    b++
  }
  // A quote ends the name; none is within one.
  if (load<u8>(a) == QUOTE) return true
  return load<u8>(b) != QUOTE && load<u8>(a) < load<u8>(b)
}

/** Reads base64 with its padding, behind a quote. Behind the one at its end, 0 where it is something else. */
function readBase64(start: usize): usize {
  let at = start
  while (isBase64Digit(load<u8>(at))) at++
  if (load<u8>(at) == 0x3d) at++
  if (load<u8>(at) == 0x3d) at++
  return load<u8>(at) == QUOTE && (at - start) % 4 == 0 ? at + 1 : 0
}

function isBase64Digit(byte: u8): bool {
  const letter = <u32>(byte | 0x20) - 0x61
  return letter <= 25 || <u32>byte - DIGIT_0 <= 9 || byte == 0x2b || byte == 0x2f
}

/** Reads `YYYY-MM-DDTHH:MM:SS[.fraction](Z|±HH:MM)"`. Behind the quote; 0 where it is something else. */
function readTime(start: usize): usize {
  const year = two(start) * 100 + two(start + 2)
  const month = two(start + 5)
  const day = two(start + 8)
  if (load<u8>(start + 4) != 0x2d || load<u8>(start + 7) != 0x2d || load<u8>(start + 10) != 0x54) return 0
  if (load<u8>(start + 13) != 0x3a || load<u8>(start + 16) != 0x3a) return 0
  if (year > 9999 || month < 1 || month > 12 || day < 1 || day > daysOf(year, month)) return 0
  if (two(start + 11) > 23 || two(start + 14) > 59 || two(start + 17) > 59) return 0
  let at = start + 19
  if (load<u8>(at) == 0x2e) {
    const first = at + 1
    at = first
    while (<u32>load<u8>(at) - DIGIT_0 <= 9) at++
    if (at == first) return 0
  }
  const zone = load<u8>(at)
  if (zone == 0x5a) at += 1
  else {
    if ((zone != 0x2b && zone != 0x2d) || load<u8>(at + 3) != 0x3a) return 0
    if (two(at + 1) > 23 || two(at + 4) > 59) return 0
    at += 6
  }
  return load<u8>(at) == QUOTE ? at + 1 : 0
}

/** The number two digits make; something large where they are none. */
// @ts-ignore: a decorator of AssemblyScript
@inline
function two(at: usize): u32 {
  const tens = <u32>load<u8>(at) - DIGIT_0
  const ones = <u32>load<u8>(at + 1) - DIGIT_0
  return tens <= 9 && ones <= 9 ? tens * 10 + ones : 1000000
}

function daysOf(year: u32, month: u32): u32 {
  if (month == 2) return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31
}

/** Reads 64 hexadecimal digits in lower case to the next ID; false where there is anything else. */
function readNextId(start: usize): bool {
  if (!readId(start, IDS + ((<usize>ids) << 5))) return false
  ids++
  return true
}
