/** snapshots: list snapshots. */
import type { Command } from 'commander'
import {
  findSnapshots,
  groupSnapshots,
  InvalidInputError,
  latestPerGroup,
  parseGroupBy,
  type GroupBy,
  type SnapshotGroup,
} from '../index.ts'
import type { RunCommand } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_OK } from './exit-codes.ts'
import { absolutePaths, addFilterOptions, filterFrom, type FilterFlags } from './snapshot-filter.ts'
import { groupHeader, groupsJson, snapshotListJson, snapshotTable } from './snapshot-output.ts'

export interface SnapshotsFlags extends FilterFlags {
  readonly compact?: boolean
  readonly latest?: string
  readonly last?: boolean
  readonly groupBy?: string
}

export function define(command: Command, run: RunCommand): void {
  addSnapshotsOptions(command.argument('[ids...]', 'snapshots to list')).action(
    (ids: string[], flags: SnapshotsFlags) => run((context) => listSnapshots(context, ids, flags)),
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
  const repository = await context.openRepository()
  const lock = context.options.lock ? await repository.lock(false, context.signal) : undefined
  let groups: SnapshotGroup[]
  try {
    const filter = absolutePaths(filterFrom(flags, context.io.env))
    const records = await findSnapshots(
      repository,
      { ids, filter },
      {
        signal: context.signal,
        onError: ({ item, error }) => context.warn(`Ignoring "${item}": ${error.message}`),
      },
    )
    const sorted = records.toSorted(
      (a, b) =>
        a.snapshot.time.seconds - b.snapshot.time.seconds ||
        a.snapshot.time.nanoseconds - b.snapshot.time.nanoseconds,
    )
    groups = selectLatest(groupSnapshots(sorted, groupBy), groupBy, latest)
  } finally {
    await lock?.release()
    await repository.close()
  }
  if (context.isJson) {
    const isGrouped = groupBy.length > 0
    context.printResult(
      `${isGrouped ? groupsJson(groups) : snapshotListJson(groups.flatMap((group) => group.records))}\n`,
    )
    return EXIT_OK
  }
  for (const group of groups) {
    if (groupBy.length > 0) context.printResult(`${groupHeader(group)}:\n`)
    if (group.records.length > 0)
      context.printResult(snapshotTable(group.records, { compact: flags.compact }))
  }
  return EXIT_OK
}

/** Without a grouping, the latest are those of each host and path, as in restic. */
function selectLatest(
  groups: SnapshotGroup[],
  groupBy: readonly GroupBy[],
  latest: number | undefined,
): SnapshotGroup[] {
  if (latest === undefined) return groups
  const newest = (group: SnapshotGroup): SnapshotGroup => {
    const fine = groupBy.length > 0 ? [group] : groupSnapshots(group.records, ['host', 'paths'])
    const kept = new Set(
      latestPerGroup(fine, latest).flatMap((part) => part.records.map((record) => record.id)),
    )
    return { ...group, records: group.records.filter((record) => kept.has(record.id)) }
  }
  return groups.map(newest)
}

function parseLatest(flags: SnapshotsFlags): number | undefined {
  if (flags.last === true) return 1
  if (flags.latest === undefined) return undefined
  const count = Number(flags.latest)
  if (!/^\d+$/.test(flags.latest))
    throw new InvalidInputError(`invalid value "${flags.latest}" for --latest: not a number`)
  return count === 0 ? undefined : count
}
