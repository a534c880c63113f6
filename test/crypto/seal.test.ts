import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nativeCrypto } from '../../src/crypto/native.ts'
import { portableCrypto } from '../../src/crypto/portable.ts'
import {
  generateSealKey,
  open,
  openInto,
  seal,
  sealInPlace,
  sealInto,
  SEAL_OVERHEAD,
  validateSealKey,
} from '../../src/crypto/seal.ts'
import { CorruptDataError } from '../../src/errors.ts'
import { count, hex, MASTER_KEY, repeat, toHex } from './vectors.ts'

const CONFIG = `{"version":2,"id":"${'ab'.repeat(32)}","chunker_polynomial":"3da3358b4dc173"}`
const SEALED_CONFIG =
  '020202020202020202020202020202021c34721534519ae734d5f32f4dfe8e7582d740f3b0551a32222fcea0470ee59a6cbadec99838fe13' +
  '5b2edb6d41593e59dfec8ca2e8543f4b3f9d6f18a3ed4f0c175250fbaa0e618193cefe9455db2453fc6b72e779f9eaa2cc835c2b2475848f' +
  '0344307b53c2c7722e02f872b2cb596c0ff09111668c6add2ab15e60d0a241691dc8e5fe10dfb9876c15de'
const SEALED_TEST = '0303030303030303030303030303030393fe9f077ef4094ac216bb2184d756c9bf4707e5b4'

