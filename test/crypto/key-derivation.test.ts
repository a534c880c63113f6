import { describe, expect, it } from 'vitest'
import { checkScryptParams, DEFAULT_SCRYPT, deriveKey } from '../../src/crypto/key-derivation.ts'
import { nativeCrypto } from '../../src/crypto/native.ts'
import { portableCrypto } from '../../src/crypto/portable.ts'
import { open } from '../../src/crypto/seal.ts'
import { UnsupportedError } from '../../src/errors.ts'
import { count, hex, toHex } from './vectors.ts'

const KEY_DATA =
  '010101010101010101010101010101018e395d1f067942dd976777a1745f4249a787b7227fd801c4c584e658a94821540fb3886c9cb1be2c' +
  '8616b38ad6e07a3ca90c5149ad51a8bdd56ffae837ef9a68d9d108784cef60f14a81629f3fdca8942bb88cfd02d9f13750f4fe06180041d5' +
  '69e3478bd7274bc8601ac3e257868962703fbe126ef7d73740271c07d832a6fb180d7fc4bae2b9bbb26bdbccce089a32'
const PASSWORD = Buffer.from('geheim')

describe('deriveKey', () => {
  it.each([nativeCrypto, portableCrypto])('makes the key of a key file ($name)', async (crypto) => {
    const key = await deriveKey(crypto, PASSWORD, count(0, 64), { N: 1024, r: 8, p: 1 })
    expect([key.encrypt, key.k, key.r].map(toHex)).toEqual([
      'afd9918d07af99c41fe53ea3e2602702a2cc0f1d68f2c224f4f4bdff8a4bea38',
      'e522565c84ab5b1070e2da80cfd4ef48',
      'e369ce349fb98016146594b711346c99',
    ])
    expect(Buffer.from(open(crypto, key, hex(KEY_DATA))).toString()).toBe(
      '{"mac":{"k":"ICEiIyQlJicoKSorLC0uLw==","r":"MDEyMzQ1Njc4OTo7PD0+Pw=="},' +
        '"encrypt":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}',
    )
  })

  it("makes the key of real restic's key file", async () => {
    const salt = Buffer.from(
      'fVo8kUzDehioo/QkdTn2C9AO5yzUZlD2Fk5BxvWli2VFevgr+h8lf/OlJXOVXDIla5Hi8OKczo64R2rVKPsVwA==',
      'base64',
    )
    const key = await deriveKey(nativeCrypto, PASSWORD, salt, DEFAULT_SCRYPT)
    expect([key.encrypt, key.k, key.r].map(toHex).join('')).toBe(
      'f8d4e6b879950ec80ee892358106d1b784ce15379bdd8839f3804bde013e35ac352df52c34665fc8590696404026da4bd993305b6abd1d88' +
        '41832b461187fdd1',
    )
  })

  it('does no work for hostile parameters', async () => {
    const idle = { ...nativeCrypto, scrypt: () => Promise.reject(new Error('was run')) }
    await expect(deriveKey(idle, PASSWORD, count(0, 64), { N: 2 ** 40, r: 8, p: 1 })).rejects.toThrow(
      UnsupportedError,
    )
  })
})

describe('checkScryptParams', () => {
  it.each([
    DEFAULT_SCRYPT,
    { N: 2, r: 1, p: 1 },
    { N: 1024, r: 8, p: 1 },
    { N: 2 ** 20, r: 8, p: 1 },
    { N: 32_768, r: 8, p: 100 },
  ])('takes N=$N r=$r p=$p', (params) => {
    expect(() => checkScryptParams(params)).not.toThrow()
  })

  it.each([
    { N: 0, r: 8, p: 1 },
    { N: 1, r: 8, p: 1 },
    { N: 3, r: 8, p: 1 },
    { N: 1000, r: 8, p: 1 },
    { N: -1024, r: 8, p: 1 },
    { N: 1024.5, r: 8, p: 1 },
    { N: Number.NaN, r: 8, p: 1 },
    { N: Number.POSITIVE_INFINITY, r: 8, p: 1 },
    { N: 1024, r: 0, p: 1 },
    { N: 1024, r: 8, p: 0 },
    { N: 1024, r: -8, p: 1 },
    { N: 1024, r: 8, p: 1.5 },
  ])('refuses as invalid N=$N r=$r p=$p', (params) => {
    expect(() => checkScryptParams(params)).toThrow(UnsupportedError)
    expect(() => checkScryptParams(params)).toThrow(/invalid scrypt parameters/)
  })

  it.each([
    { N: 2 ** 21, r: 8, p: 1 },
    { N: 2 ** 31, r: 1, p: 1 },
    { N: 2, r: 2 ** 23, p: 1 },
    { N: 2, r: 1, p: 2 ** 24 },
    { N: 32_768, r: 8, p: 4096 },
    { N: 2 ** 50, r: 2 ** 50, p: 2 ** 50 },
  ])('refuses as too much work N=$N r=$r p=$p', (params) => {
    expect(() => checkScryptParams(params)).toThrow(UnsupportedError)
    expect(() => checkScryptParams(params)).toThrow(/too much work/)
  })
})
