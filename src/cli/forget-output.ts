/** What forget prints: what it keeps and why, what it removes (command spec, "forget" and §3). */
import { describePolicy, shortId, type ForgetGroup, type KeepPolicy, type SnapshotRecord } from '../index.ts'
import type { CommandContext } from './context.ts'
import { toJson } from './format.ts'
import { groupHeader, snapshotJson, snapshotListJson, snapshotTable } from './snapshot-output.ts'

export interface ForgetTextOptions {
  readonly policy: KeepPolicy
  readonly compact: boolean
  readonly isGrouped: boolean
}

export function printForgetGroups(
  context: CommandContext,
  groups: readonly ForgetGroup[],
  options: ForgetTextOptions,
): void {
  context.print(`Applying Policy: ${describePolicy(options.policy)}`)
  const { compact } = options
  for (const group of groups) {
    if (options.isGrouped) context.print(`${groupHeader({ key: group.key, records: [] })}:\n`)
    if (group.keep.length > 0) {
      const reasons = new Map(group.reasons.map(({ record, matches }) => [record.id, matches]))
      context.print(`keep ${group.keep.length} snapshots:`)
      context.print(snapshotTable(group.keep.toReversed(), { compact, reasons }))
    }
    if (group.remove.length > 0) {
      context.print(`remove ${group.remove.length} snapshots:`)
      context.print(snapshotTable(group.remove.toReversed(), { compact }))
    }
  }
}

export function forgetJson(groups: readonly ForgetGroup[]): string {
  const texts = groups.map((group) => {
    const reasons = group.reasons.map(
      ({ record, matches }) => `{"snapshot":${snapshotJson(record)},"matches":${toJson(matches)}}`,
    )
    return (
      `{"tags":${group.key.tags.length === 0 ? 'null' : toJson(group.key.tags)},"host":${toJson(group.key.hostname)},` +
      `"paths":${group.key.paths.length === 0 ? 'null' : toJson(group.key.paths)},"keep":${listOrNull(group.keep)},` +
      `"remove":${listOrNull(group.remove)},"reasons":${reasons.length === 0 ? 'null' : `[${reasons.join(',')}]`}}`
    )
  })
  return `[${texts.join(',')}]`
}

export function wouldRemoveText(ids: readonly SnapshotRecord[]): string {
  return `Would have removed the following snapshots:\n{${ids.map(({ id }) => shortId(id)).join(' ')}}\n`
}

function listOrNull(records: readonly SnapshotRecord[]): string {
  return records.length === 0 ? 'null' : snapshotListJson(records)
}
