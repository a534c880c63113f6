import { beforeEach, describe, expect, it } from 'vitest'
import type { ByteRange, FileType, Handle } from '../../../src/backend/backend.ts'
import { MemoryBackend } from '../../../src/backend/memory.ts'
import {
  AbortedError,
  BackendError,
  CorruptDataError,
  InvalidInputError,
  RepositoryDamagedError,
  ResticError,
} from '../../../src/errors.ts'
import { parseId, type Id } from '../../../src/repo/format/id.ts'
import { encodeIndexFile, parseIndexFile } from '../../../src/repo/format/index-file.ts'
import { check } from '../../../src/repo/ops/check.ts'
import { prune, pruneLocked, type PruneOptions, type PruneProgress } from '../../../src/repo/ops/prune.ts'
import { Repository, type RepositorySettings } from '../../../src/repo/repository.ts'
import { addSnapshot, noise, type SampleTree } from '../../support/sample-data.ts'
import { createTestRepository, TEST_PASSWORD } from '../../support/test-repository.ts'

const FILE_TYPES = ['key', 'lock', 'snapshot', 'index', 'pack'] as const

let backend: MemoryBackend
let repository: Repository

/** Files with one blob each, told apart by their seeds. */
function files(...seeds: readonly number[]): SampleTree {
  return Object.fromEntries(seeds.map((seed) => [`file${seed}`, [noise(seed, 300 + seed)]]))
}

async function list(type: Exclude<FileType, 'config'>, store = backend): Promise<Id[]> {
  const ids: Id[] = []
  for await (const { name } of store.list(type)) ids.push(parseId(name))
  return ids.toSorted()
}

async function copyOf(source: MemoryBackend): Promise<MemoryBackend> {
  const copy = new MemoryBackend()
  const handles: Handle[] = [{ type: 'config', name: '' }]
  for (const type of FILE_TYPES) for (const name of await list(type, source)) handles.push({ type, name })
  for (const handle of handles) await copy.write(handle, await source.read(handle))
  return copy
}

function open(store: MemoryBackend, settings: RepositorySettings = {}): Promise<Repository> {
  return Repository.open(store, { password: TEST_PASSWORD, noLock: true, ...settings })
}

/** The blobs of each snapshot, in a fresh look at the store. */
async function contents(store: MemoryBackend): Promise<Map<Id, string>> {
  const fresh = await open(store)
  await fresh.loadIndex()
  const read = async (tree: Id): Promise<string> => {
    const entries = (await fresh.loadTree(tree)).map(async ({ name, content, subtree }) => {
      if (subtree !== null) return `${name}/(${await read(subtree)})`
      const blobs = (content ?? []).map(async (id) => fresh.codec.idOf(await fresh.loadBlob('data', id)))
      return `${name}:${(await Promise.all(blobs)).join('+')}`
    })
    return (await Promise.all(entries)).join(' ')
  }
  const all = new Map<Id, string>()
  for (const id of await list('snapshot', store)) all.set(id, await read((await fresh.loadSnapshot(id)).tree))
  return all
}

const SOUND = { errors: [], hints: [] }

beforeEach(async () => {
  ;({ backend, repository } = await createTestRepository({ noLock: true }))
})

