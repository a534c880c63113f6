import fc from 'fast-check'
import { expect, it } from 'vitest'
import { decodeRawName } from '../../../src/repo/format/raw-name.ts'
import { nativePath } from '../../../src/repo/ops/native-path.ts'
import { propertyRuns } from '../../support/real-restic.ts'

it.each(['/a/b', '/ünïcode/\u{1f600}', '\ufffd', ''])('%j is itself', (path) => {
  expect(nativePath(path)).toBe(path)
})

it('a path that is not UTF-8 becomes its bytes', () => {
  expect(nativePath('/a\udcff/\udc80é')).toEqual(Buffer.from([0x2f, 0x61, 0xff, 0x2f, 0x80, 0xc3, 0xa9]))
})

it('stands for the same bytes whatever they are', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(Buffer.from(nativePath(decodeRawName(bytes))).equals(bytes)).toBe(true)
    }),
    propertyRuns(100),
  )
})
