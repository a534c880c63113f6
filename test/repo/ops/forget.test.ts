import { beforeEach, describe, expect, it } from 'vitest'
import type { MemoryBackend } from '../../../src/backend/memory.ts'
import { AbortedError, BackendError, CorruptDataError, InvalidInputError } from '../../../src/errors.ts'
import type { Id } from '../../../src/repo/format/id.ts'
import { parseTime } from '../../../src/repo/format/time.ts'
import { check } from '../../../src/repo/ops/check.ts'
import { parseDuration } from '../../../src/repo/ops/duration.ts'
import {
  forget,
  type ForgetOptions,
  type ForgetProgress,
  type ForgetResult,
} from '../../../src/repo/ops/forget.ts'
import type { ItemError } from '../../../src/repo/ops/operation.ts'
import { Repository } from '../../../src/repo/repository.ts'
import { addSnapshot, noise } from '../../support/sample-data.ts'
import { createTestRepository, TEST_PASSWORD } from '../../support/test-repository.ts'

let backend: MemoryBackend
let repository: Repository
/** Snapshots of 2024-01-01 … 05 on host one, and of the 6th on host two. */
let ids: Id[]

beforeEach(async () => {
  ;({ backend, repository } = await createTestRepository())
  ids = []
  for (let day = 1; day <= 6; day++) {
    const tree = { [`file${day}`]: [noise(day, 500)] }
    const fields = {
      time: parseTime(`2024-01-0${day}T12:00:00Z`),
      hostname: day < 6 ? 'one' : 'two',
      tags: day < 3 ? ['old'] : [],
    }
    ids.push(await addSnapshot(repository, tree, fields))
  }
})

async function stored(): Promise<Id[]> {
  const found: Id[] = []
  for await (const { id } of repository.list('snapshot')) found.push(id)
  return ids.filter((id) => found.includes(id))
}

function failing(options: ForgetOptions): Promise<unknown> {
  return forget(repository, options).then(
    () => expect.unreachable(),
    (error: unknown) => error,
  )
}

describe('forget by policy', () => {
  it('decides for each group and removes', async () => {
    const result = await forget(repository, { policy: { last: 2 } })
    expect(result.groups.map(({ key, keep, remove }) => [key.hostname, keep.length, remove.length])).toEqual([
      ['one', 2, 3],
      ['two', 1, 0],
    ])
    expect(result.groups[0]!.reasons[0]).toMatchObject({ record: { id: ids[4] }, matches: ['last snapshot'] })
    expect(result.removed.toSorted()).toEqual(ids.slice(0, 3).toSorted())
    expect(result.failures).toEqual([])
    expect(await stored()).toEqual(ids.slice(3))
    expect(result.prune).toBeUndefined()
  })

  it('groups as told', async () => {
    expect(
      (await forget(repository, { policy: { last: 1 }, groupBy: [], dryRun: true })).removed,
    ).toHaveLength(5)
    const byTags = await forget(repository, { policy: { last: 1 }, groupBy: ['tags'], dryRun: true })
    expect(byTags.groups.map(({ key, keep }) => [key.tags, keep[0]!.id])).toEqual([
      [[], ids[5]],
      [['old'], ids[1]],
    ])
  })

  it('leaves alone what the filter does', async () => {
    await forget(repository, { policy: { last: 1 }, filter: { tags: [['old']] } })
    expect(await stored()).toEqual(ids.slice(1))
  })

  it('removes nothing in a dry run, and locks unless there are to be no locks', async () => {
    const other = await repository.lock(false)
    expect(await failing({ policy: { last: 1 }, dryRun: true })).toMatchObject({ code: 'REPOSITORY_LOCKED' })
    const lockless = await Repository.open(backend, { password: TEST_PASSWORD, noLock: true })
    const result = await forget(lockless, { policy: { last: 1 }, dryRun: true })
    expect(result.removed.toSorted()).toEqual(ids.slice(0, 4).toSorted())
    await expect(forget(lockless, { policy: { last: 1 } })).rejects.toThrow('already locked')
    await other.release()
    expect(await stored()).toEqual(ids)
  })

  it('says what it is going to do before it does it, and how far it is', async () => {
    const events: string[] = []
    await forget(repository, {
      policy: { last: 3 },
      onDecision: ({ remove }) => events.push(`decided on ${remove.length}`),
      onProgress: ({ phase, done, total }) => events.push(`${phase} ${done}/${total}`),
    })
    expect(events).toEqual(['decided on 2', ...[0, 1, 2].map((done) => `remove-snapshots ${done}/2`)])
  })

  it('takes the time it is told for now', async () => {
    const now = parseTime('2024-01-03T00:00:00Z')
    const result = await forget(repository, {
      policy: { within: parseDuration('12h') },
      groupBy: [],
      now,
      dryRun: true,
    })
    // The newest snapshot before that is of the 2nd; all of the future lie within.
    expect(result.removed).toEqual([ids[0]])
  })
})

