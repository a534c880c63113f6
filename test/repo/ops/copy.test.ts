import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { MemoryBackend } from '../../../src/backend/memory.ts'
import { CorruptDataError } from '../../../src/errors.ts'
import type { Id } from '../../../src/repo/format/id.ts'
import { backup } from '../../../src/repo/ops/backup.ts'
import { check } from '../../../src/repo/ops/check.ts'
import { copy, type CopyPlan } from '../../../src/repo/ops/copy.ts'
import { loadSnapshots } from '../../../src/repo/ops/snapshots.ts'
import type { Repository } from '../../../src/repo/repository.ts'
import { makeManyFiles, writeRandomFile } from '../../support/many-files.ts'
import { createTestRepository } from '../../support/test-repository.ts'

let folder: string
let source: Repository
let sourceBackend: MemoryBackend
let destination: Repository

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'restic-ts-copy-'))
  mkdirSync(join(folder, 'files'))
  makeManyFiles(join(folder, 'files', 'many'), { files: 30, seed: 1 })
  writeRandomFile(join(folder, 'files', 'large'), 2, 3_000_000)
  ;({ repository: source, backend: sourceBackend } = await createTestRepository({ version: 1 }))
  ;({ repository: destination } = await createTestRepository({ version: 2 }))
})

afterEach(() => rmSync(folder, { recursive: true }))

async function save(hostname = 'host'): Promise<Id> {
  const { snapshotId } = await backup(source, { paths: [join(folder, 'files')], hostname, tags: ['t'] })
  return snapshotId!
}

async function expectWhole(repository: Repository): Promise<void> {
  expect(await check(repository, { readData: true })).toMatchObject({ errors: [], errorCount: 0 })
}

describe('copy', () => {
  it('brings snapshots with everything below them under the other key', async () => {
    const first = await save()
    writeFileSync(join(folder, 'files', 'later'), 'more')
    const second = await save()
    const copied = new Map<Id, Id>()
    const result = await copy(source, destination, { onCopied: ({ id }, copyId) => copied.set(id, copyId) })
    expect(result).toMatchObject({ skippedCount: 0, blobCount: source.index.blobCount })
    expect(copied.size).toBe(2)
    for (const id of [first, second]) {
      const { parent: _parent, ...expected } = await source.loadSnapshot(id)
      expect(await destination.loadSnapshot(copied.get(id)!)).toEqual({ ...expected, original: id })
    }
    await expectWhole(destination)
  })

  it('passes over what was copied before, and copies no blob twice', async () => {
    await save()
    await copy(source, destination)
    const { blobCount } = destination.index
    const skipped: Id[] = []
    const again = await copy(source, destination, { onSkipped: ({ id }) => skipped.push(id) })
    expect(again).toMatchObject({ skippedCount: 1, blobCount: 0, packCount: 0, snapshots: [] })
    expect(skipped).toHaveLength(1)
    writeFileSync(join(folder, 'files', 'later'), 'more')
    await save()
    const more = await copy(source, destination)
    expect(more.skippedCount).toBe(1)
    // The new file, its folder and those above it.
    expect(more.blobCount).toBeLessThan(8)
    expect(destination.index.blobCount).toBe(blobCount + more.blobCount)
    await expectWhole(destination)
  })

  it('copies what the filter and the IDs select', async () => {
    await save('one')
    await save('two')
    const { snapshots } = await copy(source, destination, { filter: { hosts: ['two'] } })
    expect(snapshots.map(({ snapshot }) => snapshot.hostname)).toEqual(['two'])
    await copy(source, destination, { ids: ['latest'] })
    expect(await loadSnapshots(destination, {})).toHaveLength(1)
  })

  it('knows a copy of a copy, there and back', async () => {
    await save()
    await copy(source, destination)
    expect(await copy(destination, source)).toMatchObject({ skippedCount: 1, snapshots: [] })
  })

  it('tells what it is going to do and how far it is', async () => {
    await save()
    const plans: CopyPlan[] = []
    const seen: [number, number][] = []
    await copy(source, destination, {
      onPlan: (plan) => plans.push(plan),
      onProgress: (done, total) => seen.push([done, total]),
    })
    expect(plans).toMatchObject([{ blobCount: source.index.blobCount, packCount: source.index.packCount }])
    expect(seen.at(0)).toEqual([0, source.index.packCount])
    expect(seen.at(-1)).toEqual([source.index.packCount, source.index.packCount])
  })

  it('makes no snapshot where a blob is damaged, and leaves no lock', async () => {
    await save()
    for await (const { id } of source.list('pack')) {
      const handle = { type: 'pack', name: id } as const
      const bytes = await sourceBackend.read(handle)
      bytes[50] = bytes[50]! ^ 1
      await sourceBackend.remove(handle)
      await sourceBackend.write(handle, bytes)
    }
    await expect(copy(source, destination)).rejects.toBeInstanceOf(CorruptDataError)
    expect(await loadSnapshots(destination, {})).toEqual([])
    for (const repository of [source, destination])
      for await (const lock of repository.list('lock')) expect(lock).toBeUndefined()
  })
})
