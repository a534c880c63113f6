/** What the walk of a restore plans, on its way to the writer. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { MemoryBackend } from '../../../src/backend/memory.ts'
import { BlobIndex } from '../../../src/repo/blob-index.ts'
import { idFromBytes } from '../../../src/repo/format/id.ts'
import { backup } from '../../../src/repo/ops/backup.ts'
import { FileWriter } from '../../../src/repo/ops/restore-files.ts'
import { RestoreJobs, WINDOW_PLACES } from '../../../src/repo/ops/restore-jobs.ts'
import { RestorePlan, type PackJob } from '../../../src/repo/ops/restore-plan.ts'
import { restore } from '../../../src/repo/ops/restore.ts'
import type { Repository } from '../../../src/repo/repository.ts'
import { makeWorkFolder } from '../../support/repositories.ts'
import { createTestRepositoryIn } from '../../support/test-repository.ts'

const BLOBS_IN_PACK = 50
const PACKS = 8

/** Packs of 50 blobs: row 0 is the first of the first pack, if none was looked up before. */
function makeIndex(): BlobIndex {
  const index = new BlobIndex()
  const idOf = (number: number): ReturnType<typeof idFromBytes> => {
    const bytes = new Uint8Array(32)
    new DataView(bytes.buffer).setUint32(0, number)
    return idFromBytes(bytes)
  }
  for (let pack = 0; pack < PACKS; pack++) {
    const blobs = Array.from({ length: BLOBS_IN_PACK }, (_, i) => {
      const id = idOf(1 + pack * BLOBS_IN_PACK + i)
      return { type: 'data' as const, id, offset: i * 100, length: 100, uncompressedLength: 0 }
    })
    index.addPack(idOf(1_000_000 + pack), blobs)
  }
  return index
}

function addFile(plan: RestorePlan, rows: readonly number[]): void {
  const time = { seconds: 0, nanoseconds: 0 }
  const metadata = {
    type: 'file' as const,
    mode: 0,
    uid: 0,
    gid: 0,
    atime: time,
    mtime: time,
    extendedAttributes: [],
  }
  const file = plan.add({ folder: '/', name: 'f', size: 0, isUpdate: false, isFree: true, metadata })
  rows.forEach((row, i) => plan.addBlob(file, row, i * 2 ** 33))
}

/** What a writer got: places as `file@offset`, by row, and how many jobs. */
async function collect(jobs: RestoreJobs): Promise<{ places: Map<number, string[]>; count: number }> {
  const places = new Map<number, string[]>()
  let count = 0
  for await (const job of jobs) {
    count += 1
    expect(job.rows.every((row) => Math.floor(row / BLOBS_IN_PACK) === job.pack)).toBe(true)
    expect(job.rows).toEqual([...new Set(job.rows)].toSorted((a, b) => a - b))
    job.rows.forEach((row, i) => {
      const known = places.get(row) ?? []
      places.set(row, [...known, ...job.places[i]!.map(({ file, offset }) => `${file}@${offset}`)])
    })
    await setImmediate()
  }
  return { places, count }
}

describe('jobs', () => {
  it('have every place once, in whatever windows it was planned', async () => {
    const rows = fc.array(fc.nat({ max: BLOBS_IN_PACK * PACKS - 1 }), { minLength: 1, maxLength: 5 })
    const windows = fc.constantFrom(1, 16, 64, Number.POSITIVE_INFINITY)
    await fc.assert(
      fc.asyncProperty(
        fc.array(rows, { maxLength: 100 }),
        windows,
        fc.boolean(),
        async (files, size, dense) => {
          const [plan, expected] = [new RestorePlan(), new Map<number, string[]>()]
          const jobs = new RestoreJobs(plan, makeIndex(), size)
          const written = collect(jobs)
          let next = 0
          for (const [file, wanted] of files.entries()) {
            const placed = wanted.map((row) => (dense ? next++ % (BLOBS_IN_PACK * PACKS) : row))
            addFile(plan, placed)
            placed.forEach((row, i) =>
              expected.set(row, [...(expected.get(row) ?? []), `${file}@${i * 2 ** 33}`]),
            )
            await jobs.passOn()
          }
          jobs.complete()
          const { places } = await written
          expect([...places].toSorted(([a], [b]) => a - b)).toEqual(
            [...expected].toSorted(([a], [b]) => a - b),
          )
          expect(plan.waitingCount).toBe(0)
        },
      ),
    )
  })

  it('are passed on while more is planned, and the walk waits for a writer that is slow', async () => {
    const plan = new RestorePlan()
    const jobs = new RestoreJobs(plan, makeIndex(), 32)
    const iterator = jobs[Symbol.asyncIterator]()
    let next = 0
    const window = (): Promise<void> | undefined => {
      addFile(
        plan,
        Array.from({ length: 32 }, () => next++),
      )
      return jobs.passOn()
    }
    expect(window()).toBeUndefined()
    const waiting = window()
    let isGoingOn = false
    void waiting?.then(() => (isGoingOn = true))
    await setImmediate()
    expect(isGoingOn).toBe(false)
    const rowsOf = ({ value }: IteratorResult<PackJob, void>): number => value?.rows.length ?? 0
    expect(rowsOf(await iterator.next())).toBe(32)
    await setImmediate()
    expect(isGoingOn).toBe(true)
    jobs.complete()
    expect([rowsOf(await iterator.next()), rowsOf(await iterator.next())]).toEqual([18, 14])
    expect((await iterator.next()).done).toBe(true)
  })

  it.each([
    ['blobs lie apart', 32, 17],
    ['packs are not to be read twice', Number.POSITIVE_INFINITY, 1],
  ])('wait until all is planned where %s', async (_name, windowPlaces, step) => {
    const plan = new RestorePlan()
    const jobs = new RestoreJobs(plan, makeIndex(), windowPlaces)
    const written = collect(jobs)
    for (let i = 0; i < 200; i++) {
      addFile(plan, [(i * step) % (BLOBS_IN_PACK * PACKS)])
      await jobs.passOn()
    }
    expect(plan.waitingCount).toBe(200)
    jobs.complete()
    expect((await written).count).toBe(step === 1 ? 4 : PACKS)
  })

  it('fail on the one side when they fail on the other', async () => {
    const failure = new Error('no more')
    const [plan, index] = [new RestorePlan(), makeIndex()]
    const [walk, writer, both] = [1, 2, 3].map(() => new RestoreJobs(plan, index, 1))
    const written = collect(walk!)
    walk!.fail(failure)
    await expect(written).rejects.toBe(failure)
    for (const row of [0, 1]) {
      addFile(plan, [row])
      void writer!.passOn()
    }
    writer!.fail(failure)
    expect(() => writer!.passOn()).toThrow(failure)
    both!.fail(failure)
    both!.fail(new Error('another'))
    expect(() => both!.passOn()).toThrow(failure)
  })
})