describe('prune', () => {
  it('leaves what is used and removes the rest', async () => {
    const gone = await addSnapshot(repository, { both: files(1), old: files(2, 3) })
    const kept = await addSnapshot(repository, { both: files(1), new: files(4) })
    const whole = await contents(backend)
    await repository.remove('snapshot', gone)
    const before = await list('pack')

    const result = await prune(repository)
    expect(result.failures).toEqual([])
    expect(result.stats.blobs).toMatchObject({ unused: 4 })
    expect(result.removedPacks.every((pack) => before.includes(pack))).toBe(true)
    expect((await list('pack')).filter((pack) => result.removedPacks.includes(pack))).toEqual([])

    const fresh = await open(backend)
    expect(await check(fresh, { readData: true })).toMatchObject(SOUND)
    expect(fresh.index.blobCount).toBe(result.stats.blobs.used)
    expect(await contents(backend)).toEqual(new Map([[kept, whole.get(kept)]]))
    expect(await list('index')).toHaveLength(1)
  })

  it('has nothing left to do the second time', async () => {
    const gone = await addSnapshot(repository, files(1, 2))
    await addSnapshot(repository, files(2, 3))
    await repository.remove('snapshot', gone)
    await prune(repository)
    const packs = await list('pack')
    const indexes = await list('index')
    const again = await prune(repository)
    expect(again.removedPacks).toEqual([])
    expect(again.stats.blobs.unused).toBe(0)
    expect([await list('pack'), await list('index')]).toEqual([packs, indexes])
  })

  it('removes everything where no snapshot is left', async () => {
    await repository.remove('snapshot', await addSnapshot(repository, files(1)))
    await prune(repository)
    expect([await list('pack'), await list('index')]).toEqual([[], []])
  })

  it('plans only in a dry run', async () => {
    await repository.remove('snapshot', await addSnapshot(repository, files(1, 2)))
    await addSnapshot(repository, files(2))
    const state = [await list('pack'), await list('index')]
    const dry = await prune(repository, { dryRun: true })
    expect([await list('pack'), await list('index')]).toEqual(state)
    const real = await prune(repository)
    expect(dry).toEqual(real)
  })

  it('says what it is going to do before it does it, and how far it is', async () => {
    await repository.remove('snapshot', await addSnapshot(repository, files(1, 2)))
    await addSnapshot(repository, files(2))
    await backend.write({ type: 'pack', name: 'ab'.repeat(32) }, new Uint8Array(10))
    const events: string[] = []
    const onProgress = ({ phase, done, total }: PruneProgress): void => {
      if (done === total) events.push(phase)
    }
    await prune(repository, { onProgress, onPlan: ({ stats }) => events.push(`plan ${stats.packs.repack}`) })
    expect(events).toEqual([
      'load-index',
      'find-used',
      'plan 1',
      'remove-unreferenced',
      'repack',
      'rewrite-index',
      'remove-index',
      'remove-packs',
    ])
  })

  it('takes an exclusive lock, in a dry run too unless there are to be none', async () => {
    const locking = await Repository.open(backend, { password: TEST_PASSWORD })
    const other = await locking.lock(false)
    await expect(prune(locking)).rejects.toThrow('already locked')
    await expect(prune(locking, { dryRun: true })).rejects.toThrow('already locked')
    await expect(prune(repository)).rejects.toThrow('already locked')
    await prune(repository, { dryRun: true })
    await other.release()
    await prune(locking)
    expect(await list('lock')).toEqual([])
  })

  it('stores what was plain compressed, and what was compressed as it is', async () => {
    const text = new TextEncoder().encode('compressible '.repeat(100))
    const plain = await open(backend, { compression: 'off' })
    await plain.remove('snapshot', await addSnapshot(plain, { a: [text], b: [noise(1, 100)] }))
    await addSnapshot(repository, { a: [text], c: [noise(2, 200)] })
    await repository.remove(
      'snapshot',
      await addSnapshot(repository, { c: [noise(2, 200)], d: [noise(3, 300)] }),
    )
    await prune(repository)
    const fresh = await open(backend)
    expect(await check(fresh, { readData: true })).toMatchObject(SOUND)
    expect(fresh.index.lookup('data', fresh.codec.idOf(text))).toMatchObject({
      uncompressedLength: text.length,
    })
    expect(fresh.index.blobCount).toBe(3)
  })

  it('compresses on request', async () => {
    const plain = await open(backend, { compression: 'off' })
    await addSnapshot(plain, { a: [noise(1, 100)] })
    const before = await prune(repository, { dryRun: true })
    expect(before.stats.bytes.uncompressed).toBeGreaterThan(0)
    await prune(repository, { repackUncompressed: true })
    const after = await prune(repository, { dryRun: true })
    expect(after.stats.bytes.uncompressed).toBe(0)
    expect(await check(repository, { readData: true })).toMatchObject(SOUND)
  })

  it('drops index entries of packs that are gone and not needed', async () => {
    const gone = await addSnapshot(repository, files(1))
    await addSnapshot(repository, files(2))
    await repository.remove('snapshot', gone)
    const { packId } = repository.index.lookup('data', repository.codec.idOf(noise(1, 301)))!
    await repository.remove('pack', packId)
    await prune(repository)
    expect(await check(repository, { readData: true })).toMatchObject(SOUND)
  })

  it('copies from another copy where one is damaged', async () => {
    const gone = await addSnapshot(repository, files(1, 2))
    await addSnapshot(repository, files(2))
    const id = repository.codec.idOf(noise(2, 302))
    const { packId } = repository.index.lookup('data', id)!
    repository.startWriting()
    await repository.copyBlob('data', noise(2, 302), id)
    await repository.copyBlob('data', noise(3, 303), repository.codec.idOf(noise(3, 303)))
    await repository.flush()
    await repository.remove('snapshot', gone)
    const bytes = await backend.read({ type: 'pack', name: packId })
    await backend.write({ type: 'pack', name: packId }, bytes.fill(7, 0, -50))
    await prune(repository)
    expect(await check(repository, { readData: true })).toMatchObject(SOUND)
  })
})

