import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nativeCrypto } from '../../src/crypto/native.ts'
import { portableCrypto } from '../../src/crypto/portable.ts'
import type { CryptoProvider } from '../../src/crypto/provider.ts'
import { count, hex, repeat, toHex } from './vectors.ts'

const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length })
const message = fc.oneof(
  fc.uint8Array({ maxLength: 100 }),
  fc.uint8Array({ minLength: 1000, maxLength: 20_000, size: 'max' }),
)

function ctr(crypto: CryptoProvider, key: Uint8Array, iv: Uint8Array, source: Uint8Array): Uint8Array {
  const destination = new Uint8Array(source.length)
  crypto.aes256Ctr(key, iv, source, destination)
  return destination
}

describe.each([nativeCrypto, portableCrypto])('$name provider', (crypto) => {
  it('hashes', () => {
    const digest = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    expect(toHex(crypto.sha256(Buffer.from('abc')))).toBe(digest)
    expect(toHex(crypto.createSha256().update(Buffer.from('a')).update(Buffer.from('bc')).digest())).toBe(
      digest,
    )
    expect(toHex(crypto.sha256(new Uint8Array(0)))).toMatch(/^e3b0c44298fc1c14/)
    expect(crypto.sha256Hex(Buffer.from('abc'))).toBe(digest)
  })

  it('derives keys by scrypt', async () => {
    // RFC 7914 §12
    const derived = await crypto.scrypt(new Uint8Array(0), new Uint8Array(0), { N: 16, r: 1, p: 1 }, 64)
    expect(toHex(derived)).toBe(
      '77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442' +
        'fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906',
    )
  })

  it('derives keys with more memory than OpenSSL allows by default', async () => {
    const derived = await crypto.scrypt(Buffer.from('geheim'), count(0, 64), { N: 65_536, r: 8, p: 1 }, 16)
    expect(toHex(derived)).toBe('ae57f98cbdeabdcc350a7fe47baca69c')
  })

  it('encrypts one block of AES-128', () => {
    // FIPS 197 appendix B, and the specification's §20.1
    const block = hex('3243f6a8885a308d313198a2e0370734')
    expect(toHex(crypto.aes128Block(hex('2b7e151628aed2a6abf7158809cf4f3c'), block))).toBe(
      '3925841d02dc09fbdc118597196a0b32',
    )
    expect(toHex(crypto.aes128Block(count(0x20, 16), repeat(3, 16)))).toBe('cbaab1d3cbd1ed5ac78ab2b35458ebc5')
  })

  it('encrypts by AES-256 in counter mode', () => {
    // NIST SP 800-38A F.5.5
    const key = hex('603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4')
    const source = hex('6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51')
    const expected = '601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5'
    expect(toHex(ctr(crypto, key, count(0xf0, 16), source))).toBe(expected)
  })

  it('takes a key changed in place for another key', () => {
    const key = Buffer.from(count(0, 32))
    const half = key.subarray(0, 16)
    const before = [ctr(crypto, key, count(1, 16), count(2, 50)), crypto.aes128Block(half, count(3, 16))].map(
      toHex,
    )
    key.fill(9)
    const after = [ctr(crypto, key, count(1, 16), count(2, 50)), crypto.aes128Block(half, count(3, 16))].map(
      toHex,
    )
    const fresh = repeat(9, 32)
    expect(after).not.toEqual(before)
    expect(after).toEqual(
      [
        ctr(portableCrypto, fresh, count(1, 16), count(2, 50)),
        portableCrypto.aes128Block(repeat(9, 16), count(3, 16)),
      ].map(toHex),
    )
  })

  it('refuses part of a block, and goes on', () => {
    expect(() => crypto.aes128Block(count(0x20, 16), repeat(3, 15))).toThrow(Error)
    expect(toHex(crypto.aes128Block(count(0x20, 16), repeat(3, 16)))).toBe('cbaab1d3cbd1ed5ac78ab2b35458ebc5')
  })

  it('carries over all 128 bits of the counter', () => {
    // The keystream is the counter blocks encrypted: after ff…ff comes 00…00.
    const key = count(0, 32)
    const whole = ctr(crypto, key, repeat(0xff, 16), new Uint8Array(48))
    expect(whole.subarray(16)).toEqual(ctr(crypto, key, new Uint8Array(16), new Uint8Array(32)))
    const half = Uint8Array.of(...repeat(0x11, 8), ...repeat(0xff, 8))
    const next = Uint8Array.of(...repeat(0x11, 7), 0x12, ...repeat(0, 8))
    expect(ctr(crypto, key, half, new Uint8Array(32)).subarray(16)).toEqual(
      ctr(crypto, key, next, new Uint8Array(16)),
    )
  })

  it('carries over the counter whatever the length', () => {
    // One block short of an overflow of 32, 64, 96 and 128 bits; the reference goes block by block.
    for (const ones of [4, 8, 12, 16]) {
      const iv = Uint8Array.of(...repeat(0x11, 16 - ones), ...repeat(0xff, ones))
      iv[15] = 0xfe
      for (const length of [64, 8192, 9000]) {
        const blocks = Array.from({ length: Math.ceil(length / 16) }, (_, i) => {
          const counter = (BigInt(`0x${toHex(iv)}`) + BigInt(i)) & ((1n << 128n) - 1n)
          return toHex(
            ctr(crypto, count(0, 32), hex(counter.toString(16).padStart(32, '0')), new Uint8Array(16)),
          )
        })
        expect(toHex(ctr(crypto, count(0, 32), iv, new Uint8Array(length)))).toBe(
          blocks.join('').slice(0, 2 * length),
        )
      }
    }
  })

  it.each([0, 1, 15, 16, 17, 100, 8191, 8192, 8193, 100_000])('encrypts %i bytes in place', (length) => {
    const inPlace = count(7, length)
    crypto.aes256Ctr(count(1, 32), count(2, 16), inPlace, inPlace)
    expect(inPlace).toEqual(ctr(crypto, count(1, 32), count(2, 16), count(7, length)))
  })

  it('writes nowhere but to the destination', () => {
    const memory = repeat(0xaa, 300)
    const source = count(3, 100)
    crypto.aes256Ctr(count(1, 32), count(2, 16), source, memory.subarray(100, 200))
    expect(source).toEqual(count(3, 100))
    expect([...memory.subarray(0, 100), ...memory.subarray(200)].every((byte) => byte === 0xaa)).toBe(true)
    expect(memory.subarray(100, 200)).toEqual(ctr(crypto, count(1, 32), count(2, 16), source))
  })

  it('draws random bytes', () => {
    // 100,000 are more than getRandomValues gives at once; each quarter must have been filled.
    const drawn = crypto.randomBytes(100_000)
    for (let i = 0; i < 4; i++) expect(new Set(drawn.subarray(i * 25_000, (i + 1) * 25_000)).size).toBe(256)
    expect(crypto.randomBytes(32)).not.toEqual(crypto.randomBytes(32))
    expect(crypto.randomBytes(0)).toHaveLength(0)
  })
})

