import { beforeEach, describe, expect, it } from 'vitest'
import type { MemoryBackend } from '../../../src/backend/memory.ts'
import {
  AbortedError,
  CorruptDataError,
  InvalidInputError,
  SnapshotNotFoundError,
} from '../../../src/errors.ts'
import type { Id } from '../../../src/repo/format/id.ts'
import { parseTime } from '../../../src/repo/format/time.ts'
import type { ItemError } from '../../../src/repo/ops/operation.ts'
import {
  findSnapshot,
  findSnapshots,
  hasTags,
  loadSnapshots,
  matchesFilter,
  parseTagList,
  type FindSnapshotOptions,
  type SnapshotFilter,
} from '../../../src/repo/ops/snapshots.ts'
import type { Repository } from '../../../src/repo/repository.ts'
import { addSnapshot, sampleSnapshot } from '../../support/sample-data.ts'
import { createTestRepository } from '../../support/test-repository.ts'

let backend: MemoryBackend
let repository: Repository
let oldest: Id
let middle: Id
let newest: Id

beforeEach(async () => {
  ;({ backend, repository } = await createTestRepository())
  newest = await addSnapshot(
    repository,
    {},
    { time: parseTime('2024-03-01T00:00:00Z'), hostname: 'one', tags: ['x', 'y'] },
  )
  oldest = await addSnapshot(
    repository,
    {},
    { time: parseTime('2024-01-01T00:00:00Z'), hostname: 'one', paths: ['/a', '/b'] },
  )
  middle = await addSnapshot(
    repository,
    {},
    { time: parseTime('2024-02-01T00:00:00Z'), hostname: 'two', tags: ['x'] },
  )
})

function spoil(id: Id): Promise<void> {
  return backend.write({ type: 'snapshot', name: id }, new Uint8Array(99))
}

async function idsOf(filter: SnapshotFilter): Promise<Id[]> {
  return (await findSnapshots(repository, { filter })).map(({ id }) => id)
}

async function latestOf(options: FindSnapshotOptions): Promise<Id> {
  return (await findSnapshot(repository, 'latest', options)).record.id
}

describe('loadSnapshots', () => {
  it('loads all, oldest first', async () => {
    expect((await loadSnapshots(repository)).map(({ id }) => id)).toEqual([oldest, middle, newest])
    expect((await loadSnapshots(repository, { except: new Set([middle]) })).map(({ id }) => id)).toEqual([
      oldest,
      newest,
    ])
  })

  it('throws for one that cannot be read, or tells and goes on', async () => {
    await spoil(middle)
    await expect(loadSnapshots(repository)).rejects.toThrow(CorruptDataError)
    const errors: ItemError[] = []
    const records = await loadSnapshots(repository, { onError: (error) => errors.push(error) })
    expect(records.map(({ id }) => id)).toEqual([oldest, newest])
    expect(errors.map(({ item }) => item)).toEqual([middle])
  })

  it('stops at a signal even where errors are taken', async () => {
    const options = { signal: AbortSignal.abort(), onError: () => {} }
    await expect(loadSnapshots(repository, options)).rejects.toThrow(AbortedError)
  })
})

describe('findSnapshots', () => {
  it('takes what meets the filter', async () => {
    expect(await idsOf({})).toEqual([oldest, middle, newest])
    expect(await idsOf({ hosts: ['one'] })).toEqual([oldest, newest])
    expect(await idsOf({ tags: [['x']] })).toEqual([middle, newest])
    expect(await idsOf({ tags: [['x', 'y'], ['']] })).toEqual([oldest, newest])
    expect(await idsOf({ paths: ['/b', '/a'] })).toEqual([oldest])
    expect(await idsOf({ hosts: ['nobody'] })).toEqual([])
  })

  it('takes IDs and prefixes, each snapshot once, and tells of the rest', async () => {
    const errors: ItemError[] = []
    const queries = [middle, middle.slice(0, 20), 'latest', 'fffffff0', `${oldest}:sub`, 'nothex']
    const records = await findSnapshots(
      repository,
      { ids: queries },
      { onError: (error) => errors.push(error) },
    )
    expect(records.map(({ id }) => id)).toEqual([middle, newest])
    expect(errors.map(({ item, error }) => [item, error.message])).toEqual([
      ['fffffff0', 'no matching ID found for prefix "fffffff0"'],
      [`${oldest}:sub`, '<snapshot>:<subfolder> syntax not allowed'],
      ['nothex', 'no matching ID found for prefix "nothex"'],
    ])
  })

  it('throws what no one takes', async () => {
    await expect(findSnapshots(repository, { ids: ['nothex'] })).rejects.toThrow(SnapshotNotFoundError)
  })

  it('tells of a filter without effect, but not where latest uses it', async () => {
    const errors: ItemError[] = []
    const find = (ids: string[]): Promise<unknown> =>
      findSnapshots(
        repository,
        { ids, filter: { hosts: ['two'] } },
        { onError: (error) => errors.push(error) },
      )
    expect(await find(['latest'])).toMatchObject([{ id: middle }])
    expect(errors).toEqual([])
    await find([oldest])
    expect(errors.map(({ item, error }) => [item, error.message])).toEqual([
      ['filters', 'explicit snapshot ids are given'],
    ])
  })
})

