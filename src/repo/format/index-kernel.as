/**
 * Reads index files (format spec §8) as every writer spells them, in AssemblyScript: blobs without white space whose
 * members come in the usual order, pack after pack. It stops at whatever is spelled in another way, and leaves that to
 * index-file.ts.
 *
 *     {"id":"…","type":"data","offset":0,"length":40,"uncompressed_length":7},{…}]},{"id":"…","blobs":[{…
 */

import { readId } from './hex-simd'

/** No more than these fit into the input. */
const MAX_ROWS: usize = 512

/** 32 bytes each. */
export const IDS: usize = 0
/** 4 bytes each, as all that follow. */
export const OFFSETS: usize = MAX_ROWS * 32
/** The top bit says tree. */
export const LENGTHS: usize = OFFSETS + MAX_ROWS * 4
/** 0 where a blob is stored plain. */
export const UNCOMPRESSED: usize = LENGTHS + MAX_ROWS * 4
/** IDs of the packs that begin here. */
export const PACK_IDS: usize = UNCOMPRESSED + MAX_ROWS * 4
/** Which row is the first of each. */
export const PACK_ROWS: usize = PACK_IDS + MAX_ROWS * 32
/** Where text is put, 48 KiB at most; reading a blob looks at some hundred bytes behind it. */
export const INPUT: usize = PACK_ROWS + MAX_ROWS * 4

/** How many blobs and packs the last call found. */
export let rows: u32 = 0
export let packs: u32 = 0

const TREE_BIT: u32 = 0x80000000
/** Shorter ones cannot hold a seal. */
const MIN_LENGTH: u32 = 32
const MAX_DIGITS: usize = 9
const ID_DIGITS: usize = 64

/** What stands between the values, as little-endian numbers. */
const BRACE_ID: u64 = 0x223a226469227b // {"id":"
const QUOTE_TYPE: u64 = 0x2265707974222c22 // ","type"
const COLON_QUOTE: u16 = 0x223a // :"
const DATA: u32 = 0x61746164
const TREE: u32 = 0x65657274
const QUOTE_OFFSE: u64 = 0x657366666f222c22 // ","offse
const ET_QUOTE_COLON: u32 = 0x3a227465 // et":
const COMMA_LENGTH: u64 = 0x6874676e656c222c // ,"length
const QUOTE_COLON: u16 = 0x3a22 // ":
const COMMA_UNCOMP: u64 = 0x706d6f636e75222c // ,"uncomp
const RESSED_L: u64 = 0x6c5f646573736572 // ressed_l
const LENGTH_QUOTE_COLON: u64 = 0x3a226874676e656c // length":
const NEXT_PACK_ID: u64 = 0x226469227b2c7d5d // ]},{"id"
const QUOTE_BLOBS: u64 = 0x73626f6c62222c22 // ","blobs
const QUOTE_COLON_BRACKET: u32 = 0x5b3a22 // ":[
const COMMA: u8 = 0x2c
const CLOSE_BRACE: u8 = 0x7d
const DIGIT_0: u32 = 0x30

/** Where the number last read ends, 0 if it was none. */
let end: usize = 0

/**
 * Reads `length` bytes of text that begin at a blob; what the blobs and packs in it are is then in memory.
 * @returns how many bytes were read: to behind the last blob
 */
export function scan(length: usize): usize {
  const limit = INPUT + length
  let next: usize = INPUT
  let read: usize = 0
  let packsBegun: u32 = 0
  rows = 0
  packs = 0
  while (<usize>rows < MAX_ROWS) {
    const after = readBlob(next)
    if (after == 0 || after > limit) break
    rows++
    packs = packsBegun
    read = after - INPUT
    if (load<u8>(after) == COMMA) {
      next = after + 1
      continue
    }
    next = readPack(after, packsBegun)
    if (next == 0) break
    packsBegun++
  }
  return read
}

/** Reads the end of a pack and the beginning of the next. Where its first blob begins; 0 where it is spelled otherwise. */
function readPack(start: usize, pack: u32): usize {
  if (load<u64>(start) != NEXT_PACK_ID || load<u16>(start + 8) != COLON_QUOTE) return 0
  if (!readId(start + 10, PACK_IDS + ((<usize>pack) << 5))) return 0
  const after = start + 10 + ID_DIGITS
  if (load<u64>(after) != QUOTE_BLOBS || (load<u32>(after + 8) & 0xffffff) != QUOTE_COLON_BRACKET) return 0
  store<u32>(PACK_ROWS + ((<usize>pack) << 2), rows)
  return after + 11
}

/** Reads a blob to the next row. Where it ends; 0 where it is spelled otherwise. */
function readBlob(start: usize): usize {
  const row = <usize>rows
  if ((load<u64>(start) & 0xffffffffffffff) != BRACE_ID) return 0
  if (!readId(start + 7, IDS + (row << 5))) return 0
  let at = start + 7 + ID_DIGITS
  if (load<u64>(at) != QUOTE_TYPE || load<u16>(at + 8) != COLON_QUOTE) return 0
  const type = load<u32>(at + 10)
  if (type != DATA && type != TREE) return 0
  at += 14
  if (load<u64>(at) != QUOTE_OFFSE || load<u32>(at + 7) != ET_QUOTE_COLON) return 0
  const offset = readNumber(at + 11)
  if (end == 0 || load<u64>(end) != COMMA_LENGTH || load<u16>(end + 8) != QUOTE_COLON) return 0
  const length = readNumber(end + 10)
  if (end == 0 || length < MIN_LENGTH) return 0
  let uncompressed: u32 = 0
  if (load<u8>(end) == COMMA) {
    if (load<u64>(end) != COMMA_UNCOMP || load<u64>(end + 8) != RESSED_L) return 0
    if (load<u64>(end + 15) != LENGTH_QUOTE_COLON) return 0
    uncompressed = readNumber(end + 23)
    if (end == 0) return 0
  }
  if (load<u8>(end) != CLOSE_BRACE) return 0
  store<u32>(OFFSETS + (row << 2), offset)
  store<u32>(LENGTHS + (row << 2), type == TREE ? length | TREE_BIT : length)
  store<u32>(UNCOMPRESSED + (row << 2), uncompressed)
  return end + 1
}

/** Reads a number of one to nine digits without leading zeros. */
function readNumber(start: usize): u32 {
  let value: u32 = 0
  let at = start
  for (const last = start + MAX_DIGITS; at <= last; at++) {
    const digit = <u32>load<u8>(at) - DIGIT_0
    if (digit > 9) break
    value = value * 10 + digit
  }
  const digits = at - start
  const isUsual = digits > 0 && digits <= MAX_DIGITS && (digits == 1 || <u32>load<u8>(start) != DIGIT_0)
  end = isUsual ? at : 0
  return value
}
