import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BlobIndex } from '../../src/repo/blob-index.ts'
import { Bitmap } from '../../src/repo/bitmap.ts'
import { idFromBytes, parseId, type Id } from '../../src/repo/format/id.ts'
import { encodeIndexFile, scanIndexFile } from '../../src/repo/format/index-file.ts'
import type { PackedBlob } from '../../src/repo/format/pack-header.ts'
import { IdTable } from '../../src/repo/id-table.ts'
import { PackColumns } from '../../src/repo/pack-columns.ts'

const idArbitrary = fc.uint8Array({ minLength: 32, maxLength: 32 })

function id(byte: number): Id {
  return idFromBytes(new Uint8Array(32).fill(byte))
}

function blob(byte: number, offset: number, length: number, over: Partial<PackedBlob> = {}): PackedBlob {
  return { type: 'data', id: id(byte), offset, length, uncompressedLength: 0, ...over }
}

describe('IdTable', () => {
  it('finds every row it was given, equal IDs in the order they came, as a Map would', () => {
    fc.assert(
      fc.property(
        fc.array(idArbitrary, { maxLength: 3000 }),
        fc.array(fc.nat(), { maxLength: 50 }),
        (ids, again) => {
          const table = new IdTable()
          const model = new Map<string, number[]>()
          const all = [...ids, ...again.flatMap((i) => (ids.length > 0 ? [ids[i % ids.length]!] : []))]
          for (const bytes of all) {
            const key = idFromBytes(bytes)
            model.set(key, [...(model.get(key) ?? []), table.add(bytes)])
          }
          for (const bytes of all) {
            const rows: number[] = []
            for (let row = table.find(bytes); row >= 0; row = table.findNext(bytes, row)) rows.push(row)
            expect(rows).toEqual(model.get(idFromBytes(bytes)))
          }
          expect(table.find(new Uint8Array(32).fill(0xaa))).toBe(model.get(id(0xaa))?.[0] ?? -1)
        },
      ),
      { numRuns: 20 },
    )
  })

  it('grows over segment and slot limits', () => {
    const table = new IdTable()
    const bytes = new Uint8Array(32)
    const view = new DataView(bytes.buffer)
    for (let i = 0; i < 100_000; i++) {
      view.setUint32(0, Math.imul(i, 2654435761), true)
      view.setUint32(4, i, true)
      expect(table.add(bytes)).toBe(i)
    }
    for (let i = 0; i < 100_000; i += 997) {
      view.setUint32(0, Math.imul(i, 2654435761), true)
      view.setUint32(4, i, true)
      expect(table.find(bytes)).toBe(i)
      expect([...table.idAt(i)]).toEqual([...bytes])
    }
  })
})

