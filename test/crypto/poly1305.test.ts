import { randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SCALAR, SIMD } from '../../src/crypto/poly1305-kernel.generated.ts'
import { createKernelPoly1305, fastPoly1305 } from '../../src/crypto/poly1305-kernel.ts'
import { poly1305 } from '../../src/crypto/poly1305.ts'
import { count, hex, repeat, toHex } from './vectors.ts'

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n)
}

/** Poly1305 as its definition reads, in big integers. */
function byDefinition(key: Uint8Array, message: Uint8Array): string {
  const r = littleEndian(key.subarray(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn
  let h = 0n
  for (let i = 0; i < message.length; i += 16) {
    const block = message.subarray(i, i + 16)
    h = ((h + littleEndian(block) + (1n << BigInt(8 * block.length))) * r) % ((1n << 130n) - 5n)
  }
  const tag = BigInt.asUintN(128, h + littleEndian(key.subarray(16, 32)))
  return toHex(hex(tag.toString(16).padStart(32, '0')).toReversed())
}

const F16 = 'ff'.repeat(16)

const IMPLEMENTATIONS = [
  { name: 'plain', mac: poly1305 },
  { name: 'scalar kernel', mac: createKernelPoly1305(SCALAR)! },
  { name: 'SIMD kernel', mac: createKernelPoly1305(SIMD)! },
  { name: 'default', mac: fastPoly1305 },
]

describe.each(IMPLEMENTATIONS)('$name poly1305', ({ mac }) => {
  it.each([
    {
      from: 'RFC 8439 §2.5.2',
      key: '85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b',
      message: Buffer.from('Cryptographic Forum Research Group').toString('hex'),
      tag: 'a8061dc1305136c6c22b8baf0c0127a9',
    },
    { from: 'RFC 8439 A.3 #1', key: '00'.repeat(32), message: '00'.repeat(64), tag: '00'.repeat(16) },
    { from: 'RFC 8439 A.3 #7', key: `02${'00'.repeat(31)}`, message: F16, tag: `03${'00'.repeat(15)}` },
    {
      from: 'RFC 8439 A.3 #8',
      key: `02${'00'.repeat(15)}${F16}`,
      message: `02${'00'.repeat(15)}`,
      tag: `03${'00'.repeat(15)}`,
    },
    {
      from: 'RFC 8439 A.3 #9',
      key: `01${'00'.repeat(31)}`,
      message: `${F16}f0${'ff'.repeat(15)}11${'00'.repeat(15)}`,
      tag: `05${'00'.repeat(15)}`,
    },
    {
      from: 'RFC 8439 A.3 #10',
      key: `01${'00'.repeat(31)}`,
      message: `${F16}fb${'fe'.repeat(15)}${'01'.repeat(16)}`,
      tag: '00'.repeat(16),
    },
    {
      from: 'RFC 8439 A.3 #11',
      key: `02${'00'.repeat(31)}`,
      message: `fd${'ff'.repeat(15)}`,
      tag: `fa${'ff'.repeat(15)}`,
    },
    {
      // 3·2^128 + (2^128 − 5) with r = 1: the sum is the modulus itself, to be reduced to 0.
      from: 'the modulus',
      key: `01${'00'.repeat(31)}`,
      message: `fb${'ff'.repeat(15)}${'00'.repeat(32)}`,
      tag: '00'.repeat(16),
    },
  ])('$from', ({ key, message, tag }) => {
    expect(toHex(mac(hex(key), hex(message)))).toBe(tag)
  })

  it('every length up to 300', () => {
    const key = count(0x81, 32)
    for (let length = 0; length <= 300; length++) {
      const message = count(0xe7, length)
      expect(toHex(mac(key, message)), `${length} bytes`).toBe(byDefinition(key, message))
    }
  })

  it('keys and messages at the edges of their limbs', () => {
    const edge = fc.constantFrom(0x00, 0xff, 0xfe, 0x01, 0x80, 0x7f, 0xfb, 0xfc)
    const bytes = (minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> =>
      fc.oneof(
        fc.uint8Array({ minLength, maxLength }),
        fc.array(edge, { minLength, maxLength }).map((list) => Uint8Array.from(list)),
        fc
          .tuple(edge, fc.integer({ min: minLength, max: maxLength }))
          .map(([byte, n]) => new Uint8Array(n).fill(byte)),
      )
    fc.assert(
      fc.property(bytes(32, 32), bytes(0, 700), fc.nat(15), (key, message, skew) => {
        const shifted = new Uint8Array(skew + message.length)
        shifted.set(message, skew)
        expect(toHex(mac(key, shifted.subarray(skew)))).toBe(byDefinition(key, message))
      }),
      { numRuns: 500 },
    )
  })

  it('leaves its arguments alone', () => {
    const key = count(1, 32)
    const message = count(2, 100)
    const first = mac(key, message)
    mac(count(9, 32), count(3, 50))
    expect([key, message, mac(key, message)]).toEqual([count(1, 32), count(2, 100), first])
  })
})

describe.each(IMPLEMENTATIONS.slice(1))('$name', ({ mac }) => {
  it('is plain poly1305 for every length around blocks, fours of blocks and slabs', () => {
    const key = Uint8Array.from(randomBytes(32))
    const message = Uint8Array.from(randomBytes(3 * 65_536))
    const ends = [400, 512, 576, 1024, 65_536, 65_536 + 512, 2 * 65_536, 3 * 65_536 - 80]
    for (const end of ends) {
      for (let length = end; length <= end + 80; length++) {
        expect(toHex(mac(key, message.subarray(0, length))), `${length} bytes`).toBe(
          toHex(poly1305(key, message.subarray(0, length))),
        )
      }
    }
  })

  it('is plain poly1305 for millions of bytes', () => {
    for (let i = 0; i < 20; i++) {
      const key = i % 2 === 0 ? Uint8Array.from(randomBytes(32)) : repeat(0xff, 32)
      const message = i % 3 === 0 ? repeat(0xff, 1_000_003) : Uint8Array.from(randomBytes(1_000_000 + i))
      expect(toHex(mac(key, message))).toBe(toHex(poly1305(key, message)))
    }
  })
})