describe('a restore in several windows', () => {
  const FILES = WINDOW_PLACES * 2 + 100
  let work = ''
  let repository: Repository
  const contentOf = (number: number): string => `content of file ${number % (FILES - 50)}`

  beforeAll(async () => {
    work = makeWorkFolder('restore-jobs')
    for (let i = 0; i < FILES; i++) {
      const folder = join(work, 'source', `folder-${i >> 9}`)
      if (i % 512 === 0) mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, `file-${i}`), contentOf(i))
    }
    repository = await createTestRepositoryIn(new MemoryBackend(), { noLock: true })
    await backup(repository, { paths: [join(work, 'source')] })
  })
  afterAll(() => rmSync(work, { recursive: true, force: true }))

  const run = (
    name: string,
    options: Partial<Parameters<typeof restore>[1]> = {},
  ): ReturnType<typeof restore> =>
    restore(repository, { snapshot: 'latest', target: join(work, name), ...options })
  const restored = (name: string, ...path: string[]): string => join(work, name, work, 'source', ...path)

  it('makes all files, and reads packs while it walks', async () => {
    const read = vi.spyOn(repository, 'readPackParts')
    const load = vi.spyOn(repository, 'loadTree')
    const result = await run('target', { verify: true })
    const order = (spy: typeof read | typeof load): readonly number[] => spy.mock.invocationCallOrder
    const walked = order(load)[FILES >> 9]!
    expect(order(read).filter((number) => number < walked)).not.toEqual([])
    for (const spy of [read, load]) spy.mockRestore()
    expect([result.errorCount, result.filesVerified]).toEqual([0, FILES])
    for (let i = 0; i < FILES; i += 97)
      expect(readFileSync(restored('target', `folder-${i >> 9}`, `file-${i}`), 'utf8')).toBe(contentOf(i))
  })

  it('tells from the beginning on how much there is', async () => {
    const totals = new Set<string>()
    const { filesTotal, bytesTotal } = await run('told', {
      onProgress: (progress) => totals.add(`${progress.filesTotal} ${progress.bytesTotal}`),
    })
    expect([...totals]).toEqual([`${filesTotal} ${bytesTotal}`])
  })

  it.each([
    ['something is left out', { excludes: ['file-1'] }],
    ['only a folder of it is restored', { snapshot: 'SUBFOLDER' }],
    ['files that are newer stay', { overwrite: 'if-newer' }],
  ] as const)('is one of a single window where %s', async (why, options) => {
    const snapshot = 'snapshot' in options ? `latest:${work}/source` : 'latest'
    const read = vi.spyOn(repository, 'readPackParts')
    const load = vi.spyOn(repository, 'loadTree')
    await run(`single ${why}`, { ...options, snapshot })
    expect(Math.min(...read.mock.invocationCallOrder)).toBeGreaterThan(
      Math.max(...load.mock.invocationCallOrder),
    )
    for (const spy of [read, load]) spy.mockRestore()
  })

  it('that is aborted when the first are there ends with that', async () => {
    const controller = new AbortController()
    const result = run('aborted', { signal: controller.signal, onItem: () => controller.abort() })
    await expect(result).rejects.toThrow('aborted')
    expect(readdirSync(restored('aborted')).length).toBeLessThan(FILES >> 9)
  })

  it.each(['walk', 'writer'])('fails with what its %s fails with', async (where) => {
    let calls = 0
    const write = vi.spyOn(FileWriter.prototype, 'write')
    const fail = (): never => {
      throw new RangeError(`of the ${where}`)
    }
    const load = repository.loadTree.bind(repository)
    const spies = [
      vi.spyOn(repository, 'loadTree').mockImplementation((id, signal) => (where === 'walk' && ++calls > 20 ? fail() : load(id, signal))), // prettier-ignore
      ...(where === 'writer' ? [vi.spyOn(repository, 'readPackParts').mockImplementation(fail)] : []),
    ]
    await expect(run(`failed-${where}`)).rejects.toThrow(`of the ${where}`)
    // Nobody writes any more.
    expect(write.mock.settledResults.map(({ type }) => type)).toEqual(['rejected'])
    for (const spy of [...spies, write]) spy.mockRestore()
    expect(readdirSync(restored(`failed-${where}`)).length).toBeLessThan(FILES >> 9)
  })
})
