/** `--keep-…`: the policy of forget, and of prune where it is given one. */
import type { Command } from 'commander'
import { parseDuration, parseKeepCount, parseTagList, type KeepPolicy } from '../index.ts'
import { collect } from './global-options.ts'

export interface KeepFlags {
  readonly keepLast?: string
  readonly keepHourly?: string
  readonly keepDaily?: string
  readonly keepWeekly?: string
  readonly keepMonthly?: string
  readonly keepYearly?: string
  readonly keepWithin?: string
  readonly keepWithinHourly?: string
  readonly keepWithinDaily?: string
  readonly keepWithinWeekly?: string
  readonly keepWithinMonthly?: string
  readonly keepWithinYearly?: string
  readonly keepTag?: readonly string[]
}

export function addKeepOptions(command: Command): Command {
  return command
    .option('-l, --keep-last <n>', 'keep the last n snapshots (or unlimited)')
    .option('-H, --keep-hourly <n>', 'keep the last n hourly snapshots')
    .option('-d, --keep-daily <n>', 'keep the last n daily snapshots')
    .option('-w, --keep-weekly <n>', 'keep the last n weekly snapshots')
    .option('-m, --keep-monthly <n>', 'keep the last n monthly snapshots')
    .option('-y, --keep-yearly <n>', 'keep the last n yearly snapshots')
    .option('--keep-within <duration>', 'keep snapshots younger than this (1y5m7d2h) counted from the newest')
    .option('--keep-within-hourly <duration>', 'keep hourly snapshots younger than this')
    .option('--keep-within-daily <duration>', 'keep daily snapshots younger than this')
    .option('--keep-within-weekly <duration>', 'keep weekly snapshots younger than this')
    .option('--keep-within-monthly <duration>', 'keep monthly snapshots younger than this')
    .option('--keep-within-yearly <duration>', 'keep yearly snapshots younger than this')
    .option('--keep-tag <tag[,tag...]>', 'keep snapshots with these tags (may be repeated)', collect)
}

/** @throws InvalidInputError */
export function policyFrom(flags: KeepFlags): KeepPolicy {
  const counts = {
    last: flags.keepLast,
    hourly: flags.keepHourly,
    daily: flags.keepDaily,
    weekly: flags.keepWeekly,
    monthly: flags.keepMonthly,
    yearly: flags.keepYearly,
  }
  const durations = {
    within: flags.keepWithin,
    withinHourly: flags.keepWithinHourly,
    withinDaily: flags.keepWithinDaily,
    withinWeekly: flags.keepWithinWeekly,
    withinMonthly: flags.keepWithinMonthly,
    withinYearly: flags.keepWithinYearly,
  }
  return {
    ...mapSet(counts, parseKeepCount),
    ...mapSet(durations, parseDuration),
    ...(flags.keepTag === undefined ? {} : { tags: flags.keepTag.map(parseTagList) }),
  }
}

function mapSet<K extends string, V>(
  texts: Readonly<Record<K, string | undefined>>,
  parse: (text: string) => V,
): Partial<Record<K, V>> {
  const parsed: Partial<Record<K, V>> = {}
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of a record of K are K
  for (const key of Object.keys(texts) as K[]) {
    const text = texts[key]
    if (text !== undefined) parsed[key] = parse(text)
  }
  return parsed
}
