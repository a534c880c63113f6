/** Snapshots put together by host, paths and tags, as forget and the listing of snapshots treat them. */

import { InvalidInputError } from '../../errors.ts'
import { compareRawNames } from '../format/raw-name.ts'
import { compareTimes } from '../format/time.ts'
import type { SnapshotRecord } from './snapshots.ts'

/** What makes two snapshots belong together. */
export type GroupBy = 'host' | 'paths' | 'tags'

/** What the snapshots of a group share, sorted by bytes; empty where it was not asked for. */
export interface SnapshotGroupKey {
  readonly hostname: string
  readonly paths: readonly string[]
  readonly tags: readonly string[]
}

export interface SnapshotGroup {
  readonly key: SnapshotGroupKey
  readonly records: readonly SnapshotRecord[]
}

const GROUP_BY_NAMES: Readonly<Record<string, GroupBy>> = {
  host: 'host',
  hosts: 'host',
  path: 'paths',
  paths: 'paths',
  tag: 'tags',
  tags: 'tags',
}

/**
 * Reads what --group-by takes: `host`, `paths`, `tags` separated by commas, nothing for one group of all.
 * @throws InvalidInputError
 */
export function parseGroupBy(text: string): GroupBy[] {
  const wanted = new Set<GroupBy>()
  for (const name of text.split(',')) {
    if (name === '') continue
    const groupBy = Object.hasOwn(GROUP_BY_NAMES, name) ? GROUP_BY_NAMES[name] : undefined
    if (groupBy === undefined) throw new InvalidInputError(`unknown grouping option: "${name}"`)
    wanted.add(groupBy)
  }
  return [...wanted]
}

/** Puts snapshots into groups, sorted by host, paths and tags. The order within a group is that given. */
export function groupSnapshots(
  records: readonly SnapshotRecord[],
  groupBy: readonly GroupBy[],
): SnapshotGroup[] {
  const groups = new Map<string, { key: SnapshotGroupKey; records: SnapshotRecord[] }>()
  for (const record of records) {
    const key = keyOf(record, groupBy)
    const name = JSON.stringify([key.hostname, key.paths, key.tags])
    const group = groups.get(name)
    if (group === undefined) groups.set(name, { key, records: [record] })
    else group.records.push(record)
  }
  return [...groups.values()].toSorted((a, b) => compareKeys(a.key, b.key))
}

/**
 * The `count` newest snapshots of each group, newest first: what `snapshots --latest` shows. Where there is no
 * grouping, callers group by host and paths for this, as restic does.
 */
export function latestPerGroup(groups: readonly SnapshotGroup[], count = 1): SnapshotGroup[] {
  return groups.map(({ key, records }) => ({
    key,
    records: records
      .toSorted((a, b) => compareTimes(b.snapshot.time, a.snapshot.time))
      .slice(0, Math.max(0, count)),
  }))
}

/** A group's key in words, empty parts left out: `host vm, path [/srv], tags [a]`. */
export function describeGroupKey(key: SnapshotGroupKey): string {
  const parts: string[] = []
  if (key.hostname !== '') parts.push(`host ${key.hostname}`)
  if (key.paths.length > 0) parts.push(`path [${key.paths.join(' ')}]`)
  if (key.tags.length > 0) parts.push(`tags [${key.tags.join(' ')}]`)
  return parts.join(', ')
}

function keyOf({ snapshot }: SnapshotRecord, groupBy: readonly GroupBy[]): SnapshotGroupKey {
  return {
    hostname: groupBy.includes('host') ? snapshot.hostname : '',
    paths: groupBy.includes('paths') ? snapshot.paths.toSorted(compareRawNames) : [],
    tags: groupBy.includes('tags') ? snapshot.tags.toSorted(compareRawNames) : [],
  }
}

function compareKeys(a: SnapshotGroupKey, b: SnapshotGroupKey): number {
  return (
    compareRawNames(a.hostname, b.hostname) || compareLists(a.paths, b.paths) || compareLists(a.tags, b.tags)
  )
}

function compareLists(a: readonly string[], b: readonly string[]): number {
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const order = compareRawNames(a[index] ?? '', b[index] ?? '')
    if (order !== 0) return order
  }
  return a.length - b.length
}
