import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../../src/errors.ts'
import {
  excludeMatcher,
  includeMatcher,
  matchPatterns,
  parsePatterns,
} from '../../../src/repo/ops/patterns.ts'

/** What restic 0.19.1 says of one pattern and one path. */
const MATCHES: readonly (readonly [pattern: string, path: string, matches: boolean])[] = [
  ['*.go', '/foo/bar/test.go', true],
  ['*.c', '/foo/bar/test.go', false],
  ['*', '/foo/bar/test.go', true],
  ['**', '/foo/bar/test.go', true],
  ['foo*', '/foo/bar/test.go', true],
  ['bar*', '/foo/bar/test.go', true],
  ['/bar*', '/foo/bar/test.go', false],
  ['bar/*', '/foo/bar/test.go', true],
  ['baz/*', '/foo/bar/test.go', false],
  ['bar/test.go', '/foo/bar/test.go', true],
  ['bar/*.go', '/foo/bar/test.go', true],
  ['ba*/*.go', '/foo/bar/test.go', true],
  ['bb*/*.go', '/foo/bar/test.go', false],
  ['test.*', '/foo/bar/test.go', true],
  ['tesT.*', '/foo/bar/test.go', false],
  ['bar', '/foo/bar', true],
  ['/foo/bar', '/foo/bar', true],
  ['/foo/bar/', '/foo/bar', true],
  ['/foo/bar', '/foo/baz', false],
  ['/foo/bar', '/foo/baz/', false],
  ['/foo///bar', '/foo/bar', true],
  ['/foo/../bar', '/foo/bar', false],
  ['/foo/../bar', '/bar', true],
  ['/foo', '/foo/baz', true],
  ['/foo/', '/foo/baz', true],
  ['/foo/*', '/foo', false],
  ['/foo/*', '/foo/baz', true],
  ['bar', '/foo/bar/baz', true],
  ['/foo/*test.*', '/foo/bar/test.go', false],
  ['/foo/*/test.*', '/foo/bar/test.go', true],
  ['/foo/*/bar/test.*', '/foo/bar/test.go', false],
  ['/*/*/bar/test.*', '/foo/bar/baz/test.go', false],
  ['/*/*/baz/test.*', '/foo/bar/baz/test.go', true],
  ['/*/foo/bar/test.*', '/foo/bar/baz/test.go', false],
  ['/foo/bar/test.*', 'bar/baz/test.go', false],
  ['/x/y/bar/baz/test.c', 'bar/baz/test.go', false],
  ['baz/test.*', 'bar/baz/test.go', true],
  ['test.go', 'bar/baz/test.go', true],
  ['*.c', 'bar/baz/test.go', false],
  ['sdk', '/foo/bar/sdk/test/sdk_foo.go', true],
  ['sdk/*/cpp/*/*vars*.html', '/usr/share/doc/libreoffice/sdk/docs/cpp/ref/a00517.html', false],
  ['foo/**/bar/*.go', '/home/user/foo/work/special/project/bar/test.go', true],
  ['foo/**/bar/*.go', '/home/user/foo/bar/test.go', true],
  ['foo/**/bar/*.go', 'foo/bar/test.go', true],
  ['foo/**/bar/*.go', 'foo/bar/baz/bar/test.go', true],
  ['foo/**/bar/*.go', '/home/user/foo/test.c', false],
  ['foo/**/bar/*.go', 'bar/foo/main.go', false],
  ['foo/**/bar/*.go', '/foo/bar/main.go', true],
  ['foo/**/bar/*.go', 'bar/main.go', false],
  ['foo/**/bar', '/home/user/foo/x/y/bar/main.go', true],
  ['foo/**/bar/**/x', '/home/user/foo/bar/x', true],
  ['foo/**/bar/**/x', '/home/user/foo/blaaa/blaz/bar/shared/work/x', true],
  ['user/**/important*', '/home/user/work/x/y/hidden/x', false],
  ['user/**/hidden*/**/c', '/home/user/work/x/y/hidden/z/a/b/c', true],
  ['c:/foo/*/test.*', 'c:/foo/bar/test.go', true],
  ['/', '/foo', true],
  ['/**', '/foo', true],
  ['foo/**', '/foo', true],
  // restic counts each `**` to come as a component when it bounds the one before.
  ['/a/**/b/**/c', '/a/b/c', false],
  ['/a/**/b/**/c', '/a/b/x/c', true],
  ['a/**/b/**/c', '/a/b/c', true],
  ['a/**/b/**/c', 'a/b/c', false],
  ['**/**/**/**', '/a', false],
]

/** Whether restic looks for matches below a path. */
const CHILDREN: readonly (readonly [pattern: string, path: string, may: boolean])[] = [
  ['foo/bar', '/foo', true],
  ['baz/bar', '/foo', true],
  ['foo', '/foo/bar', true],
  ['*', '/foo/bar', true],
  ['/foo/bar', '/foo', true],
  ['/foo/bar/baz', '/foo', true],
  ['/foo/bar/baz', '/foo/bar', true],
  ['/foo/bar/baz', '/foo/baz', false],
  ['/foo/**/baz', '/foo/bar/baz/blah', true],
  ['/foo/**/qux', '/foo/bar/baz', true],
  ['/foo/**', '/foo/bar', true],
  ['foo/**/bar/**/x', '/home/user/foo', true],
  ['/foo/*/qux', '/foo/bar', true],
  ['/foo/*/qux', '/foo/bar/boo', false],
  ['/foo/*/qux', '/foo/bar/boo/xx', false],
  ['/baz/bar', '/foo', false],
  ['/foo', '/foo/bar', true],
  ['/*', '/foo/bar', true],
  ['/*/**', '/foo', true],
  ['/*/bar', '/foo', true],
  ['/bar/*', '/foo', false],
  ['/foo/*/baz', '/bar/baz', false],
  ['/**/bar', '/foo/bar', true],
]

