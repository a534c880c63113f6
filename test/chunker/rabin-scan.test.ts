import { randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { polynomialMod, randomPolynomial } from '../../src/chunker/polynomial.ts'
import { createPlainScanner, ROOM_BYTES, SCAN_BYTES, type CutScanner } from '../../src/chunker/rabin-scan.ts'
import { rabinTables } from '../../src/chunker/rabin-tables.ts'
import { SCANNERS } from './scanners.ts'
import { plantCut, stream } from './streams.ts'

const POLYNOMIAL = 0x3da3358b4dc173n

/** The first cut point by the definition of a digest: the window's bytes as one polynomial, divided. */
function scanByDefinition(polynomial: bigint, bytes: Uint8Array, length: number): number {
  for (let end = 1; end <= length; end++) {
    const window = Buffer.from(bytes.subarray(end, end + 64)).toString('hex')
    if ((polynomialMod(BigInt(`0x${window}`), polynomial) & 0xfffffn) === 0n) return end
  }
  return -1
}

function scan(scanner: CutScanner, bytes: Uint8Array): number {
  // What an earlier scan left must not matter.
  scanner.input.fill(0)
  scanner.input.set(bytes)
  return scanner.scan(0, bytes.length - 64)
}

describe.each(SCANNERS)('$name scanner', ({ createScanner }) => {
  const scanner = createScanner(rabinTables(POLYNOMIAL))
  const plain = createPlainScanner(rabinTables(POLYNOMIAL))

  it('cuts where the definition of a digest says', () => {
    const length = fc.integer({ min: 1, max: 300 })
    const bytes = length.chain((n) => fc.uint8Array({ minLength: 64 + n, maxLength: 64 + n }))
    fc.assert(
      fc.property(bytes, fc.nat(), (data, seed) => {
        const end = 1 + (seed % (data.length - 64))
        plantCut(data, 64 + end, POLYNOMIAL)
        const expected = scanByDefinition(POLYNOMIAL, data, data.length - 64)
        expect(expected).toBeGreaterThan(0)
        expect(scan(scanner, data)).toBe(expected)
      }),
    )
  })

  it('finds a cut at every place', () => {
    // The lengths make lanes of one, few and many steps; places around the lanes' borders come with the step of 1.
    for (const length of [1, 2, 15, 16, 17, 255, 256, 257, 1000]) {
      const data = Uint8Array.from(randomBytes(64 + length))
      for (let end = 1; end <= length; end++) {
        const planted = data.slice()
        plantCut(planted, 64 + end, POLYNOMIAL)
        expect(scan(scanner, planted), `${end} of ${length}`).toBe(scan(plain, planted))
      }
    }
  })

  it('finds cuts around the borders of full lanes', () => {
    const data = Uint8Array.from(randomBytes(64 + SCAN_BYTES))
    const borders = Array.from({ length: 17 }, (_, lane) => (lane * SCAN_BYTES) / 16)
    const ends = borders.flatMap((border) =>
      [-65, -64, -63, -17, -16, -15, -1, 0, 1, 2, 15, 16, 17, 63, 64, 65].map((d) => border + d),
    )
    for (const end of ends.filter((place) => place >= 1 && place <= SCAN_BYTES)) {
      const planted = data.slice()
      plantCut(planted, 64 + end, POLYNOMIAL)
      expect(scan(scanner, planted), `${end}`).toBe(scan(plain, planted))
    }
  })

  it('finds the first of several cuts', () => {
    const ends = fc.array(fc.integer({ min: 1, max: SCAN_BYTES }), { minLength: 1, maxLength: 20 })
    const data = Uint8Array.from(randomBytes(64 + SCAN_BYTES))
    fc.assert(
      fc.property(ends, (places) => {
        const planted = data.slice()
        for (const end of places.toSorted((a, b) => b - a)) plantCut(planted, 64 + end, POLYNOMIAL)
        const found = scan(scanner, planted)
        expect(found).toBe(scan(plain, planted))
        expect(found).toBeLessThanOrEqual(Math.min(...places))
      }),
    )
  })

  it('scans bytes wherever they lie in its room', () => {
    const data = Uint8Array.from(randomBytes(64 + SCAN_BYTES))
    for (const start of [0, 1, 63, 64, 100_000, ROOM_BYTES - SCAN_BYTES]) {
      for (const end of [1, 4000, 30_000, SCAN_BYTES]) {
        const planted = data.slice()
        plantCut(planted, 64 + end, POLYNOMIAL)
        const expected = scan(plain, planted)
        scanner.input.fill(0)
        scanner.input.set(planted, start)
        expect(scanner.scan(start, SCAN_BYTES), `${end} from ${start}`).toBe(expected)
      }
    }
  })

  it('does not look beyond the length', () => {
    const data = stream('beyond', 64 + 5000)
    for (const length of [1, 100, 256, 1000, 4000]) {
      scanner.input.set(data)
      // A window of zeros is a cut: just after the end lie many of them.
      scanner.input.fill(0, 64 + length)
      expect(scanner.scan(0, length)).toBe(-1)
    }
  })

  it('is the plain scanner for millions of bytes of random polynomials', () => {
    let cuts = 0
    for (let run = 0; run < 5; run++) {
      const tables = rabinTables(randomPolynomial((length) => randomBytes(length)))
      const random = createScanner(tables)
      const twin = createPlainScanner(tables)
      for (let i = 0; i < 80; i++) {
        const bytes = Uint8Array.from(randomBytes(64 + SCAN_BYTES - (i % 7)))
        const expected = scan(twin, bytes)
        expect(scan(random, bytes)).toBe(expected)
        if (expected > 0) cuts++
      }
    }
    // 25 MiB have 25 cuts on average.
    expect(cuts).toBeGreaterThan(0)
  })

  it('keeps polynomials apart', () => {
    const other = 0x200f31ee63c863n
    const second = createScanner(rabinTables(other))
    const data = stream('polynomials apart', 64 + 3000)
    const forFirst = data.slice()
    plantCut(forFirst, 64 + 1234, POLYNOMIAL)
    const forSecond = data.slice()
    plantCut(forSecond, 64 + 2345, other)
    for (let i = 0; i < 3; i++) {
      expect(scan(scanner, forFirst)).toBe(1234)
      expect(scan(second, forSecond)).toBe(2345)
    }
  })
})
