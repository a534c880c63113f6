/** The local cache: what is kept, for how long, and that nothing depends on it. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFile,
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Backend, Handle } from '../../src/backend/backend.ts'
import { CacheBackend } from '../../src/backend/cache.ts'
import {
  cacheBase,
  cacheSize,
  isOldCache,
  listCaches,
  removeCache,
} from '../../src/backend/cache-directory.ts'
import type { NamedFileType } from '../../src/backend/layout.ts'
import { MemoryBackend } from '../../src/backend/memory.ts'
import { BackendError, FileNotFoundError, InvalidInputError } from '../../src/errors.ts'
import { FaultyBackend, type Fault, type Operation } from '../support/faulty-backend.ts'
import { noise } from '../support/sample-data.ts'
import { describeBackend, hashedHandle, listed } from './conformance.ts'

const REPOSITORY = 'c0ffee'.padEnd(64, '0')
const TAG = 'Signature: 8a477f597d28d172789f06886806bc55\n'
const isRoot = process.getuid?.() === 0

let folder: string
let base: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'restic-ts-cache-'))
  base = join(folder, 'base')
})

afterEach(() => rm(folder, { recursive: true }))

describeBackend('cached (not in use)', async () => {
  const backend = new CacheBackend(new MemoryBackend())
  return { backend, reopen: async () => backend, cleanup: async () => undefined }
})

describeBackend('cached', async () => {
  const inner = new MemoryBackend()
  const open = async (): Promise<Backend> => {
    const backend = new CacheBackend(inner)
    await backend.useFor(REPOSITORY, base)
    return backend
  }
  return { backend: await open(), reopen: open, cleanup: async () => undefined }
})

/** A cached store, what the store itself was asked for, and warnings. */
async function setUp(
  options: { inner?: MemoryBackend; faultOf?: (operation: Operation) => Fault | undefined } = {},
) {
  const inner = options.inner ?? new MemoryBackend()
  const { faultOf = () => undefined } = options
  const asked = new FaultyBackend(inner, { faultOf })
  const warnings: string[] = []
  const backend = new CacheBackend(asked, { onWarning: (message) => warnings.push(message) })
  const opened = await backend.useFor(REPOSITORY, base)
  const reads = (): number => asked.operations.filter(({ kind }) => kind === 'read').length
  return { inner, asked, backend, warnings, opened, reads }
}

/** Files of all kinds, named as in a repository, and their bytes. */
function sample(type: NamedFileType, seed: number, length = 1000): { handle: Handle; data: Uint8Array } {
  const data = noise(seed, length)
  return { handle: hashedHandle(type, data), data }
}

function treePack(seed: number, length = 1000): { handle: Handle; data: Uint8Array } {
  const { handle, data } = sample('pack', seed, length)
  return { handle: { ...handle, isMetadata: true }, data }
}

async function filesBelow(top: string): Promise<string[]> {
  const entries = await readdir(top, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(top, join(entry.parentPath, entry.name)))
    .toSorted()
}

function pathOf({ type, name }: Handle): string {
  const folderName = { pack: 'data', index: 'index', snapshot: 'snapshots' }[type as 'pack']
  return join(base, REPOSITORY, folderName, name.slice(0, 2), name)
}

async function isCached(handle: Handle): Promise<boolean> {
  return stat(pathOf(handle)).then(
    () => true,
    () => false,
  )
}

