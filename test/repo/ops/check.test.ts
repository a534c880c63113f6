import * as fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import type { FileType } from '../../../src/backend/backend.ts'
import type { MemoryBackend } from '../../../src/backend/memory.ts'
import { AbortedError, InvalidInputError } from '../../../src/errors.ts'
import { parseId, type Id } from '../../../src/repo/format/id.ts'
import { encodeIndexFile, parseIndexFile, type IndexPack } from '../../../src/repo/format/index-file.ts'
import { encodeTree, type Node } from '../../../src/repo/format/tree.ts'
import {
  check,
  type CheckOptions,
  type CheckProgress,
  type CheckResult,
} from '../../../src/repo/ops/check.ts'
import { Repository } from '../../../src/repo/repository.ts'
import { propertyRuns } from '../../support/real-restic.ts'
import { addSnapshot, noise, sampleNode, sampleSnapshot } from '../../support/sample-data.ts'
import { createTestRepository, TEST_PASSWORD } from '../../support/test-repository.ts'

let backend: MemoryBackend
let repository: Repository
let first: Id
let second: Id

beforeEach(async () => {
  ;({ backend, repository } = await createTestRepository({ noLock: true }))
  first = await addSnapshot(repository, { a: { b: [noise(1, 1000), noise(2, 500)] }, c: [noise(3, 50)] })
  second = await addSnapshot(repository, { a: { d: [noise(4, 1000)] }, empty: {} }, { hostname: 'two' })
})

async function list(type: Exclude<FileType, 'config'>): Promise<Id[]> {
  const ids: Id[] = []
  for await (const { name } of backend.list(type)) ids.push(parseId(name))
  return ids
}

/** The pack that holds the data (or trees) of a snapshot. */
async function packOf(snapshot: Id, type: 'data' | 'tree'): Promise<Id> {
  await repository.loadIndex()
  const { tree } = await repository.loadSnapshot(snapshot)
  const [node] = await repository.loadTree(tree)
  const [inner] = await repository.loadTree(node!.subtree!)
  return repository.index.lookup(type, type === 'tree' ? tree : inner!.content![0]!)!.packId
}

async function change(type: FileType, name: string, by: (bytes: Uint8Array) => Uint8Array): Promise<void> {
  await backend.write({ type, name }, by(await backend.read({ type, name })))
}

function flip(bytes: Uint8Array, position: number): Uint8Array {
  const flipped = bytes.slice()
  flipped[position] = flipped[position]! ^ 0x40
  return flipped
}

async function rewriteIndex(rewrite: (packs: IndexPack[]) => IndexPack[]): Promise<void> {
  const packs: IndexPack[] = []
  for (const id of await list('index')) {
    packs.push(...parseIndexFile(await repository.loadUnpacked('index', id)).packs)
    await repository.remove('index', id)
  }
  await repository.saveUnpacked('index', encodeIndexFile(rewrite(packs)))
}

async function addTree(nodes: Node[] | Uint8Array): Promise<Id> {
  repository.startWriting()
  const bytes = nodes instanceof Uint8Array ? nodes : encodeTree(nodes)
  const { id } = await repository.saveBlob('tree', bytes)
  await repository.flush()
  await repository.saveSnapshot(sampleSnapshot(id))
  return id
}

async function messages(options: CheckOptions = {}): Promise<string[]> {
  return (await check(repository, options)).errors.map(({ message }) => message)
}

const SOUND = {
  errors: [],
  errorCount: 0,
  hints: [],
  orphanedPacks: [],
  brokenPacks: [],
  suggestRepairIndex: false,
  suggestPrune: false,
}

