import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { Utf8Buffer } from '../../../src/repo/format/utf8-buffer.ts'
import { propertyRuns } from '../../support/real-restic.ts'

/** Short ones, and such as make the buffer flush and grow. */
const pieces = fc.array(
  fc.record({
    text: fc.string({ unit: fc.constantFrom('a', 'é', '\uffff', '\u{1f600}'), maxLength: 20 }),
    times: fc.constantFrom(1, 1, 3000),
    isEncoded: fc.boolean(),
  }),
)

it('holds all that was appended, as text or as bytes, in order', () => {
  fc.assert(
    fc.property(pieces, fc.constantFrom(undefined, 0, 100, 1 << 20), (list, expectedBytes) => {
      const buffer = new Utf8Buffer(expectedBytes)
      let expected = Buffer.alloc(0)
      expect(buffer.length()).toBe(0)
      for (const { text, times, isEncoded } of list) {
        const bytes = Buffer.from(text.repeat(times))
        if (isEncoded) buffer.appendBytes(bytes)
        else buffer.append(text.repeat(times))
        expected = Buffer.concat([expected, bytes])
        if (times === 1 && isEncoded) expect(buffer.length()).toBe(expected.length)
      }
      expect(Buffer.compare(buffer.toBytes(), expected)).toBe(0)
      expect(buffer.length()).toBe(expected.length)
      expect(Buffer.compare(buffer.take(), expected)).toBe(0)
    }),
    propertyRuns(100),
  )
})

it('gives copies, of just what there is', () => {
  const buffer = new Utf8Buffer()
  buffer.append('a')
  const bytes = buffer.toBytes()
  buffer.append('b')
  bytes.fill(0)
  expect(bytes.buffer.byteLength).toBe(1)
  expect(Buffer.from(buffer.toBytes()).toString()).toBe('ab')
})

it('gives the memory itself that was expected to be enough', () => {
  const buffer = new Utf8Buffer(3)
  buffer.appendBytes(Buffer.from('ab'))
  buffer.appendBytes(Buffer.from('c'))
  const bytes = buffer.take()
  expect(Buffer.from(bytes).toString()).toBe('abc')
  expect(bytes.buffer).toBe(buffer.take().buffer)
  expect(bytes.buffer.byteLength).toBe(3)
})

it('writes what is no character as U+FFFD', () => {
  const buffer = new Utf8Buffer()
  buffer.append('\udcff')
  expect(Buffer.from(buffer.toBytes()).toString()).toBe('\ufffd')
})