describe('a cache folder', () => {
  it('is marked, private, and said to be new once', async () => {
    const { opened, warnings } = await setUp()
    expect(opened).toEqual({ base, isNew: true })
    expect(await filesBelow(base)).toEqual(['CACHEDIR.TAG', `${REPOSITORY}/version`])
    expect(await readFile(join(base, 'CACHEDIR.TAG'), 'utf8')).toBe(TAG)
    expect(await readFile(join(base, REPOSITORY, 'version'), 'utf8')).toBe('1')
    for (const path of [
      '',
      REPOSITORY,
      `${REPOSITORY}/data`,
      `${REPOSITORY}/index`,
      `${REPOSITORY}/snapshots`,
    ])
      expect([path, (await stat(join(base, path))).mode & 0o777]).toEqual([path, 0o700])
    expect((await setUp()).opened).toEqual({ base, isNew: false })
    expect(warnings).toEqual([])
  })

  it('knows when it was used last', async () => {
    await setUp()
    const longAgo = new Date('2020-01-01T00:00:00Z')
    await utimes(join(base, REPOSITORY), longAgo, longAgo)
    await setUp()
    expect((await stat(join(base, REPOSITORY))).mtimeMs).toBeGreaterThan(Date.now() - 60_000)
  })

  it('keeps a tag that somebody else has put there', async () => {
    await mkdir(base)
    await writeFile(join(base, 'CACHEDIR.TAG'), 'mine')
    expect((await setUp()).warnings).toEqual([])
    expect(await readFile(join(base, 'CACHEDIR.TAG'), 'utf8')).toBe('mine')
  })

  it.each([
    ['2', 'is of version 2, this program knows version 1'],
    ['one', 'does not hold the version of a cache'],
    ['', 'does not hold the version of a cache'],
  ])('of version "%s" is left alone, with a warning', async (version, problem) => {
    await mkdir(join(base, REPOSITORY), { recursive: true })
    await writeFile(join(base, REPOSITORY, 'version'), version)
    const { backend, warnings, opened, inner } = await setUp()
    expect(opened).toBeUndefined()
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain('unable to open cache: ')
    expect(warnings[0]).toContain(problem)
    const { handle, data } = sample('index', 1)
    await backend.write(handle, data)
    expect(await inner.read(handle)).toEqual(data)
    expect(await filesBelow(join(base, REPOSITORY))).toEqual(['version'])
  })

  it('that cannot be made is a warning, and everything works without it', async () => {
    await writeFile(base, 'a file')
    const { backend, warnings, opened } = await setUp()
    expect(opened).toBeUndefined()
    expect(warnings).toEqual([expect.stringContaining('unable to open cache: EEXIST')])
    const { handle, data } = treePack(1)
    await backend.write(handle, data)
    expect(await backend.read(handle, { offset: 1, length: 2 })).toEqual(data.slice(1, 3))
    expect(await listed(backend, 'pack')).toHaveLength(1)
    await backend.remove(handle)
    expect(warnings).toHaveLength(1)
  })
})

describe('what is written', () => {
  it('is kept where it will be read again, and read from there', async () => {
    const { backend, reads } = await setUp()
    const files = [sample('index', 1), sample('snapshot', 2), treePack(3, 5000)]
    for (const { handle, data } of files) await backend.write(handle, data)
    for (const { handle, data } of files) {
      expect(await readFile(pathOf(handle))).toEqual(Buffer.from(data))
      expect(await backend.read(handle)).toEqual(data)
      expect(await backend.read(handle, { offset: 300, length: 400 })).toEqual(data.slice(300, 700))
    }
    expect(reads()).toBe(0)
    const next = await setUp()
    for (const { handle, data } of files) expect(await next.backend.read(handle)).toEqual(data)
    expect(next.reads()).toBe(0)
  })

  it('is never kept of data, keys, locks and the config', async () => {
    const { backend, inner } = await setUp()
    const files = [sample('pack', 1), sample('key', 2), sample('lock', 3)]
    files.push({ handle: { type: 'config', name: '' }, data: noise(4, 10) })
    for (const { handle, data } of files) {
      await backend.write(handle, data)
      expect(await backend.read(handle)).toEqual(data)
    }
    expect(await filesBelow(join(base, REPOSITORY))).toEqual(['version'])
    for (const { handle } of files) await inner.remove(handle)
    for (const { handle } of files) await expect(backend.read(handle)).rejects.toThrow(FileNotFoundError)
  })

  it('is not kept where the store does not take it', async () => {
    const faultOf = ({ kind }: Operation): Fault | undefined =>
      kind === 'write' ? { kind: 'fail' } : undefined
    const { backend } = await setUp({ faultOf })
    const { handle, data } = sample('index', 1)
    await expect(backend.write(handle, data)).rejects.toThrow(BackendError)
    expect(await isCached(handle)).toBe(false)
  })
})

