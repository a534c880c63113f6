/** Index files decoded on threads must come to what they come to without, whatever is wrong with them. */
import { getEventListeners } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Worker } from 'node:worker_threads'
import { build } from 'esbuild'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Handle } from '../../src/backend/backend.ts'
import { MemoryBackend } from '../../src/backend/memory.ts'
import { nativeCrypto } from '../../src/crypto/native.ts'
import {
  AbortedError,
  CorruptDataError,
  FileNotFoundError,
  LockLostError,
  WorkerError,
  type ResticError,
} from '../../src/errors.ts'
import { BlobIndex } from '../../src/repo/blob-index.ts'
import { encodeIndexFile, type IndexPack } from '../../src/repo/format/index-file.ts'
import { idFromBytes, type Id } from '../../src/repo/format/id.ts'
import type { PackedBlob } from '../../src/repo/format/pack-header.ts'
import { INDEX_TASKS } from '../../src/repo/index-decoding.ts'
import { loadIndexFiles, type IndexThreads, type LoadIndexOptions } from '../../src/repo/index-loader.ts'
import type { Repository } from '../../src/repo/repository.ts'
import { ThreadContext } from '../../src/repo/thread-context.ts'
import { PROJECT } from '../support/cli.ts'
import { createTestRepositoryIn } from '../support/test-repository.ts'

/** Inside the project, so that threads find the native modules. */
const folder = mkdtempSync(join(PROJECT, 'node_modules', '.index-loader-test-'))
const compiled: IndexThreads = { minBytes: 0, entry: moduleOf('index-thread.mjs') }
const inline: IndexThreads = { minBytes: 0, entry: undefined }

function moduleOf(name: string): URL {
  return pathToFileURL(join(folder, name))
}

beforeAll(async () => {
  const outfile = join(folder, 'index-thread.mjs')
  const entry = join(PROJECT, 'src', 'repo', 'index-thread.ts')
  const common = { bundle: true, platform: 'node', format: 'esm', packages: 'external' } as const
  await build({ ...common, entryPoints: [entry], outfile, absWorkingDir: PROJECT })
  writeFileSync(join(folder, 'broken.mjs'), `throw new Error('it does not start')`)
  writeFileSync(join(folder, 'hanging.mjs'), `import { parentPort } from 'node:worker_threads'\nparentPort.on('message', () => {})`) // prettier-ignore
  writeFileSync(join(folder, 'leaving.mjs'), `import { parentPort } from 'node:worker_threads'\nparentPort.on('message', () => process.exit(3))`) // prettier-ignore
})

/** All threads that were started in a test. */
let started: Worker[] = []
const note = (worker: Worker): number => started.push(worker)
process.on('worker', note)
afterEach(() => {
  const left = started.filter(({ threadId }) => threadId !== -1)
  started = []
  if (left.length > 0) throw new Error(`${left.length} threads were left running`)
})
afterAll(() => {
  process.off('worker', note)
  rmSync(folder, { recursive: true })
})

/** A store that hands out index files in an order of its own, and counts. */
class ShuffledBackend extends MemoryBackend {
  override readonly connections = 3
  readonly reads: string[] = []
  atOnce = 0
  mostAtOnce = 0
  /** Called before a file is handed out. */
  onRead: (name: string) => void = () => undefined

  override async read(handle: Handle, ...rest: [never?, AbortSignal?]): Promise<Uint8Array> {
    if (handle.type !== 'index') return super.read(handle, ...rest)
    this.reads.push(handle.name)
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.atOnce)
    try {
      await new Promise((resolve) => setTimeout(resolve, Number.parseInt(handle.name.slice(0, 1), 16) / 4))
      this.onRead(handle.name)
      const bytes = await super.read(handle, ...rest)
      // As stores do that use their memory again: it is longer than what was read.
      const memory = new Uint8Array(bytes.length + 48)
      memory.set(bytes, 16)
      return memory.subarray(16, 16 + bytes.length)
    } finally {
      this.atOnce -= 1
    }
  }
}

async function repositoryOf(
  files: readonly IndexPack[][],
  version: 1 | 2 = 2,
): Promise<{ backend: ShuffledBackend; repository: Repository; names: Id[] }> {
  const backend = new ShuffledBackend()
  const repository = await createTestRepositoryIn(backend, { version })
  const names: Id[] = []
  for (const packs of files) names.push(await repository.saveUnpacked('index', encodeIndexFile(packs)))
  return { backend, repository, names }
}

