/**
 * Poly1305 (RFC 8439 §2.5), in AssemblyScript: numbers modulo 2^130 − 5 in five limbs of 26 bits, so that sums of
 * products fit in 64 bits. With SIMD, blocks 0 and 2 of every four are summed up in one lane of a vector and blocks 1
 * and 3 in the other:
 *
 *     h = (h + block 0) · r^4 + block 2 · r^2        and        h' = (h' + block 1) · r^4 + block 3 · r^2
 *
 * but with r^3 and r in place of r^4 and r^2 for the last four in the second lane. The lanes' sum is then what blocks
 * taken one by one come to.
 */

/** r || s, 32 bytes. */
export const KEY: usize = 0
/** 16 bytes. */
export const TAG: usize = 32
/** Where blocks are put. */
export const INPUT: usize = 1024

const FACTOR_BYTES: usize = 9 * 16
/** Two multipliers for all but the last four blocks, two for those: see `putPower`. */
const FACTORS: usize = 64
const LAST_FACTORS: usize = FACTORS + 2 * FACTOR_BYTES

/** A block of them, never written to. */
const ZEROS: usize = 48

const BLOCK: usize = 16
const FOUR_BLOCKS: usize = 64
/** Fewer blocks than these are not worth computing powers of r for. */
const MIN_SIMD_BYTES: usize = 512
const MASK: u64 = 0x3ffffff
/** The bit above a whole block, in the limb from bit 104 on. */
const HIGH_BIT: u64 = 1 << 24

let h0: u64 = 0, h1: u64 = 0, h2: u64 = 0, h3: u64 = 0, h4: u64 = 0
let r0: u64 = 0, r1: u64 = 0, r2: u64 = 0, r3: u64 = 0, r4: u64 = 0
let hasPowers: bool = false

/** Begins a message under the key at `KEY`. */
export function start(): void {
  const low = load<u64>(KEY) & 0x0ffffffc0fffffff
  const high = load<u64>(KEY, 8) & 0x0ffffffc0ffffffc
  r0 = low & MASK
  r1 = (low >> 26) & MASK
  r2 = ((low >> 52) | (high << 12)) & MASK
  r3 = (high >> 14) & MASK
  r4 = high >> 40
  h0 = h1 = h2 = h3 = h4 = 0
  hasPowers = false
}

/** Takes the next `length` bytes at `INPUT`: whole blocks but in the last call, where 16 bytes after them are written to. */
export function absorb(length: usize): void {
  const rest = length % BLOCK
  const end = INPUT + length - rest
  let p = INPUT
  if (ASC_FEATURE_SIMD) {
    if (length >= MIN_SIMD_BYTES) {
      if (!hasPowers) computePowers()
      p = absorbFours(p, end)
    }
  }
  absorbBlocks(p, end, HIGH_BIT)
  if (rest != 0) {
    memory.fill(end + rest, 0, BLOCK - rest)
    store<u8>(end + rest, 1)
    absorbBlocks(end, end + BLOCK, 0)
  }
}

/** Ends the message: its tag is at `TAG`. */
export function finish(): void {
  carry(h0, h1, h2, h3, h4)
  carry(h0, h1, h2, h3, h4)
  // h + 5 reaches 2^130 exactly where h has reached the modulus: then it wraps once more.
  let over = (h0 + 5) >> 26
  over = (h1 + over) >> 26
  over = (h2 + over) >> 26
  over = (h3 + over) >> 26
  over = (h4 + over) >> 26
  carry(h0 + over * 5, h1, h2, h3, h4 - (over << 26))
  const low = h0 | (h1 << 26) | (h2 << 52)
  const high = (h2 >> 12) | (h3 << 14) | (h4 << 40)
  const sum = low + load<u64>(KEY, 16)
  store<u64>(TAG, sum)
  store<u64>(TAG, high + load<u64>(KEY, 24) + <u64>(sum < low), 8)
}

