import { beforeEach, describe, expect, it } from 'vitest'
import type { MemoryBackend } from '../../../src/backend/memory.ts'
import { parseId, type Id } from '../../../src/repo/format/id.ts'
import { encodeIndexFile, parseIndexFile, type IndexPack } from '../../../src/repo/format/index-file.ts'
import { rewriteIndexFiles, saveIndexFiles } from '../../../src/repo/ops/prune-index.ts'
import type { Repository } from '../../../src/repo/repository.ts'
import { createTestRepository } from '../../support/test-repository.ts'

let backend: MemoryBackend
let repository: Repository

beforeEach(async () => {
  ;({ backend, repository } = await createTestRepository({ noLock: true }))
})

/** Numbers spread over all IDs, as hashes are. */
function idOf(number: number): Id {
  return parseId(((number * 4_000_037) % 2 ** 32).toString(16).padStart(8, '0').padEnd(64, '1'))
}

function packOf(number: number, blobCount: number, firstBlob = 0): IndexPack {
  const blobs = Array.from({ length: blobCount }, (_, i) => ({
    type: 'data' as const,
    id: idOf(number * 1_000_000 + firstBlob + i),
    offset: (firstBlob + i) * 40,
    length: 40,
    uncompressedLength: 0,
  }))
  return { id: idOf(number), blobs }
}

function save(...packs: IndexPack[]): Promise<Id> {
  return repository.saveUnpacked('index', encodeIndexFile(packs))
}

/** Index files by what packs they name. */
async function stored(): Promise<Map<Id, IndexPack[]>> {
  const files = new Map<Id, IndexPack[]>()
  for await (const { id } of repository.list('index')) {
    files.set(id, parseIndexFile(await repository.loadUnpacked('index', id)).packs)
  }
  return files
}

function keyOf({ id, blobs }: IndexPack): string {
  return id + JSON.stringify(blobs[0])
}

function sortedPacks(files: ReadonlyMap<Id, IndexPack[]>): IndexPack[] {
  return [...files.values()].flat().toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
}

describe('rewriteIndexFiles', () => {
  it('merges small files and leaves full ones as they are', async () => {
    const full = await save(packOf(1, 50_000))
    const others = [await save(packOf(2, 3)), await save(packOf(3, 4), packOf(4, 1))]
    const before = sortedPacks(await stored())
    await rewriteIndexFiles(repository, new Set())
    const files = await stored()
    expect(files.size).toBe(2)
    expect(files.has(full)).toBe(true)
    expect(others.some((id) => files.has(id))).toBe(false)
    expect(sortedPacks(files)).toEqual(before)
  })

  it('leaves packs out, from full files too', async () => {
    const full = await save(packOf(1, 50_000), packOf(2, 1))
    await save(packOf(3, 1), packOf(4, 1))
    await rewriteIndexFiles(repository, new Set([idOf(2), idOf(3)]))
    const files = await stored()
    expect(files.has(full)).toBe(false)
    expect(
      sortedPacks(files)
        .map(({ id }) => id)
        .toSorted(),
    ).toEqual([idOf(1), idOf(4)].toSorted())
  })

  it('splits a file that is far too large', async () => {
    const packs = Array.from({ length: 10 }, (_, i) => packOf(i + 1, 46_000))
    const large = await save(...packs)
    await rewriteIndexFiles(repository, new Set())
    const files = await stored()
    expect(files.has(large)).toBe(false)
    expect(files.size).toBe(5)
    expect(sortedPacks(files)).toHaveLength(10)
  })

  it('names a pack once that was named twice, but both parts of one that was split', async () => {
    const half = packOf(1, 5)
    const otherHalf = packOf(1, 5, 5)
    await save(half, packOf(2, 2))
    await save(packOf(2, 2), otherHalf)
    await save({ ...half, blobs: half.blobs.toReversed() })
    await rewriteIndexFiles(repository, new Set())
    const files = await stored()
    expect(files.size).toBe(1)
    const packs = sortedPacks(files)
    expect(packs.map(({ id }) => id).toSorted()).toEqual([idOf(1), idOf(1), idOf(2)].toSorted())
    const blobs = packs.flatMap((pack) => (pack.id === idOf(1) ? pack.blobs.map(({ id }) => id) : []))
    expect(new Set(blobs)).toEqual(new Set([...half.blobs, ...otherHalf.blobs].map(({ id }) => id)))
  })

  it('rewrites a full file that names a pack another one does', async () => {
    await save(packOf(1, 50_000))
    await save(packOf(1, 50_000))
    await rewriteIndexFiles(repository, new Set())
    const files = await stored()
    expect(files.size).toBe(1)
    expect(sortedPacks(files)).toHaveLength(1)
  })

  it('saves all that is new before it removes anything old', async () => {
    for (let number = 1; number <= 5; number++) await save(packOf(number, 30_000))
    const events: string[] = []
    const write = backend.write.bind(backend)
    const remove = backend.remove.bind(backend)
    backend.write = async (...args) => {
      await write(...args)
      events.push('saved')
    }
    backend.remove = (...args) => {
      events.push('removed')
      return remove(...args)
    }
    const progress: string[] = []
    await rewriteIndexFiles(repository, new Set(), {
      onRewritten: (done, total) => progress.push(`rewritten ${done}/${total}`),
      onRemoved: (done, total) => progress.push(`removed ${done}/${total}`),
    })
    expect(events).toEqual([...Array<string>(3).fill('saved'), ...Array<string>(5).fill('removed')])
    expect(progress.at(0)).toBe('rewritten 0/5')
    expect(progress.at(5)).toBe('rewritten 5/5')
    expect(progress.at(-1)).toBe('removed 5/5')
  })

  it('removes files that name nothing any more and saves none', async () => {
    await save(packOf(1, 1))
    await save()
    await rewriteIndexFiles(repository, new Set([idOf(1)]))
    expect(await stored()).toEqual(new Map())
  })
})

describe('saveIndexFiles', () => {
  it('saves an index in memory in files of a good size', async () => {
    await save(...Array.from({ length: 5 }, (_, i) => packOf(i + 1, 30_000)))
    repository.discardIndex()
    await repository.loadIndex()
    for (const id of (await stored()).keys()) await repository.remove('index', id)
    await saveIndexFiles(repository, repository.index, new Set([idOf(3)]))
    const files = await stored()
    expect(files.size).toBe(2)
    expect(
      sortedPacks(files)
        .map(({ id }) => id)
        .toSorted(),
    ).toEqual([1, 2, 4, 5].map(idOf).toSorted())
  })
})
