/** IDs read in AssemblyScript with SIMD, for the kernels of this folder. */

/** Reads 64 hexadecimal digits in lower case; false where there is anything else. */
export function readId(start: usize, target: usize): bool {
  const a = v128.load(start)
  const b = v128.load(start, 16)
  const c = v128.load(start, 32)
  const d = v128.load(start, 48)
  const good = v128.and(v128.and(areDigits(a), areDigits(b)), v128.and(areDigits(c), areDigits(d)))
  if (!i8x16.all_true(good)) return false
  v128.store(target, i8x16.narrow_i16x8_u(pairs(a), pairs(b)))
  v128.store(target, i8x16.narrow_i16x8_u(pairs(c), pairs(d)), 16)
  return true
}

// @ts-ignore: a decorator of AssemblyScript
@inline
function areDecimal(text: v128): v128 {
  return i8x16.lt_u(i8x16.sub(text, i8x16.splat(0x30)), i8x16.splat(10))
}

// @ts-ignore: a decorator of AssemblyScript
@inline
function areDigits(text: v128): v128 {
  return v128.or(areDecimal(text), i8x16.lt_u(i8x16.sub(text, i8x16.splat(0x61)), i8x16.splat(6)))
}

/** The bytes that pairs of digits stand for, each in 16 bits. */
// @ts-ignore: a decorator of AssemblyScript
@inline
function pairs(text: v128): v128 {
  const letters = v128.andnot(i8x16.splat(0x61 - 10 - 0x30), areDecimal(text))
  const values = i8x16.sub(i8x16.sub(text, i8x16.splat(0x30)), letters)
  const high = v128.and(i16x8.shl(values, 4), i16x8.splat(0xf0))
  return v128.or(high, i16x8.shr_u(values, 8))
}