describe('what is read', () => {
  it('is fetched as a whole once, however many want parts of it', async () => {
    const { backend, inner, asked, reads } = await setUp()
    const { handle, data } = treePack(1, 50_000)
    await inner.write(handle, data)
    const ranges = Array.from({ length: 20 }, (_, i) => ({ offset: i * 2000, length: 3000 }))
    const parts = await Promise.all(ranges.map((range) => backend.read(handle, range)))
    for (const [i, { offset, length }] of ranges.entries())
      expect(parts[i]).toEqual(data.slice(offset, offset + length))
    expect(reads()).toBe(1)
    parts[0]!.fill(0)
    expect(await backend.read(handle, ranges[0])).toEqual(data.slice(0, 3000))
    expect(asked.operations).toHaveLength(1)
    expect((await stat(pathOf(handle))).mode & 0o777).toBe(0o600)
  })

  it('is what the store has, where a range goes beyond the end', async () => {
    const { backend, inner, reads } = await setUp()
    const { handle, data } = treePack(1)
    await inner.write(handle, data)
    for (let i = 0; i < 2; i++) {
      const error = await backend
        .read(handle, { offset: 900, length: 101 })
        .catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(BackendError)
    }
    expect(await isCached(handle)).toBe(true)
    expect(reads()).toBe(3)
  })

  it('goes on where one of those who wait gives up', async () => {
    const inner = new MemoryBackend()
    const slow = new FaultyBackend(inner, { turns: () => 5 })
    const backend = new CacheBackend(slow)
    await backend.useFor(REPOSITORY, base)
    const { handle, data } = treePack(1)
    await inner.write(handle, data)
    const controller = new AbortController()
    const stopped = backend.read(handle, undefined, controller.signal).catch((error: unknown) => error)
    const going = backend.read(handle)
    setImmediate(() => controller.abort())
    expect(await stopped).toMatchObject({ code: 'ABORTED' })
    expect(await going).toEqual(data)
    expect(slow.operations).toHaveLength(1)
  })

  it.each(['flipped', 'cut off', 'longer', 'empty', 'a folder'])(
    'is the store’s where the copy is %s, and the copy is mended',
    async (damage) => {
      const { handle, data } = treePack(1, 5000)
      const { inner, backend: before } = await setUp()
      await before.write(handle, data)
      const path = pathOf(handle)
      if (damage === 'flipped') await writeFile(path, data.with(17, data[17]! ^ 1))
      if (damage === 'cut off') await writeFile(path, data.subarray(0, 4000))
      if (damage === 'longer') await appendFile(path, 'x')
      if (damage === 'empty') await writeFile(path, '')
      if (damage === 'a folder') await rm(path).then(() => mkdir(path))
      // The same process notices that the file has changed, another one that it is wrong.
      for (const backend of [before, (await setUp({ inner })).backend]) {
        expect(await backend.read(handle, { offset: 10, length: 10 })).toEqual(data.slice(10, 20))
        expect(await backend.read(handle)).toEqual(data)
      }
      // Only what is in the way of a file cannot be mended.
      const hash = await readFile(path).then(sha256, () => 'none')
      expect(hash).toBe(damage === 'a folder' ? 'none' : handle.name)
    },
  )

  it('is as it is, and not kept, where the store itself has something else', async () => {
    const { backend, inner, reads } = await setUp()
    const { handle, data } = treePack(1)
    const wrong = data.with(500, data[500]! ^ 1)
    await inner.write(handle, wrong)
    for (let i = 0; i < 3; i++) expect(await backend.read(handle)).toEqual(wrong)
    expect(await backend.read(handle, { offset: 499, length: 3 })).toEqual(wrong.slice(499, 502))
    expect(reads()).toBe(4)
    expect(await isCached(handle)).toBe(false)
    await inner.write(handle, data)
    expect(await backend.read(handle)).toEqual(data)
  })

  it('is the store’s in a cache that was deleted while it was used', async () => {
    const { backend, inner, warnings } = await setUp()
    const [one, two] = [sample('index', 1), sample('index', 2)]
    await backend.write(one.handle, one.data)
    await inner.write(two.handle, two.data)
    await rm(base, { recursive: true })
    expect(await backend.read(one.handle)).toEqual(one.data)
    expect(await backend.read(two.handle)).toEqual(two.data)
    expect(await isCached(two.handle)).toBe(true)
    expect(warnings).toEqual([])
  })
})