async function unchanged(options: PruneOptions): Promise<unknown> {
  const state = [await list('pack'), await list('index'), await list('snapshot')]
  const failure: unknown = await prune(repository, options).catch((error: unknown) => error)
  expect([await list('pack'), await list('index'), await list('snapshot')]).toEqual(state)
  return failure
}

describe('prune refuses', () => {
  beforeEach(async () => {
    await repository.remove('snapshot', await addSnapshot(repository, files(1, 2)))
    await addSnapshot(repository, { sub: files(2, 3) })
  })

  it('where a needed pack is missing', async () => {
    const { packId } = repository.index.lookup('data', repository.codec.idOf(noise(3, 303)))!
    await repository.remove('pack', packId)
    expect(await unchanged({})).toBeInstanceOf(RepositoryDamagedError)
  })

  it('where a needed blob is not in the index', async () => {
    const [, index] = await list('index')
    await repository.remove('index', index!)
    expect(await unchanged({})).toBeInstanceOf(Error)
  })

  it('where an index file, a snapshot or a tree cannot be read', async () => {
    const spoil = async (type: FileType, name: string): Promise<void> => {
      const bytes = await backend.read({ type, name })
      await backend.write({ type, name }, bytes.fill(1, 10, 40))
      expect(await unchanged({})).toBeInstanceOf(CorruptDataError)
      backend = restored
      restored = await copyOf(backend)
      repository = await open(backend)
    }
    let restored = await copyOf(backend)
    await spoil('index', (await list('index'))[0]!)
    await spoil('snapshot', (await list('snapshot'))[0]!)
    await repository.loadIndex()
    const { tree } = await repository.loadSnapshot((await list('snapshot'))[0]!)
    await spoil('pack', repository.index.lookup('tree', tree)!.packId)
  })

  it('where a blob to be copied cannot be read', async () => {
    const { packId, offset } = repository.index.lookup('data', repository.codec.idOf(noise(2, 302)))!
    const bytes = await backend.read({ type: 'pack', name: packId })
    await backend.write({ type: 'pack', name: packId }, bytes.fill(1, offset, offset + 20))
    const before = await list('pack')
    await expect(prune(repository)).rejects.toThrow(CorruptDataError)
    const after = await list('pack')
    expect(before.every((pack) => after.includes(pack))).toBe(true)
    expect(await list('index')).toHaveLength(2)
  })

  it('options that make no sense', async () => {
    expect(await unchanged({ repackSmallerThanBytes: 0 })).toBeInstanceOf(InvalidInputError)
    expect(await unchanged({ repackSmallerThanBytes: 17 << 20 })).toBeInstanceOf(InvalidInputError)
    expect(await unchanged({ maxUnused: { percent: 100 } })).toBeInstanceOf(InvalidInputError)
    expect(await unchanged({ unsafeRecoverNoFreeSpace: 'yes' })).toMatchObject({
      message: `must pass id '${repository.config.id}' to --unsafe-recover-no-free-space`,
    })
    repository = await open(backend, { compression: 'off' })
    expect(await unchanged({ repackUncompressed: true })).toBeInstanceOf(InvalidInputError)
  })

  it('to go on after a signal', async () => {
    expect(await unchanged({ signal: AbortSignal.abort() })).toBeInstanceOf(AbortedError)
  })
})

