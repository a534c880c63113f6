/** One backup to several repositories: each whole by itself, whatever becomes of the others. */
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { MemoryBackend } from '../../../src/backend/memory.ts'
import { AbortedError, BackendError, InvalidInputError } from '../../../src/errors.ts'
import {
  backup,
  backupToAll,
  type BackupOptions,
  type RepositoryBackup,
} from '../../../src/repo/ops/backup.ts'
import { check } from '../../../src/repo/ops/check.ts'
import { restore } from '../../../src/repo/ops/restore.ts'
import { Repository } from '../../../src/repo/repository.ts'
import { FaultyBackend, type Operation } from '../../support/faulty-backend.ts'
import { randomBytes } from '../../support/many-files.ts'
import { makeWorkFolder } from '../../support/repositories.ts'
import { listTree } from '../../support/rich-tree.ts'
import { createTestRepositoryIn, TEST_PASSWORD } from '../../support/test-repository.ts'

// Locks look twice, with a pause between.
vi.mock(import('node:timers/promises'), async (load) => ({
  ...(await load()),
  setTimeout: (() => Promise.resolve()) as never,
}))

let work = ''
let source = ''
let targets = 0

beforeAll(() => {
  work = makeWorkFolder('backup-group')
})
beforeEach(() => {
  source = join(work, `source-${targets++}`)
  mkdirSync(join(source, 'folder'), { recursive: true })
  for (let i = 0; i < 20; i++) writeFileSync(join(source, 'folder', `file-${i}`), randomBytes(i + 1, 3000))
  // Several chunks, and more than one pack of the smallest size.
  writeFileSync(join(source, 'large'), randomBytes(99, 9_000_000))
})
afterAll(() => rmSync(work, { recursive: true, force: true }))

const SMALL_PACKS = { packSizeBytes: 4 << 20, noLock: false }

/** A store whose writes fail where `isBroken` says so, once `state.broken` is set. */
function breakable(isBroken: (operation: Operation) => boolean): {
  readonly inner: MemoryBackend
  readonly backend: FaultyBackend
  readonly state: { broken: boolean }
} {
  const inner = new MemoryBackend()
  const state = { broken: false }
  const error = new BackendError('the store is down')
  const backend = new FaultyBackend(inner, {
    faultOf: (operation) => (state.broken && isBroken(operation) ? { kind: 'fail', error } : undefined),
  })
  return { inner, backend, state }
}

function open(backend: MemoryBackend): Promise<Repository> {
  return Repository.open(backend, { password: TEST_PASSWORD })
}

function run(
  repositories: readonly Repository[],
  options: BackupOptions = {},
): Promise<readonly RepositoryBackup[]> {
  return backupToAll(repositories, { paths: [source], hostname: 'host', ...options })
}

async function listed(backend: MemoryBackend, type: 'snapshot' | 'lock'): Promise<number> {
  let count = 0
  for await (const _ of backend.list(type)) count += 1
  return count
}

/** Checks all data and compares what the latest snapshot gives with the source. */
async function expectWhole(backend: MemoryBackend): Promise<void> {
  expect(await check(await open(backend), { readData: true })).toMatchObject({ errors: [], errorCount: 0 })
  const target = join(work, `target-${targets++}`)
  await restore(await open(backend), { snapshot: `latest:${source}`, target })
  expect(listTree(target).slice(1)).toEqual(listTree(source).slice(1))
  expect(await listed(backend, 'lock')).toBe(0)
}

describe('a backup to several repositories', () => {
  it('makes the same tree in each, with blobs of its own', async () => {
    const backends = [new MemoryBackend(), new MemoryBackend(), new MemoryBackend()]
    const repositories = await Promise.all([
      createTestRepositoryIn(backends[0]!),
      createTestRepositoryIn(backends[1]!, { version: 1 }),
      createTestRepositoryIn(backends[2]!, SMALL_PACKS),
    ])
    const made = await run(repositories)
    expect(made.map(({ error }) => error)).toEqual([undefined, undefined, undefined])
    expect(new Set(made.map(({ result }) => result!.tree)).size).toBe(1)
    expect(new Set(made.map(({ result }) => result!.snapshotId)).size).toBe(3)
    const [first, ...others] = made.map(({ result }) => result!.statistics)
    for (const { dataAddedPacked: _, ...other } of others) expect(first).toMatchObject(other)
    for (const backend of backends) await expectWhole(backend)
  })

  it('adds to each what it lacks, and nothing twice', async () => {
    const backends = [new MemoryBackend(), new MemoryBackend()]
    const [first, second] = await Promise.all(backends.map((each) => createTestRepositoryIn(each)))
    await backup(first!, { paths: [join(source, 'folder')] })
    const before = await run([first!, second!])
    expect(before.map(({ result }) => result!.statistics.dataBlobs > 20)).toEqual([false, true])
    appendFileSync(join(source, 'folder', 'file-1'), 'more')
    const after = await run([first!, second!])
    expect(after.map(({ result }) => result!.statistics.dataBlobs)).toEqual([1, 1])
    expect(after.map(({ result }) => result!.parent?.id)).toEqual(
      before.map(({ result }) => result!.snapshotId),
    )
    for (const backend of backends) await expectWhole(backend)
  })

  it('reads unchanged files again for a repository that joins later, without complaint', async () => {
    const backends = [new MemoryBackend(), new MemoryBackend()]
    const [first, second] = await Promise.all(backends.map((each) => createTestRepositoryIn(each)))
    await backup(first!, { paths: [source], hostname: 'host' })
    const errors: unknown[] = []
    const made = await run([first!, second!], { onError: (error) => errors.push(error) })
    expect(errors).toEqual([])
    expect(made.map(({ result }) => result!.statistics.dataBlobs)).toEqual([0, expect.any(Number)])
    for (const backend of backends) await expectWhole(backend)
  })

  it('makes no snapshot in those where nothing changed', async () => {
    const backends = [new MemoryBackend(), new MemoryBackend()]
    const [first, second] = await Promise.all(backends.map((each) => createTestRepositoryIn(each)))
    const before = process.cwd()
    // Folders above a target are part of the snapshot, and other tests change the one for temporary files.
    process.chdir(source)
    try {
      await backup(first!, { paths: ['.'], hostname: 'host' })
      const made = await run([first!, second!], { paths: ['.'], skipIfUnchanged: true })
      expect(made.map(({ result }) => result!.snapshotId === undefined)).toEqual([true, false])
    } finally {
      process.chdir(before)
    }
  })

  it('writes nothing where it is a dry run', async () => {
    const backends = [new MemoryBackend(), new MemoryBackend()]
    const repositories = await Promise.all(backends.map((each) => createTestRepositoryIn(each)))
    const made = await run(repositories, { dryRun: true })
    expect(made.map(({ result }) => result!.statistics.dataAdded > 0)).toEqual([true, true])
    for (const backend of backends) expect(await listed(backend, 'snapshot')).toBe(0)
  })

  it('takes a stream', async () => {
    const backends = [new MemoryBackend(), new MemoryBackend()]
    const repositories = await Promise.all(backends.map((each) => createTestRepositoryIn(each)))
    async function* stream(): AsyncGenerator<Uint8Array> {
      yield randomBytes(5, 3_000_000)
    }
    const input = { stream: stream(), filename: 'dump' }
    const made = await run(repositories, { paths: undefined, input })
    expect(made.map(({ result }) => result!.statistics.totalBytesProcessed)).toEqual([3_000_000, 3_000_000])
    for (const repository of repositories)
      expect(await check(repository, { readData: true })).toMatchObject({ errorCount: 0 })
  })

  it('needs at least one', async () => {
    await expect(run([])).rejects.toThrow(InvalidInputError)
  })
})

