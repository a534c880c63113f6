/** Polynomials over GF(2) as big integers, bit i the coefficient of x^i (format spec §9). Runs once a repository. */

/** Degree of the polynomials restic cuts with. */
export const CHUNKER_DEGREE = 53

/** −1 for the zero polynomial. */
export function polynomialDegree(p: bigint): number {
  if (p === 0n) return -1
  const hex = p.toString(16)
  return 4 * hex.length - 1 - (Math.clz32(Number.parseInt(hex.charAt(0), 16)) - 28)
}

export function polynomialMod(a: bigint, p: bigint): bigint {
  const degree = polynomialDegree(p)
  if (degree < 0) throw new RangeError('division by the zero polynomial')
  let rest = a
  for (let d = polynomialDegree(rest); d >= degree; d = polynomialDegree(rest))
    rest ^= p << BigInt(d - degree)
  return rest
}

export function polynomialMul(a: bigint, b: bigint): bigint {
  let product = 0n
  let shifted = a
  for (let rest = b; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) product ^= shifted
    shifted <<= 1n
  }
  return product
}

export function polynomialGcd(a: bigint, b: bigint): bigint {
  let x = a
  let y = b
  while (y !== 0n) [x, y] = [y, polynomialMod(x, y)]
  return x
}

/** Ben-Or's test: p has no factor of degree i if gcd(p, x^(2^i) − x) is 1, for all i up to half its degree. */
export function isIrreducible(p: bigint): boolean {
  const degree = polynomialDegree(p)
  if (degree < 1) return false
  let power = polynomialMod(2n, p)
  for (let i = 1; i <= degree / 2; i++) {
    power = polynomialMod(polynomialMul(power, power), p)
    if (polynomialGcd(p, power ^ polynomialMod(2n, p)) !== 1n) return false
  }
  return true
}

/** A random source this often wrong is broken: one polynomial in about 27 is irreducible. */
const MAX_TRIES = 10_000

/**
 * A random irreducible polynomial of degree 53, as restic draws one for each new repository: 8 bytes little-endian,
 * cut to 54 bits, highest and lowest set.
 * @throws RangeError where `randomBytes` is not random
 */
export function randomPolynomial(randomBytes: (length: number) => Uint8Array): bigint {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const p = randomBytes(8).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n)
    const candidate = BigInt.asUintN(CHUNKER_DEGREE, p) | (1n << BigInt(CHUNKER_DEGREE)) | 1n
    if (isIrreducible(candidate)) return candidate
  }
  throw new RangeError('the source of random bytes is not random')
}
