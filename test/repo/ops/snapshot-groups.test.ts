import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../../src/errors.ts'
import { parseId } from '../../../src/repo/format/id.ts'
import type { Snapshot } from '../../../src/repo/format/snapshot.ts'
import {
  describeGroupKey,
  groupSnapshots,
  latestPerGroup,
  parseGroupBy,
} from '../../../src/repo/ops/snapshot-groups.ts'
import type { SnapshotRecord } from '../../../src/repo/ops/snapshots.ts'
import { sampleSnapshot } from '../../support/sample-data.ts'

function record(number: number, fields: Partial<Snapshot>): SnapshotRecord {
  const id = parseId(number.toString(16).padStart(64, '0'))
  const time = { seconds: number, nanoseconds: 0, offsetSeconds: 0 }
  return { id, snapshot: sampleSnapshot(id, { time, ...fields }) }
}

const RECORDS = [
  record(1, { hostname: 'two', paths: ['/b', '/a'], tags: ['y', 'x'] }),
  record(2, { hostname: 'one', paths: ['/a', '/b'], tags: [] }),
  record(3, { hostname: 'two', paths: ['/a', '/b'], tags: ['x', 'y'] }),
  record(4, { hostname: 'one', paths: ['/a'], tags: ['x'] }),
  record(5, { hostname: 'one', paths: ['/a'], tags: [] }),
]

function numbers(records: readonly SnapshotRecord[]): number[] {
  return records.map(({ id }) => Number.parseInt(id, 16))
}

describe('groupSnapshots', () => {
  it('groups by host and paths, sorted, whatever the order paths are stored in', () => {
    const groups = groupSnapshots(RECORDS, ['host', 'paths'])
    expect(groups.map(({ key, records }) => [key, numbers(records)])).toEqual([
      [{ hostname: 'one', paths: ['/a'], tags: [] }, [4, 5]],
      [{ hostname: 'one', paths: ['/a', '/b'], tags: [] }, [2]],
      [{ hostname: 'two', paths: ['/a', '/b'], tags: [] }, [1, 3]],
    ])
    expect(RECORDS[0]?.snapshot.paths).toEqual(['/b', '/a'])
  })

  it('groups by tags alone', () => {
    const groups = groupSnapshots(RECORDS, ['tags'])
    expect(groups.map(({ key, records }) => [key.tags, numbers(records)])).toEqual([
      [[], [2, 5]],
      [['x'], [4]],
      [
        ['x', 'y'],
        [1, 3],
      ],
    ])
  })

  it('puts all into one group without anything to group by, and none into none', () => {
    expect(groupSnapshots(RECORDS, [])).toHaveLength(1)
    expect(groupSnapshots([], ['host'])).toEqual([])
  })

  it('does not mix up a path with a comma and two paths', () => {
    const records = [record(1, { paths: ['/a","/b'] }), record(2, { paths: ['/a', '/b'] })]
    expect(groupSnapshots(records, ['paths'])).toHaveLength(2)
  })

  it('sorts by bytes, not by UTF-16 units', () => {
    const records = [record(1, { hostname: '\u{1F600}' }), record(2, { hostname: '\uff5e' })]
    expect(groupSnapshots(records, ['host']).map(({ records: members }) => numbers(members))).toEqual([
      [2],
      [1],
    ])
  })
})

describe('latestPerGroup', () => {
  it('takes the newest of each group, newest first', () => {
    const groups = groupSnapshots(RECORDS, ['host'])
    expect(latestPerGroup(groups, 2).map(({ records }) => numbers(records))).toEqual([
      [5, 4],
      [3, 1],
    ])
    expect(latestPerGroup(groups).map(({ records }) => numbers(records))).toEqual([[5], [3]])
  })
})

describe('parseGroupBy', () => {
  it('reads names in any spelling', () => {
    expect(parseGroupBy('host,path,tags')).toEqual(['host', 'paths', 'tags'])
    expect(parseGroupBy('hosts,host')).toEqual(['host'])
    expect(parseGroupBy('')).toEqual([])
    expect(parseGroupBy(',tag,')).toEqual(['tags'])
  })

  it.each(['Host', 'host, tags', 'constructor'])('refuses %j', (text) => {
    expect(() => parseGroupBy(text)).toThrow(InvalidInputError)
  })
})

describe('describeGroupKey', () => {
  it('leaves out what is empty', () => {
    expect(describeGroupKey({ hostname: 'vm', paths: ['/a', '/b'], tags: ['x'] })).toBe(
      'host vm, path [/a /b], tags [x]',
    )
    expect(describeGroupKey({ hostname: '', paths: [], tags: [] })).toBe('')
  })
})
