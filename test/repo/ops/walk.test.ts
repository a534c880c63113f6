import { beforeEach, describe, expect, it } from 'vitest'
import type { MemoryBackend } from '../../../src/backend/memory.ts'
import { AbortedError, NotFoundError, RepositoryDamagedError } from '../../../src/errors.ts'
import { parseId, type Id } from '../../../src/repo/format/id.ts'
import type { TreeOutline } from '../../../src/repo/format/tree-outline.ts'
import { encodeTree, type Node } from '../../../src/repo/format/tree.ts'
import { findUsedBlobs, walkTrees } from '../../../src/repo/ops/walk.ts'
import type { Repository } from '../../../src/repo/repository.ts'
import { noise, sampleNode, saveTree, type SampleTree } from '../../support/sample-data.ts'
import { createTestRepository } from '../../support/test-repository.ts'

let backend: MemoryBackend
let repository: Repository

beforeEach(async () => {
  ;({ backend, repository } = await createTestRepository())
})

async function save(...trees: SampleTree[]): Promise<Id[]> {
  repository.startWriting()
  const roots: Id[] = []
  for (const tree of trees) roots.push(await saveTree(repository, tree))
  await repository.flush()
  return roots
}

async function saveNodes(nodes: Node[]): Promise<Id> {
  repository.startWriting()
  const { id } = await repository.saveBlob('tree', encodeTree(nodes))
  await repository.flush()
  return id
}

function namesIn(tree: TreeOutline): string[] {
  return Array.from({ length: tree.nodeCount }, (_, node) => tree.nameAt(node))
}

const SHARED: SampleTree = { deep: { deeper: { file: [noise(1, 10)] } }, x: [noise(2, 10), noise(3, 10)] }

describe('walkTrees', () => {
  it('visits each tree once, however often it is referred to', async () => {
    const roots = await save({ a: SHARED, b: SHARED, c: {} }, { a: SHARED }, SHARED, { d: {} })
    const visits = new Map<Id, string>()
    await walkTrees(repository, [...roots, ...roots], {
      onTree: (id, tree) => {
        expect(visits.has(id)).toBe(false)
        visits.set(id, namesIn(tree).join())
      },
    })
    expect([...visits.values()].toSorted()).toEqual(['', 'a', 'a,b,c', 'd', 'deep,x', 'deeper', 'file'])
  })

  it('counts a root as done when all below it is', async () => {
    const events: string[] = []
    for (const root of await save({ a: { b: { c: {} } } }, { z: {} })) {
      await walkTrees(repository, [root], {
        onTree: (_id, tree) => events.push(namesIn(tree)[0] ?? 'empty'),
        onProgress: (done, total) => events.push(`${done}/${total}`),
      })
    }
    expect(events).toEqual(['0/1', 'a', 'b', 'c', 'empty', '1/1', '0/1', 'z', 'empty', '1/1'])
  })

  it('has no roots and is done', async () => {
    await walkTrees(repository, [], { onTree: () => expect.unreachable() })
  })

  it('fails with the first tree that is missing, or tells of each once and goes on', async () => {
    const missing = parseId('ab'.repeat(32))
    const node = sampleNode({ name: 'gone', type: 'dir' })
    const [good] = await save({ good: {} })
    const bad = await saveNodes([{ ...node, subtree: missing }])
    await expect(walkTrees(repository, [bad], { onTree: () => {} })).rejects.toThrow(NotFoundError)
    const errors: Id[] = []
    const trees: Id[] = []
    let progress = ''
    await walkTrees(repository, [bad, good!, bad, missing], {
      onTree: (id) => trees.push(id),
      onTreeError: (id) => errors.push(id),
      onProgress: (done, total) => (progress = `${done}/${total}`),
    })
    expect(errors).toEqual([missing])
    expect(trees).toHaveLength(3)
    expect(progress).toBe('4/4')
  })

  it('stops at a signal, even where errors are taken', async () => {
    const [root] = await save({ a: { b: {} } })
    const controller = new AbortController()
    const walk = walkTrees(repository, [root!], {
      signal: controller.signal,
      onTree: () => controller.abort(),
      onTreeError: () => expect.unreachable(),
    })
    await expect(walk).rejects.toThrow(AbortedError)
  })

  it('waits for running loads before it fails', async () => {
    const [root] = await save({ a: { a: {} }, b: { b: {} }, c: { c: {} }, d: { d: {} } })
    let reading = 0
    const read = backend.read.bind(backend)
    backend.read = async (...args) => {
      reading++
      await new Promise((resolve) => setTimeout(resolve, 5))
      return read(...args).finally(() => reading--)
    }
    const failure = new Error('enough')
    const walk = walkTrees(repository, [root!], {
      onTree: (_id, { nodeCount }) => {
        if (nodeCount === 1) throw failure
      },
    })
    await expect(walk).rejects.toBe(failure)
    expect(reading).toBe(0)
  })
})

describe('findUsedBlobs', () => {
  it('finds what trees refer to and nothing else', async () => {
    const [root] = await save({ a: SHARED }, { other: [noise(9, 10)] })
    const used = await findUsedBlobs(repository, [root!])
    const { index } = repository
    const rows = Array.from({ length: index.blobCount }, (_, row) => row).filter((row) => used.has(row))
    expect(rows.filter((row) => index.typeAt(row) === 'tree')).toHaveLength(4)
    expect(used.count).toBe(7)
    expect(index.blobCount).toBe(9)
  })

  it('marks the first of several copies', async () => {
    const [root] = await save({ x: [noise(1, 10)] })
    repository.startWriting()
    const { id } = await repository.copyBlob('data', noise(1, 10), repository.codec.idOf(noise(1, 10)))
    await repository.flush()
    const used = await findUsedBlobs(repository, [root!])
    const [first, second] = repository.index.rowsOf('data', id)
    expect([used.has(first!), used.has(second!)]).toEqual([true, false])
  })

  it('names blobs that are missing', async () => {
    const missing = Array.from({ length: 30 }, (_, i) => parseId(i.toString(16).padStart(64, '0')))
    const root = await saveNodes([sampleNode({ name: 'a', type: 'file', content: missing })])
    const search = findUsedBlobs(repository, [root])
    await expect(search).rejects.toThrow(RepositoryDamagedError)
    await expect(search).rejects.toThrow(/^index is not complete: data blob 0000.* and 10 more not found/)
  })
})