interface Loaded {
  readonly index: BlobIndex
  /** What was reported meanwhile, in order. */
  readonly progress: string[]
  readonly repeated: string[]
  readonly errors: string[]
  readonly threads: number
}

async function load(
  repository: Repository,
  threads: IndexThreads,
  options: LoadIndexOptions & { readonly workers?: number } = {},
): Promise<Loaded> {
  const index = new BlobIndex()
  const before = started.length
  const seen = { progress: [] as string[], repeated: [] as string[] }
  const source = {
    backend: repository.backend,
    codec: repository.codec,
    crypto: nativeCrypto,
    threadSetup: repository.threadSetup,
    workers: options.workers ?? 2,
    loadRaw: (type: 'index', id: Id, signal?: AbortSignal) => repository.loadRaw(type, id, signal),
  }
  const errors: string[] = []
  await loadIndexFiles(
    source,
    index,
    {
      onProgress: (done, total) => seen.progress.push(`${done}/${total}`),
      onRepeated: (pack, kind) => seen.repeated.push(`${pack} ${kind}`),
      ...options,
    },
    threads,
  )
  return { index, ...seen, errors, threads: started.length - before }
}

/** All an index knows, whatever order its packs came in. */
function contents(index: BlobIndex): unknown {
  const packs = Array.from({ length: index.packCount }, (_, pack) => ({
    id: index.packIdAt(pack),
    blobs: index.blobsAt(pack),
  }))
  for (const { blobs } of packs)
    for (const blob of blobs)
      expect(index.rowsOf(blob.type, blob.id).map((row) => index.idAt(row))).toContain(blob.id)
  return packs.map((pack) => JSON.stringify(pack)).toSorted()
}

function randomPack(blobCount: number): IndexPack {
  let offset = 0
  const blobs = Array.from({ length: blobCount }, (_, i): PackedBlob => {
    const length = 40 + (i % 50)
    offset += length
    const id = idFromBytes(nativeCrypto.randomBytes(32))
    return {
      type: i % 5 === 0 ? 'tree' : 'data',
      id,
      offset: offset - length,
      length,
      uncompressedLength: i % 3,
    }
  })
  return { id: idFromBytes(nativeCrypto.randomBytes(32)), blobs }
}

const someFiles = (count: number): IndexPack[][] =>
  Array.from({ length: count }, () => Array.from({ length: 30 }, () => randomPack(9)))

