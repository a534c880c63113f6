/**
 * The scan for cut points, in AssemblyScript. Sixteen places of the input ("lanes") are scanned at once, one in each
 * byte of a vector: a digest depends on the last 64 bytes only, so a lane can start anywhere 64 bytes ahead.
 *
 * A digest is a polynomial of degree below 53, kept times x^3, so that it fills seven bytes: vector `d6` holds the
 * highest byte of all sixteen digests, `d0` the lowest. Appending a byte (times x^8) then moves whole vectors, and the
 * byte that falls off the top is reduced by table. Tables have sixteen entries, for half a byte: as many as one
 * shuffle instruction looks up. All of it is linear, so contributions are simply XORed.
 */

/** For each of the seven bytes four rows: what the byte falling off adds (low, high half), and the byte leaving. */
export const TABLES: usize = 0
const TABLE_BYTES: usize = 64
/** For the sixteen steps of a round, what decides on a cut. */
const CHECKS: usize = 512
/** The bytes of all lanes, a vector a step, five rounds: while one enters, the one 64 bytes before it leaves. */
const ROUNDS: usize = 1024
/** The 64 bytes before what is scanned, then that. */
export const INPUT: usize = 4096

const LANES: usize = 16
/** Steps between two looks at what was found, and the size of a vector. */
const STEPS: usize = 16
const ROUND_BYTES: usize = LANES * STEPS
const WINDOW: usize = 64
const VECTOR: usize = 16

/**
 * How many of the `length` bytes lie before the first cut point, 0 where there is none. They follow the 64 bytes at
 * INPUT + `start`. Up to 255 bytes after them are looked at and count for nothing.
 */
export function scan(start: usize, length: usize): usize {
  const lane = ((length + ROUND_BYTES - 1) / ROUND_BYTES) * STEPS
  let d0 = zero(), d1 = zero(), d2 = zero(), d3 = zero(), d4 = zero(), d5 = zero(), d6 = zero()
  let first = length + 1
  let round: usize = 0
  memory.fill(ROUNDS, 0, 5 * ROUND_BYTES)
  for (let position: usize = 0; position < WINDOW + lane; position += STEPS) {
    const entering = ROUNDS + round * ROUND_BYTES
    round = round == 4 ? 0 : round + 1
    const leaving = ROUNDS + round * ROUND_BYTES
    gather(INPUT + start + position, lane, entering)
    let seen = i8x16.splat(-1)
    for (let i: usize = 0; i < ROUND_BYTES; i += VECTOR) {
      const byte = v128.load(entering + i)
      const old = v128.load(leaving + i)
      const oldLow = lowHalf(old), oldHigh = highHalf(old), topLow = lowHalf(d6), topHigh = highHalf(d6)
      d6 = v128.xor(d5, reduced(6, topLow, topHigh, oldLow, oldHigh))
      d5 = v128.xor(d4, reduced(5, topLow, topHigh, oldLow, oldHigh))
      d4 = v128.xor(d3, reduced(4, topLow, topHigh, oldLow, oldHigh))
      d3 = v128.xor(d2, reduced(3, topLow, topHigh, oldLow, oldHigh))
      d2 = v128.xor(d1, reduced(2, topLow, topHigh, oldLow, oldHigh))
      d1 = v128.xor(v128.xor(d0, upperBits(byte)), reduced(1, topLow, topHigh, oldLow, oldHigh))
      d0 = v128.xor(lowerBits(byte), reduced(0, topLow, topHigh, oldLow, oldHigh))
      // The digest's low 20 bits; the three below them are always zero.
      const check = v128.or(v128.or(d0, d1), v128.and(d2, i8x16.splat(0x7f)))
      v128.store(CHECKS + i, check)
      seen = i8x16.min_u(seen, check)
    }
    if (position >= WINDOW && !i8x16.all_true(seen)) {
      const found = firstCut(position - WINDOW, lane)
      if (found < first) first = found
      // Only the first lane's cuts are known to have none before them while the other lanes are not through.
      if (found <= lane) break
    }
  }
  return first <= length ? first : 0
}

@inline
function zero(): v128 {
  return i8x16.splat(0)
}

/** What byte `index` of the digest gets from the byte that falls off its top and from the one that leaves the window. */
@inline
function reduced(index: usize, topLow: v128, topHigh: v128, oldLow: v128, oldHigh: v128): v128 {
  const table = TABLES + index * TABLE_BYTES
  return v128.xor(
    v128.xor(lookUp(v128.load(table), topLow), lookUp(v128.load(table, 16), topHigh)),
    v128.xor(lookUp(v128.load(table, 32), oldLow), lookUp(v128.load(table, 48), oldHigh)),
  )
}

/** The relaxed instruction is one less on x86; they differ for indexes above 15 only. */
@inline
function lookUp(table: v128, index: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? i8x16.relaxed_swizzle(table, index) : i8x16.swizzle(table, index)
}

// Shifts are of 16 bits, one instruction each; the masks clear what came in from the neighbour.

@inline
function lowHalf(bytes: v128): v128 {
  return v128.and(bytes, i8x16.splat(0x0f))
}