describe('check of a sound repository', () => {
  it('finds nothing', async () => {
    expect(await check(repository)).toEqual({
      ...SOUND,
      snapshotCount: 2,
      treeCount: 5,
      packCount: 4,
      readPackCount: 0,
    })
    expect(await check(repository, { readData: true })).toMatchObject({ ...SOUND, readPackCount: 4 })
  })

  it('finds nothing in an empty one', async () => {
    const empty = await createTestRepository({ noLock: true })
    expect(await check(empty.repository, { readData: true })).toMatchObject({ ...SOUND, packCount: 0 })
    expect(await check(empty.repository, { readDataSubset: { percent: 10 } })).toMatchObject(SOUND)
  })

  it('tells how far it is', async () => {
    const seen: CheckProgress[] = []
    await check(repository, { readData: true, onProgress: (progress) => seen.push(progress) })
    const last = new Map(seen.map((progress) => [progress.phase, `${progress.done}/${progress.total}`]))
    expect([...last]).toEqual([
      ['load-index', '2/2'],
      ['packs', '4/4'],
      ['structure', '2/2'],
      ['read-data', '4/4'],
    ])
  })

  it('takes an exclusive lock and gives it back', async () => {
    const locked = await Repository.open(backend, { password: TEST_PASSWORD })
    const other = await locked.lock(false)
    await expect(check(locked)).rejects.toThrow('already locked')
    await other.release()
    expect(await check(locked)).toMatchObject(SOUND)
    expect(await list('lock')).toEqual([])
  })

  it('stops at a signal', async () => {
    await expect(check(repository, { signal: AbortSignal.abort() })).rejects.toThrow(AbortedError)
    const controller = new AbortController()
    const onProgress = ({ phase, done }: CheckProgress): void => {
      if (phase === 'read-data' && done === 0) controller.abort()
    }
    const aborted = check(repository, { readData: true, signal: controller.signal, onProgress })
    await expect(aborted).rejects.toThrow(AbortedError)
  })
})

describe('check of packs', () => {
  it('misses one', async () => {
    const pack = await packOf(first, 'data')
    await repository.remove('pack', pack)
    expect(await check(repository)).toMatchObject({
      errors: [{ kind: 'pack', id: pack, message: `pack ${pack}: does not exist` }],
      brokenPacks: [],
    })
    const [, read] = await messages({ readData: true })
    expect(read).toMatch(new RegExp(`^pack ${pack}: download error: .*does not exist`))
  })

  it('finds one of another size', async () => {
    const pack = await packOf(first, 'data')
    const size = (await backend.stat({ type: 'pack', name: pack })).size
    await change('pack', pack, (bytes) => bytes.subarray(0, -1))
    expect(await check(repository)).toMatchObject({
      errors: [{ message: `pack ${pack}: unexpected file size: got ${size - 1}, expected ${size}` }],
      brokenPacks: [pack],
    })
  })

  it('tells of one that no index names', async () => {
    const orphan = parseId('ff'.repeat(32))
    await backend.write({ type: 'pack', name: orphan }, new Uint8Array(100))
    expect(await check(repository)).toMatchObject({
      errors: [],
      orphanedPacks: [orphan],
      suggestPrune: true,
      hints: [{ kind: 'orphaned-pack', message: `pack ${orphan}: not referenced in any index` }],
    })
  })

  it('reads contents only where asked to', async () => {
    const pack = await packOf(first, 'data')
    await change('pack', pack, (bytes) => flip(bytes, 100))
    expect(await check(repository)).toMatchObject(SOUND)
    const result = await check(repository, { readData: true })
    expect(result.errors).toHaveLength(1)
    expect(result.errors[0]!.message).toMatch(
      new RegExp(
        `^pack ${pack} contains 2 errors: \\[blob [0-9a-f]{64}: .*ciphertext verification failed.* unexpected pack id [0-9a-f]{64}\\]$`,
      ),
    )
    expect(result.brokenPacks).toEqual([pack])
  })

  it('finds a pack that is whole but not what the index says', async () => {
    const pack = await packOf(first, 'data')
    await rewriteIndex((packs) =>
      packs.map(({ id, blobs }) => {
        if (id !== pack) return { id, blobs }
        const [one, two] = blobs
        return {
          id,
          blobs: [
            { ...one!, length: one!.length - 1 },
            { ...two!, offset: two!.offset - 1, length: two!.length + 1 },
            ...blobs.slice(2),
          ],
        }
      }),
    )
    expect(await messages()).toEqual([])
    const [message] = await messages({ readData: true })
    expect(message).toMatch(new RegExp(`^pack ${pack} contains 4 errors: `))
    expect(message).toContain('is not contained in index or position is incorrect')
  })

  it('is content with a good second answer, but says so', async () => {
    const pack = await packOf(first, 'data')
    const read = backend.read.bind(backend)
    let spoiled = false
    backend.read = async (handle, ...rest) => {
      const bytes = await read(handle, ...rest)
      if (handle.name !== pack || spoiled) return bytes
      spoiled = true
      return flip(bytes, 10)
    }
    const result = await check(repository, { readData: true })
    expect(result.errors.map(({ message }) => message)).toEqual([
      expect.stringMatching(/check successful on second attempt, original error pack .* contains 2 errors/),
    ])
    expect(result.brokenPacks).toEqual([])
  })
})

