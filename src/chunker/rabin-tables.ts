/** What sliding a window over bytes needs of a polynomial, 64-bit values split into two 32-bit halves (format spec §9). */
import { CHUNKER_DEGREE, polynomialDegree, polynomialMod } from './polynomial.ts'

/** Bytes a digest depends on. */
export const WINDOW_SIZE = 64

export interface RabinTables {
  /** By the byte that leaves the window: what to take out of the digest. */
  readonly outLow: Int32Array
  readonly outHigh: Int32Array
  /** By the digest's top 8 bits: what reduces it after a shift by 8. */
  readonly modLow: Int32Array
  readonly modHigh: Int32Array
}

const cache = new Map<bigint, RabinTables>()

/** @throws RangeError where the polynomial is not of degree 53 */
export function rabinTables(polynomial: bigint): RabinTables {
  let tables = cache.get(polynomial)
  if (tables === undefined) {
    if (polynomialDegree(polynomial) !== CHUNKER_DEGREE)
      throw new RangeError('the chunker polynomial is not of degree 53')
    tables = computeTables(polynomial)
    cache.set(polynomial, tables)
  }
  return tables
}

function computeTables(polynomial: bigint): RabinTables {
  const tables: RabinTables = {
    outLow: new Int32Array(256),
    outHigh: new Int32Array(256),
    modLow: new Int32Array(256),
    modHigh: new Int32Array(256),
  }
  const degree = BigInt(CHUNKER_DEGREE)
  for (let byte = 0; byte < 256; byte++) {
    // A byte that has gone through the whole window: multiplied by x^(8·63).
    const out = polynomialMod(BigInt(byte) << BigInt(8 * (WINDOW_SIZE - 1)), polynomial)
    // The top bits and what they reduce to, so that one XOR clears the first and adds the second.
    const mod = polynomialMod(BigInt(byte) << degree, polynomial) | (BigInt(byte) << degree)
    split(out, tables.outLow, tables.outHigh, byte)
    split(mod, tables.modLow, tables.modHigh, byte)
  }
  return tables
}

function split(value: bigint, low: Int32Array, high: Int32Array, index: number): void {
  low[index] = Number(BigInt.asIntN(32, value))
  high[index] = Number(BigInt.asIntN(32, value >> 32n))
}
