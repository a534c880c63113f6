/** Every operation that changes a repository, with each of its changes going wrong in turn. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Backend } from '../../src/backend/backend.ts'
import { MemoryBackend } from '../../src/backend/memory.ts'
import { RepositoryExistsError } from '../../src/errors.ts'
import type { Id } from '../../src/repo/format/id.ts'
import { backup } from '../../src/repo/ops/backup.ts'
import { copy } from '../../src/repo/ops/copy.ts'
import { forget } from '../../src/repo/ops/forget.ts'
import { prune } from '../../src/repo/ops/prune.ts'
import { Repository } from '../../src/repo/repository.ts'
import { contentsOf, copyOf, namesOf, removeAllLocks, runFaultLoop } from '../support/fault-loop.ts'
import { FaultyBackend, type Fault } from '../support/faulty-backend.ts'
import { addSnapshot, noise, type SampleTree } from '../support/sample-data.ts'
import { createTestRepository, createTestRepositoryIn, TEST_PASSWORD } from '../support/test-repository.ts'

// Nobody else is there that a lock would have to wait for.
vi.mock(import('node:timers/promises'), async (original) => {
  const timers = await original()
  const soon: typeof timers.setTimeout = (_ms, value, options) => timers.setImmediate(value as never, options)
  return { ...timers, setTimeout: soon }
})

const MIB = 1 << 20
/** Of real restic's test suite: files must be cut alike each time. */
const POLYNOMIAL = 0x3da3358b4dc173n

/** Files with one blob each, told apart by their seeds. */
function files(...seeds: readonly number[]): SampleTree {
  return Object.fromEntries(seeds.map((seed) => [`file${seed}`, [noise(seed, 300 + seed)]]))
}

function open(store: Backend): Promise<Repository> {
  return Repository.open(store, { password: TEST_PASSWORD, workers: 0, packSizeBytes: 4 * MIB })
}

describe('backup', () => {
  let folder: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'restic-ts-faults-'))
    await mkdir(join(folder, 'sub'))
    await writeFile(join(folder, 'large'), noise(1, 5 * MIB))
    await writeFile(join(folder, 'sub', 'small'), noise(2, 1000))
    await writeFile(join(folder, 'sub', 'empty'), '')
  })

  afterAll(() => rm(folder, { recursive: true }))

  it('loses nothing, whichever of its changes goes wrong', async () => {
    const { backend, repository } = await createTestRepository({
      noLock: true,
      chunkerPolynomial: POLYNOMIAL,
    })
    await addSnapshot(repository, { known: files(1, 2) })
    const changes = await runFaultLoop({
      before: backend,
      operate: async (store) => {
        const { errorCount } = await backup(await open(store), { paths: [folder], noScan: true })
        if (errorCount > 0) throw new Error('files were left out')
      },
      toleratesFailureOf: ({ type, kind }) => type === 'lock' && kind === 'remove',
    })
    // A lock comes and goes, packs, an index file, a snapshot.
    expect(changes).toBeGreaterThanOrEqual(2 + 3 + 1 + 1)
  })
})

describe('forget and prune', () => {
  let backend: MemoryBackend
  let doomed: Id[]

  beforeAll(async () => {
    const made = await createTestRepository({ noLock: true })
    backend = made.backend
    const { repository } = made
    doomed = [
      await addSnapshot(repository, { both: files(1), old: files(2, 3) }),
      await addSnapshot(repository, { old: files(4), more: files(5) }),
    ]
    await addSnapshot(repository, { both: files(1), new: files(4, 6) })
    await addSnapshot(repository, { both: files(1, 6), new: files(7) })
    // A pack that no index names.
    await backend.write({ type: 'pack', name: 'ab'.repeat(32) }, noise(9, 500))
  })

  it('lose nothing in one go', async () => {
    const changes = await runFaultLoop({
      before: backend,
      operate: async (store) => {
        const repository = await open(store)
        const present = await namesOf(store, 'snapshot')
        const ids = doomed.filter((id) => present.includes(id))
        const settings = { maxUnused: { bytes: 0 } }
        if (ids.length === 0) await prune(repository, settings)
        else {
          const { failures, prune: pruned } = await forget(repository, { ids, prune: settings })
          if (failures.length + (pruned?.failures.length ?? 0) > 0)
            throw new Error('not all could be removed')
        }
      },
      toleratesFailureOf: ({ type, kind }) => kind === 'remove' && type !== 'snapshot',
    })
    expect(changes).toBeGreaterThanOrEqual(15)
  })

  it('leave nothing unused after a run that was not disturbed', async () => {
    const store = await copyOf(backend)
    const repository = await open(store)
    await forget(repository, { ids: doomed, prune: {} })
    const packs = await namesOf(store, 'pack')
    expect(packs).not.toContain('ab'.repeat(32))
    expect((await contentsOf(store)).size).toBe(2)
  })
})

