import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CorruptDataError, InvalidInputError } from '../../../src/errors.ts'
import { parseId } from '../../../src/repo/format/id.ts'
import {
  encodePackHeader,
  headerEntrySize,
  packSize,
  parsePackHeader,
  type PackedBlob,
} from '../../../src/repo/format/pack-header.ts'
import { propertyRuns } from '../../support/real-restic.ts'
import { packedBlobs } from './arbitraries.ts'

/** Format spec §20.2. */
const PLAIN_ID = 'f2ca1bb6c7e907d06dafe4687e579fce76b37e4e93b7605022da52e6ccc26fd2'
const COMPRESSED_ID = '21abb2fb87fb07f5bdd21837b191963b226bcd5a8d8a49b97043e53d485528d1'
const HEADER = Buffer.from(`0025000000${PLAIN_ID}02350000000c000000${COMPRESSED_ID}`, 'hex')
const BLOBS: PackedBlob[] = [
  { type: 'data', id: parseId(PLAIN_ID), offset: 0, length: 37, uncompressedLength: 0 },
  { type: 'data', id: parseId(COMPRESSED_ID), offset: 37, length: 53, uncompressedLength: 12 },
]

describe('pack header', () => {
  it('is that of the specification', () => {
    expect(parsePackHeader(HEADER)).toEqual(BLOBS)
    expect(Buffer.from(encodePackHeader(BLOBS))).toEqual(HEADER)
    expect(BLOBS.map(headerEntrySize)).toEqual([37, 41])
    expect(packSize(BLOBS)).toBe(204)
    expect(packSize([])).toBe(36)
  })

  it('comes back as it was', () => {
    fc.assert(
      fc.property(packedBlobs, (blobs) => {
        expect(parsePackHeader(encodePackHeader(blobs))).toEqual(blobs)
      }),
      propertyRuns(),
    )
  })

  it('is read at any offset of its buffer', () => {
    const shifted = Buffer.concat([Buffer.alloc(3), HEADER]).subarray(3)
    expect(parsePackHeader(shifted)).toEqual(BLOBS)
  })

  it.each([
    ['cut short', HEADER.subarray(0, -1)],
    ['cut within the first entry', HEADER.subarray(0, 20)],
    ['of an unknown type', Buffer.concat([HEADER, Buffer.alloc(37, 4)])],
    ['with a blob shorter than its seal', Buffer.concat([Buffer.from([0, 31, 0, 0, 0]), Buffer.alloc(32)])],
    ['with compressed nothing', Buffer.concat([Buffer.from([2, 99, 0, 0, 0, 0, 0, 0, 0]), Buffer.alloc(32)])],
  ])('%s is damaged', (_, bytes) => {
    expect(() => parsePackHeader(bytes)).toThrow(CorruptDataError)
  })

  it('does not hold blobs of 4 GiB', () => {
    expect(() => encodePackHeader([{ ...BLOBS[0]!, length: 2 ** 32 }])).toThrow(InvalidInputError)
  })
})