describe('what is gone from the repository', () => {
  it('is forgotten when it is removed, or found missing', async () => {
    const { backend, inner } = await setUp()
    const files = [sample('index', 1), sample('snapshot', 2), treePack(3), treePack(4)]
    for (const { handle, data } of files) await backend.write(handle, data)
    // Removed through the cache, by somebody else before that, and packs also by those who do not say what is in them.
    await backend.remove(files[0]!.handle)
    await inner.remove(files[1]!.handle)
    await expect(backend.remove(files[1]!.handle)).rejects.toThrow(FileNotFoundError)
    await backend.remove({ type: 'pack', name: files[2]!.handle.name })
    await inner.remove(files[3]!.handle)
    await expect(backend.stat(files[3]!.handle)).rejects.toThrow(FileNotFoundError)
    expect(await filesBelow(join(base, REPOSITORY))).toEqual(['version'])
  })

  it('stays where the store does not remove it', async () => {
    const faultOf = ({ kind }: Operation): Fault | undefined =>
      kind === 'remove' ? { kind: 'fail' } : undefined
    const { backend } = await setUp({ faultOf })
    const { handle, data } = sample('index', 1)
    await backend.write(handle, data)
    await expect(backend.remove(handle)).rejects.toThrow(BackendError)
    expect(await isCached(handle)).toBe(true)
  })

  it.each(['index', 'snapshot', 'pack'] as const)('is forgotten when it is not listed: %s', async (type) => {
    const { backend, inner } = await setUp()
    const make = (seed: number) => (type === 'pack' ? treePack(seed) : sample(type, seed))
    const [kept, gone] = [make(1), make(2)]
    for (const { handle, data } of [kept, gone]) await backend.write(handle, data)
    await inner.remove(gone.handle)
    const others = (['index', 'snapshot', 'pack'] as const).filter((other) => other !== type)
    for (const other of others) await listed(backend, other)
    expect(await isCached(gone.handle)).toBe(true)
    await listed(backend, type)
    expect(await isCached(kept.handle)).toBe(true)
    expect(await isCached(gone.handle)).toBe(false)
  })

  it('is not forgotten where the listing breaks off', async () => {
    let isDown = true
    const faultOf = ({ kind }: Operation): Fault | undefined =>
      isDown && kind === 'list' ? { kind: 'fail' } : undefined
    const { backend, inner } = await setUp({ faultOf })
    const files = [sample('index', 1), sample('index', 2), sample('index', 3)]
    for (const { handle, data } of files) await backend.write(handle, data)
    for (const { handle } of files.slice(1)) await inner.remove(handle)
    await expect(listed(backend, 'index')).rejects.toThrow(BackendError)
    isDown = false
    for await (const _ of backend.list('index')) break
    for (const { handle } of files) expect(await isCached(handle)).toBe(true)
  })

  it('is forgotten of packs when the index is known', async () => {
    const { backend, warnings } = await setUp()
    const [kept, gone, index] = [treePack(1), treePack(2), sample('index', 3)]
    for (const { handle, data } of [kept, gone, index]) await backend.write(handle, data)
    await backend.forgetCopies?.((name) => name === kept.handle.name)
    expect(await isCached(kept.handle)).toBe(true)
    expect(await isCached(gone.handle)).toBe(false)
    expect(await isCached(index.handle)).toBe(true)
    await rm(base, { recursive: true })
    await backend.forgetCopies?.(() => false)
    expect(warnings).toEqual([])
  })

  it('does not include what others write just now; what they left long ago goes', async () => {
    const { backend } = await setUp()
    const { handle, data } = sample('index', 1)
    await backend.write(handle, data)
    const [fresh, old] = ['tmp-fresh', 'tmp-old'].map((name) => join(pathOf(handle), '..', name))
    for (const path of [fresh!, old!]) await writeFile(path, 'half')
    const yesterday = new Date(Date.now() - 25 * 3_600_000)
    await utimes(old!, yesterday, yesterday)
    await listed(backend, 'index')
    expect((await readdir(join(pathOf(handle), '..'))).toSorted()).toEqual(
      [handle.name, 'tmp-fresh'].toSorted(),
    )
  })
})

