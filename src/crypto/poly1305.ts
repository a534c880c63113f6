/**
 * Poly1305 (RFC 8439 §2.5) in plain TypeScript: the accumulator in ten 13-bit limbs, so that every product and sum
 * stays exact in a double.
 */

const LIMB = 0x1fff

/**
 * The 16-byte tag of `message` under the 32-byte one-time key r || s. r is clamped here.
 */
export function poly1305(oneTimeKey: Uint8Array, message: Uint8Array): Uint8Array {
  const r = clampedLimbs(oneTimeKey)
  const h = new Uint16Array(10)
  const whole = message.length - (message.length % 16)
  absorb(h, r, message, { start: 0, end: whole, high: 1 << 11 })
  if (whole < message.length) {
    const last = new Uint8Array(16)
    last.set(message.subarray(whole))
    last[message.length - whole] = 1
    absorb(h, r, last, { start: 0, end: 16, high: 0 })
  }
  return finish(h, oneTimeKey)
}

function clampedLimbs(key: Uint8Array): Uint16Array {
  const word = (i: number): number => key[i]! | (key[i + 1]! << 8)
  const t = [0, 2, 4, 6, 8, 10, 12, 14].map(word)
  const r = new Uint16Array(10)
  r[0] = t[0]! & 0x1fff
  r[1] = ((t[0]! >>> 13) | (t[1]! << 3)) & 0x1fff
  r[2] = ((t[1]! >>> 10) | (t[2]! << 6)) & 0x1f03
  r[3] = ((t[2]! >>> 7) | (t[3]! << 9)) & 0x1fff
  r[4] = ((t[3]! >>> 4) | (t[4]! << 12)) & 0x00ff
  r[5] = (t[4]! >>> 1) & 0x1ffe
  r[6] = ((t[4]! >>> 14) | (t[5]! << 2)) & 0x1fff
  r[7] = ((t[5]! >>> 11) | (t[6]! << 5)) & 0x1f81
  r[8] = ((t[6]! >>> 8) | (t[7]! << 8)) & 0x1fff
  r[9] = (t[7]! >>> 5) & 0x007f
  return r
}