describe('copy', () => {
  it('leaves both repositories whole', async () => {
    const source = await createTestRepository({ noLock: true })
    await addSnapshot(source.repository, { a: files(1, 2), b: files(3) })
    await addSnapshot(source.repository, { a: files(1), c: files(4) }, { hostname: 'other' })
    const destination = await createTestRepository({ noLock: true })
    await addSnapshot(destination.repository, { a: files(1) })
    const from = await Repository.open(source.backend, { password: TEST_PASSWORD, noLock: true, workers: 0 })
    const untouched = await contentsOf(source.backend)
    const changes = await runFaultLoop({
      before: destination.backend,
      operate: async (store) => copy(from, await open(store)),
      toleratesFailureOf: ({ type, kind }) => type === 'lock' && kind === 'remove',
    })
    expect(changes).toBeGreaterThanOrEqual(2 + 2 + 1 + 2)
    expect(await contentsOf(source.backend)).toEqual(untouched)
  })
})

describe('init', () => {
  /** What `init` leaves where its n-th change goes wrong, and what it says when it is run again. */
  async function interrupted(n: number, fault: Fault): Promise<{ left: string[]; again: string }> {
    const store = new MemoryBackend()
    const faulty = new FaultyBackend(store, { faultOf: ({ change }) => (change === n ? fault : undefined) })
    await expect(createTestRepositoryIn(faulty)).rejects.toThrow(/injected|killed/)
    const keys = (await namesOf(store, 'key')).map(() => 'key')
    const config = await store.stat({ type: 'config', name: '' }).then(
      () => ['config'],
      () => [],
    )
    const again = await createTestRepositoryIn(store).then(
      () => 'made',
      (error: unknown) => (error instanceof RepositoryExistsError ? 'exists' : String(error)),
    )
    // Whatever is there now, all of it or nothing.
    if (again === 'made' || config.length > 0) await open(store)
    return { left: [...keys, ...config], again }
  }

  it('makes a repository, or leaves what the next one can do with or tells', async () => {
    const nothing = { left: [], again: 'made' }
    const onlyKey = { left: ['key'], again: 'exists' }
    const both = { left: ['key', 'config'], again: 'exists' }
    expect(await interrupted(1, { kind: 'fail' })).toEqual(nothing)
    expect(await interrupted(1, { kind: 'fail', after: true })).toEqual(onlyKey)
    expect(await interrupted(1, { kind: 'kill' })).toEqual(nothing)
    expect(await interrupted(1, { kind: 'kill', after: true })).toEqual(onlyKey)
    expect(await interrupted(2, { kind: 'fail' })).toEqual(nothing)
    expect(await interrupted(2, { kind: 'fail', after: true })).toEqual(both)
    expect(await interrupted(2, { kind: 'kill' })).toEqual(onlyKey)
    expect(await interrupted(2, { kind: 'kill', after: true })).toEqual(both)
  })
})

describe('a dead process', () => {
  it('leaves a lock that can be removed', async () => {
    const { backend, repository } = await createTestRepository()
    await addSnapshot(repository, files(1))
    const faultOf = ({ type, kind }: { type: string | undefined; kind: string }) =>
      type === 'lock' && kind === 'remove' ? ({ kind: 'kill' } as const) : undefined
    const dying = await open(new FaultyBackend(backend, { faultOf }))
    await prune(dying)
    expect(await namesOf(backend, 'lock')).toHaveLength(1)
    await removeAllLocks(backend)
    await prune(await open(backend))
    expect(await namesOf(backend, 'lock')).toHaveLength(0)
  })
})