describe.skipIf(!isRoot)('a full disk', () => {
  beforeEach(async () => {
    await mkdir(base)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'restic-ts-test', base])
  })

  afterEach(() => {
    execFileSync('umount', [base])
  })

  it('is one warning, and everything goes on', async () => {
    const { backend, inner, warnings, asked } = await setUp()
    const small = sample('index', 1, 10_000)
    await backend.write(small.handle, small.data)
    const packs = [treePack(2, 300_000), treePack(3, 300_000)]
    await backend.write(packs[0]!.handle, packs[0]!.data)
    await inner.write(packs[1]!.handle, packs[1]!.data)
    expect(warnings).toEqual([
      'unable to store files in the cache, going on without: ENOSPC: no space left on device, write',
    ])
    asked.operations.length = 0
    for (const { handle, data } of packs)
      expect(await backend.read(handle, { offset: 5, length: 100 })).toEqual(data.slice(5, 105))
    expect(await backend.read(small.handle)).toEqual(small.data)
    // Only what is wanted is fetched: nothing could be kept of the rest.
    expect(asked.operations.map(({ kind }) => kind)).toEqual(['read', 'read'])
    expect(warnings).toHaveLength(1)
    expect(await filesBelow(join(base, REPOSITORY))).toEqual([
      relative(join(base, REPOSITORY), pathOf(small.handle)),
      'version',
    ])
  })
})

describe.skipIf(!isRoot)('somebody else’s cache', () => {
  it('is a warning', async () => {
    const { inner } = await setUp()
    await chmod(folder, 0o755)
    process.seteuid?.(65_534)
    try {
      const { backend, opened, warnings } = await setUp({ inner })
      expect(opened).toBeUndefined()
      expect(warnings).toEqual([expect.stringContaining('unable to open cache: EACCES: permission denied')])
      const { handle, data } = sample('index', 1)
      await backend.write(handle, data)
      expect(await backend.read(handle)).toEqual(data)
    } finally {
      process.seteuid?.(0)
    }
  })
})

describe('a temporary cache', () => {
  it('knows nothing of before and is gone afterwards', async () => {
    const { inner, backend: before } = await setUp()
    const { handle, data } = treePack(1)
    await before.write(handle, data)
    const asked = new FaultyBackend(inner)
    const backend = new CacheBackend(asked)
    const opened = await backend.useTemporary(REPOSITORY, base)
    expect(opened?.base).toMatch(/\/restic-check-cache-\d+$/)
    for (let i = 0; i < 3; i++) expect(await backend.read(handle)).toEqual(data)
    expect(asked.operations).toHaveLength(1)
    expect((await listCaches(base)).map(({ path }) => path)).toContain(opened?.base)
    await backend.close()
    expect((await readdir(base)).toSorted()).toEqual(['CACHEDIR.TAG', REPOSITORY])
    expect(await isCached(handle)).toBe(true)
  })

  it('that cannot be made is a warning', async () => {
    await writeFile(base, 'a file')
    const warnings: string[] = []
    const backend = new CacheBackend(new MemoryBackend(), { onWarning: (message) => warnings.push(message) })
    expect(await backend.useTemporary(REPOSITORY, base)).toBeUndefined()
    expect(warnings).toEqual([
      expect.stringContaining('unable to create cache directory during check, disabling cache: '),
    ])
    await backend.close()
  })
})

