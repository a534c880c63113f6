import { expect, it } from 'vitest'
import { shellWords } from '../../src/backend/shell-words.ts'
import { InvalidInputError } from '../../src/errors.ts'

it.each([
  ['foo', ['foo']],
  ["'foo'", ['foo']],
  ['foo bar\tbaz', ['foo', 'bar', 'baz']],
  [" foo  'bar box' ", ['foo', 'bar box']],
  [`"bar 'box'" baz`, ["bar 'box'", 'baz']],
  [`'bar "box"' baz`, ['bar "box"', 'baz']],
  [String.raw`\"bar box baz`, ['"bar', 'box', 'baz']],
  [String.raw`'a\'b' c`, [String.raw`a\'b`, 'c']],
  [String.raw`a\ b`, ['a', 'b']],
  [`"bar/foo/x" "box baz"`, ['bar/foo/x', 'box baz']],
  [`a"b"c`, ['a', 'b', 'c']],
])('%s are the words restic makes of it', (text, words) => {
  expect(shellWords(text, 'sftp.command')).toEqual(words)
})

it.each(['', '  ', `""`, `foo'`, `foo"`, `foo 'bar`, `foo "bar`])('%j is refused', (text) => {
  expect(() => shellWords(text, 'sftp.command')).toThrow(InvalidInputError)
  expect(() => shellWords(text, 'sftp.command')).toThrow('sftp.command')
})