describe('findSnapshot', () => {
  it('finds by prefix, with or without a subfolder', async () => {
    expect(await findSnapshot(repository, oldest.slice(0, 12))).toMatchObject({ record: { id: oldest } })
    expect(await findSnapshot(repository, `${oldest}:/a/b:c`)).toMatchObject({
      record: { id: oldest },
      subfolder: '/a/b:c',
    })
    expect(await findSnapshot(repository, `${oldest}:`)).not.toHaveProperty('subfolder')
  })

  it('finds the latest that meets a filter and a time', async () => {
    expect(await latestOf({})).toBe(newest)
    expect(await latestOf({ filter: { hosts: ['two'] } })).toBe(middle)
    expect(await latestOf({ notAfter: parseTime('2024-02-01T01:00:00+01:00') })).toBe(middle)
    expect(await latestOf({ notAfter: parseTime('2024-01-31T23:59:59Z') })).toBe(oldest)
  })

  it('says what there is none of', async () => {
    const filter = { hosts: ['zz'], tags: [['a', 'b'], ['c']] }
    await expect(findSnapshot(repository, 'latest', { filter })).rejects.toThrow(
      new SnapshotNotFoundError('snapshot filter (Paths:[] Tags:[[a, b] [c]] Hosts:[zz]): no snapshot found'),
    )
    await expect(findSnapshot(repository, 'x')).rejects.toThrow(SnapshotNotFoundError)
    await expect(findSnapshot(repository, 'f'.repeat(64))).rejects.toThrow(SnapshotNotFoundError)
    await expect(findSnapshot(repository, '')).rejects.toThrow(SnapshotNotFoundError)
  })

  it('refuses a prefix of several', async () => {
    const ids = new Set([oldest, middle, newest].map((id) => id[0]))
    for (let number = 0; ids.size === number + 3; number++) {
      const id = await repository.saveSnapshot(sampleSnapshot(oldest, { uid: number }))
      ids.add(id[0])
    }
    const all = (await loadSnapshots(repository)).map(({ id }) => id.slice(0, 1))
    const shared = all.find((digit, index) => all.indexOf(digit) !== index) ?? ''
    await expect(findSnapshot(repository, shared)).rejects.toThrow(InvalidInputError)
  })

  it('does not pass over a snapshot that cannot be read: it might be the latest', async () => {
    await spoil(oldest)
    await expect(findSnapshot(repository, 'latest')).rejects.toThrow(CorruptDataError)
  })
})

describe('filters', () => {
  it('know the empty tag as none', () => {
    const none = sampleSnapshot(oldest)
    const some = sampleSnapshot(oldest, { tags: ['a', ''] })
    expect([
      hasTags(none, ['']),
      hasTags(none, ['', 'a']),
      hasTags(none, ['a', '']),
      hasTags(none, []),
    ]).toEqual([true, true, false, true])
    expect([hasTags(some, ['']), hasTags(some, ['a']), hasTags(some, ['a', 'b'])]).toEqual([
      true,
      true,
      false,
    ])
    expect(matchesFilter(none, {})).toBe(true)
  })

  it('read tags as the command line has them', () => {
    expect(parseTagList('a, b ,c')).toEqual(['a', 'b', 'c'])
    expect(parseTagList('')).toEqual([''])
  })
})
