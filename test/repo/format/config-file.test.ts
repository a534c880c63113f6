import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CorruptDataError, UnsupportedError } from '../../../src/errors.ts'
import { encodeConfig, parseConfig } from '../../../src/repo/format/config-file.ts'
import { propertyRuns } from '../../support/real-restic.ts'
import { id } from './arbitraries.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const ID = 'ab'.repeat(32)
const VECTOR = `{"version":2,"id":"${ID}","chunker_polynomial":"3da3358b4dc173"}`

describe('config file', () => {
  it('is that of the specification', () => {
    const config = { version: 2, id: ID, chunkerPolynomial: 0x3da3358b4dc173n } as const
    expect(parseConfig(bytesOf(VECTOR))).toEqual(config)
    expect(encodeConfig(config)).toEqual(bytesOf(VECTOR))
  })

  it('comes back as it was', () => {
    const config = fc.record({
      version: fc.constantFrom(1 as const, 2 as const),
      id,
      chunkerPolynomial: fc.bigInt({ min: 0n, max: 2n ** 54n }),
    })
    fc.assert(
      fc.property(config, (value) => {
        expect(parseConfig(encodeConfig(value))).toEqual(value)
      }),
      propertyRuns(),
    )
  })

  it('may have members this version does not know', () => {
    expect(parseConfig(bytesOf(VECTOR.replace('{', '{"new":[{"x":null}],'))).version).toBe(2)
  })

  it.each([0, 3, 4294967296])('of version %d is not supported', (version) => {
    expect(() => parseConfig(bytesOf(VECTOR.replace(':2', `:${version}`)))).toThrow(UnsupportedError)
  })

  it.each([
    '',
    '[]',
    '"config"',
    VECTOR.replace(':2', ':-1'),
    VECTOR.replace(':2', ':1.5'),
    VECTOR.replace(':2', ':"2"'),
    VECTOR.replace('ab', ''),
    VECTOR.replace(ID, '../x'),
    VECTOR.replace('3da', '0x3da'),
    VECTOR.replace('3da3358b4dc173', ''),
    VECTOR.replace('3da3358b4dc173', '10000000000000000'),
    `${VECTOR}x`,
  ])('%j is damaged', (text) => {
    expect(() => parseConfig(bytesOf(text))).toThrow(CorruptDataError)
  })
})