describe.each([0, 1])('repository %i that fails', (broken) => {
  const isPack = ({ kind, type }: Operation): boolean => kind === 'write' && type === 'pack'
  it.each<[string, (operation: Operation) => boolean]>([
    ['at its lock', ({ type }) => type === 'lock'],
    ['at its list of snapshots', ({ kind, type }) => kind === 'list' && type === 'snapshot'],
    ['at its first pack', isPack],
    ['at a later pack', (operation) => isPack(operation) && operation.number > 13],
    ['at its index', ({ kind, type }) => kind === 'write' && type === 'index'],
    ['at its snapshot', ({ kind, type }) => kind === 'write' && type === 'snapshot'],
  ])('%s is left behind, and has all the next time', async (_name, isBroken) => {
    const store = breakable(isBroken)
    const healthy = new MemoryBackend()
    const bad = await createTestRepositoryIn(store.backend, SMALL_PACKS)
    const good = await createTestRepositoryIn(healthy, SMALL_PACKS)
    const repositories = broken === 0 ? [bad, good] : [good, bad]
    store.state.broken = true
    const failures: [Repository, Error][] = []
    const made = await run(repositories, {
      onRepositoryFailure: (repository, error) => failures.push([repository, error]),
    })
    expect(failures).toEqual([[bad, expect.any(BackendError)]])
    expect(made[broken]).toMatchObject({ repository: bad, result: undefined, error: failures[0]![1] })
    expect(made[1 - broken]!.result?.snapshotId).toBeDefined()
    await expectWhole(healthy)
    expect(await listed(store.inner, 'snapshot')).toBe(0)

    store.state.broken = false
    const again = await run(broken === 0 ? [await open(store.inner), good] : [good, await open(store.inner)])
    expect(again.map(({ error }) => error)).toEqual([undefined, undefined])
    await expectWhole(store.inner)
    await expectWhole(healthy)
  })
})

describe('where nothing goes on', () => {
  it('the first failure is thrown', async () => {
    const stores = [0, 1].map(() => breakable(({ kind, type }) => kind === 'write' && type === 'pack'))
    const repositories = await Promise.all(stores.map(({ backend }) => createTestRepositoryIn(backend)))
    for (const { state } of stores) state.broken = true
    await expect(run(repositories)).rejects.toThrow('the store is down')
    for (const { inner } of stores)
      expect([await listed(inner, 'snapshot'), await listed(inner, 'lock')]).toEqual([0, 0])
  })

  it('an abort leaves no lock and no snapshot anywhere', async () => {
    const backends = [new MemoryBackend(), new MemoryBackend()]
    const repositories = await Promise.all(backends.map((each) => createTestRepositoryIn(each)))
    const controller = new AbortController()
    const onProgress = (): void => controller.abort()
    await expect(run(repositories, { signal: controller.signal, onProgress })).rejects.toThrow(AbortedError)
    for (const backend of backends)
      expect([await listed(backend, 'snapshot'), await listed(backend, 'lock')]).toEqual([0, 0])
  })
})

it('says that a repository with other parameters joins', async () => {
  const notices: string[] = []
  const [first, second] = await Promise.all(
    [new MemoryBackend(), new MemoryBackend()].map((each) =>
      createTestRepositoryIn(each, { onNotice: ({ message }) => notices.push(message) }),
    ),
  )
  writeFileSync(join(work, 'elsewhere'), 'x')
  await backup(second!, { paths: [join(work, 'elsewhere')] })
  await run([first!, second!])
  expect(notices).toEqual([expect.stringContaining('cuts files in other places')])
  await run([first!, second!])
  expect(notices).toHaveLength(1)
})
