/** Sizes, times, durations, tables, JSON and names, down to the letter. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  formatBytes,
  formatFixed,
  formatGoDuration,
  formatGoTime,
  formatPercent,
  formatSeconds,
  toJson,
} from '../../src/cli/format.ts'
import { indentJson } from '../../src/cli/indent-json.ts'
import { displayWidth, quoteUnprintable, safeText, truncate } from '../../src/cli/safe-text.ts'
import { parseGoDuration } from '../../src/cli/settings.ts'
import { splitCommand } from '../../src/cli/split-command.ts'
import { formatTable } from '../../src/cli/table.ts'
import { decodeText, trimSpace } from '../../src/cli/text-file.ts'
import { parseTime } from '../../src/repo/format/time.ts'

it.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.000 KiB'],
  [1536, '1.500 KiB'],
  [2 ** 20 - 1, '1023.999 KiB'],
  [2 ** 20, '1.000 MiB'],
  [2 ** 30, '1.000 GiB'],
  [2 ** 40, '1.000 TiB'],
  [2 ** 50, '1024.000 TiB'],
  [1088, '1.062 KiB'],
  [201_792, '197.062 KiB'],
  [201_856, '197.125 KiB'],
  [1216, '1.188 KiB'],
])('%i bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text)
})

it('rounds to the even one where two are as near, and else to the nearer, as whole numbers show', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -(2 ** 30), max: 2 ** 30 }),
      fc.integer({ min: 0, max: 8 }),
      fc.integer({ min: 0, max: 6 }),
      (numerator, bits, digits) => {
        const scaled = BigInt(Math.abs(numerator)) * 10n ** BigInt(digits)
        const unit = 2n ** BigInt(bits)
        const twice = 2n * (scaled % unit)
        const down = scaled / unit
        const isUp = twice > unit || (twice === unit && down % 2n === 1n)
        const figures = String(isUp ? down + 1n : down).padStart(digits + 1, '0')
        const whole = figures.slice(0, figures.length - digits)
        const expected = digits === 0 ? whole : `${whole}.${figures.slice(-digits)}`
        expect(formatFixed(numerator / 2 ** bits, digits)).toBe((numerator < 0 ? '-' : '') + expected)
      },
    ),
    { numRuns: 20_000 },
  )
})

it.each([
  [0, '0:00'],
  [59.9, '0:59'],
  [60, '1:00'],
  [3599, '59:59'],
  [3600, '1:00:00'],
  [36_061, '10:01:01'],
  [-1, '0:00'],
])('%d seconds are %s', (seconds, text) => {
  expect(formatSeconds(seconds)).toBe(text)
})

it.each([
  [0, '0s'],
  [0.4, '0s'],
  [12, '12ms'],
  [1500, '1.5s'],
  [60_000, '1m0s'],
  [120_250, '2m0.25s'],
  [3_723_004, '1h2m3.004s'],
])('%d ms are %s in Go', (ms, text) => {
  expect(formatGoDuration(ms)).toBe(text)
})

it.each([
  [0, 0, ''],
  [1, 3, '33.33%'],
  [5, 4, '100.00%'],
])('%i of %i are "%s"', (done, total, text) => {
  expect(formatPercent(done, total)).toBe(text)
})

it.each([
  ['2026-11-23T02:46:26.772334931Z', '2026-11-23 02:46:26.772334931 +0000 UTC'],
  ['2024-01-01T10:00:00.5+05:30', '2024-01-01 10:00:00.5 +0530 +0530'],
  ['2024-01-01T10:00:00-03:00', '2024-01-01 10:00:00 -0300 -0300'],
])('%s is %s in Go', (time, text) => {
  expect(formatGoTime(parseTime(time))).toBe(text)
})

it.each([
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['1.5s', 1500],
  ['.5s', 500],
  ['250ms', 250],
  ['0', 0],
  ['+1m', 60_000],
])('the duration %s is %i ms', (text, ms) => {
  expect(parseGoDuration(text)).toBe(ms)
})

it.each(['', '5', 'm', '5 m', '-5m', '5m!', 'x5m', '1d'])('the duration "%s" is none', (text) => {
  expect(() => parseGoDuration(text)).toThrow(/^invalid duration/)
})

describe('JSON', () => {
  it('has the escapes of Go', () => {
    expect(toJson({ a: '<&>\u2028\u2029"é\ud800', b: [1, null] })).toBe(
      String.raw`{"a":"\u003c\u0026\u003e\u2028\u2029\"é�","b":[1,null]}`,
    )
  })

  it('laid out is what it was, number for number', () => {
    const json = '{"a":18446744073709551615,"b":[],"c":{},"d":["x{,}:\\"[]",{"e":-1.5e3}],"f":null}'
    expect(indentJson(Buffer.from(json))).toBe(
      [
        '{',
        '  "a": 18446744073709551615,',
        '  "b": [],',
        '  "c": {},',
        '  "d": [',
        '    "x{,}:\\"[]",',
        '    {',
        '      "e": -1.5e3',
        '    }',
        '  ],',
        '  "f": null',
        '}',
        '',
      ].join('\n'),
    )
  })

  it('laid out is what JSON.stringify lays out', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const json = JSON.stringify(value)
        expect(indentJson(Buffer.from(json))).toBe(`${JSON.stringify(value, undefined, 2)}\n`)
      }),
    )
  })
})

describe('names', () => {
  it.each([
    ['plain name/with.dots', 'plain name/with.dots'],
    ['größe 日本 😀', 'größe 日本 😀'],
    ['/a/b\nc', String.raw`"/a/b\nc"`],
    ['tab\there', String.raw`"tab\there"`],
    ['\u001b[31m', String.raw`"\x1b[31m"`],
    ['caf\udce9', String.raw`"caf\xe9"`],
    ['/größe/\u0085', String.raw`"/größe/\u0085"`],
    ['right\u202eleft', String.raw`"right\u202eleft"`],
    ['was not UTF-8: \ufffd', '"was not UTF-8: \ufffd"'],
  ])('%j is shown as %s', (name, shown) => {
    expect(quoteUnprintable(name)).toBe(shown)
  })

  it('never let a control character through', () => {
    const text = fc.string({ unit: 'binary' })
    fc.assert(
      fc.property(text, (name) => {
        expect(quoteUnprintable(name)).not.toMatch(/\p{Cc}|\p{Cs}/u)
        expect(safeText(name).replaceAll('\n', '')).not.toMatch(/\p{Cc}|\p{Cs}/u)
      }),
    )
  })

  it('have a width', () => {
    expect(displayWidth('ascii')).toBe(5)
    expect(displayWidth('größe')).toBe(5)
    expect(displayWidth('日本')).toBe(4)
    expect(displayWidth('e\u0301')).toBe(1)
    expect(truncate('日本語', 5)).toBe('日本')
    expect(truncate('abc', 3)).toBe('abc')
    expect(truncate('abc', 0)).toBe('')
  })
})

it('a table has columns as wide as their widest cell', () => {
  const columns = [
    { title: 'Name', cell: (row: string[]) => [row[0]!] },
    { title: 'X', minWidth: 3, cell: (row: string[]) => row.slice(1) },
    { title: 'End', cell: () => ['e'] },
  ]
  const rows = [
    ['日本語', 'a', 'bbbb'],
    ['b', ''],
  ]
  expect(formatTable(columns, rows, { footer: ['2 rows'], blankBetweenRows: true })).toBe(
    [
      'Name    X     End',
      '-----------------',
      '日本語  a     e',
      '        bbbb',
      '',
      'b             e',
      '-----------------',
      '2 rows',
      '',
    ].join('\n'),
  )
  expect(formatTable(columns, [])).toBe('Name  X    End\n--------------\n--------------\n')
})

describe('a command is split into words', () => {
  it.each([
    ['pass show backup', ['pass', 'show', 'backup']],
    ['  a\t b\n', ['a', 'b']],
    [`sh -c 'echo "x y"'`, ['sh', '-c', 'echo "x y"']],
    [`"a b" c`, ['a b', 'c']],
    [String.raw`"a \" b"`, [String.raw`a \" b`]],
    [`a''b`, ['a', 'b']],
  ])('%j', (text, words) => {
    expect(splitCommand(text)).toEqual(words)
  })

  it.each([
    [`'open`, 'single-quoted string not terminated'],
    [`"open`, 'double-quoted string not terminated'],
    [' ', 'command string is empty'],
  ])('but not %j', (text, message) => {
    expect(() => splitCommand(text)).toThrow(message)
  })
})

it.each([
  ['\ufeff text \n', 'text'],
  ['\u0085\u3000text\u00a0', 'text'],
  ['in  side', 'in  side'],
  ['', ''],
])('%j is the text %j', (raw, text) => {
  expect(trimSpace(decodeText(Buffer.from(raw)))).toBe(text)
})
