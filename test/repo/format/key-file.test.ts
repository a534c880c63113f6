import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CorruptDataError } from '../../../src/errors.ts'
import {
  encodeKeyFile,
  encodeMasterKey,
  parseKeyFile,
  parseMasterKey,
  type KeyFile,
} from '../../../src/repo/format/key-file.ts'
import { propertyRuns } from '../../support/real-restic.ts'
import { plainText, time, uint32 } from './arbitraries.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const counting = (from: number, length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => from + i)

/** Format spec §20.1. */
const MASTER_KEY =
  '{"mac":{"k":"ICEiIyQlJicoKSorLC0uLw==","r":"MDEyMzQ1Njc4OTo7PD0+Pw=="},"encrypt":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}'

describe('key file', () => {
  it('is the real one of the specification', () => {
    const json =
      '{"created":"2026-11-23T02:41:44.542645782Z","username":"root","hostname":"vm","kdf":"scrypt","N":32768,"r":8,"p":6,"salt":"fVo8kUzDehioo/QkdTn2C9AO5yzUZlD2Fk5BxvWli2VFevgr+h8lf/OlJXOVXDIla5Hi8OKczo64R2rVKPsVwA==","data":"IUP8xEuMWLN0gUpNVomw4P5jJ4UwL2MfzMEWjl6fS+92/EHbpml83uX/QfGljtsrkoGSW6IWPiXoti0BX6rSB7ZQefclj88F9YZ6mfydfFYpqM6S7tVKsaQ4A9bZRjb+35fEowdDKxc5smz5plO1UDfgjsiZC7fPP/yJ/9XThvUFXQ+4bjPPCWIz70Dmnfl9fI3yl4VKzTodgt/Mx+TsgQ=="}'
    const file = parseKeyFile(bytesOf(json))
    expect(file).toMatchObject({ username: 'root', hostname: 'vm', kdf: 'scrypt', N: 32_768, r: 8, p: 6 })
    expect(file.created.nanoseconds).toBe(542_645_782)
    expect([file.salt.length, file.data.length]).toEqual([64, 160])
    expect(encodeKeyFile(file)).toEqual(bytesOf(json))
  })

  it('comes back as it was', () => {
    const keyFile: fc.Arbitrary<KeyFile> = fc.record({
      created: time,
      username: plainText,
      hostname: plainText,
      kdf: fc.constantFrom('scrypt', 'argon2'),
      N: uint32,
      r: uint32,
      p: uint32,
      salt: fc.uint8Array({ minLength: 64, maxLength: 64 }),
      data: fc.uint8Array(),
    })
    fc.assert(
      fc.property(keyFile, (value) => {
        expect(parseKeyFile(encodeKeyFile(value))).toEqual(value)
      }),
      propertyRuns(),
    )
  })

  it.each([
    '{"N":-1}',
    '{"N":1.5}',
    '{"N":9007199254740993}',
    '{"salt":"A"}',
    '{"data":[]}',
    '{"created":"now"}',
    '[]',
  ])('%s is damaged', (text) => {
    expect(() => parseKeyFile(bytesOf(text))).toThrow(CorruptDataError)
  })
})

describe('master key', () => {
  it('is that of the specification', () => {
    const key = { encrypt: counting(0, 32), k: counting(32, 16), r: counting(48, 16) }
    expect(parseMasterKey(bytesOf(MASTER_KEY))).toEqual(key)
    expect(encodeMasterKey(key)).toEqual(bytesOf(MASTER_KEY))
  })

  it.each([
    '{}',
    MASTER_KEY.replace('"mac"', '"Mac"'),
    MASTER_KEY.replace('ICEi', ''),
    MASTER_KEY.replace('AAEC', 'AAECAAEC'),
    MASTER_KEY.replace('MDEy', '!DEy'),
    MASTER_KEY.replace('"encrypt":', '"encrypt":null,"x":'),
  ])('%s is damaged', (text) => {
    expect(() => parseMasterKey(bytesOf(text))).toThrow(CorruptDataError)
  })
})