/** For each block: h = (h + block) · r. */
function absorbBlocks(p: usize, end: usize, highBit: u64): void {
  const a0 = r0, a1 = r1, a2 = r2, a3 = r3, a4 = r4
  // 2^130 is 5 here, so what leaves at the top comes in again five times at the bottom.
  const s1 = a1 * 5, s2 = a2 * 5, s3 = a3 * 5, s4 = a4 * 5
  let x0 = h0, x1 = h1, x2 = h2, x3 = h3, x4 = h4
  for (; p < end; p += BLOCK) {
    const low = load<u64>(p), high = load<u64>(p, 8)
    x0 += low & MASK
    x1 += (low >> 26) & MASK
    x2 += ((low >> 52) | (high << 12)) & MASK
    x3 += (high >> 14) & MASK
    x4 += (high >> 40) | highBit
    let d0 = x0 * a0 + x1 * s4 + x2 * s3 + x3 * s2 + x4 * s1
    const d1 = x0 * a1 + x1 * a0 + x2 * s4 + x3 * s3 + x4 * s2 + (d0 >> 26)
    const d2 = x0 * a2 + x1 * a1 + x2 * a0 + x3 * s4 + x4 * s3 + (d1 >> 26)
    const d3 = x0 * a3 + x1 * a2 + x2 * a1 + x3 * a0 + x4 * s4 + (d2 >> 26)
    const d4 = x0 * a4 + x1 * a3 + x2 * a2 + x3 * a1 + x4 * a0 + (d3 >> 26)
    d0 = (d0 & MASK) + (d4 >> 26) * 5
    x0 = d0 & MASK
    x1 = (d1 & MASK) + (d0 >> 26)
    x2 = d2 & MASK
    x3 = d3 & MASK
    x4 = d4 & MASK
  }
  h0 = x0; h1 = x1; h2 = x2; h3 = x3; h4 = x4
}

/** A block of zeros adds nothing. */
function multiplyByR(): void {
  absorbBlocks(ZEROS, ZEROS + BLOCK, 0)
}

/** Sets h, its limbs cut down to 26 bits (the second to a few more). */
@inline
function carry(d0: u64, d1: u64, d2: u64, d3: u64, d4: u64): void {
  d1 += d0 >> 26
  d2 += d1 >> 26
  d3 += d2 >> 26
  d4 += d3 >> 26
  d0 = (d0 & MASK) + (d4 >> 26) * 5
  h0 = d0 & MASK
  h1 = (d1 & MASK) + (d0 >> 26)
  h2 = d2 & MASK
  h3 = d3 & MASK
  h4 = d4 & MASK
}

/** Stores r, r^2, r^3 and r^4 where `absorbFours` wants them. */
function computePowers(): void {
  const k0 = h0, k1 = h1, k2 = h2, k3 = h3, k4 = h4
  h0 = r0; h1 = r1; h2 = r2; h3 = r3; h4 = r4
  putPower(LAST_FACTORS + FACTOR_BYTES, 1)
  multiplyByR()
  putPower(FACTORS + FACTOR_BYTES, 0)
  putPower(FACTORS + FACTOR_BYTES, 1)
  putPower(LAST_FACTORS + FACTOR_BYTES, 0)
  multiplyByR()
  putPower(LAST_FACTORS, 1)
  multiplyByR()
  putPower(FACTORS, 0)
  putPower(FACTORS, 1)
  putPower(LAST_FACTORS, 0)
  h0 = k0; h1 = k1; h2 = k2; h3 = k3; h4 = k4
  hasPowers = true
}

/** A multiplier is nine vectors: the limbs, and all but the lowest times 5. Only two of their 32-bit lanes are used. */
function putPower(p: usize, lane: usize): void {
  p += lane * 4
  store<u32>(p, <u32>h0)
  store<u32>(p, <u32>h1, 16)
  store<u32>(p, <u32>h2, 32)
  store<u32>(p, <u32>h3, 48)
  store<u32>(p, <u32>h4, 64)
  store<u32>(p, <u32>(h1 * 5), 80)
  store<u32>(p, <u32>(h2 * 5), 96)
  store<u32>(p, <u32>(h3 * 5), 112)
  store<u32>(p, <u32>(h4 * 5), 128)
}