describe('an IdTable of many rows added at once', () => {
  const COUNT = 200_000

  /** IDs that are spread as sums are, one in eight of them twice. */
  function manyIds(count: number): Uint8Array {
    const ids = new Uint8Array(32 * count)
    const view = new DataView(ids.buffer)
    for (let i = 0; i < count; i++) {
      const number = i % 8 === 7 ? i - 5 : i
      view.setUint32(32 * i, Math.imul(number, 2654435761))
      view.setUint32(32 * i + 4, number)
    }
    return ids
  }

  function expectAllFound(table: IdTable, ids: Uint8Array): void {
    let wrong = 0
    for (let i = 0; i < table.size; i++) {
      const twin = i % 8 === 2 ? i + 5 : i % 8 === 7 ? i : -1
      const first = twin === i ? i - 5 : i
      if (table.find(ids, 32 * i) !== first) wrong += 1
      if (table.findNext(ids, first, 32 * i) !== (twin < table.size ? twin : -1)) wrong += 1
    }
    expect(wrong).toBe(0)
  }

  it('finds every one, equal IDs in the order they came', () => {
    const ids = manyIds(COUNT)
    const table = new IdTable()
    table.addAll(ids.subarray(0, 32 * 3))
    for (let i = 3; i < 1000; i++) table.add(ids, 32 * i)
    table.addAll(ids.subarray(32 * 1000))
    expect(table.size).toBe(COUNT)
    expectAllFound(table, ids)
    expect(table.find(new Uint8Array(32).fill(0xaa))).toBe(-1)
    expect([...table.idAt(70_000)]).toEqual([...ids.subarray(32 * 70_000, 32 * 70_001)])
  })

  it('is seen by other threads as it was when it was shared, though the owner adds to it', () => {
    const ids = manyIds(COUNT)
    const table = new IdTable()
    table.addAll(ids.subarray(0, 16 * COUNT))
    const shared = new IdTable(table.share())
    table.addAll(ids.subarray(16 * COUNT, 16 * COUNT + 32 * 30_000))
    expect(table.find(ids, 16 * COUNT)).toBe(COUNT / 2)
    expect(shared.find(ids, 16 * COUNT)).toBe(-1)
    expectAllFound(shared, ids)
    expectAllFound(table, ids)
  })

  it('goes round at the end of its slots', () => {
    const ids = new Uint8Array(32 * 70_000).fill(0xff)
    const view = new DataView(ids.buffer)
    for (let i = 0; i < 70_000; i++)
      view.setUint32(32 * i, i < 69_900 ? Math.imul(i, 2654435761) : 2 ** 32 - 1)
    for (let i = 0; i < 70_000; i++) view.setUint32(32 * i + 4, i)
    const table = new IdTable()
    table.addAll(ids)
    for (let i = 69_900; i < 70_000; i++) expect(table.find(ids, 32 * i)).toBe(i)
  })

  it.each([1, 2000, 100_000, 131_072])(
    'takes 8 bytes a row at most for its slots, %i added at once or one by one',
    (count) => {
      const ids = manyIds(count)
      const atOnce = new IdTable()
      atOnce.addAll(ids)
      const oneByOne = new IdTable()
      for (let i = 0; i < count; i++) oneByOne.find(ids, 32 * oneByOne.add(ids, 32 * i))
      for (const table of [atOnce, oneByOne]) {
        const { slots } = table.share()
        expect(slots.byteLength).toBeLessThanOrEqual(Math.max(4096, 8 * count))
        expect(slots.length).toBeGreaterThan(count)
      }
    },
  )
})

