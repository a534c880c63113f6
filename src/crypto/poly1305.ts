/**
 * Poly1305 (RFC 8439 §2.5) in plain TypeScript: the accumulator in ten 13-bit limbs, so that a sum of five products
 * fits in 32 bits. Used where there is no WebAssembly, and what the WebAssembly kernel is tested against.
 */

/** Bits of a limb. */
const MASK = 0x1fff
/** The bit set above a whole block of 16 bytes, in the tenth limb, which starts at bit 117. */
const HIGH_BIT = 1 << 11

/** The 16-byte tag of `message` under the 32-byte one-time key r || s. r is clamped here. */
export function poly1305(oneTimeKey: Uint8Array, message: Uint8Array): Uint8Array {
  const r = clampedLimbs(oneTimeKey)
  const h = new Int32Array(10)
  const whole = message.length - (message.length % 16)
  absorb(h, r, message.subarray(0, whole), HIGH_BIT)
  if (whole < message.length) {
    const last = new Uint8Array(16)
    last.set(message.subarray(whole))
    last[message.length - whole] = 1
    absorb(h, r, last, 0)
  }
  return finish(h, oneTimeKey)
}

/** r & 0x0ffffffc0ffffffc0ffffffc0fffffff, cut into limbs. */
function clampedLimbs(key: Uint8Array): Int32Array {
  const word = (i: number): number => key[i]! | (key[i + 1]! << 8)
  const t = [0, 2, 4, 6, 8, 10, 12, 14].map(word)
  return Int32Array.of(
    t[0]! & 0x1fff,
    ((t[0]! >>> 13) | (t[1]! << 3)) & 0x1fff,
    ((t[1]! >>> 10) | (t[2]! << 6)) & 0x1f03,
    ((t[2]! >>> 7) | (t[3]! << 9)) & 0x1fff,
    ((t[3]! >>> 4) | (t[4]! << 12)) & 0x00ff,
    (t[4]! >>> 1) & 0x1ffe,
    ((t[4]! >>> 14) | (t[5]! << 2)) & 0x1fff,
    ((t[5]! >>> 11) | (t[6]! << 5)) & 0x1f81,
    ((t[6]! >>> 8) | (t[7]! << 8)) & 0x1fff,
    (t[7]! >>> 5) & 0x007f,
  )
}

/**
 * For each block of 16 bytes: h = (h + block) · r modulo 2^130 − 5. Each row below is one limb of the product, summed in
 * two halves because ten products would not fit.
 */
