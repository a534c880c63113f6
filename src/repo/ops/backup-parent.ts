/** Which snapshot a backup is compared with (format spec §12.1). */
import { compareTimes, type Time } from '../format/time.ts'
import type { GroupBy } from './snapshot-groups.ts'
import { hasTags, type SnapshotRecord } from './snapshots.ts'

export interface ParentQuery {
  readonly groupBy: readonly GroupBy[]
  readonly hostname: string
  /** Absolute, cleaned. */
  readonly paths: readonly string[]
  readonly tags: readonly string[]
  /** Time of the new snapshot: a parent is not younger. */
  readonly time: Time
}

/** The newest of `records` (oldest first) that can be the parent: its paths may be more than the backup's. */
export function findParent(
  records: readonly SnapshotRecord[],
  query: ParentQuery,
): SnapshotRecord | undefined {
  const { groupBy } = query
  return records.findLast(
    ({ snapshot }) =>
      compareTimes(snapshot.time, query.time) <= 0 &&
      (!groupBy.includes('host') || snapshot.hostname === query.hostname) &&
      (!groupBy.includes('paths') || query.paths.every((path) => snapshot.paths.includes(path))) &&
      (!groupBy.includes('tags') || query.tags.length === 0 || hasTags(snapshot, query.tags)),
  )
}