describe('index files decoded on threads', () => {
  it.each([1, 2] as const)('come to the same as without, in version %i', async (version) => {
    const files = someFiles(20)
    const { backend, repository } = await repositoryOf([...files, []], version)
    const decodedAgain = vi.spyOn(repository.codec, 'decodeUnpackedToScratch')
    const threaded = await load(repository, compiled)
    expect(threaded.threads).toBe(2)
    expect(backend.mostAtOnce).toBe(3)
    const plain = await load(repository, inline)
    expect(plain.threads).toBe(0)
    expect(contents(threaded.index)).toEqual(contents(plain.index))
    expect(decodedAgain).not.toHaveBeenCalled()
    expect(threaded.index.blobCount).toBe(20 * 30 * 9)
    expect(threaded.progress).toEqual(Array.from({ length: 22 }, (_, done) => `${done}/21`))
    for (const { id, blobs } of files.flat())
      for (const blob of blobs)
        expect(threaded.index.lookup(blob.type, blob.id)).toEqual({ ...blob, packId: id })
  })

  it('may have packs twice, changed, unordered and with gaps', async () => {
    const shape = fc.array(
      fc.array(
        fc.record({
          pack: fc.nat(5),
          take: fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 2 }),
          change: fc.constantFrom(0, 0, 0, 1),
        }),
        { maxLength: 6 },
      ),
      { minLength: 2, maxLength: 6 },
    )
    const packs = Array.from({ length: 6 }, () => randomPack(5))
    await fc.assert(
      fc.asyncProperty(shape, async (files) => {
        const { repository } = await repositoryOf(
          files.map((file) =>
            file.map(({ pack, take, change }) => {
              const { id, blobs } = packs[pack]!
              return { id, blobs: take.map((i) => ({ ...blobs[i]!, uncompressedLength: change })) }
            }),
          ),
        )
        const threaded = await load(repository, compiled)
        const plain = await load(repository, inline)
        expect(contents(threaded.index)).toEqual(contents(plain.index))
        // Which of two different lists is the first depends on the order they come in, with and without threads.
        expect(threaded.repeated.toSorted()).toEqual(plain.repeated.toSorted())
      }),
      { numRuns: 15 },
    )
  })

  it('come back in memory that need not be copied', async () => {
    const { backend, repository, names } = await repositoryOf(someFiles(1))
    const setup = { ...repository.threadSetup, provider: 'native', threadCount: 1 } as const
    const context = new ThreadContext(setup, nativeCrypto, () => undefined)
    const sealed = await backend.read({ type: 'index', name: names[0]! })
    const columns = INDEX_TASKS.decodeIndex(context, sealed)
    expect(columns?.lengths).toHaveLength(30 * 9)
    expect(context.takeHandedOver()).toEqual([columns?.ids.buffer])
    expect(context.takeHandedOver()).toEqual([])
    expect(INDEX_TASKS.decodeIndex(context, sealed.subarray(1))).toBeUndefined()
    expect(context.takeHandedOver()).toEqual([])
  })

  it('are decoded here where there is little, or one thread, or none', async () => {
    const { repository } = await repositoryOf(someFiles(3))
    const broken = moduleOf('broken.mjs')
    for (const [threads, workers] of [
      [{ minBytes: 1 << 20, entry: broken }, 2],
      [{ minBytes: 0, entry: broken }, 1],
      [{ minBytes: 0, entry: broken }, 0],
    ] as const) {
      expect((await load(repository, threads, { workers })).threads).toBe(0)
    }
    const { repository: single } = await repositoryOf(someFiles(1))
    expect((await load(single, { minBytes: 0, entry: broken })).threads).toBe(0)
  })
})