// prettier-ignore
function absorb(h: Int32Array, r: Int32Array, blocks: Uint8Array, high: number): void {
  const r0 = r[0]!, r1 = r[1]!, r2 = r[2]!, r3 = r[3]!, r4 = r[4]!, r5 = r[5]!, r6 = r[6]!, r7 = r[7]!, r8 = r[8]!, r9 = r[9]!
  // 2^130 is 5 here, so what leaves at the top comes in again five times at the bottom.
  const s1 = r1 * 5, s2 = r2 * 5, s3 = r3 * 5, s4 = r4 * 5, s5 = r5 * 5, s6 = r6 * 5, s7 = r7 * 5, s8 = r8 * 5, s9 = r9 * 5
  const m = Math.imul
  let h0 = h[0]!, h1 = h[1]!, h2 = h[2]!, h3 = h[3]!, h4 = h[4]!, h5 = h[5]!, h6 = h[6]!, h7 = h[7]!, h8 = h[8]!, h9 = h[9]!
  for (let i = 0; i < blocks.length; i += 16) {
    const t0 = blocks[i]! | (blocks[i + 1]! << 8), t1 = blocks[i + 2]! | (blocks[i + 3]! << 8)
    const t2 = blocks[i + 4]! | (blocks[i + 5]! << 8), t3 = blocks[i + 6]! | (blocks[i + 7]! << 8)
    const t4 = blocks[i + 8]! | (blocks[i + 9]! << 8), t5 = blocks[i + 10]! | (blocks[i + 11]! << 8)
    const t6 = blocks[i + 12]! | (blocks[i + 13]! << 8), t7 = blocks[i + 14]! | (blocks[i + 15]! << 8)
    h0 += t0 & MASK
    h1 += ((t0 >>> 13) | (t1 << 3)) & MASK
    h2 += ((t1 >>> 10) | (t2 << 6)) & MASK
    h3 += ((t2 >>> 7) | (t3 << 9)) & MASK
    h4 += ((t3 >>> 4) | (t4 << 12)) & MASK
    h5 += (t4 >>> 1) & MASK
    h6 += ((t4 >>> 14) | (t5 << 2)) & MASK
    h7 += ((t5 >>> 11) | (t6 << 5)) & MASK
    h8 += ((t6 >>> 8) | (t7 << 8)) & MASK
    h9 += (t7 >>> 5) | high

    let a = (m(h0, r0) + m(h1, s9) + m(h2, s8) + m(h3, s7) + m(h4, s6)) | 0
    let b = ((a & MASK) + m(h5, s5) + m(h6, s4) + m(h7, s3) + m(h8, s2) + m(h9, s1)) | 0
    const d0 = b & MASK
    a = ((a >>> 13) + (b >>> 13) + m(h0, r1) + m(h1, r0) + m(h2, s9) + m(h3, s8) + m(h4, s7)) | 0
    b = ((a & MASK) + m(h5, s6) + m(h6, s5) + m(h7, s4) + m(h8, s3) + m(h9, s2)) | 0
    const d1 = b & MASK
    a = ((a >>> 13) + (b >>> 13) + m(h0, r2) + m(h1, r1) + m(h2, r0) + m(h3, s9) + m(h4, s8)) | 0
    b = ((a & MASK) + m(h5, s7) + m(h6, s6) + m(h7, s5) + m(h8, s4) + m(h9, s3)) | 0
    const d2 = b & MASK
    a = ((a >>> 13) + (b >>> 13) + m(h0, r3) + m(h1, r2) + m(h2, r1) + m(h3, r0) + m(h4, s9)) | 0
    b = ((a & MASK) + m(h5, s8) + m(h6, s7) + m(h7, s6) + m(h8, s5) + m(h9, s4)) | 0
    const d3 = b & MASK
    a = ((a >>> 13) + (b >>> 13) + m(h0, r4) + m(h1, r3) + m(h2, r2) + m(h3, r1) + m(h4, r0)) | 0
    b = ((a & MASK) + m(h5, s9) + m(h6, s8) + m(h7, s7) + m(h8, s6) + m(h9, s5)) | 0
    const d4 = b & MASK
    a = ((a >>> 13) + (b >>> 13) + m(h0, r5) + m(h1, r4) + m(h2, r3) + m(h3, r2) + m(h4, r1)) | 0
    b = ((a & MASK) + m(h5, r0) + m(h6, s9) + m(h7, s8) + m(h8, s7) + m(h9, s6)) | 0
    const d5 = b & MASK
    a = ((a >>> 13) + (b >>> 13) + m(h0, r6) + m(h1, r5) + m(h2, r4) + m(h3, r3) + m(h4, r2)) | 0
    b = ((a & MASK) + m(h5, r1) + m(h6, r0) + m(h7, s9) + m(h8, s8) + m(h9, s7)) | 0
    const d6 = b & MASK
    a = ((a >>> 13) + (b >>> 13) + m(h0, r7) + m(h1, r6) + m(h2, r5) + m(h3, r4) + m(h4, r3)) | 0
    b = ((a & MASK) + m(h5, r2) + m(h6, r1) + m(h7, r0) + m(h8, s9) + m(h9, s8)) | 0
    const d7 = b & MASK
    a = ((a >>> 13) + (b >>> 13) + m(h0, r8) + m(h1, r7) + m(h2, r6) + m(h3, r5) + m(h4, r4)) | 0
    b = ((a & MASK) + m(h5, r3) + m(h6, r2) + m(h7, r1) + m(h8, r0) + m(h9, s9)) | 0
    const d8 = b & MASK
    a = ((a >>> 13) + (b >>> 13) + m(h0, r9) + m(h1, r8) + m(h2, r7) + m(h3, r6) + m(h4, r5)) | 0
    b = ((a & MASK) + m(h5, r4) + m(h6, r3) + m(h7, r2) + m(h8, r1) + m(h9, r0)) | 0

    a = ((a >>> 13) + (b >>> 13)) * 5 + d0
    h0 = a & MASK
    h1 = d1 + (a >>> 13)
    h2 = d2; h3 = d3; h4 = d4; h5 = d5; h6 = d6; h7 = d7; h8 = d8; h9 = b & MASK
  }
  h.set([h0, h1, h2, h3, h4, h5, h6, h7, h8, h9])
}

/** Reduces fully, adds s, and takes the low 128 bits. Runs once a message, so big integers are fast enough. */
function finish(h: Int32Array, key: Uint8Array): Uint8Array {
  let value = 0n
  for (let i = 9; i >= 0; i--) value = value * 8192n + BigInt(h[i]!)
  value %= (1n << 130n) - 5n
  for (let i = 0; i < 16; i++) value += BigInt(key[16 + i]!) << BigInt(8 * i)
  const tag = new Uint8Array(16)
  for (let i = 0; i < 16; i++) tag[i] = Number((value >> BigInt(8 * i)) & 0xffn)
  return tag
}