@inline
function highHalf(bytes: v128): v128 {
  return v128.and(i16x8.shr_u(bytes, 4), i8x16.splat(0x0f))
}

/** A byte times x^3: the part in the digest's lowest byte. */
@inline
function lowerBits(bytes: v128): v128 {
  return v128.and(i16x8.shl(bytes, 3), i8x16.splat(0xf8 as i8))
}

/** And the part in the one above. */
@inline
function upperBits(bytes: v128): v128 {
  return v128.and(i16x8.shr_u(bytes, 5), i8x16.splat(0x07))
}

/** The first cut of this round, lanes in order: how many bytes lie before it. */
function firstCut(position: usize, lane: usize): usize {
  for (let j: usize = 0; j < LANES; j++) {
    for (let step: usize = 0; step < STEPS; step++) {
      if (load<u8>(CHECKS + step * VECTOR + j) == 0) return j * lane + position + step + 1
    }
  }
  return usize.MAX_VALUE
}

/**
 * Takes the next 16 bytes of all lanes, and stores the first of each, the second of each … Interleaving the first eight
 * vectors with the last eight, four times, turns rows into columns.
 */
function gather(start: usize, lane: usize, to: usize): void {
  const a0 = v128.load(start), a1 = v128.load(start + lane), a2 = v128.load(start + 2 * lane), a3 = v128.load(start + 3 * lane)
  const a4 = v128.load(start + 4 * lane), a5 = v128.load(start + 5 * lane), a6 = v128.load(start + 6 * lane), a7 = v128.load(start + 7 * lane)
  const a8 = v128.load(start + 8 * lane), a9 = v128.load(start + 9 * lane), a10 = v128.load(start + 10 * lane), a11 = v128.load(start + 11 * lane)
  const a12 = v128.load(start + 12 * lane), a13 = v128.load(start + 13 * lane), a14 = v128.load(start + 14 * lane), a15 = v128.load(start + 15 * lane)
  const b0 = lower(a0, a8), b1 = upper(a0, a8)
  const b2 = lower(a1, a9), b3 = upper(a1, a9)
  const b4 = lower(a2, a10), b5 = upper(a2, a10)
  const b6 = lower(a3, a11), b7 = upper(a3, a11)
  const b8 = lower(a4, a12), b9 = upper(a4, a12)
  const b10 = lower(a5, a13), b11 = upper(a5, a13)
  const b12 = lower(a6, a14), b13 = upper(a6, a14)
  const b14 = lower(a7, a15), b15 = upper(a7, a15)
  const c0 = lower(b0, b8), c1 = upper(b0, b8)
  const c2 = lower(b1, b9), c3 = upper(b1, b9)
  const c4 = lower(b2, b10), c5 = upper(b2, b10)
  const c6 = lower(b3, b11), c7 = upper(b3, b11)
  const c8 = lower(b4, b12), c9 = upper(b4, b12)
  const c10 = lower(b5, b13), c11 = upper(b5, b13)
  const c12 = lower(b6, b14), c13 = upper(b6, b14)
  const c14 = lower(b7, b15), c15 = upper(b7, b15)
  const d0 = lower(c0, c8), d1 = upper(c0, c8)
  const d2 = lower(c1, c9), d3 = upper(c1, c9)
  const d4 = lower(c2, c10), d5 = upper(c2, c10)
  const d6 = lower(c3, c11), d7 = upper(c3, c11)
  const d8 = lower(c4, c12), d9 = upper(c4, c12)
  const d10 = lower(c5, c13), d11 = upper(c5, c13)
  const d12 = lower(c6, c14), d13 = upper(c6, c14)
  const d14 = lower(c7, c15), d15 = upper(c7, c15)
  const e0 = lower(d0, d8), e1 = upper(d0, d8)
  const e2 = lower(d1, d9), e3 = upper(d1, d9)
  const e4 = lower(d2, d10), e5 = upper(d2, d10)
  const e6 = lower(d3, d11), e7 = upper(d3, d11)
  const e8 = lower(d4, d12), e9 = upper(d4, d12)
  const e10 = lower(d5, d13), e11 = upper(d5, d13)
  const e12 = lower(d6, d14), e13 = upper(d6, d14)
  const e14 = lower(d7, d15), e15 = upper(d7, d15)
  v128.store(to, e0)
  v128.store(to, e1, 16)
  v128.store(to, e2, 32)
  v128.store(to, e3, 48)
  v128.store(to, e4, 64)
  v128.store(to, e5, 80)
  v128.store(to, e6, 96)
  v128.store(to, e7, 112)
  v128.store(to, e8, 128)
  v128.store(to, e9, 144)
  v128.store(to, e10, 160)
  v128.store(to, e11, 176)
  v128.store(to, e12, 192)
  v128.store(to, e13, 208)
  v128.store(to, e14, 224)
  v128.store(to, e15, 240)
}

@inline
function lower(a: v128, b: v128): v128 {
  return v128.shuffle<u8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
}

@inline
function upper(a: v128, b: v128): v128 {
  return v128.shuffle<u8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
}