describe.each([
  ['on threads', compiled],
  ['here', inline],
])('trouble with an index file decoded %s', (_, threads) => {
  /** Stores what a healthy writer never would. */
  async function store(repository: Repository, bytes: Uint8Array): Promise<Id> {
    const id = repository.codec.idOf(bytes)
    await repository.backend.write({ type: 'index', name: id }, bytes)
    return id
  }

  async function expectFailure(
    repository: Repository,
    bad: Id,
    expected: { readonly type: typeof CorruptDataError | typeof FileNotFoundError; readonly message: string },
  ): Promise<ResticError> {
    const failure = await load(repository, threads).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(expected.type)
    expect((failure as Error).message).toBe(expected.message)
    const reported: [Id, Error][] = []
    const { index, progress } = await load(repository, threads, {
      onError: (id, error) => reported.push([id, error]),
    })
    expect(reported).toEqual([[bad, failure]])
    expect((reported[0]![1] as ResticError).hint).toBe((failure as ResticError).hint)
    expect(index.packCount).toBe(10 * 30)
    expect(progress.at(-1)).toMatch(/^(\d+)\/\1$/)
    return failure as ResticError
  }

  it('whose seal is broken', async () => {
    const { repository } = await repositoryOf(someFiles(10))
    const sealed = repository.codec.encodeUnpacked(encodeIndexFile([randomPack(400)]))
    sealed[100]! ^= 1
    const bad = await store(repository, sealed)
    const failure = await expectFailure(repository, bad, {
      type: CorruptDataError,
      message: `index ${bad} is damaged: ciphertext verification failed`,
    })
    expect(failure.hint).toBe('run `repair index` to rebuild the index from the packs')
    expect(failure.cause).toBeInstanceOf(CorruptDataError)
  })

  it('that is malformed after many good packs', async () => {
    const { repository } = await repositoryOf(someFiles(10))
    const json = encodeIndexFile(Array.from({ length: 20 }, () => randomPack(40)))
    const bad = await repository.saveUnpacked('index', json.subarray(0, -3))
    await expectFailure(repository, bad, {
      type: CorruptDataError,
      message: `index ${bad} is damaged: index file is damaged: unexpected end at byte ${json.length - 3}`,
    })
  })

  it('that is no compressed data', async () => {
    const { repository } = await repositoryOf(someFiles(10))
    const bad = await store(repository, repository.codec.seal(Uint8Array.of(2, 1, 2, 3, 4)))
    const failure = await expectFailure(repository, bad, {
      type: CorruptDataError,
      message: `index ${bad} is damaged: compressed data is damaged: Unknown frame descriptor`,
    })
    expect(failure.cause).toBeInstanceOf(CorruptDataError)
  })

  it('that is not what its name says, read twice', async () => {
    const { backend, repository, names } = await repositoryOf(someFiles(11))
    const [bad, other] = names as [Id, Id]
    await backend.write({ type: 'index', name: bad }, await backend.read({ type: 'index', name: other }))
    await expectFailure(repository, bad, {
      type: CorruptDataError,
      message: `index ${bad} is damaged: its content does not match its name`,
    })
    expect(backend.reads.filter((name) => name === bad)).toHaveLength(4)
  })

  it('that is gone when it is to be read', async () => {
    const { backend, repository, names } = await repositoryOf(someFiles(11))
    const bad = names[4]!
    const bytes = await backend.read({ type: 'index', name: bad })
    const vanishing = (name: string): void => {
      if (name === bad) void backend.remove({ type: 'index', name }).catch(() => undefined)
    }
    backend.onRead = vanishing
    const failure = await load(repository, threads).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(FileNotFoundError)
    expect((failure as Error).message).toContain(bad)
    await backend.write({ type: 'index', name: bad }, bytes)
    const reported: Id[] = []
    await load(repository, threads, { onError: (id) => reported.push(id) })
    expect(reported).toEqual([bad])
  })

  it('leaves the others unread', async () => {
    const { backend, repository } = await repositoryOf(someFiles(60))
    backend.onRead = () => {
      throw new CorruptDataError('store', 'out of order')
    }
    await expect(load(repository, threads)).rejects.toThrow('out of order')
    // Those that wait for others to be read are not begun.
    expect(backend.reads.length).toBeLessThan(7)
  })

  it('that is aborted in the middle ends it', async () => {
    const { backend, repository } = await repositoryOf(someFiles(60))
    const controller = new AbortController()
    backend.onRead = () => {
      if (backend.reads.length >= 20) controller.abort()
    }
    const reported: Id[] = []
    const progress: number[] = []
    const loading = load(repository, threads, {
      signal: controller.signal,
      onError: (id) => reported.push(id),
      onProgress: (done) => progress.push(done),
    })
    await expect(loading).rejects.toThrow(AbortedError)
    expect(reported).toEqual([])
    expect(backend.reads.length).toBeLessThan(30)
    expect(progress.at(-1)).toBeLessThan(30)
    expect(backend.atOnce).toBe(0)
  })
})

it('does not wait for threads when it is aborted', async () => {
  const { backend, repository } = await repositoryOf(someFiles(12))
  const controller = new AbortController()
  const reason = new LockLostError('the lock is gone')
  // All that threads are given is with them, and they never answer.
  const allGiven = async (): Promise<void> => {
    await vi.waitFor(() => expect(backend.reads.length).toBe(7), { interval: 5 })
    await vi.waitFor(() => expect(backend.atOnce).toBe(0), { interval: 5 })
    controller.abort(reason)
  }
  const loading = load(
    repository,
    { minBytes: 0, entry: moduleOf('hanging.mjs') },
    { signal: controller.signal, onError: () => undefined },
  )
  await Promise.all([expect(loading).rejects.toBe(reason), allGiven()])
  expect(backend.reads.length).toBe(7)
  expect(getEventListeners(controller.signal, 'abort')).toEqual([])
})

describe('a thread that breaks down', () => {
  it.each([
    ['cannot start', 'broken.mjs', 'it does not start'],
    ['is not there', 'missing.mjs', 'Cannot find module'],
    ['ends in the middle', 'leaving.mjs', 'ended with 3'],
  ])('as one that %s ends loading, and is no fault of an index file', async (_, module, message) => {
    const { repository } = await repositoryOf(someFiles(12))
    const reported: Id[] = []
    const onError = (id: Id): void => void reported.push(id)
    const failure = await load(repository, { minBytes: 0, entry: moduleOf(module) }, { onError }).catch(
      (error: unknown) => error,
    )
    expect(failure).toBeInstanceOf(WorkerError)
    expect((failure as Error).message).toContain(message)
    expect(reported).toEqual([])
    expect(started.length).toBe(2)
  })
})
