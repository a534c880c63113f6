/**
 * Which snapshots of a group a policy keeps (format spec §17.1): pure arithmetic on times and tags. Counted rules walk
 * from the newest snapshot to the oldest and keep the first of each hour, day, week, month or year they come upon.
 */

import { InvalidInputError } from '../../errors.ts'
import { compareTimes, timeFromDate, type Time } from '../format/time.ts'
import { formatDuration, isNegativeDuration, isZeroDuration, type Duration } from './duration.ts'
import { isoWeek, subtractDuration, wallTime } from './retention-calendar.ts'
import { hasTags, type SnapshotRecord } from './snapshots.ts'

/** What to keep. A count is the number of snapshots, -1 for all of them; rules left out or 0 keep nothing. */
export interface KeepPolicy {
  readonly last?: number
  readonly hourly?: number
  readonly daily?: number
  readonly weekly?: number
  readonly monthly?: number
  readonly yearly?: number
  /** Everything younger than this, counted back from the newest snapshot of the group. */
  readonly within?: Duration
  readonly withinHourly?: Duration
  readonly withinDaily?: Duration
  readonly withinWeekly?: Duration
  readonly withinMonthly?: Duration
  readonly withinYearly?: Duration
  /** Snapshots that have all tags of one of these lists; the empty tag stands for "has no tags". */
  readonly tags?: readonly (readonly string[])[]
}

/** Why one snapshot is kept, in restic's words. */
export interface KeepReason {
  readonly record: SnapshotRecord
  readonly matches: readonly string[]
}

/** A policy's verdict, newest snapshot first; `reasons` goes with `keep`, one for one. */
export interface PolicyResult {
  readonly keep: readonly SnapshotRecord[]
  readonly remove: readonly SnapshotRecord[]
  readonly reasons: readonly KeepReason[]
}

type Period = 'hourly' | 'daily' | 'weekly' | 'monthly' | 'yearly'
type CountRule = 'last' | Period
type WithinRule = 'withinHourly' | 'withinDaily' | 'withinWeekly' | 'withinMonthly' | 'withinYearly'

const COUNT_RULES: readonly CountRule[] = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly']
const WITHIN_RULES: readonly (readonly [WithinRule, Period])[] = [
  ['withinHourly', 'hourly'],
  ['withinDaily', 'daily'],
  ['withinWeekly', 'weekly'],
  ['withinMonthly', 'monthly'],
  ['withinYearly', 'yearly'],
]

/** Keeps the first snapshot of each new key, and the oldest of all. */
interface Bucket {
  readonly period: CountRule
  readonly reason: string
  /** How many more it keeps; -1 for any number. */
  left: number
  lastKey: number
}

/**
 * Sorts the snapshots of one group into those to keep and those to remove (format spec §17.1). Snapshots of the same
 * instant stay in the order given.
 * @param options.now time of the run: snapshots of the future do not count as the newest one. Default: the clock
 */
export function applyPolicy(
  records: readonly SnapshotRecord[],
  policy: KeepPolicy,
  options: { readonly now?: Time } = {},
): PolicyResult {
  const sorted = records.toSorted((a, b) => compareTimes(b.snapshot.time, a.snapshot.time))
  const rules = compileRules(policy, newestTime(sorted, options.now ?? timeFromDate(new Date())))
  const keep: SnapshotRecord[] = []
  const remove: SnapshotRecord[] = []
  const reasons: KeepReason[] = []
  sorted.forEach((record, index) => {
    const matches = rules.flatMap((rule) => rule(record, index, index === sorted.length - 1))
    if (matches.length === 0) {
      remove.push(record)
      return
    }
    keep.push(record)
    reasons.push({ record, matches })
  })
  return { keep, remove, reasons }
}

/** Whether a policy has no rule at all, so that it would keep nothing. */
export function isEmptyPolicy(policy: KeepPolicy): boolean {
  const durations = [policy.within, ...WITHIN_RULES.map(([rule]) => policy[rule])]
  return (
    COUNT_RULES.every((rule) => (policy[rule] ?? 0) === 0) &&
    durations.every((duration) => duration === undefined || isZeroDuration(duration)) &&
    (policy.tags ?? []).length === 0
  )
}

/** @throws InvalidInputError for a count that is no count and for durations that lead into the future */
export function validatePolicy(policy: KeepPolicy): void {
  for (const rule of COUNT_RULES) {
    const count = policy[rule] ?? 0
    if (!Number.isSafeInteger(count))
      throw new InvalidInputError(`keep ${rule}: ${count} is not a whole number`)
    if (count < -1) {
      throw new InvalidInputError('negative values other than -1 are not allowed for --keep-*')
    }
  }
  const durations = [policy.within, ...WITHIN_RULES.map(([rule]) => policy[rule])]
  if (durations.some((duration) => duration !== undefined && isNegativeDuration(duration))) {
    throw new InvalidInputError('durations containing negative values are not allowed for --keep-within*')
  }
}

/**
 * Reads the count of a rule: a number that is not negative, or `unlimited` (-1).
 * @throws InvalidInputError
 */
