import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { poly1305 } from '../../src/crypto/poly1305.ts'
import { count, hex, toHex } from './vectors.ts'

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

describe.each([{ name: 'plain', mac: poly1305 }])('$name poly1305', ({ mac }) => {
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