describe('check of index files', () => {
  it('ends where one cannot be read', async () => {
    const [index] = await list('index')
    await change('index', index!, (bytes) => flip(bytes, 30))
    const result = await check(repository, { readData: true })
    expect(result.errors).toMatchObject([{ kind: 'index', id: index }])
    expect(result.errors[0]!.message).toMatch(new RegExp(`^error loading index ${index}: `))
    expect(result).toMatchObject({ suggestRepairIndex: true, treeCount: 0, readPackCount: 0 })
  })

  it('tells of a pack in two of them', async () => {
    const [index] = await list('index')
    const { packs } = parseIndexFile(await repository.loadUnpacked('index', index!))
    const copy = await repository.saveUnpacked('index', encodeIndexFile(packs.slice(0, 1)))
    expect(await check(repository, { readData: true })).toMatchObject({
      ...SOUND,
      suggestRepairIndex: true,
      hints: [
        {
          kind: 'duplicate-pack',
          id: packs[0]!.id,
          message: `pack ${packs[0]!.id} contained in several indexes: ${[index!, copy].toSorted().join(', ')}`,
        },
      ],
    })
  })

  it('finds a pack that two of them describe differently', async () => {
    const pack = await packOf(first, 'data')
    await rewriteIndex((packs) =>
      packs.concat(
        packs.filter(({ id }) => id === pack).map(({ id, blobs }) => ({ id, blobs: blobs.slice(1) })),
      ),
    )
    const result = await check(repository)
    expect(result.errors[0]).toMatchObject({ kind: 'pack', id: pack })
    expect(result.errors[0]!.message).toMatch(new RegExp(`^pack ${pack} has different data in indexes: `))
    expect(result.brokenPacks).toEqual([pack])
  })

  it('tells of a pack with trees and data', async () => {
    const pack = await packOf(second, 'data')
    await rewriteIndex((packs) =>
      packs.map(({ id, blobs }) => {
        if (id !== pack) return { id, blobs }
        const extra = {
          type: 'tree' as const,
          id: parseId('ee'.repeat(32)),
          offset: 5000,
          length: 40,
          uncompressedLength: 0,
        }
        return { id, blobs: [...blobs, extra] }
      }),
    )
    const result = await check(repository)
    expect(result.hints).toEqual([
      {
        kind: 'mixed-pack',
        id: pack,
        message: `pack ${pack.slice(0, 8)} contains a mix of tree and data blobs`,
      },
    ])
    expect(result.suggestPrune).toBe(true)
  })
})

describe('check of snapshots and trees', () => {
  it('misses blobs and subtrees', async () => {
    const missing = parseId('12'.repeat(32))
    const tree = await addTree([
      sampleNode({ name: 'a"\n', type: 'file', content: [missing, parseId('0'.repeat(64))] }),
      sampleNode({ name: 'b', type: 'file' }),
      sampleNode({ name: 'c', type: 'dir' }),
      sampleNode({ name: 'd', type: 'dir', subtree: missing }),
      sampleNode({ name: 'e', type: 'irregular' }),
      sampleNode({ name: 'f', type: 'symlink', linkTarget: 'x' }),
    ])
    expect(await messages()).toEqual([
      `tree ${tree}: file "a\\"\\n" blob ${missing} not found in index`,
      `tree ${tree}: file "a\\"\\n" blob 1 has null ID`,
      `tree ${tree}: file "b" has nil blob list`,
      `tree ${tree}: dir node "c" has no subtree`,
      `tree ${tree}: node "e" with invalid type "irregular"`,
      expect.stringMatching(new RegExp(`^tree ${missing}: tree blob ${missing} is not in the index`)),
    ])
  })

  it('finds a tree that is none', async () => {
    const tree = await addTree(new TextEncoder().encode('{"nodes":[{]}\n'))
    expect(await messages()).toEqual([
      expect.stringMatching(new RegExp(`^tree ${tree}: tree ${tree} is damaged`)),
    ])
  })

  it('finds a tree whose pack is damaged, and goes on', async () => {
    const pack = await packOf(first, 'tree')
    await change('pack', pack, (bytes) => flip(bytes, 20))
    const result = await check(repository)
    expect(result.errors.length).toBeGreaterThan(0)
    expect(result.errors.every(({ kind }) => kind === 'tree')).toBe(true)
    expect(result.treeCount).toBeGreaterThanOrEqual(4)
  })

  it('finds a snapshot that cannot be read, and goes on', async () => {
    await change('snapshot', first, (bytes) => flip(bytes, 20))
    const result = await check(repository)
    expect(result.errors).toMatchObject([{ kind: 'snapshot' }])
    expect(result.errors[0]!.message).toMatch(new RegExp(`^failed to load snapshot ${first}: `))
    expect(result.snapshotCount).toBe(1)
  })
})

