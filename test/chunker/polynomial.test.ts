import { randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  CHUNKER_DEGREE,
  isIrreducible,
  polynomialDegree,
  polynomialGcd,
  polynomialMod,
  polynomialMul,
  randomPolynomial,
} from '../../src/chunker/polynomial.ts'

const polynomial = fc.bigInt({ min: 0n, max: (1n << 60n) - 1n })
const nonZero = fc.bigInt({ min: 1n, max: (1n << 60n) - 1n })

/** All irreducible polynomials up to degree 8, by sieve: an oracle that shares no code with the test of Ben-Or. */
function sieve(): Set<bigint> {
  const irreducible = new Set<bigint>()
  const composite = new Set<bigint>()
  for (let a = 2n; a < 512n; a++) {
    if (!composite.has(a)) irreducible.add(a)
    for (let b = 2n; b < 512n; b++) {
      let product = 0n
      for (let bit = 0n; bit < 9n; bit++) if ((b >> bit) & 1n) product ^= a << bit
      if (product < 512n) composite.add(product)
    }
  }
  return irreducible
}

describe('arithmetic', () => {
  it('knows degrees', () => {
    expect([0n, 1n, 2n, 3n, 0x3da3358b4dc173n].map(polynomialDegree)).toEqual([-1, 0, 1, 1, 53])
  })

  it('multiplies and divides as inverses', () => {
    fc.assert(
      fc.property(polynomial, nonZero, polynomial, (quotient, divisor, seed) => {
        const rest = polynomialMod(seed, divisor)
        expect(polynomialDegree(rest)).toBeLessThan(polynomialDegree(divisor))
        expect(polynomialMod(polynomialMul(quotient, divisor) ^ rest, divisor)).toBe(rest)
      }),
    )
  })

  it('multiplies by commutative and distributive laws', () => {
    fc.assert(
      fc.property(polynomial, polynomial, polynomial, (a, b, c) => {
        expect(polynomialMul(a, b)).toBe(polynomialMul(b, a))
        expect(polynomialMul(a, b ^ c)).toBe(polynomialMul(a, b) ^ polynomialMul(a, c))
      }),
    )
    expect(polynomialMul(0b11n, 0b11n)).toBe(0b101n)
  })

  it('refuses to divide by zero', () => {
    expect(() => polynomialMod(5n, 0n)).toThrow(RangeError)
  })

  it('finds common divisors', () => {
    fc.assert(
      fc.property(nonZero, nonZero, nonZero, (a, b, common) => {
        const divisor = polynomialGcd(polynomialMul(a, common), polynomialMul(b, common))
        expect(polynomialMod(divisor, common)).toBe(0n)
      }),
    )
    expect(polynomialGcd(0b111n, 0b10n)).toBe(1n)
  })
})

describe('isIrreducible', () => {
  it('agrees with a sieve up to degree 8', () => {
    const expected = sieve()
    for (let p = 2n; p < 512n; p++) expect(isIrreducible(p), `polynomial ${p}`).toBe(expected.has(p))
    expect(expected.size).toBe(2 + 1 + 2 + 3 + 6 + 9 + 18 + 30)
  })

  it('accepts the polynomials of real repositories', () => {
    for (const p of [0x3da3358b4dc173n, 0x200f31ee63c863n, 0x249508083d4d99n])
      expect(isIrreducible(p)).toBe(true)
  })

  it('rejects products, constants and zero', () => {
    expect([0n, 1n].map(isIrreducible)).toEqual([false, false])
    const factor = fc.bigInt({ min: 2n, max: (1n << 27n) - 1n })
    fc.assert(fc.property(factor, factor, (a, b) => !isIrreducible(polynomialMul(a, b))))
  })
})

describe('randomPolynomial', () => {
  it('draws irreducible polynomials of degree 53', () => {
    const drawn = Array.from({ length: 5 }, () => randomPolynomial((length) => randomBytes(length)))
    expect(drawn.every((p) => polynomialDegree(p) === CHUNKER_DEGREE && isIrreducible(p))).toBe(true)
    expect(new Set(drawn).size).toBe(5)
  })

  it('reads the bytes little-endian and ignores bits beyond the degree', () => {
    // 3da3358b4dc173 without its highest and lowest bit, and with bits set that do not belong.
    const bytes = Uint8Array.of(0x72, 0xc1, 0x4d, 0x8b, 0x35, 0xa3, 0xdd, 0xff)
    expect(randomPolynomial(() => bytes)).toBe(0x3da3358b4dc173n)
  })

  it('gives up on a source that is not random', () => {
    expect(() => randomPolynomial((length) => new Uint8Array(length))).toThrow(RangeError)
  })
})