/** Multiplies the accumulator, block by block added, with r modulo 2^130 − 5. */
function absorb(
  h: Uint16Array,
  r: Uint16Array,
  m: Uint8Array,
  range: { readonly start: number; readonly end: number; readonly high: number },
): void {
  const { high } = range
  const r0 = r[0]!, r1 = r[1]!, r2 = r[2]!, r3 = r[3]!, r4 = r[4]! // prettier-ignore
  const r5 = r[5]!, r6 = r[6]!, r7 = r[7]!, r8 = r[8]!, r9 = r[9]! // prettier-ignore
  const s1 = r1 * 5, s2 = r2 * 5, s3 = r3 * 5, s4 = r4 * 5, s5 = r5 * 5 // prettier-ignore
  const s6 = r6 * 5, s7 = r7 * 5, s8 = r8 * 5, s9 = r9 * 5 // prettier-ignore
  let h0 = h[0]!, h1 = h[1]!, h2 = h[2]!, h3 = h[3]!, h4 = h[4]! // prettier-ignore
  let h5 = h[5]!, h6 = h[6]!, h7 = h[7]!, h8 = h[8]!, h9 = h[9]! // prettier-ignore
  for (let i = range.start; i < range.end; i += 16) {
    const t0 = m[i]! | (m[i + 1]! << 8)
    const t1 = m[i + 2]! | (m[i + 3]! << 8)
    const t2 = m[i + 4]! | (m[i + 5]! << 8)
    const t3 = m[i + 6]! | (m[i + 7]! << 8)
    const t4 = m[i + 8]! | (m[i + 9]! << 8)
    const t5 = m[i + 10]! | (m[i + 11]! << 8)
    const t6 = m[i + 12]! | (m[i + 13]! << 8)
    const t7 = m[i + 14]! | (m[i + 15]! << 8)
    h0 += t0 & LIMB
    h1 += ((t0 >>> 13) | (t1 << 3)) & LIMB
    h2 += ((t1 >>> 10) | (t2 << 6)) & LIMB
    h3 += ((t2 >>> 7) | (t3 << 9)) & LIMB
    h4 += ((t3 >>> 4) | (t4 << 12)) & LIMB
    h5 += (t4 >>> 1) & LIMB
    h6 += ((t4 >>> 14) | (t5 << 2)) & LIMB
    h7 += ((t5 >>> 11) | (t6 << 5)) & LIMB
    h8 += ((t6 >>> 8) | (t7 << 8)) & LIMB
    h9 += (t7 >>> 5) | high

    let c = h0 * r0 + h1 * s9 + h2 * s8 + h3 * s7 + h4 * s6 + h5 * s5 + h6 * s4 + h7 * s3 + h8 * s2 + h9 * s1
    const d0 = c & LIMB
    c = Math.floor(c / 8192) + h0 * r1 + h1 * r0 + h2 * s9 + h3 * s8 + h4 * s7 + h5 * s6 + h6 * s5 + h7 * s4 + h8 * s3 + h9 * s2
    const d1 = c & LIMB
    c = Math.floor(c / 8192) + h0 * r2 + h1 * r1 + h2 * r0 + h3 * s9 + h4 * s8 + h5 * s7 + h6 * s6 + h7 * s5 + h8 * s4 + h9 * s3
    const d2 = c & LIMB
    c = Math.floor(c / 8192) + h0 * r3 + h1 * r2 + h2 * r1 + h3 * r0 + h4 * s9 + h5 * s8 + h6 * s7 + h7 * s6 + h8 * s5 + h9 * s4
    const d3 = c & LIMB
    c = Math.floor(c / 8192) + h0 * r4 + h1 * r3 + h2 * r2 + h3 * r1 + h4 * r0 + h5 * s9 + h6 * s8 + h7 * s7 + h8 * s6 + h9 * s5
    const d4 = c & LIMB
    c = Math.floor(c / 8192) + h0 * r5 + h1 * r4 + h2 * r3 + h3 * r2 + h4 * r1 + h5 * r0 + h6 * s9 + h7 * s8 + h8 * s7 + h9 * s6
    const d5 = c & LIMB
    c = Math.floor(c / 8192) + h0 * r6 + h1 * r5 + h2 * r4 + h3 * r3 + h4 * r2 + h5 * r1 + h6 * r0 + h7 * s9 + h8 * s8 + h9 * s7
    const d6 = c & LIMB
    c = Math.floor(c / 8192) + h0 * r7 + h1 * r6 + h2 * r5 + h3 * r4 + h4 * r3 + h5 * r2 + h6 * r1 + h7 * r0 + h8 * s9 + h9 * s8
    const d7 = c & LIMB
    c = Math.floor(c / 8192) + h0 * r8 + h1 * r7 + h2 * r6 + h3 * r5 + h4 * r4 + h5 * r3 + h6 * r2 + h7 * r1 + h8 * r0 + h9 * s9
    const d8 = c & LIMB
    c = Math.floor(c / 8192) + h0 * r9 + h1 * r8 + h2 * r7 + h3 * r6 + h4 * r5 + h5 * r4 + h6 * r3 + h7 * r2 + h8 * r1 + h9 * r0
    const d9 = c & LIMB
    c = Math.floor(c / 8192) * 5 + d0
    h0 = c & LIMB
    h1 = d1 + Math.floor(c / 8192)
    h2 = d2; h3 = d3; h4 = d4; h5 = d5; h6 = d6; h7 = d7; h8 = d8; h9 = d9 // prettier-ignore
  }
  h[0] = h0; h[1] = h1; h[2] = h2; h[3] = h3; h[4] = h4 // prettier-ignore
  h[5] = h5; h[6] = h6; h[7] = h7; h[8] = h8; h[9] = h9 // prettier-ignore
}

/** Reduces fully, adds s, and takes the low 128 bits. Runs once a message, so big integers are fast enough. */
function finish(h: Uint16Array, key: Uint8Array): Uint8Array {
  let value = 0n
  for (let i = 9; i >= 0; i--) value = value * 8192n + BigInt(h[i]!)
  value %= (1n << 130n) - 5n
  for (let i = 0; i < 16; i++) value += BigInt(key[16 + i]!) << BigInt(8 * i)
  const tag = new Uint8Array(16)
  for (let i = 0; i < 16; i++) tag[i] = Number((value >> BigInt(8 * i)) & 0xffn)
  return tag
}
