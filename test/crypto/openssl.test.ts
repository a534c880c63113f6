/** OpenSSL called directly, beside what is known to be right. */
import { createCipheriv, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { nativeCrypto } from '../../src/crypto/native.ts'
import { loadOpenSsl, openSslFor } from '../../src/crypto/openssl.ts'
import { poly1305 } from '../../src/crypto/poly1305.ts'

const isLinux = process.platform === 'linux'
if (!isLinux) process.stderr.write('SKIPPED: OpenSSL is called directly on Linux only\n')

const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length })

function ctr(key: Uint8Array, iv: Uint8Array, text: Uint8Array): Buffer {
  return createCipheriv('aes-256-ctr', key, iv).update(text)
}

it('is not loaded for little', async () => {
  vi.resetModules()
  const fresh = await import('../../src/crypto/openssl.ts')
  expect(fresh.openSslFor(1000)).toBeUndefined()
  expect(fresh.openSslFor(1000)).toBeUndefined()
  expect(fresh.openSslFor(1 << 20) === undefined).toBe(!isLinux)
})

describe.skipIf(!isLinux)('OpenSSL', () => {
  const direct = loadOpenSsl()!

  it('is there, and used once there is enough to do', () => {
    expect(direct).toBeDefined()
    expect(openSslFor(1)).toBe(direct)
  })

  it('encrypts as node:crypto does, keys in any order, whatever the counter', () => {
    const keys = [randomBytes(32), randomBytes(32)]
    const ivs = fc.oneof(bytes(16), fc.constant(new Uint8Array(16).fill(255)))
    fc.assert(
      fc.property(fc.boolean(), ivs, fc.uint8Array({ maxLength: 5000 }), (first, iv, text) => {
        const key = first ? keys[0]! : keys[1]!
        const out = new Uint8Array(text.length + 2).fill(9)
        direct.aes256Ctr(key, iv, text, out.subarray(1, 1 + text.length))
        expect(Buffer.compare(out.subarray(1, 1 + text.length), ctr(key, iv, text))).toBe(0)
        expect([out[0], out.at(-1)]).toEqual([9, 9])
      }),
    )
  })

  it('encrypts in place, and much at once', () => {
    const [key, iv, text] = [randomBytes(32), randomBytes(16), randomBytes(9_000_001)]
    const expected = ctr(key, iv, text)
    direct.aes256Ctr(key, iv, text, text)
    expect(text.equals(expected)).toBe(true)
  })

  it('encrypts a block as node:crypto does, keys in any order', () => {
    const keys = [randomBytes(16), randomBytes(16)]
    fc.assert(
      fc.property(fc.boolean(), bytes(16), (first, block) => {
        const key = first ? keys[0]! : keys[1]!
        const expected = createCipheriv('aes-128-ecb', key, null).update(block)
        const encrypted = direct.aes128Block(key, block)
        expect(Buffer.compare(encrypted, expected)).toBe(0)
        expect(Buffer.compare(nativeCrypto.aes128Block(key, block), expected)).toBe(0)
      }),
    )
    const [key, block] = [keys[0]!, randomBytes(16)]
    for (const length of [0, 15, 17, 32])
      expect(() => direct.aes128Block(key, randomBytes(length))).toThrow(RangeError)
    expect(
      Buffer.compare(direct.aes128Block(key, block), createCipheriv('aes-128-ecb', key, null).update(block)),
    ).toBe(0)
  })

  it('authenticates as the plain code does', () => {
    fc.assert(
      fc.property(bytes(32), fc.uint8Array({ maxLength: 3000 }), (key, message) => {
        expect([...direct.poly1305(key, message)]).toEqual([...poly1305(key, message)])
      }),
    )
    const ones = new Uint8Array(4096).fill(255)
    const hardKey = new Uint8Array(32).fill(255)
    expect([...direct.poly1305(hardKey, ones)]).toEqual([...poly1305(hardKey, ones)])
    const message = randomBytes(1_000_003)
    expect([...nativeCrypto.poly1305(hardKey, message)]).toEqual([...poly1305(hardKey, message)])
  })
})
