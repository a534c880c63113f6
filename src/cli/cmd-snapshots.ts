/** snapshots: list snapshots. */
import type { Command } from 'commander'
import {
  compareTimes, findSnapshots, groupSnapshots, InvalidInputError, latestPerGroup, parseGroupBy, type GroupBy, type SnapshotGroup,
} from '../index.ts' // prettier-ignore
import type { CommandRunner } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_OK } from './exit-codes.ts'
import { addFilterOptions, filterFrom, type FilterFlags } from './snapshot-filter.ts'
import { groupHeader, groupsJson, snapshotListJson, snapshotTable } from './snapshot-output.ts'

export interface SnapshotsFlags extends FilterFlags {
  readonly compact?: boolean
  readonly latest?: string
  readonly last?: boolean
  readonly groupBy?: string
}

export function define(command: Command, run: CommandRunner): void {
  addSnapshotsOptions(command.argument('[ids...]', 'snapshots to list')).action(
    (ids: string[], flags: SnapshotsFlags) =>
      run.withContext((context) => listSnapshots(context, ids, flags)),
  )
}

export function addSnapshotsOptions(command: Command): Command {
  return addFilterOptions(command)
    .option('-c, --compact', 'narrow table')
    .option('--latest <n>', 'only the latest n snapshots of each host and path')
    .option('--last', 'as --latest 1')
    .option('-g, --group-by <what>', 'group by host, paths and/or tags, separated by commas')
}

export async function listSnapshots(
  context: CommandContext,
  ids: readonly string[],
  flags: SnapshotsFlags,
): Promise<number> {
  const groupBy = parseGroupBy(flags.groupBy ?? '')
  const latest = parseLatest(flags)
  const filter = filterFrom(flags, context.io.env)
  const records = await context.withLock({ exclusive: false, readsOnly: true }, (repository, signal) =>
    findSnapshots(
      repository,
      { ids, filter },
      { signal, onError: ({ item, error }) => context.warn(`Ignoring "${item}": ${error.message}`) },
    ),
  )
  const sorted = records.toSorted((a, b) => compareTimes(a.snapshot.time, b.snapshot.time))
  printGroups(context, selectLatest(groupSnapshots(sorted, groupBy), groupBy, latest), {
    isGrouped: groupBy.length > 0,
    compact: flags.compact,
  })
  return EXIT_OK
}

function printGroups(
  context: CommandContext,
  groups: readonly SnapshotGroup[],
  options: { readonly isGrouped: boolean; readonly compact: boolean | undefined },
): void {
  if (context.isJson) {
    const json = options.isGrouped
      ? groupsJson(groups)
      : snapshotListJson(groups.flatMap((group) => group.records))
    context.printResult(`${json}\n`)
    return
  }
  for (const { key, records } of groups) {
    const header = groupHeader(key)
    if (header !== undefined) context.printResult(`${header}\n`)
    context.printResult(snapshotTable(records, { compact: options.compact }))
  }
}

/** Without a grouping, the latest are those of each host and path, as in restic. */
function selectLatest(
  groups: SnapshotGroup[],
  groupBy: readonly GroupBy[],
  latest: number | undefined,
): SnapshotGroup[] {
  if (latest === undefined) return groups
  return groups.map((group) => {
    const fine = groupBy.length > 0 ? [group] : groupSnapshots(group.records, ['host', 'paths'])
    const newest = latestPerGroup(fine, latest).flatMap((part) => part.records)
    const ids = new Set(newest.map((record) => record.id))
    return { ...group, records: group.records.filter((record) => ids.has(record.id)) }
  })
}

function parseLatest(flags: SnapshotsFlags): number | undefined {
  if (flags.latest === undefined) return flags.last === true ? 1 : undefined
  if (!/^[+-]?\d{1,15}$/.test(flags.latest))
    throw new InvalidInputError(`invalid value "${flags.latest}" for --latest: not a number`)
  const count = Number(flags.latest)
  return count > 0 ? count : undefined
}
