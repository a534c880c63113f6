/** Real restic and ours with one cache folder between them. */
import { spawnSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CacheBackend } from '../../src/backend/cache.ts'
import { listCaches } from '../../src/backend/cache-directory.ts'
import { FILE_TYPES } from '../../src/backend/layout.ts'
import { LocalBackend } from '../../src/backend/local.ts'
import { backup } from '../../src/repo/ops/backup.ts'
import { check } from '../../src/repo/ops/check.ts'
import { Repository } from '../../src/repo/repository.ts'
import { contentsOf } from '../support/fault-loop.ts'
import { FaultyBackend } from '../support/faulty-backend.ts'
import { hasRestic, resticBinary } from '../support/real-restic.ts'
import { noise } from '../support/sample-data.ts'
import { TEST_PASSWORD } from '../support/test-repository.ts'
import { handleOf, listed } from './conformance.ts'

let folder: string
let root: string
let source: string
let base: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'restic-ts-shared-cache-'))
  ;[root, source, base] = ['repo', 'source', 'cache'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  await mkdir(join(source, 'sub'), { recursive: true })
  await writeFile(join(source, 'one'), noise(1, 5000))
  await writeFile(join(source, 'sub', 'two'), noise(2, 5000))
})

afterEach(() => rm(folder, { recursive: true }))

/** Runs restic with the cache; what it prints. */
function restic(...args: readonly string[]): string {
  const env = { PATH: process.env['PATH'], HOME: folder, RESTIC_PASSWORD: TEST_PASSWORD, TZ: 'UTC' }
  const run = spawnSync(resticBinary('0.19.1'), ['-r', root, '--cache-dir', base, ...args], {
    env,
    encoding: 'utf8',
  })
  if (run.status !== 0) throw new Error(`restic ${args.join(' ')} ended with ${run.status}: ${run.stderr}`)
  return run.stdout + run.stderr
}

/** Ours with the cache, and what the store itself is asked for. */
async function open() {
  const store = new FaultyBackend(new LocalBackend(root))
  const warnings: string[] = []
  const cached = new CacheBackend(store, { onWarning: (message) => warnings.push(message) })
  const repository = await Repository.open(cached, { password: TEST_PASSWORD, workers: 0 })
  const opened = await cached.useFor(repository.config.id, base)
  const readTypes = (): Set<string | undefined> =>
    new Set(store.operations.filter(({ kind }) => kind === 'read').map(({ type }) => type))
  return { repository, cached, opened, warnings, readTypes }
}

/** Names of files in the cache by their type. */
async function cachedNames(): Promise<Record<string, string[]>> {
  const [cache] = await listCaches(base)
  const names: Record<string, string[]> = {}
  for (const type of ['data', 'index', 'snapshots'])
    names[type] = (await readdir(join(cache!.path, type), { recursive: true })).filter(
      (path) => path.length > 2,
    )
  return names
}

/** What of the repository belongs into a cache. */
async function expectedNames(): Promise<Record<string, string[]>> {
  const store = new LocalBackend(root)
  const repository = await Repository.open(store, { password: TEST_PASSWORD, noLock: true })
  await repository.loadIndex()
  const packs = (await listed(store, 'pack')).map(({ name }) => name)
  const isTreePack = (name: string): boolean =>
    repository.index.blobsOfPack(name as never).every(({ type }) => type === 'tree')
  const spread = (names: string[]): string[] => names.map((name) => join(name.slice(0, 2), name))
  return {
    data: spread(packs.filter(isTreePack)),
    index: spread((await listed(store, 'index')).map(({ name }) => name)),
    snapshots: spread((await listed(store, 'snapshot')).map(({ name }) => name)),
  }
}

function sorted(names: Record<string, string[]>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(names).map(([type, list]) => [type, list.toSorted()]))
}

describe.skipIf(!hasRestic('0.19.1'))('a shared cache', () => {
  it('spares ours from reading again what restic has read or written', async () => {
    restic('init')
    restic('backup', source)
    const { cached, repository, opened, warnings, readTypes } = await open()
    expect(opened).toEqual({ base, isNew: false })
    await repository.loadIndex()
    expect((await check(repository)).errors).toEqual([])
    const result = await backup(repository, { paths: [source], noScan: true })
    expect(result.statistics.filesUnmodified).toBe(2)
    // The lock is our own.
    expect(readTypes()).toEqual(new Set(['config', 'key']))
    expect(warnings).toEqual([])
    expect(sorted(await cachedNames())).toEqual(sorted(await expectedNames()))
    await cached.close()
  })

  it('spares restic from reading again what ours has read or written', async () => {
    restic('init', '--no-cache')
    const { repository, opened } = await open()
    expect(opened?.isNew).toBe(true)
    await backup(repository, { paths: [source], noScan: true })
    await repository.close()
    expect(restic('cache', '--no-size')).toContain(repository.config.id.slice(0, 10))
    // What the store has is spoiled: restic can only have it from the cache.
    const expected = await expectedNames()
    for (const [name, paths] of Object.entries(expected)) {
      for (const path of paths) {
        const file = join(root, name, name === 'data' ? path : path.slice(3))
        await chmod(file, 0o600)
        await writeFile(file, 'spoiled')
      }
    }
    expect(restic('snapshots', '--no-lock')).toContain(source)
    expect(restic('ls', 'latest', '--no-lock')).toContain(join(source, 'sub', 'two'))
    expect(Object.values(expected).map((names) => names.length)).toEqual([1, 1, 1])
  })

  it('is tidied up by each after the other', async () => {
    restic('init')
    restic('backup', source)
    await writeFile(join(source, 'three'), noise(3, 5000))
    const first = await open()
    await backup(first.repository, { paths: [source], noScan: true })
    await first.cached.close()
    restic('forget', '--keep-last', '1', '--prune', '--max-unused', '0', '--no-cache')

    const { cached, repository, warnings } = await open()
    const before = await cachedNames()
    await repository.loadIndex()
    for (const type of FILE_TYPES) await listed(cached, type)
    expect((await contentsOf(cached)).size).toBe(1)
    expect(sorted(await cachedNames())).toEqual(sorted(await expectedNames()))
    expect(sorted(await cachedNames())).not.toEqual(sorted(before))
    expect(warnings).toEqual([])
    // What ours left restic finds whole.
    expect(restic('check', '--with-cache', '--read-data')).toContain('no errors were found')
    await cached.close()
  })

  it('has folders and files that are alike, whoever made them', async () => {
    restic('init', '--no-cache')
    const { repository, cached } = await open()
    await cached.write({ ...handleOf('pack', 'ab'), isMetadata: true }, noise(1, 10))
    const ours = await listAll(base)
    await rm(base, { recursive: true })
    restic('snapshots')
    const theirs = await listAll(base)
    expect(ours.filter((line) => !line.includes('/data/ab'))).toEqual(theirs)
    expect(ours).toContain(`${repository.config.id}/data/ab drwx------`)
    await repository.close()
  })
})

/** Everything below a folder with modes, as `find` lists it. */
async function listAll(top: string): Promise<string[]> {
  const { stdout } = spawnSync('find', [top, '-mindepth', '1', '-printf', '%P %M\n'], { encoding: 'utf8' })
  return stdout.trim().split('\n').toSorted()
}