export function parseKeepCount(text: string): number {
  if (text === 'unlimited') return -1
  if (!/^[+-]?[0-9]+$/.test(text)) throw new InvalidInputError(`invalid count "${text}": not a whole number`)
  const count = Number(text)
  if (count < 0) throw new InvalidInputError("negative values not allowed, use 'unlimited' instead")
  if (!Number.isSafeInteger(count)) throw new InvalidInputError(`invalid count "${text}": too large`)
  return count === 0 ? 0 : count
}

/** A policy in words, as restic prints it before it applies it: `keep 3 latest, 2 daily snapshots`. */
export function describePolicy(policy: KeepPolicy): string {
  const counts: string[] = []
  for (const rule of COUNT_RULES) {
    const count = policy[rule] ?? 0
    const noun = rule === 'last' ? 'latest' : rule
    if (count > 0) counts.push(`${count} ${noun}`)
    else if (count === -1) counts.push(`all ${noun}`)
  }
  const plain: string[] = counts.length > 0 ? [`${counts.join(', ')} snapshots`] : []
  for (const [rule, period] of WITHIN_RULES) {
    const duration = policy[rule]
    if (isSet(duration)) plain.push(`${period} snapshots within ${formatDuration(duration)}`)
  }
  const clauses: string[] = plain.length > 0 ? [plain.join(', ')] : []
  const tags = policy.tags ?? []
  if (tags.length > 0) clauses.push(`all snapshots with tags [${tags.map(formatTags).join(' ')}]`)
  if (isSet(policy.within)) {
    clauses.push(`all snapshots within ${formatDuration(policy.within)} of the newest`)
  }
  return clauses.length === 0 ? 'remove' : `keep ${clauses.join(' and ')}`
}

/** The reasons one rule has for keeping a snapshot. Counted rules remember what they were asked before. */
type Rule = (record: SnapshotRecord, index: number, isOldest: boolean) => string[]

/** Rules in the order restic names their reasons in. */
function compileRules(policy: KeepPolicy, newest: Time | undefined): Rule[] {
  const rules: Rule[] = []
  for (const tags of policy.tags ?? []) {
    rules.push((record) => (hasTags(record.snapshot, tags) ? [`has tags ${formatTags(tags)}`] : []))
  }
  if (isSet(policy.within)) {
    const isWithin = afterCutOff(newest, policy.within)
    const reason = `within ${formatDuration(policy.within)}`
    rules.push((record) => (isWithin(record.snapshot.time) ? [reason] : []))
  }
  for (const period of COUNT_RULES) {
    const count = policy[period] ?? 0
    if (count === 0) continue
    const bucket: Bucket = { period, reason: `${period} snapshot`, left: count, lastKey: -1 }
    rules.push((record, index, isOldest) => fillBucket(bucket, keyOf(period, record, index), isOldest))
  }
  for (const [rule, period] of WITHIN_RULES) {
    const duration = policy[rule]
    if (!isSet(duration)) continue
    const isWithin = afterCutOff(newest, duration)
    const reason = `${period} within ${formatDuration(duration)}`
    const bucket: Bucket = { period, reason, left: -1, lastKey: -1 }
    rules.push((record, index, isOldest) =>
      isWithin(record.snapshot.time) ? fillBucket(bucket, keyOf(period, record, index), isOldest) : [],
    )
  }
  return rules
}

function fillBucket(bucket: Bucket, key: number, isOldest: boolean): string[] {
  if (bucket.left === 0) return []
  const isNew = key !== bucket.lastKey
  // The oldest is kept while there are counts left, so that the history kept reaches back as far as it can.
  if (!isNew && !isOldest) return []
  bucket.lastKey = key
  if (bucket.left > 0) bucket.left--
  return [isNew ? bucket.reason : `oldest ${bucket.reason}`]
}

/** A number that two snapshots share if, and only if, they fall into the same hour, day, week, month or year. */
function keyOf(period: CountRule, record: SnapshotRecord, index: number): number {
  const wall = wallTime(record.snapshot.time)
  const { year, month, day, hour } = wall
  switch (period) {
    case 'last':
      return index
    case 'hourly':
      return year * 1_000_000 + month * 10_000 + day * 100 + hour
    case 'daily':
      return year * 10_000 + month * 100 + day
    case 'weekly':
      return isoWeek(wall).year * 100 + isoWeek(wall).week
    case 'monthly':
      return year * 100 + month
    case 'yearly':
      return year
    default:
      return period satisfies never
  }
}

/** Whether a time lies after the instant `duration` before the newest snapshot; always, where all are of the future. */
function afterCutOff(newest: Time | undefined, duration: Duration): (time: Time) => boolean {
  if (newest === undefined) return () => true
  const cutOff = subtractDuration(newest, duration)
  return (time) =>
    time.seconds > cutOff.seconds ||
    (time.seconds === cutOff.seconds && time.nanoseconds > cutOff.nanoseconds)
}

function newestTime(newestFirst: readonly SnapshotRecord[], now: Time): Time | undefined {
  return newestFirst.find((record) => compareTimes(record.snapshot.time, now) < 0)?.snapshot.time
}

function isSet(duration: Duration | undefined): duration is Duration {
  return duration !== undefined && !isZeroDuration(duration)
}

/** A list of tags as Go prints it. */
function formatTags(tags: readonly string[]): string {
  return `[${tags.join(', ')}]`
}
