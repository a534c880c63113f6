/** The scan for cut points in WebAssembly: loads what rabin-kernel.as is compiled to, or falls back to plain TypeScript. */
import { load, RELAXED_SIMD, SIMD } from './rabin-kernel.generated.ts'
import { createPlainScanner, ROOM_BYTES, type CutScanner, type ScannerFactory } from './rabin-scan.ts'
import { WINDOW_SIZE, type RabinTables } from './rabin-tables.ts'

interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly TABLES: { readonly value: number }
  readonly INPUT: { readonly value: number }
  scan(start: number, length: number): number
}

/** Bytes of a digest as the kernel keeps it: 53 bits, moved up by three. */
const DIGEST_BYTES = 7
const DIGEST_MASK = (1n << 53n) - 1n

let createFastest: ScannerFactory | undefined

/** The fastest scanner this machine can run. Its code is compiled at the first call, once a thread. */
export function createScanner(tables: RabinTables): CutScanner {
  createFastest ??= kernelScannerFactory(RELAXED_SIMD) ?? kernelScannerFactory(SIMD) ?? createPlainScanner
  return createFastest(tables)
}

/**
 * Makes scanners of one build of the kernel. They share its memory: what is put into `input` is good for one `scan`.
 * @returns undefined where this machine or runtime cannot run it
 */
export function kernelScannerFactory(build: string): ScannerFactory | undefined {
  const kernel = load<Kernel>(build)
  if (kernel === undefined) return undefined
  const end = kernel.INPUT.value + WINDOW_SIZE + ROOM_BYTES
  const memory = new Uint8Array(kernel.memory.buffer)
  const input = memory.subarray(kernel.INPUT.value, end)
  let loaded: Uint8Array | undefined
  return (tables) => {
    const halfByteTables = splitTables(tables)
    return {
      input,
      scan(start, length) {
        if (loaded !== halfByteTables) memory.set(halfByteTables, kernel.TABLES.value)
        loaded = halfByteTables
        return kernel.scan(start, length) || -1
      },
    }
  }
}

/**
 * The tables the kernel looks up half a byte in. Tables are linear: a byte's entry is its halves' entries XORed. For each
 * byte of a digest there are four: the low and high half of the byte falling off its top, and of the one leaving the
 * window, whose contribution has the step's multiplication by x^8 already in it.
 */
function splitTables(tables: RabinTables): Uint8Array {
  const mod = (i: number): bigint => entry(tables.modHigh, tables.modLow, i)
  const out = (i: number): bigint => {
    const leaving = entry(tables.outHigh, tables.outLow, i)
    return (leaving << 8n) ^ mod(Number(leaving >> 45n))
  }
  const split = new Uint8Array(DIGEST_BYTES * 4 * 16)
  for (let half = 0; half < 16; half++) {
    const entries = [mod(half), mod(half << 4), out(half), out(half << 4)]
    for (const [row, value] of entries.entries()) {
      let rest = (value & DIGEST_MASK) << 3n
      for (let byte = 0; byte < DIGEST_BYTES; byte++, rest >>= 8n) {
        split[(byte * 4 + row) * 16 + half] = Number(rest & 0xffn)
      }
    }
  }
  return split
}

function entry(high: Int32Array, low: Int32Array, i: number): bigint {
  return (BigInt(high[i]!) << 32n) | BigInt(low[i]! >>> 0)
}