describe('the base folder', () => {
  it.each([
    ['the flag', '/flag', { RESTIC_CACHE_DIR: '/variable', HOME: '/home' }, 'linux', '/flag'],
    ['restic’s variable', undefined, { RESTIC_CACHE_DIR: '/variable', HOME: '/home' }, 'linux', '/variable'],
    ['the desktop’s', undefined, { XDG_CACHE_HOME: '/xdg', HOME: '/home' }, 'linux', '/xdg/restic'],
    [
      'the home’s',
      '',
      { RESTIC_CACHE_DIR: '', XDG_CACHE_HOME: '', HOME: '/home' },
      'linux',
      '/home/.cache/restic',
    ],
    [
      'the Mac’s',
      undefined,
      { HOME: '/home', XDG_CACHE_HOME: '/xdg' },
      'darwin',
      '/home/Library/Caches/restic',
    ],
  ] as const)('is %s', (...[, flag, env, platform, expected]) => {
    expect(cacheBase(flag, env, platform)).toBe(expected)
  })

  it.each([
    [{}, 'linux', 'unable to locate cache directory: neither $XDG_CACHE_HOME nor $HOME are defined'],
    [
      { XDG_CACHE_HOME: 'here', HOME: '/home' },
      'linux',
      'unable to locate cache directory: path in $XDG_CACHE_HOME is relative',
    ],
    [{}, 'darwin', 'unable to locate cache directory: $HOME is not defined'],
    [{}, 'win32', 'unable to locate cache directory: %LocalAppData% is not defined'],
  ] as const)('cannot be told of %o', (env, platform, message) => {
    const act = (): string => cacheBase(undefined, env, platform)
    expect(act).toThrow(InvalidInputError)
    expect(act).toThrow(message)
  })
})

describe('all caches', () => {
  it('are listed, old ones are told, and removed', async () => {
    expect(await listCaches(base)).toEqual([])
    const names = ['a'.repeat(64), 'B'.repeat(64), 'restic-check-cache-42']
    const times = ['2026-03-01T00:00:00Z', '2026-01-29T00:00:00Z', '2026-01-31T00:00:00Z']
    for (const [i, name] of names.entries()) {
      await mkdir(join(base, name, 'index', '00'), { recursive: true })
      await writeFile(join(base, name, 'version'), '1')
      await writeFile(join(base, name, 'index', '00', 'x'), 'x'.repeat(i))
      await utimes(join(base, name), new Date(times[i]!), new Date(times[i]!))
    }
    await mkdir(join(base, 'something'))
    await mkdir(join(base, 'restic-check-cache-x'))
    await writeFile(join(base, 'c'.repeat(64)), 'a file')
    await writeFile(join(base, 'CACHEDIR.TAG'), TAG)

    const caches = await listCaches(base)
    expect(caches.map(({ name }) => name)).toEqual([names[1], names[2], names[0]])
    expect(await Promise.all(caches.map(cacheSize))).toEqual([2, 3, 1])
    const now = new Date('2026-03-01T00:00:00Z')
    expect(caches.map((cache) => isOldCache(cache, 30, now))).toEqual([true, false, false])
    expect(caches.map((cache) => isOldCache(cache, 28, now))).toEqual([true, true, false])
    for (const cache of caches.filter((each) => isOldCache(each, 28, now))) await removeCache(cache)
    expect((await listCaches(base)).map(({ name }) => name)).toEqual([names[0]])
  })
})

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
