import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  compareRawNames,
  decodeRawName,
  encodeRawName,
  isSafeNodeName,
  isWellFormedName,
} from '../../../src/repo/format/raw-name.ts'
import { propertyRuns } from '../../support/real-restic.ts'
import { rawBytes } from './arbitraries.ts'

const bytesOf = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes)

describe('raw names', () => {
  it('carry any bytes through a string', () => {
    fc.assert(
      fc.property(rawBytes, (bytes) => {
        expect(encodeRawName(decodeRawName(bytes))).toEqual(bytes)
      }),
      propertyRuns(200, 20_000),
    )
  })

  it('are plain UTF-8 where the bytes are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const bytes = new TextEncoder().encode(text)
        expect(decodeRawName(bytes)).toBe(text)
        expect(encodeRawName(text)).toEqual(bytes)
        expect(isWellFormedName(text)).toBe(true)
      }),
      propertyRuns(),
    )
  })

  it.each([
    ['a byte alone', bytesOf(0x61, 0xff), 'a\udcff'],
    ['an encoded surrogate, byte by byte', bytesOf(0xed, 0xa0, 0x80), '\udced\udca0\udc80'],
    ['an overlong form', bytesOf(0xc0, 0xaf), '\udcc0\udcaf'],
    ['an overlong form of three bytes', bytesOf(0xe0, 0x9f, 0xbf), '\udce0\udc9f\udcbf'],
    ['what lies above U+10FFFF', bytesOf(0xf4, 0x90, 0x80, 0x80), '\udcf4\udc90\udc80\udc80'],
    ['a sequence cut short', bytesOf(0xe2, 0x82, 0x41), '\udce2\udc82A'],
    ['a sequence cut short by the end', bytesOf(0xf0, 0x9f, 0x98), '\udcf0\udc9f\udc98'],
    ['damage next to a genuine U+FFFD', bytesOf(0xef, 0xbf, 0xbd, 0x80), '\ufffd\udc80'],
    ['a byte order mark, which is kept', bytesOf(0xef, 0xbb, 0xbf, 0x61), '\ufeffa'],
  ])('decode %s', (_, bytes, name) => {
    expect(decodeRawName(bytes)).toBe(name)
    expect(encodeRawName(name)).toEqual(bytes)
  })

  it('take surrogates that stand for no byte as U+FFFD', () => {
    expect(encodeRawName('a\ud800b\udc00\udcff')).toEqual(
      bytesOf(0x61, 0xef, 0xbf, 0xbd, 0x62, 0xef, 0xbf, 0xbd, 0xff),
    )
    expect(isWellFormedName('a\udcff')).toBe(false)
    expect(isWellFormedName('\u{1f600}')).toBe(true)
  })

  it('compare as their bytes do', () => {
    const prefixed = fc
      .tuple(rawBytes, rawBytes, rawBytes)
      .map(([head, a, b]) => [Uint8Array.from([...head, ...a]), Uint8Array.from([...head, ...b])])
    fc.assert(
      fc.property(prefixed, ([a, b]) => {
        expect(Math.sign(compareRawNames(decodeRawName(a!), decodeRawName(b!)))).toBe(Buffer.compare(a!, b!))
      }),
      propertyRuns(200, 20_000),
    )
  })

  it('compare otherwise than UTF-16 where that differs', () => {
    expect(compareRawNames('\u{10000}', '\uffff')).toBeGreaterThan(0)
    expect(compareRawNames('\u{1f600}', '\u{1f601}')).toBeLessThan(0)
    expect(compareRawNames('a\udc80', 'aé')).toBeLessThan(0)
    expect(compareRawNames('a', 'a')).toBe(0)
    expect(compareRawNames('a', 'a ')).toBeLessThan(0)
  })

  it('are safe as components of a path or not', () => {
    for (const name of ['', '.', '..', 'a/b', '/', 'a\0']) expect(isSafeNodeName(name)).toBe(false)
    for (const name of ['...', '.a', 'a.', ' ', '\\', 'é\udcff']) expect(isSafeNodeName(name)).toBe(true)
  })
})