const LISTS: readonly (readonly [
  patterns: string[],
  path: string,
  matches: boolean,
  childMayMatch: boolean,
])[] = [
  [[], '/foo/bar/test.go', false, false],
  [['*.go'], '/foo/bar/test.go', true, true],
  [['*.go'], '/foo/bar', false, true],
  [['*.go', '*.c'], '/foo/bar/test.go', true, true],
  [['?'], '/foo/bar/test.go', false, true],
  [['?', 'x'], '/foo/bar/x', true, true],
  [['/*/*/bar/test.*'], '/foo/bar/test.go', false, false],
  [['/*/*/bar/test.*'], '/foo/bar/bar', false, true],
  [['/*/*/bar/test.*', '*.go'], '/foo/bar/test.go', true, true],
  [['', '*.c'], '/foo/bar/test.go', false, true],
  [['!**', '*.go'], '/foo/bar/test.go', true, true],
  [['!**', '*.c'], '/foo/bar/test.go', false, true],
  [['/foo/*/test.*', '!*.c'], '/foo/bar/test.c', false, false],
  [['/foo/*/test.*', '!*.c'], '/foo/bar/test.go', true, true],
  [['/foo/*/*', '!test.*', '*.c'], '/foo/bar/test.go', false, true],
  [['/foo/*/*', '!test.*', '*.c'], '/foo/bar/test.c', true, true],
  [['/foo/*/*', '!test.*', '*.c'], '/foo/bar/file.go', true, true],
  [['/**/*', '!/foo', '/foo/*', '!/foo/bar'], '/foo/other/test.go', true, true],
  [['/**/*', '!/foo', '/foo/*', '!/foo/bar'], '/foo/bar', false, false],
  [['/**/*', '!/foo', '/foo/*', '!/foo/bar'], '/foo/bar/test.go/child', false, false],
  [['/**/*', '!/foo', '/foo/*', '!/foo/bar', '/foo/bar/test*'], '/foo/bar/test.go/child', true, true],
  [['/foo/bar/*'], '/foo', false, true],
  [['/foo/bar/*', '!/foo/bar/[a-m]*'], '/foo', false, true],
  [['/foo/**/test.c'], '/foo/bar/foo/bar/test.c', true, true],
  [['/foo/*/test.c'], '/foo/bar/foo/bar/test.c', false, false],
]

describe('matchPatterns', () => {
  it.each(MATCHES)('%j against %j: %s', (pattern, path, matches) => {
    expect(matchPatterns(parsePatterns([pattern]), path).matches).toBe(matches)
  })

  it.each(CHILDREN)('children: %j below %j: %s', (pattern, path, childMayMatch) => {
    expect(matchPatterns(parsePatterns([pattern]), path).childMayMatch).toBe(childMayMatch)
  })

  it.each(LISTS)('%j against %j: %s, children %s', (patterns, path, matches, childMayMatch) => {
    expect(matchPatterns(parsePatterns(patterns), path)).toEqual({ matches, childMayMatch })
  })

  it('refuses the empty path', () => {
    expect(() => matchPatterns(parsePatterns(['test']), '')).toThrow(InvalidInputError)
  })

  it('compares character by character without case where asked', () => {
    const list = parsePatterns(['*.JPG', 'STRASSE', 'ΣΟΦΟΣ', 'İ'], { caseInsensitive: true })
    const matched = ['/a.jpg', '/a.JpG', '/strasse', '/straße', '/σοφοσ', '/σοφος', '/i', '/I', '/a.jpgx']
    expect(matched.map((path) => matchPatterns(list, path).matches)).toEqual([
      true,
      true,
      true,
      false,
      true,
      false,
      true,
      true,
      false,
    ])
  })

  it('tells bytes apart that are not UTF-8', () => {
    const list = parsePatterns(['bad\udcff'])
    expect(matchPatterns(list, '/bad\udcff').matches).toBe(true)
    expect(matchPatterns(list, '/bad\udcfe').matches).toBe(false)
  })
})

describe('parsePatterns', () => {
  it('names every malformed pattern', () => {
    expect(() => parsePatterns(['ok', 'test/[', 'x', 'test/**/[^'])).toThrow(
      new InvalidInputError('invalid pattern(s) provided:\ntest/[\ntest/**/[^'),
    )
  })
})

describe('matchers', () => {
  it('exclude what any list matches and nothing below it again', () => {
    const exclude = excludeMatcher(
      parsePatterns(['*.o', '!keep.o']),
      parsePatterns(['*.TMP'], { caseInsensitive: true }),
    )
    expect(exclude('/a/b.o')).toEqual({ excluded: true, childMayMatch: false })
    expect(exclude('/a/keep.o')).toEqual({ excluded: false, childMayMatch: true })
    expect(exclude('/a/x.tmp').excluded).toBe(true)
    expect(excludeMatcher()('/a')).toEqual({ excluded: false, childMayMatch: true })
  })

  it('include what any list matches and lead the way there', () => {
    const include = includeMatcher(
      parsePatterns(['/a/b']),
      parsePatterns(['/C/*.txt'], { caseInsensitive: true }),
    )
    expect(include('/a')).toEqual({ included: false, childMayMatch: true })
    expect(include('/a/b/c')).toEqual({ included: true, childMayMatch: true })
    expect(include('/c/x.TXT').included).toBe(true)
    expect(include('/d')).toEqual({ included: false, childMayMatch: false })
  })
})
