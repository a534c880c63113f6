import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CorruptDataError } from '../../../src/errors.ts'
import { encodeJson, encodeJsonString, parseJson } from '../../../src/repo/format/json.ts'
import { propertyRuns } from '../../support/real-restic.ts'
import { jsonValue, plainText } from './arbitraries.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const parse = (text: string): unknown => parseJson(bytesOf(text))

function isRead(read: () => unknown): boolean {
  try {
    return read() !== undefined
  } catch {
    return false
  }
}

/** JSON.parse, but without the infinities it makes of numbers out of range. */
const parseFinite = (text: string): unknown =>
  JSON.parse(text, (_, value: unknown) => {
    if (typeof value === 'number' && !Number.isFinite(value)) throw new RangeError(text)
    return value
  })

/** What JSON.parse would have made of it. */
const narrowed = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, member: unknown) => (typeof member === 'bigint' ? Number(member) : member)),
  )

describe('JSON', () => {
  it('goes from values to bytes and back', () => {
    fc.assert(
      fc.property(jsonValue, (value) => {
        expect(parse(encodeJson(value))).toEqual(value)
      }),
      propertyRuns(100),
    )
  })

  it('is what JSON.parse reads, white space or not', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(undefined, 2, '\t\r\n '), (text, indent) => {
        const value: unknown = JSON.parse(text)
        expect(narrowed(parse(JSON.stringify(value, null, indent)))).toEqual(value)
      }),
      propertyRuns(100),
    )
  })

  it('refuses what JSON.parse refuses', () => {
    const piece = fc.constantFrom(
      ...'{ } [ ] " , : / u 0 1 9 - + . e E \n'.split(' '),
      ' ',
      '\\',
      '""',
      'null',
      'true',
      '"a":',
      '\\u00',
      '\\"',
      '0.5',
      '[]',
      '{}',
    )
    const nearly = fc.oneof(
      fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join('')),
      fc.tuple(fc.json({ maxDepth: 2 }), fc.nat(), fc.nat(3), piece).map(([text, at, removed, inserted]) => {
        const position = at % (text.length + 1)
        return text.slice(0, position) + inserted + text.slice(position + removed)
      }),
    )
    fc.assert(
      fc.property(nearly, (text) => {
        expect(isRead(() => parse(text))).toBe(isRead(() => parseFinite(text)))
      }),
      propertyRuns(2000, 100_000),
    )
  })

  it('keeps integers that a double does not hold', () => {
    expect(parse('[18446744073709551615,9007199254740993,-9007199254740993,9007199254740991]')).toEqual([
      18446744073709551615n,
      9007199254740993n,
      -9007199254740993n,
      9007199254740991,
    ])
    expect(encodeJson([18446744073709551615n])).toBe('[18446744073709551615]')
  })

  it('gives no key a meaning of its own', () => {
    const value = parse('{"__proto__":{"polluted":1},"constructor":2}')
    expect(Object.getPrototypeOf(value)).toBeNull()
    expect(Object.entries(value ?? {})).toEqual([
      ['__proto__', { polluted: 1 }],
      ['constructor', 2],
    ])
    expect('polluted' in {}).toBe(false)
  })

  it('reads broken strings as Go does', () => {
    expect(parse(String.raw`"\ud83d\ude00 \ud83d \ude00 \/"`)).toBe('😀 \ufffd \ufffd /')
    expect(parseJson(Uint8Array.of(0x22, 0x61, 0xff, 0x62, 0x22))).toBe('a\ufffdb')
    expect(parse('{"a":1,"a":2}')).toEqual({ a: 2 })
  })

  it.each([
    '',
    ' ',
    '{',
    '[1',
    '[1,]',
    '[,1]',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{,}',
    '{a:1}',
    "'a'",
    '"a',
    '"\n"',
    String.raw`"\x"`,
    String.raw`"\u12g4"`,
    String.raw`"\u12`,
    '"\\',
    '01',
    '-',
    '-01',
    '1.',
    '.5',
    '1e',
    '1e+',
    '+1',
    '1e999',
    'nul',
    'nulll',
    'True',
    'NaN',
    '1 2',
    '[]]',
    '\ufeff1',
  ])('refuses %j', (text) => {
    expect(() => parse(text)).toThrow(CorruptDataError)
  })

  it('refuses nesting that could exhaust the stack', () => {
    expect(parse('['.repeat(200) + ']'.repeat(200))).toBeDefined()
    for (const open of ['[', '{"a":', '[{"a":']) expect(() => parse(open.repeat(100_000))).toThrow(/nesting/)
  })
})

describe('JSON strings', () => {
  it.each([
    ['plain é 😀 \u007f\u0085', '"plain é 😀 \u007f\u0085"'],
    ['"\\/', String.raw`"\"\\/"`],
    ['\b\f\n\r\t\u0000\u0001\u001f', String.raw`"\b\f\n\r\t\u0000\u0001\u001f"`],
    ['<a & b>', String.raw`"\u003ca \u0026 b\u003e"`],
    ['\u2027\u2028\u2029', '"\u2027\\u2028\\u2029"'],
    ['a\udcff\ud800b\ufffd', '"a\\ufffd\\ufffdb\ufffd"'],
  ])('of %j are escaped as by Go', (text, json) => {
    expect(encodeJsonString(text)).toBe(json)
  })

  it('are read back by any JSON parser', () => {
    fc.assert(
      fc.property(plainText, (text) => {
        expect(JSON.parse(encodeJsonString(text))).toBe(text)
      }),
      propertyRuns(100),
    )
  })
})
