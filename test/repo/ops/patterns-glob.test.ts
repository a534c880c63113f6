import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileGlob, globMatches, toByteString } from '../../../src/repo/ops/patterns-glob.ts'

function matches(pattern: string, name: string): boolean | 'malformed' {
  const glob = compileGlob(toByteString(pattern))
  return glob === undefined ? 'malformed' : globMatches(glob, toByteString(name))
}

/** Outcomes of Go's filepath.Match for names without a slash. */
const CASES: readonly (readonly [pattern: string, name: string, outcome: boolean | 'malformed'])[] = [
  ['', '', true],
  ['', 'a', false],
  ['abc', 'abc', true],
  ['abc', 'ab', false],
  ['*', '', true],
  ['*', 'abc', true],
  ['*c', 'abc', true],
  ['a*', 'a', true],
  ['a*', 'abc', true],
  ['a**', 'abc', true],
  ['*a*b*', 'xaxbx', true],
  ['a*b*c*d*e*', 'axbxcxdxe', true],
  ['a*b*c*d*e*', 'axbxcxdxexxx', true],
  ['a*b?c*x', 'abxbbxdbxebxczzx', true],
  ['a*b?c*x', 'abxbbxdbxebxczzy', false],
  ['ab[c]', 'abc', true],
  ['ab[b-d]', 'abc', true],
  ['ab[e-g]', 'abc', false],
  ['ab[^c]', 'abc', false],
  ['ab[^b-d]', 'abc', false],
  ['ab[^e-g]', 'abc', true],
  ['ab[!c]', 'abc', true],
  ['ab[!e]', 'abc', false],
  ['a\\*b', 'a*b', true],
  ['a\\*b', 'ab', false],
  ['a?b', 'a☺b', true],
  ['a[^a]b', 'a☺b', true],
  ['a???b', 'a☺b', false],
  ['a[^a][^a][^a]b', 'a☺b', false],
  ['[a-ζ]*', 'α', true],
  ['*[a-ζ]', 'A', false],
  ['[\\]a]', ']', true],
  ['[\\-]', '-', true],
  ['[x\\-]', 'x', true],
  ['[x\\-]', '-', true],
  ['[x\\-]', 'z', false],
  ['[\\-x]', 'a', false],
  ['[b-a]', 'b', false],
  ['*x', 'xxx', true],
  ['[', 'a', 'malformed'],
  ['[]a]', 'a', 'malformed'],
  ['[]', 'a', 'malformed'],
  ['[^]a]', 'a', 'malformed'],
  ['[-]', '-', 'malformed'],
  ['[x-]', 'x', 'malformed'],
  ['[-x]', 'x', 'malformed'],
  ['[a-b-c]', 'a', 'malformed'],
  ['\\', 'a', 'malformed'],
  ['[^', 'a', 'malformed'],
  ['[^bc', 'a', 'malformed'],
  ['a[', 'a', 'malformed'],
  ['a[', 'ab', 'malformed'],
  ['a[', 'x', 'malformed'],
  ['a*[b', 'x', 'malformed'],
  ['b*[a', 'b', 'malformed'],
  ['[a*', 'a', 'malformed'],
  ['a]', 'a]', true],
  // Go's `*` counts bytes, so what follows it may begin in the middle of a character.
  ['*??', '日', true],
  ['*???', '日', false],
  ['??', '日', false],
  // A byte that is not UTF-8 is U+FFFD to a class and one character to `?`.
  ['a?', 'a\udcff', true],
  ['[\ufffd]', '\udcff', true],
  ['[^a]', '\udcff', true],
  ['[\udcff]', '\udcff', 'malformed'],
  ['\udcff', '\udcff', true],
  ['\udcff', '\udcfe', false],
]

describe('globMatches', () => {
  it.each(CASES)('%j against %j: %s', (pattern, name, outcome) => {
    expect(matches(pattern, name)).toBe(outcome)
  })

  it('matches a name whose every special character is escaped', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (name) => {
        fc.pre(!name.includes('/'))
        expect(matches(name.replace(/[\\[\]*?^-]/g, '\\$&'), name)).toBe(true)
      }),
    )
  })

  it('matches a name with any part of it replaced by a star', () => {
    const parts = fc.tuple(
      fc.stringMatching(/^[a-cé]*$/),
      fc.string({ maxLength: 5 }),
      fc.stringMatching(/^[a-cé]*$/),
    )
    fc.assert(
      fc.property(parts, ([head, middle, tail]) => {
        expect(matches(`${head}*${tail}`, head + middle + tail)).toBe(true)
      }),
    )
  })
})