/** Takes all fours of blocks from `p` to `end`, of which there is at least one; returns where it stopped. */
function absorbFours(p: usize, end: usize): usize {
  const stop = p + ((end - p) / FOUR_BLOCKS) * FOUR_BLOCKS
  const mask = i64x2.splat(MASK)
  let x0 = i64x2(h0, 0), x1 = i64x2(h1, 0), x2 = i64x2(h2, 0), x3 = i64x2(h3, 0), x4 = i64x2(h4, 0)
  for (; p < stop; p += FOUR_BLOCKS) {
    const f = p + FOUR_BLOCKS == stop ? LAST_FACTORS : FACTORS
    // The 32-bit words of the four blocks, then their limbs.
    const a = v128.load(p), b = v128.load(p, 16), c = v128.load(p, 32), d = v128.load(p, 48)
    const ab = v128.shuffle<u32>(a, b, 0, 4, 1, 5), cd = v128.shuffle<u32>(c, d, 0, 4, 1, 5)
    const w0 = v128.shuffle<u32>(ab, cd, 0, 1, 4, 5), w1 = v128.shuffle<u32>(ab, cd, 2, 3, 6, 7)
    const ba = v128.shuffle<u32>(a, b, 2, 6, 3, 7), dc = v128.shuffle<u32>(c, d, 2, 6, 3, 7)
    const w2 = v128.shuffle<u32>(ba, dc, 0, 1, 4, 5), w3 = v128.shuffle<u32>(ba, dc, 2, 3, 6, 7)
    const m0 = limb(w0)
    const m1 = limb(v128.or(i32x4.shr_u(w0, 26), i32x4.shl(w1, 6)))
    const m2 = limb(v128.or(i32x4.shr_u(w1, 20), i32x4.shl(w2, 12)))
    const m3 = limb(v128.or(i32x4.shr_u(w2, 14), i32x4.shl(w3, 18)))
    const m4 = v128.or(i32x4.shr_u(w3, 8), i32x4.splat(HIGH_BIT as i32))
    // Blocks 0 and 1 join the sums, in 32-bit lanes 0 and 1; blocks 2 and 3 are moved there.
    const y0 = join(m0, x0), y1 = join(m1, x1), y2 = join(m2, x2), y3 = join(m3, x3), y4 = join(m4, x4)
    const z0 = later(m0), z1 = later(m1), z2 = later(m2), z3 = later(m3), z4 = later(m4)
    const g = f + FACTOR_BYTES
    x0 = add(product(y0, y1, y2, y3, y4, f, 0, 128, 112, 96, 80), product(z0, z1, z2, z3, z4, g, 0, 128, 112, 96, 80))
    x1 = add(product(y0, y1, y2, y3, y4, f, 16, 0, 128, 112, 96), product(z0, z1, z2, z3, z4, g, 16, 0, 128, 112, 96))
    x2 = add(product(y0, y1, y2, y3, y4, f, 32, 16, 0, 128, 112), product(z0, z1, z2, z3, z4, g, 32, 16, 0, 128, 112))
    x3 = add(product(y0, y1, y2, y3, y4, f, 48, 32, 16, 0, 128), product(z0, z1, z2, z3, z4, g, 48, 32, 16, 0, 128))
    x4 = add(product(y0, y1, y2, y3, y4, f, 64, 48, 32, 16, 0), product(z0, z1, z2, z3, z4, g, 64, 48, 32, 16, 0))
    x1 = add(x1, i64x2.shr_u(x0, 26))
    x2 = add(x2, i64x2.shr_u(x1, 26))
    x3 = add(x3, i64x2.shr_u(x2, 26))
    x4 = add(x4, i64x2.shr_u(x3, 26))
    const over = i64x2.shr_u(x4, 26)
    x0 = add(v128.and(x0, mask), add(over, i64x2.shl(over, 2)))
    x1 = add(v128.and(x1, mask), i64x2.shr_u(x0, 26))
    x0 = v128.and(x0, mask)
    x2 = v128.and(x2, mask)
    x3 = v128.and(x3, mask)
    x4 = v128.and(x4, mask)
  }
  carry(bothLanes(x0), bothLanes(x1), bothLanes(x2), bothLanes(x3), bothLanes(x4))
  return stop
}

/** One limb of a product, not yet cut down: both lanes at once, the multiplier's limbs given as offsets from `f`. */
@inline
function product(
  a: v128, b: v128, c: v128, d: v128, e: v128, f: usize, fa: usize, fb: usize, fc: usize, fd: usize, fe: usize,
): v128 {
  const ab = add(multiply(a, f + fa), multiply(b, f + fb))
  const cd = add(multiply(c, f + fc), multiply(d, f + fd))
  return add(add(ab, cd), multiply(e, f + fe))
}

@inline
function multiply(a: v128, factor: usize): v128 {
  return i64x2.extmul_low_i32x4_u(a, v128.load(factor))
}

@inline
function add(a: v128, b: v128): v128 {
  return i64x2.add(a, b)
}

@inline
function limb(words: v128): v128 {
  return v128.and(words, i32x4.splat(MASK as i32))
}

@inline
function join(blocks: v128, sums: v128): v128 {
  return i32x4.add(blocks, v128.shuffle<u32>(sums, i32x4.splat(0), 0, 2, 4, 4))
}

@inline
function later(blocks: v128): v128 {
  return v128.shuffle<u32>(blocks, blocks, 2, 3, 2, 3)
}

@inline
function bothLanes(sums: v128): u64 {
  return i64x2.extract_lane(sums, 0) + i64x2.extract_lane(sums, 1)
}
