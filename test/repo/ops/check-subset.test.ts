import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../../src/errors.ts'
import { BlobIndex } from '../../../src/repo/blob-index.ts'
import { parseId } from '../../../src/repo/format/id.ts'
import { parseReadDataSubset, selectPacks, type ReadDataSubset } from '../../../src/repo/ops/check-subset.ts'
import { seededRandom } from '../../support/sample-data.ts'

describe('parseReadDataSubset', () => {
  it.each<[string, ReadDataSubset]>([
    ['1/5', { part: 1, of: 5 }],
    ['256/256', { part: 256, of: 256 }],
    ['2.5%', { percent: 2.5 }],
    ['100%', { percent: 100 }],
    ['1000', { bytes: 1000 }],
    ['10K', { bytes: 10_240 }],
    ['3t', { bytes: 3 * 2 ** 40 }],
  ])('reads %j', (text, subset) => {
    expect(parseReadDataSubset(text)).toEqual(subset)
  })

  it.each([
    '',
    '0/5',
    '5/0',
    '6/5',
    '1/257',
    '1/2/3',
    '0%',
    '100.1%',
    '-5%',
    '%',
    'x%',
    ' %',
    '0',
    '-1',
    '1.5M',
    '10X',
    'M',
  ])('refuses %j', (text) => {
    expect(() => parseReadDataSubset(text)).toThrow(InvalidInputError)
  })
})

function sizeOf(): number {
  return 1000
}

describe('selectPacks', () => {
  const index = new BlobIndex()
  const packs = Array.from({ length: 500 }, (_, number) => number)
  for (const number of packs) {
    const id = parseId(
      ((number * 31) % 256).toString(16).padStart(2, '0') + number.toString(16).padStart(62, '0'),
    )
    index.addPack(id, [{ type: 'data', id, offset: 0, length: 100, uncompressedLength: 0 }])
  }

  it('parts packs by the first byte of their IDs, each into one part', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 256 }), (of) => {
        const parts = Array.from({ length: of }, (_, i) =>
          selectPacks(index, packs, { part: i + 1, of }, { sizeOf }),
        )
        expect(parts.flat().toSorted((a, b) => a - b)).toEqual(packs)
        for (const [i, part] of parts.entries()) {
          expect(part.every((pack) => Number.parseInt(index.packIdAt(pack).slice(0, 2), 16) % of === i)).toBe(
            true,
          )
        }
      }),
    )
  })

  it.each<[ReadDataSubset, number]>([
    [{ percent: 10 }, 50],
    [{ percent: 0.01 }, 1],
    [{ percent: 100 }, 500],
    [{ percent: 99.9 }, 499],
    [{ bytes: 50_500 }, 50],
    [{ bytes: 1 }, 1],
    [{ bytes: 1e12 }, 500],
  ])('draws as many as %j asks for: %i', (subset, count) => {
    const drawn = selectPacks(index, packs, subset, { sizeOf, random: seededRandom(1) })
    expect(drawn).toHaveLength(count)
    expect(new Set(drawn).size).toBe(count)
  })

  it('draws every pack some time', () => {
    const random = seededRandom(2)
    const drawn = new Set<number>()
    for (let run = 0; run < 200; run++) {
      for (const pack of selectPacks(index, packs, { percent: 10 }, { sizeOf, random })) drawn.add(pack)
    }
    expect(drawn.size).toBe(500)
  })

  it('has none of none', () => {
    expect(selectPacks(index, [], { percent: 10 }, { sizeOf })).toEqual([])
    expect(selectPacks(index, [], { bytes: 10 }, { sizeOf })).toEqual([])
  })
})