describe('native is portable', () => {
  it('sha256', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 4 }), (parts) => {
        const digests = [nativeCrypto, portableCrypto].flatMap((crypto) => {
          const running = crypto.createSha256()
          for (const part of parts) running.update(part)
          const whole = Buffer.concat(parts)
          return [toHex(running.digest()), toHex(crypto.sha256(whole)), crypto.sha256Hex(whole)]
        })
        expect(new Set(digests).size).toBe(1)
      }),
    )
  })

  it('aes256Ctr', () => {
    fc.assert(
      fc.property(bytes(32), bytes(16), message, (key, iv, source) => {
        expect(ctr(nativeCrypto, key, iv, source)).toEqual(ctr(portableCrypto, key, iv, source))
      }),
    )
  })

  it('aes128Block', () => {
    fc.assert(
      fc.property(bytes(16), bytes(16), (key, block) => {
        expect(toHex(nativeCrypto.aes128Block(key, block))).toBe(
          toHex(portableCrypto.aes128Block(key, block)),
        )
      }),
    )
  })

  it('poly1305', () => {
    fc.assert(
      fc.property(bytes(32), message, (key, source) => {
        expect(toHex(nativeCrypto.poly1305(key, source))).toBe(toHex(portableCrypto.poly1305(key, source)))
      }),
    )
  })

  it('scrypt', async () => {
    const params = fc.record({
      N: fc.constantFrom(2, 16, 64),
      r: fc.integer({ min: 1, max: 8 }),
      p: fc.integer({ min: 1, max: 3 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.uint8Array(), fc.uint8Array(), params, async (password, salt, cost) => {
        const [native, portable] = await Promise.all(
          [nativeCrypto, portableCrypto].map((crypto) => crypto.scrypt(password, salt, cost, 64)),
        )
        expect(toHex(native!)).toBe(toHex(portable!))
      }),
      { numRuns: 25 },
    )
  })
})

it('the portable provider needs nothing of Node', async () => {
  const { build } = await import('esbuild')
  const bundle = await build({
    entryPoints: [
      'src/crypto/portable.ts',
      'src/crypto/seal.ts',
      'src/crypto/key-derivation.ts',
      'src/chunker/chunker.ts',
    ],
    bundle: true,
    write: false,
    outdir: 'unused',
    format: 'esm',
    platform: 'browser',
    metafile: true,
    logLevel: 'silent',
  })
  expect(bundle.errors).toEqual([])
  expect(Object.keys(bundle.metafile.inputs).filter((path) => path.includes('native'))).toEqual([])
})
