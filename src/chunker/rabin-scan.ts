/** The scan for cut points in plain TypeScript: what the WebAssembly kernel does, and is tested against. */
import { WINDOW_SIZE, type RabinTables } from './rabin-tables.ts'

/** Bytes one call of `CutScanner.scan` looks at, at most: they are in the processor's cache by then if they are copied. */
export const SCAN_BYTES = 65_536
/** Bytes there is room for, behind the 64 before them: a good piece of a file. */
export const ROOM_BYTES: number = 1 << 20
/** A cut falls where these bits of the digest are zero: once a MiB on average. */
const SPLIT_MASK = 0xfffff

/**
 * Finds cut points. A digest depends on the last 64 bytes only, so nothing is kept between calls: what came before is
 * looked at again.
 */
export interface CutScanner {
  /** Where the bytes to be scanned are put: the 64 before them, anew for each call, then up to `ROOM_BYTES`. */
  readonly input: Uint8Array
  /**
   * The first cut point within the `length` bytes that follow the 64 at `input[start …]`: how many of them lie before it
   * (1 … length); −1 if there is none.
   */
  scan(start: number, length: number): number
}

export type ScannerFactory = (tables: RabinTables) => CutScanner

/** The twin of the kernel. */
export function createPlainScanner(tables: RabinTables): CutScanner {
  const input = new Uint8Array(WINDOW_SIZE + ROOM_BYTES)
  return { input, scan: (start, length) => scan(tables, input.subarray(start), length) }
}

/** The digest's 64 bits are two halves here, 32 bits each; `high >>> 13` are the eight from x^45 on. */
function scan(tables: RabinTables, input: Uint8Array, length: number): number {
  const { outLow, outHigh, modLow, modHigh } = tables
  let low = 0
  let high = 0
  for (let i = 0; i < WINDOW_SIZE; i++) {
    const top = (high >>> 13) & 0xff
    high = ((high << 8) | (low >>> 24)) ^ modHigh[top]!
    low = ((low << 8) | input[i]!) ^ modLow[top]!
  }
  for (let i = 0; i < length; i++) {
    const leaving = input[i]!
    low ^= outLow[leaving]!
    high ^= outHigh[leaving]!
    const top = (high >>> 13) & 0xff
    high = ((high << 8) | (low >>> 24)) ^ modHigh[top]!
    low = ((low << 8) | input[i + WINDOW_SIZE]!) ^ modLow[top]!
    if ((low & SPLIT_MASK) === 0) return i + 1
  }
  return -1
}
