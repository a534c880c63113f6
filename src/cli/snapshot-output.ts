/** Snapshots as tables and JSON, the same wherever they are shown (command spec, "snapshots"). */
import { existsSync } from 'node:fs'
import {
  compareTimes,
  encodeSnapshot,
  shortId,
  type SnapshotGroup,
  type SnapshotGroupKey,
  type SnapshotRecord,
} from '../index.ts'
import { formatBytes, formatGoTime, formatLocalTime, toJson } from './format.ts'
import { quoteUnprintable } from './safe-text.ts'
import { formatTable, type Column } from './table.ts'

/** The stored JSON with paths sorted, and the snapshot's own IDs at the end. */
export function snapshotJson({ id, snapshot }: SnapshotRecord): string {
  const stored = new TextDecoder().decode(encodeSnapshot({ ...snapshot, paths: snapshot.paths.toSorted() }))
  return `${stored.slice(0, -1)},"id":"${id}","short_id":"${shortId(id)}"}`
}

export function snapshotListJson(records: readonly SnapshotRecord[]): string {
  return `[${records.map(snapshotJson).join(',')}]`
}

export function groupsJson(groups: readonly SnapshotGroup[]): string {
  const texts = groups.map(({ key, records }) => {
    const groupKey = { hostname: key.hostname, paths: nullIfEmpty(key.paths), tags: nullIfEmpty(key.tags) }
    return `{"group_key":${toJson(groupKey)},"snapshots":${snapshotListJson(records)}}`
  })
  return `[${texts.join(',')}]`
}

/** Go writes a list that was never filled as null. */
export function nullIfEmpty<T>(list: readonly T[]): readonly T[] | null {
  return list.length === 0 ? null : list
}

export interface SnapshotTableOptions {
  readonly compact?: boolean | undefined
  /** Why each snapshot is kept, by its ID. */
  readonly reasons?: ReadonlyMap<string, readonly string[]> | undefined
}

/** The table, oldest snapshot first. */
export function snapshotTable(
  records: readonly SnapshotRecord[],
  options: SnapshotTableOptions = {},
): string {
  const { compact = false } = options
  const sorted = records.toSorted((a, b) => compareTimes(a.snapshot.time, b.snapshot.time))
  const hasSize = sorted.some(({ snapshot }) => snapshot.summary !== undefined)
  return formatTable(snapshotColumns(compact, hasSize, options.reasons), sorted, {
    footer: [`Timestamps shown in ${zoneName()}`, `${sorted.length} snapshots`],
    blankBetweenRows: !compact && sorted.some(({ snapshot }) => snapshot.paths.length > 1),
  })
}

function snapshotColumns(
  compact: boolean,
  hasSize: boolean,
  reasons: SnapshotTableOptions['reasons'],
): Column<SnapshotRecord>[] {
  const columns: Column<SnapshotRecord>[] = [
    { title: 'ID', cell: ({ id }) => [shortId(id)] },
    { title: 'Time', cell: ({ snapshot }) => [formatLocalTime(snapshot.time)] },
    {
      title: 'Host',
      minWidth: compact ? 0 : 10,
      cell: ({ snapshot }) => [quoteUnprintable(snapshot.hostname)],
    },
    { title: 'Tags', minWidth: compact ? 6 : 10, cell: ({ snapshot }) => tagLines(snapshot.tags, compact) },
  ]
  if (!compact) {
    if (reasons !== undefined)
      columns.push({ title: 'Reasons', cell: ({ id }) => (reasons.get(id) ?? []).map(quoteUnprintable) })
    columns.push({
      title: 'Paths',
      cell: ({ snapshot }) => snapshot.paths.toSorted().map(quoteUnprintable),
    })
  }
  if (hasSize) columns.push({ title: 'Size', cell: ({ snapshot }) => [sizeOf(snapshot)] })
  return columns
}

function tagLines(tags: readonly string[], compact: boolean): readonly string[] {
  const quoted = tags.map(quoteUnprintable)
  return compact ? quoted : [quoted.join(',')]
}

function sizeOf({ summary }: SnapshotRecord['snapshot']): string {
  return summary === undefined ? '' : formatBytes(summary.totalBytesProcessed)
}

/** The name restic shows: that of TZ, or the machine's own zone without its name. */
function zoneName(): string {
  const name = process.env['TZ']?.replace(/^:/, '')
  if (name === undefined) return existsSync('/etc/localtime') ? 'local time' : 'UTC'
  return name === '' ? 'UTC' : name
}

/** `snapshots for (host [vm], tags [x, y]):`, or undefined where the group is that of everything. */
export function groupHeader(key: SnapshotGroupKey): string | undefined {
  const parts: string[] = []
  if (key.hostname !== '') parts.push(`host [${quoteUnprintable(key.hostname)}]`)
  if (key.tags.length > 0) parts.push(`tags [${key.tags.map(quoteUnprintable).join(', ')}]`)
  if (key.paths.length > 0) parts.push(`paths [${key.paths.map(quoteUnprintable).join(', ')}]`)
  return parts.length === 0 ? undefined : `snapshots for (${parts.join(', ')}):`
}

/** `snapshot a6b63e3c of [/srv/data] at 2026-11-23 02:46:26.77 +0000 UTC by root@vm` */
export function describeSnapshot({ id, snapshot }: SnapshotRecord): string {
  const { paths, time, username, hostname } = snapshot
  const who = quoteUnprintable(`${username}@${hostname}`)
  return `snapshot ${shortId(id)} of [${paths.map(quoteUnprintable).join(' ')}] at ${formatGoTime(time)} by ${who}`
}