describe('BlobIndex', () => {
  it('answers where a blob lies, offsets summed up', () => {
    const index = new BlobIndex()
    expect(index.addPack(id(1), [blob(10, 0, 100), blob(11, 100, 50, { uncompressedLength: 400 })])).toBe(
      'new',
    )
    expect(index.addPack(id(2), [blob(12, 0, 77, { type: 'tree' })])).toBe('new')
    expect(index.lookup('data', id(11))).toEqual({
      ...blob(11, 100, 50, { uncompressedLength: 400 }),
      packId: id(1),
    })
    expect(index.lookup('tree', id(12))?.packId).toBe(id(2))
    expect(index.lookup('data', id(12))).toBeUndefined()
    expect(index.sizeOf('data', id(10))).toBe(68)
    expect(index.sizeOf('data', id(11))).toBe(400)
    expect(index.sizeOf('data', id(99))).toBeUndefined()
  })

  it('answers where blobs of large packs lie, more packs than it remembers', () => {
    const index = new BlobIndex()
    const packs = Array.from({ length: 20 }, (_, pack) =>
      Array.from({ length: 150 }, (__, i) => ({
        ...blob(0, 0, 40 + i),
        id: parseId(createHash('sha256').update(`${pack} ${i}`).digest('hex')),
        offset: 40 * i + (i * (i - 1)) / 2,
      })),
    )
    for (const [i, blobs] of packs.entries()) index.addPack(id(100 + i), blobs)
    for (let round = 0; round < 2; round++)
      for (const { id: blobId, offset } of packs.flat())
        expect(index.lookup('data', blobId)?.offset).toBe(offset)
  })

  it('orders the blobs of a pack by offset however they came', () => {
    const index = new BlobIndex()
    index.addPack(id(1), [blob(12, 150, 40), blob(10, 0, 100), blob(11, 100, 50)])
    expect(index.blobsOfPack(id(1)).map((b) => b.offset)).toEqual([0, 100, 150])
    expect(index.lookup('data', id(12))?.offset).toBe(150)
  })

  it('keeps true offsets of packs with gaps', () => {
    const index = new BlobIndex()
    index.addPack(id(1), [blob(10, 7, 100), blob(11, 200, 50)])
    expect(index.lookup('data', id(10))?.offset).toBe(7)
    expect(index.lookup('data', id(11))?.offset).toBe(200)
    expect(index.blobsOfPack(id(1)).map((b) => b.offset)).toEqual([7, 200])
  })

  it('tells a pack listed twice alike from one listed with other contents', () => {
    const index = new BlobIndex()
    const blobs = [blob(10, 0, 100)]
    expect(index.addPack(id(1), blobs)).toBe('new')
    expect(index.addPack(id(1), blobs)).toBe('same')
    expect(index.blobCount).toBe(1)
    expect(index.addPack(id(1), [blob(10, 0, 101)])).toBe('conflicting')
    expect(index.packCount).toBe(2)
  })

  it('knows all copies of a blob', () => {
    const index = new BlobIndex()
    index.addPack(id(1), [blob(10, 0, 100)])
    index.addPack(id(2), [blob(10, 0, 90, { type: 'tree' }), blob(10, 90, 100)])
    const rows = index.rowsOf('data', id(10))
    expect(rows.map((row) => index.locationAt(row).packId)).toEqual([id(1), id(2)])
    expect(rows.map((row) => index.firstCopyOf(row))).toEqual([rows[0], rows[0]])
  })

  it('holds what an index file says, for any packs', () => {
    const packArbitrary = fc.record({
      packId: idArbitrary,
      blobs: fc.array(
        fc.record({
          blobId: idArbitrary,
          tree: fc.boolean(),
          length: fc.integer({ min: 32, max: 9_000_000 }),
          plain: fc.nat(9_000_000),
        }),
        { minLength: 1, maxLength: 30 },
      ),
    })
    fc.assert(
      fc.property(
        fc.uniqueArray(packArbitrary, { maxLength: 20, selector: (p) => idFromBytes(p.packId) }),
        (packs) => {
          const files = packs.map(({ packId, blobs }) => {
            let offset = 0
            const packed = blobs.map(({ blobId, tree, length, plain }): PackedBlob => {
              const at = offset
              offset += length
              return {
                type: tree ? 'tree' : 'data',
                id: idFromBytes(blobId),
                offset: at,
                length,
                uncompressedLength: plain,
              }
            })
            return { id: idFromBytes(packId), blobs: packed }
          })
          const index = new BlobIndex()
          const columns = new PackColumns()
          scanIndexFile(encodeIndexFile(files), columns)
          expect(index.addColumns(columns.finish())).toEqual({ repeated: [], conflicting: [] })
          expect(index.addColumns(columns.finish()).repeated.length).toBe(files.length)
          for (const { id: packId, blobs } of files) expect(index.blobsOfPack(packId)).toEqual(blobs)
        },
      ),
      { numRuns: 25 },
    )
  })
})

describe('Bitmap', () => {
  it('is a set of numbers', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(999))), (steps) => {
        const bitmap = new Bitmap(1000)
        const model = new Set<number>()
        for (const [add, member] of steps) {
          const changed = add ? bitmap.add(member) : bitmap.delete(member)
          expect(changed).toBe(model.has(member) !== add)
          if (add) model.add(member)
          else model.delete(member)
        }
        expect(bitmap.count).toBe(model.size)
        for (let i = 0; i < 1000; i++) expect(bitmap.has(i)).toBe(model.has(i))
      }),
    )
  })
})
