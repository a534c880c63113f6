import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { quoteName, unquoteName } from '../../../src/repo/format/go-quote.ts'
import { encodeJsonString } from '../../../src/repo/format/json.ts'
import { isPrintableRune } from '../../../src/repo/format/printable-runes.ts'
import { decodeRawName } from '../../../src/repo/format/raw-name.ts'
import { propertyRuns } from '../../support/real-restic.ts'
import { rawBytes } from './arbitraries.ts'
import { fixtureLines, jsonAs } from './fixtures.ts'

describe('printable characters', () => {
  it('are those of Go, for every code point', () => {
    const expected = new Uint8Array(0x11_0000)
    for (const line of fixtureLines('go-isprint-unicode15.txt')) {
      const [first, last] = line.split('-').map((digits) => Number.parseInt(digits, 16))
      expected.fill(1, first, last! + 1)
    }
    expect(expected.reduce((sum, flag) => sum + flag, 0)).toBe(148_995)
    const wrong: number[] = []
    for (let codePoint = 0; codePoint < expected.length; codePoint++) {
      if (isPrintableRune(codePoint) !== (expected[codePoint] === 1)) wrong.push(codePoint)
    }
    expect(wrong).toEqual([])
  })
})

describe('quoted names', () => {
  it('are what restic 0.19.1 wrote', () => {
    const lines = fixtureLines('quoted-names.txt')
    expect(lines.length).toBe(859)
    for (const line of lines) {
      const [hex, json] = line.split('\t')
      const name = decodeRawName(Buffer.from(hex!, 'hex'))
      expect(encodeJsonString(quoteName(name))).toBe(json)
      expect(unquoteName(jsonAs<string>(json!))).toBe(name)
    }
  })

  it.each([
    ['quote"back\\slash', String.raw`quote\"back\\slash`],
    ['bad\udcff', String.raw`bad\xff`],
    ['\ta\u0007\b\f\n\r\v', String.raw`\ta\a\b\f\n\r\v`],
    ['\u0001\u007f\u0085', String.raw`\x01\x7f\u0085`],
    ['\u00a0\u00ad\u200b\u2028\ufeff\ue000', String.raw`\u00a0\u00ad\u200b\u2028\ufeff\ue000`],
    ['\u{f0000}\u{1f600}\u{10ffff}', String.raw`\U000f0000😀\U0010ffff`],
    ["é\ufffd<&>'", "é\ufffd<&>'"],
    ['\udced\udca0\udc80', String.raw`\xed\xa0\x80`],
  ])('of %j', (name, quoted) => {
    expect(quoteName(name)).toBe(quoted)
    expect(unquoteName(quoted)).toBe(name)
  })

  it('come back as they were', () => {
    fc.assert(
      fc.property(rawBytes, (bytes) => {
        const name = decodeRawName(bytes)
        expect(unquoteName(quoteName(name))).toBe(name)
      }),
      propertyRuns(200, 20_000),
    )
  })

  it('may spell bytes in other ways', () => {
    expect(unquoteName(String.raw`\101\377\xc3\xa9\u00e9\U0001F600`)).toBe('A\udcfféé😀')
    expect(unquoteName(String.raw`\xe2\x82A`)).toBe('\udce2\udc82A')
  })

  it.each([
    'a"b',
    'a\nb',
    'a\\',
    String.raw`\q`,
    String.raw`it\'s`,
    String.raw`\x1`,
    String.raw`\xg1`,
    String.raw`\400`,
    String.raw`\77`,
    String.raw`\u12`,
    String.raw`\ud800`,
    String.raw`\U00110000`,
    String.raw`\U0000dfff`,
  ])('are refused as Go refuses them: %j', (quoted) => {
    expect(unquoteName(quoted)).toBeUndefined()
  })
})
