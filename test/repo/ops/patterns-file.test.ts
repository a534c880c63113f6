import { describe, expect, it } from 'vitest'
import { parsePatternFile } from '../../../src/repo/ops/patterns-file.ts'

const ENVIRONMENT = { HOME: '/home/u', X1: 'one', '1': 'digit', EMPTY: '' }

function parse(text: string): string[] {
  return parsePatternFile(new TextEncoder().encode(text), ENVIRONMENT)
}

describe('parsePatternFile', () => {
  it('trims lines and leaves out comments and empty ones', () => {
    expect(parse('\n  *.o \r\n# comment\n   #another\n\u00a0a b\u3000\n!keep#this')).toEqual([
      '*.o',
      'a b',
      '!keep#this',
    ])
  })

  it.each([
    ['$HOME/x', '/home/u/x'],
    ['${HOME}x', '/home/ux'],
    ['$X1$X1', 'oneone'],
    ['$12', 'digit2'],
    ['$$HOME', '$HOME'],
    ['${$}x', '$x'],
    ['a$NOTSET/b', 'a/b'],
    ['a${NOT SET}b', 'ab'],
    ['a$', 'a$'],
    ['a$/b', 'a$/b'],
    ['a${}b', 'ab'],
    ['a${b', 'ab'],
    ['$EMPTY', ''],
    ['$constructor', ''],
    ['$HOME_x', ''],
  ])('expands %j to %j', (line, pattern) => {
    expect(parse(line)).toEqual([pattern])
  })

  it('follows a byte order mark', () => {
    const utf16 = [0x2a, 0xe4].flatMap((unit) => [unit, 0])
    expect(parsePatternFile(Uint8Array.of(0xff, 0xfe, ...utf16), {})).toEqual(['*ä'])
    expect(parsePatternFile(Uint8Array.of(0xfe, 0xff, 0, ...utf16.slice(0, -1)), {})).toEqual(['*ä'])
    expect(parsePatternFile(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61), {})).toEqual(['a'])
  })

  it('keeps bytes that are not UTF-8', () => {
    expect(parsePatternFile(Uint8Array.of(0x61, 0xff), {})).toEqual(['a\udcff'])
  })
})