describe('check of a part', () => {
  it('reads what the snapshots asked for need', async () => {
    const wanted = [await packOf(second, 'data'), await packOf(second, 'tree')]
    for (const pack of await list('pack'))
      await change('pack', pack, (bytes) => flip(bytes, bytes.length - 50))
    for (const options of [{ ids: [second.slice(0, 12)] }, { filter: { hosts: ['two'] } }]) {
      const result = await check(repository, { readData: true, ...options })
      expect(result.brokenPacks).toEqual(wanted.toSorted())
      expect(result.snapshotCount).toBe(1)
    }
  })

  it('has an error where a snapshot asked for is not there', async () => {
    expect(await messages({ ids: ['fffffff0'] })).toEqual([
      'failed to load snapshot fffffff0: no matching ID found for prefix "fffffff0"',
    ])
  })

  it('reads the parts asked for, each pack in one of them', async () => {
    const counts = await Promise.all(
      [1, 2, 3].map(
        async (part) => (await check(repository, { readDataSubset: { part, of: 3 } })).readPackCount,
      ),
    )
    expect(counts.reduce((sum, count) => sum + count)).toBe(4)
    expect((await check(repository, { readDataSubset: { percent: 50 } })).readPackCount).toBe(2)
    expect((await check(repository, { readDataSubset: { bytes: 1 } })).readPackCount).toBe(1)
    expect((await check(repository, { readDataSubset: { bytes: 1e9 } })).readPackCount).toBe(4)
  })

  it('refuses what contradicts itself', async () => {
    await expect(check(repository, { readData: true, readDataSubset: { percent: 5 } })).rejects.toThrow(
      InvalidInputError,
    )
    await expect(check(repository, { readDataSubset: { percent: 0 } })).rejects.toThrow(InvalidInputError)
  })
})

describe('check of any damage', () => {
  /** Something that happens to one file. */
  const damage = fc.record({
    type: fc.constantFrom<Exclude<FileType, 'config' | 'key' | 'lock'>>('snapshot', 'index', 'pack'),
    file: fc.nat(),
    kind: fc.constantFrom('flip', 'truncate', 'remove', 'grow', 'empty', 'swap'),
    position: fc.nat(),
  })
  type Damage = Parameters<Parameters<typeof damage.map>[0]>[0]

  async function inflict({ type, file, kind, position }: Damage): Promise<boolean> {
    const names = (await list(type)).toSorted()
    const name = names[file % Math.max(1, names.length)]
    const other = names[(file + 1) % Math.max(1, names.length)]
    if (name === undefined || other === undefined) return false
    if (kind === 'remove') {
      await backend.remove({ type, name })
      // A snapshot or an index file less may be on purpose.
      return type === 'pack'
    }
    const replacement = await backend.read({ type, name: other })
    await change(type, name, (bytes) => {
      if (kind === 'flip') return bytes.length === 0 ? Uint8Array.of(1) : flip(bytes, position % bytes.length)
      if (kind === 'truncate') return bytes.subarray(0, position % Math.max(1, bytes.length))
      if (kind === 'grow') return Uint8Array.of(...bytes, 0)
      return kind === 'swap' ? replacement : new Uint8Array(0)
    })
    return kind !== 'swap' || name !== other
  }

  it('ends in a report, and in errors where something is damaged', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), async (damages) => {
        ;({ backend, repository } = await createTestRepository({ noLock: true }))
        first = await addSnapshot(repository, {
          a: { b: [noise(1, 1000), noise(2, 500)] },
          c: [noise(3, 50)],
        })
        second = await addSnapshot(repository, { a: { d: [noise(4, 1000)] }, empty: {} }, { hostname: 'two' })
        let isDamaged = false
        for (const one of damages) isDamaged = (await inflict(one)) || isDamaged
        const result: CheckResult = await check(repository, { readData: true })
        // Two of them may undo each other.
        expect(result.errorCount > 0 || !isDamaged || damages.length > 1).toBe(true)
      }),
      propertyRuns(100, 2000),
    )
  })
})
