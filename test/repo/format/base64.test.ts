import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeBase64, encodeBase64 } from '../../../src/repo/format/base64.ts'
import { propertyRuns } from '../../support/real-restic.ts'

describe('base64', () => {
  it('is that of Buffer, both ways', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const text = Buffer.from(bytes).toString('base64')
        expect(encodeBase64(bytes)).toBe(text)
        expect(decodeBase64(text)).toEqual(bytes)
      }),
      propertyRuns(100),
    )
  })

  it('is put together from chunks without seams', () => {
    for (const length of [0x6000, 0x6001, 0xc000, 0xc002]) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 151) ^ (i >>> 8))
      expect(encodeBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'))
    }
  })

  it('may have line breaks, as in Go', () => {
    expect(decodeBase64('YW\r\nJj\n')).toEqual(new TextEncoder().encode('abc'))
  })

  it.each([
    'Y',
    'YW',
    'YWI',
    'YQ=',
    '=',
    '====',
    'Y===',
    'YQ==YQ==',
    'YW J',
    'YWJ-',
    'YWJé',
    'Y=Jj',
    'YWJj\u0141',
  ])('refuses %j', (text) => {
    expect(decodeBase64(text)).toBeUndefined()
  })
})