describe.each([nativeCrypto, portableCrypto])('with the $name provider', (crypto) => {
  it.each([
    { name: 'a blob', plaintext: 'test\n', iv: 3, sealed: SEALED_TEST },
    { name: 'a config', plaintext: CONFIG, iv: 2, sealed: SEALED_CONFIG },
  ])('seals and opens $name as restic does', ({ plaintext, iv, sealed }) => {
    expect(toHex(seal(crypto, MASTER_KEY, Buffer.from(plaintext), repeat(iv, 16)))).toBe(sealed)
    expect(Buffer.from(open(crypto, MASTER_KEY, hex(sealed))).toString()).toBe(plaintext)
  })

  it('opens what real restic wrote', () => {
    const key = {
      encrypt: Buffer.from('2N94GZE6Ve1baayBVSWnEQNdB7Jn5Bwu+kX3UCQqVm4=', 'base64'),
      k: Buffer.from('BvDE3CWYm2CLwV/YizZeDQ==', 'base64'),
      r: Buffer.from('1iAzJl2MWwbFULbIwIwjJA==', 'base64'),
    }
    const config =
      'a8f8f39abaa31d0c3a573203504294681f93ee25cd0bcec417617b058ec8fff946326f8d15ec900e10bc2e1b6ad1afe8ebdc83b05c6eab49' +
      'c413eae593a7e876c2826ed584861558976201d4ea9760ce7e0bdc9dd6145b5451380b95c567a63b23a1f86126f4c730000b79506fca11cb' +
      '77919f01bf337aabf2d9f3c0695c452615cd0dd31f309923bdf5128635124d9af65343d1be0b9f0b2a6f55'
    expect(JSON.parse(Buffer.from(open(crypto, key, hex(config))).toString())).toEqual({
      version: 2,
      id: '46afcacac45edc9807c15a019ddd650db7db411d5708e0ea2a34bd1156113962',
      chunker_polynomial: '200f31ee63c863',
    })
  })

  it('opens what it sealed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 10_000, size: 'max' }), (plaintext) => {
        const sealed = seal(crypto, MASTER_KEY, plaintext)
        expect(sealed).toHaveLength(plaintext.length + SEAL_OVERHEAD)
        expect(toHex(open(crypto, MASTER_KEY, sealed))).toBe(toHex(plaintext))
      }),
    )
  })

  it.each([0, 1, 5, 1000, 70_000])('seals %i bytes in place and beside', (length) => {
    const destination = new Uint8Array(length + SEAL_OVERHEAD)
    const plaintext = destination.subarray(16, 16 + length)
    plaintext.set(count(5, length))
    sealInto(crypto, MASTER_KEY, plaintext, destination)
    expect(toHex(open(crypto, MASTER_KEY, destination))).toBe(toHex(count(5, length)))

    const iv = destination.slice(0, 16)
    expect(toHex(seal(crypto, MASTER_KEY, count(5, length), iv))).toBe(toHex(destination))

    const memory = repeat(0xaa, length + SEAL_OVERHEAD + 20)
    sealInto(crypto, MASTER_KEY, count(5, length), memory.subarray(10, 10 + length + SEAL_OVERHEAD))
    expect(toHex(open(crypto, MASTER_KEY, memory.subarray(10, -10)))).toBe(toHex(count(5, length)))
    expect([...memory.subarray(0, 10), ...memory.subarray(-10)].every((byte) => byte === 0xaa)).toBe(true)
  })

  it('refuses a destination of another length', () => {
    for (const length of [36, 38]) {
      expect(() => sealInto(crypto, MASTER_KEY, count(0, 5), new Uint8Array(length))).toThrow(RangeError)
    }
  })

  it.each([0, 1, 1000, 70_000])('seals %i bytes where they lie, and nothing behind them', (length) => {
    const memory = repeat(0xaa, length + SEAL_OVERHEAD + 10)
    memory.set(count(5, length), 16)
    sealInPlace(crypto, MASTER_KEY, memory, length)
    expect(toHex(open(crypto, MASTER_KEY, memory.subarray(0, -10)))).toBe(toHex(count(5, length)))
    expect(toHex(memory.subarray(-10))).toBe('aa'.repeat(10))
    expect(() => sealInPlace(crypto, MASTER_KEY, memory.subarray(0, -11), length)).toThrow(RangeError)
  })

  it.each([0, 1, 1000, 70_000])('opens %i bytes in place and beside', (length) => {
    const sealed = seal(crypto, MASTER_KEY, count(5, length))
    const memory = repeat(0xaa, length + 20)
    openInto(crypto, MASTER_KEY, sealed, memory.subarray(10, 10 + length))
    expect(toHex(memory)).toBe(`${'aa'.repeat(10)}${toHex(count(5, length))}${'aa'.repeat(10)}`)

    const inPlace = sealed.slice()
    openInto(crypto, MASTER_KEY, inPlace, inPlace.subarray(16, -16))
    expect(toHex(inPlace.subarray(16, -16))).toBe(toHex(count(5, length)))
    expect(() => openInto(crypto, MASTER_KEY, sealed, new Uint8Array(length + 1))).toThrow(RangeError)
  })

  it('does not touch the destination where the MAC is wrong', () => {
    const damaged = hex(SEALED_TEST)
    damaged[20]! ^= 1
    const destination = repeat(0xaa, 5)
    expect(() => openInto(crypto, MASTER_KEY, damaged, destination)).toThrow(CorruptDataError)
    expect(destination).toEqual(repeat(0xaa, 5))
  })

  it('keeps apart what is sealed with different keys in turn', () => {
    const other = { encrypt: count(0x50, 32), k: count(0x70, 16), r: count(0x80, 16) }
    for (const length of [10, 10, 5000, 10]) {
      const sealed = [MASTER_KEY, other].map((key) => ({ key, bytes: seal(crypto, key, count(1, length)) }))
      for (const { key, bytes } of sealed)
        expect(toHex(open(crypto, key, bytes))).toBe(toHex(count(1, length)))
    }
  })

  it('never uses an IV twice', () => {
    const ivs = Array.from({ length: 2000 }, () =>
      toHex(seal(crypto, MASTER_KEY, count(0, 1)).subarray(0, 16)),
    )
    expect(new Set(ivs).size).toBe(2000)
  })

  it('refuses to open anything with a flipped bit', () => {
    const sealed = hex(SEALED_TEST)
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const damaged = sealed.slice()
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => open(crypto, MASTER_KEY, damaged), `bit ${bit}`).toThrow(CorruptDataError)
    }
  })

  it('refuses to open with another key', () => {
    const sealed = hex(SEALED_TEST)
    expect(() => open(crypto, { ...MASTER_KEY, k: count(0x21, 16) }, sealed)).toThrow(
      'ciphertext verification failed',
    )
    expect(() => open(crypto, { ...MASTER_KEY, r: count(0x31, 16) }, sealed)).toThrow(
      'ciphertext verification failed',
    )
  })

  it('refuses to open what is too short or has no IV', () => {
    for (let length = 0; length < SEAL_OVERHEAD; length++) {
      expect(() => open(crypto, MASTER_KEY, count(1, length)), `${length} bytes`).toThrow(CorruptDataError)
    }
    const withoutIv = zeroIvSealed()
    expect(() => open(crypto, MASTER_KEY, withoutIv)).toThrow(CorruptDataError)
  })

  it('refuses to seal with an IV of zeros', () => {
    expect(() => seal(crypto, MASTER_KEY, count(0, 5), new Uint8Array(16))).toThrow(CorruptDataError)
  })

  /** Correct but for its IV: only the rule against zero IVs refuses it. */
  function zeroIvSealed(): Uint8Array {
    const ciphertext = count(1, 5)
    const oneTimeKey = Uint8Array.of(...MASTER_KEY.r, ...crypto.aes128Block(MASTER_KEY.k, new Uint8Array(16)))
    return Uint8Array.of(...new Uint8Array(16), ...ciphertext, ...crypto.poly1305(oneTimeKey, ciphertext))
  }
})

describe('keys', () => {
  it('are generated valid and different', () => {
    const first = generateSealKey(nativeCrypto)
    const second = generateSealKey(nativeCrypto)
    expect(() => validateSealKey(first)).not.toThrow()
    expect([first.encrypt, first.k, first.r].map((part) => part.length)).toEqual([32, 16, 16])
    expect(toHex(first.encrypt)).not.toBe(toHex(second.encrypt))
    expect(toHex(first.k)).not.toBe(toHex(first.r))
  })

  it.each([
    { encrypt: new Uint8Array(32) },
    { k: new Uint8Array(16) },
    { r: new Uint8Array(16) },
    { encrypt: count(0, 31) },
    { k: count(1, 17) },
    { r: count(1, 15) },
  ])('are refused where no writer makes them: %o', (part) => {
    expect(() => validateSealKey({ ...MASTER_KEY, ...part })).toThrow(CorruptDataError)
  })
})
