import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CorruptDataError } from '../../src/errors.ts'
import { idFromBytes } from '../../src/repo/format/id.ts'
import { encodeIndexFile, scanIndexFile } from '../../src/repo/format/index-file.ts'
import { copyColumns, PackColumns, TREE_BIT, type Columns } from '../../src/repo/pack-columns.ts'
import { id, packedBlobs } from './format/arbitraries.ts'

const ID = new Uint8Array(32).fill(7)

/** The offsets of a pack's blobs. */
function offsetsOf({ lengths, firstRows, irregularOffsets }: Columns, pack: number): number[] {
  const rows = lengths.subarray(firstRows[pack], firstRows[pack + 1])
  let end = 0
  return Array.from(rows, (length, i) => {
    const start = irregularOffsets.get(pack)?.[i] ?? end
    end = start + (length % TREE_BIT)
    return start
  })
}

describe('columns of packs', () => {
  it('hold the blobs of each pack by offset, in runs or one by one', () => {
    const anyBlobs = packedBlobs.chain((blobs) => fc.shuffledSubarray(blobs))
    const packs = fc.array(fc.record({ id, blobs: anyBlobs }), { maxLength: 5 })
    fc.assert(
      fc.property(packs, (list) => {
        const json = encodeIndexFile(list)
        const inRuns = new PackColumns()
        scanIndexFile(json, inRuns)
        const oneByOne = new PackColumns()
        scanIndexFile(json, {
          pack: (packId) => oneByOne.pack(packId),
          blob: (...blob) => oneByOne.blob(...blob),
        })
        const columns = inRuns.finish()
        expect(columns).toEqual(oneByOne.finish())
        for (const [pack, { blobs }] of list.entries()) {
          const sorted = blobs.toSorted((a, b) => a.offset - b.offset)
          expect(offsetsOf(columns, pack)).toEqual(sorted.map(({ offset }) => offset))
          const first = columns.firstRows[pack]!
          expect(
            sorted.map((_, i) => idFromBytes(columns.ids.subarray(32 * (first + i), 32 * (first + i + 1)))),
          ).toEqual(sorted.map((blob) => blob.id))
          expect([...columns.uncompressedLengths.subarray(first, first + blobs.length)]).toEqual(
            sorted.map((blob) => blob.uncompressedLength),
          )
        }
      }),
    )
  })

  it('keep blobs that claim the same place in the order they came', () => {
    const columns = new PackColumns()
    columns.pack(ID)
    for (const [i, offset] of [90, 50, 90, 50].entries()) columns.blob(ID, 0, offset, 40 + i, 0)
    expect([...columns.finish().lengths]).toEqual([41, 43, 40, 42])
  })

  it('can be copied to memory of their own, and used again', () => {
    const columns = new PackColumns()
    columns.pack(ID)
    columns.blob(ID, 1, 5, 40, 7)
    const copy = copyColumns(columns.finish())
    expect(copy).toEqual(columns.finish())
    expect(
      new Set(
        [copy.ids, copy.lengths, copy.uncompressedLengths, copy.packIds, copy.firstRows].map(
          ({ buffer }) => buffer,
        ),
      ).size,
    ).toBe(1)
    columns.clear()
    columns.pack(new Uint8Array(32))
    expect(columns.finish().lengths).toHaveLength(0)
    expect([...copy.lengths]).toEqual([40 + TREE_BIT])
    expect(copy.packIds).toEqual(ID)
  })

  it.each([31, 2 ** 31, 2 ** 32 - 1])('refuse a blob of %i bytes', (length) => {
    const columns = new PackColumns()
    columns.pack(ID)
    expect(() => columns.blob(ID, 0, 0, length, 0)).toThrow(CorruptDataError)
  })
})