describe('prune without free space', () => {
  it('writes nothing until packs and index files are deleted', async () => {
    await repository.remove('snapshot', await addSnapshot(repository, files(1, 2)))
    const kept = await addSnapshot(repository, files(2, 3))
    await repository.remove('snapshot', await addSnapshot(repository, files(9)))
    const whole = (await contents(backend)).get(kept)
    const events: string[] = []
    const write = backend.write.bind(backend)
    const remove = backend.remove.bind(backend)
    backend.write = (handle, ...rest) => {
      events.push(`write ${handle.type}`)
      return write(handle, ...rest)
    }
    backend.remove = (handle, ...rest) => {
      events.push(`remove ${handle.type}`)
      return remove(handle, ...rest)
    }
    const result = await pruneLocked(repository, { unsafeRecoverNoFreeSpace: repository.config.id })
    expect(result.stats.packs.repack).toBe(0)
    expect([...new Set(events)]).toEqual(['remove index', 'remove pack', 'write index'])
    expect(await check(await open(backend), { readData: true })).toMatchObject(SOUND)
    expect((await contents(backend)).get(kept)).toBe(whole)
  })
})

describe('index files after a prune', () => {
  it('name each pack once', async () => {
    await addSnapshot(repository, files(1))
    const [index] = await list('index')
    const { packs } = parseIndexFile(await repository.loadUnpacked('index', index!))
    await repository.saveUnpacked('index', encodeIndexFile(packs))
    await repository.remove('snapshot', await addSnapshot(repository, files(2)))
    await prune(repository)
    const [only, ...others] = await list('index')
    expect(others).toEqual([])
    const after = parseIndexFile(await repository.loadUnpacked('index', only!))
    expect(after.packs.map(({ id }) => id).toSorted()).toEqual(packs.map(({ id }) => id).toSorted())
  })
})

/** Fails from the n-th change of the store on, as a process that is killed there would. */
class DyingBackend extends MemoryBackend {
  readonly #store: MemoryBackend
  readonly #changesLeft: { count: number }
  readonly #isLateDeath: boolean

  constructor(store: MemoryBackend, changes: number, isLateDeath: boolean) {
    super()
    this.#store = store
    this.#changesLeft = { count: changes }
    this.#isLateDeath = isLateDeath
  }

  get isDead(): boolean {
    return this.#changesLeft.count < 0
  }

  override stat(handle: Handle): ReturnType<MemoryBackend['stat']> {
    return this.#store.stat(handle)
  }

  override list(type: Exclude<FileType, 'config'>): ReturnType<MemoryBackend['list']> {
    return this.#store.list(type)
  }

  override async read(handle: Handle, range?: ByteRange): Promise<Uint8Array> {
    if (this.isDead) throw new BackendError('dead')
    return this.#store.read(handle, range)
  }

  override write(handle: Handle, data: Uint8Array): Promise<void> {
    return this.#change(() => this.#store.write(handle, data))
  }

  override remove(handle: Handle): Promise<void> {
    return this.#change(() => this.#store.remove(handle))
  }

  async #change(act: () => Promise<void>): Promise<void> {
    const last = this.#changesLeft.count-- === 0
    if (this.isDead && !(last && this.#isLateDeath)) throw new BackendError('dead')
    await act()
    if (last) throw new BackendError('dead')
  }
}

describe('prune killed at any point', () => {
  it.each([
    ['before', false],
    ['after', true],
  ])('%s a change takes effect leaves a whole repository that can be pruned', async (_when, isLateDeath) => {
    const gone = [
      await addSnapshot(repository, { both: files(1, 2), old: files(3) }),
      await addSnapshot(repository, { both: files(4), old: { deep: files(5, 6) } }),
    ]
    await addSnapshot(repository, { both: files(1, 4), new: files(7) })
    for (let seed = 10; seed < 20; seed++) await addSnapshot(repository, { some: files(seed) })
    for (const id of gone) await repository.remove('snapshot', id)
    await backend.write({ type: 'pack', name: 'ab'.repeat(32) }, new Uint8Array(10))
    const whole = await contents(backend)

    let deaths = 0
    for (let changes = 0; ; changes++) {
      const store = await copyOf(backend)
      const dying = new DyingBackend(store, changes, isLateDeath)
      const options: PruneOptions = { maxUnused: { bytes: 0 } }
      await pruneLocked(await open(dying), options).catch((error: unknown) => {
        if (!(error instanceof ResticError)) throw error
      })
      const survivor = await open(store)
      expect(await check(survivor, { readData: true })).toMatchObject({ errors: [] })
      expect(await contents(store)).toEqual(whole)
      await pruneLocked(survivor, options)
      expect(await check(survivor, { readData: true })).toMatchObject({ errors: [], hints: [] })
      expect(await contents(store)).toEqual(whole)
      if (!dying.isDead) break
      deaths++
    }
    expect(deaths).toBeGreaterThan(20)
  })
})
