/** Snapshots as tables and JSON, the same wherever they are shown (command spec, "snapshots"). */
import { encodeSnapshot, shortId, type SnapshotGroup, type SnapshotRecord } from '../index.ts'
import { formatBytes, formatLocalTime, printable, toJson } from './format.ts'
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

function nullIfEmpty(list: readonly string[]): readonly string[] | null {
  return list.length === 0 ? null : list
}

export interface SnapshotTableOptions {
  readonly compact?: boolean | undefined
  /** Why each snapshot is kept, by its ID. */
  readonly reasons?: ReadonlyMap<string, readonly string[]> | undefined
}

/** @param records oldest first */
export function snapshotTable(
  records: readonly SnapshotRecord[],
  options: SnapshotTableOptions = {},
): string {
  const { compact = false, reasons } = options
  const tags: Column<SnapshotRecord> = {
    title: 'Tags',
    minWidth: compact ? 0 : 10,
    cell: ({ snapshot }) => (compact ? snapshot.tags : [snapshot.tags.join(',')]),
  }
  const columns: Column<SnapshotRecord>[] = [
    { title: 'ID', cell: ({ id }) => [shortId(id)] },
    { title: 'Time', cell: ({ snapshot }) => [formatLocalTime(snapshot.time)] },
    { title: 'Host', minWidth: compact ? 0 : 10, cell: ({ snapshot }) => [snapshot.hostname] },
    tags,
  ]
  if (!compact) {
    if (reasons !== undefined) columns.push({ title: 'Reasons', cell: ({ id }) => reasons.get(id) ?? [] })
    columns.push({ title: 'Paths', cell: ({ snapshot }) => snapshot.paths.toSorted().map(printable) })
  }
  if (records.some(({ snapshot }) => snapshot.summary !== undefined)) {
    columns.push({
      title: 'Size',
      alignRight: true,
      cell: ({ snapshot: { summary } }) => [
        summary === undefined ? '' : formatBytes(summary.totalBytesProcessed),
      ],
    })
  }
  const zone = process.env['TZ'] === undefined || process.env['TZ'] === '' ? 'local' : process.env['TZ']
  return formatTable(columns, records, [
    `Timestamps shown in ${zone === 'local' ? 'local time' : zone}`,
    `${records.length} snapshots`,
  ])
}

/** `snapshots for (host [vm], tags [x, y]):` */
export function groupHeader({ key }: SnapshotGroup): string {
  const parts = [
    ...(key.hostname === '' ? [] : [`host [${key.hostname}]`]),
    ...(key.tags.length === 0 ? [] : [`tags [${key.tags.join(', ')}]`]),
    ...(key.paths.length === 0 ? [] : [`paths [${key.paths.join(', ')}]`]),
  ]
  return parts.length === 0 ? 'snapshots' : `snapshots for (${parts.join(', ')})`
}