describe('forget refuses', () => {
  it.each<[ForgetOptions, string]>([
    [{}, 'no policy was specified, no snapshots will be removed'],
    [{ policy: { last: 0, tags: [] } }, 'no policy was specified, no snapshots will be removed'],
    [
      { unsafeAllowRemoveAll: true },
      '--unsafe-allow-remove-all is not allowed unless a snapshot filter option is specified',
    ],
    [{ policy: { daily: -3 } }, 'negative values other than -1 are not allowed for --keep-*'],
    [
      { policy: { within: parseDuration('-1d') } },
      'durations containing negative values are not allowed for --keep-within*',
    ],
    [
      { policy: { tags: [['old']] } },
      'refusing to delete last snapshot of snapshot group "host two, path [/srv]"',
    ],
    [
      { policy: { last: 1 }, prune: { repackSmallerThanBytes: 0 } },
      '--repack-smaller-than must be larger than zero',
    ],
  ])('%j', async (options, message) => {
    expect(await failing(options)).toEqual(new InvalidInputError(message))
    expect(await stored()).toEqual(ids)
  })

  it('but allows everything to go where the filter says what', async () => {
    await forget(repository, { unsafeAllowRemoveAll: true, filter: { hosts: ['one'] } })
    expect(await stored()).toEqual(ids.slice(5))
  })

  it('to go on after a signal', async () => {
    expect(await failing({ policy: { last: 1 }, signal: AbortSignal.abort() })).toBeInstanceOf(AbortedError)
    expect(await stored()).toEqual(ids)
  })
})

describe('forget by ID', () => {
  it('removes those named without any policy, and tells of those it does not find', async () => {
    const errors: ItemError[] = []
    const result = await forget(repository, {
      ids: [ids[0]!, ids[2]!.slice(0, 16), 'latest', 'fffffff0'],
      policy: { last: 1 },
      onError: (error) => errors.push(error),
    })
    expect(result.groups).toEqual([])
    expect(await stored()).toEqual([ids[1], ids[3], ids[4]])
    expect(result.ignored.map(({ item }) => item)).toEqual(['fffffff0'])
    expect(errors).toEqual(result.ignored)
  })
})

async function withoutRemoving(id: Id, options: ForgetOptions): Promise<ForgetResult> {
  const remove = backend.remove.bind(backend)
  backend.remove = (handle, ...rest) =>
    handle.name === id ? Promise.reject(new BackendError('no')) : remove(handle, ...rest)
  return forget(repository, options)
}

describe('forget with trouble', () => {
  it('goes on after a snapshot that cannot be removed, but does not prune', async () => {
    const result = await withoutRemoving(ids[1]!, { policy: { last: 2 }, prune: {} })
    expect(result.failures).toMatchObject([{ item: ids[1], during: 'remove', error: { message: 'no' } }])
    expect(result.removed.toSorted()).toEqual([ids[0]!, ids[2]!].toSorted())
    expect(result.prune).toBeUndefined()
    expect(await stored()).toEqual([ids[1], ...ids.slice(3)])
  })

  it('passes over a snapshot that cannot be read, but does not prune', async () => {
    await backend.write({ type: 'snapshot', name: ids[0]! }, new Uint8Array(99))
    const options: ForgetOptions = { policy: { last: 2 } }
    expect((await forget(repository, options)).ignored).toMatchObject([{ item: ids[0] }])
    expect(await stored()).toEqual([ids[0], ...ids.slice(3)])
    await expect(forget(repository, { policy: { last: 1 }, prune: {} })).rejects.toThrow(CorruptDataError)
  })
})

describe('forget with prune', () => {
  it('removes the data too', async () => {
    const phases = new Set<ForgetProgress['phase']>()
    const result = await forget(repository, {
      policy: { last: 1 },
      prune: { maxUnused: { bytes: 0 } },
      onProgress: ({ phase }) => phases.add(phase),
    })
    expect(result.prune?.stats.packs).toMatchObject({ remove: 8, keep: 4 })
    expect([...phases][0]).toBe('remove-snapshots')
    expect([...phases].at(-1)).toBe('remove-packs')
    expect(await check(repository, { readData: true })).toMatchObject({ errors: [], hints: [], packCount: 4 })
  })

  it('shows in a dry run what pruning would do after it', async () => {
    const dry = await forget(repository, { policy: { last: 1 }, prune: {}, dryRun: true })
    expect(dry.prune?.stats.packs).toMatchObject({ remove: 8, keep: 4 })
    expect(await stored()).toEqual(ids)
    const real = await forget(repository, { policy: { last: 1 }, prune: {} })
    expect(real.prune?.stats).toEqual(dry.prune?.stats)
  })

  it('has nothing to prune where nothing was removed', async () => {
    expect((await forget(repository, { policy: { last: 9 }, prune: {} })).prune).toBeUndefined()
  })
})
