/* oxlint-disable node/no-process-env -- the zone must be set before anything asks for it */
/** Policies against the real restic: what it would keep of random snapshots under many random policies, and why. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LocalBackend } from '../../../src/backend/local.ts'
import { parseTime, type Time } from '../../../src/repo/format/time.ts'
import { formatDuration, type Duration } from '../../../src/repo/ops/duration.ts'
import { forget, type ForgetOptions } from '../../../src/repo/ops/forget.ts'
import type { KeepPolicy } from '../../../src/repo/ops/retention.ts'
import type { Repository } from '../../../src/repo/repository.ts'
import { hasRestic, propertyRuns, runRestic } from '../../support/real-restic.ts'
import { addSnapshot, sampleSnapshot, seededRandom } from '../../support/sample-data.ts'
import { createTestRepositoryIn } from '../../support/test-repository.ts'

const ZONE = 'America/New_York'
process.env['TZ'] = ZONE

const DAY = 86_400
const SNAPSHOTS = 150

let base = ''
let repository: Repository

/** Around daylight saving, ends of months and years; most with the offset New York has then, some of elsewhere. */
function randomTime(random: () => number, index: number): Time {
  const anchors = [
    '2024-03-10T07:00:00Z',
    '2024-11-03T06:00:00Z',
    '2025-01-01T04:00:00Z',
    '2026-02-28T12:00:00Z',
  ]
  const anchor = parseTime(anchors[index % anchors.length] ?? '').seconds
  const spread = random() < 0.5 ? 3 * DAY : 400 * DAY
  const seconds = anchor + Math.floor((random() - 0.7) * spread)
  const isSummer =
    /EDT/.test(new Date(seconds * 1000).toString()) || new Date(seconds * 1000).getTimezoneOffset() === 240
  const local = isSummer ? -4 * 3600 : -5 * 3600
  const offsetSeconds = [local, local, 0, 5.5 * 3600][Math.floor(random() * 4)] ?? 0
  return { seconds, nanoseconds: index, offsetSeconds }
}

beforeAll(async () => {
  if (!hasRestic()) return
  base = mkdtempSync(join(tmpdir(), 'forget-'))
  repository = await createTestRepositoryIn(new LocalBackend(join(base, 'repo')), { noLock: true })
  const random = seededRandom(20)
  const pick = <T>(...choices: readonly T[]): T => choices[Math.floor(random() * choices.length)]!
  const tree = (await repository.loadSnapshot(await addSnapshot(repository, {}))).tree
  for (let index = 0; index < SNAPSHOTS; index++) {
    const snapshot = sampleSnapshot(tree, {
      time: index === 7 ? parseTime('2097-01-01T00:00:00Z') : randomTime(random, index),
      hostname: pick('one', 'two'),
      paths: pick(['/a'], ['/a', '/b'], ['/b', '/a']),
      tags: pick<string[]>([], ['x'], ['x', 'y'], ['y', 'x'], ['y']),
    })
    await repository.saveSnapshot(snapshot)
  }
  // One an hour until five hours after clocks went forward.
  const end = parseTime('2024-03-10T08:00:00-04:00')
  for (let hours = 0; hours < 30; hours++) {
    const time = { ...end, seconds: end.seconds - hours * 3600 }
    await repository.saveSnapshot(sampleSnapshot(tree, { time, hostname: 'change' }))
  }
})

afterAll(() => rmSync(base, { recursive: true, force: true }))

const COUNT_FLAGS = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const
const WITHIN_FLAGS = {
  within: '--keep-within',
  withinHourly: '--keep-within-hourly',
  withinDaily: '--keep-within-daily',
  withinWeekly: '--keep-within-weekly',
  withinMonthly: '--keep-within-monthly',
  withinYearly: '--keep-within-yearly',
} as const

const anyCount = fc.integer({ min: -1, max: 9 })
const anyDuration: fc.Arbitrary<Duration> = fc.record({
  years: fc.integer({ min: 0, max: 2 }),
  months: fc.integer({ min: 0, max: 15 }),
  days: fc.integer({ min: 0, max: 40 }),
  hours: fc.integer({ min: 0, max: 50 }),
})
const anyPolicy: fc.Arbitrary<KeepPolicy> = fc.record(
  {
    ...Object.fromEntries(COUNT_FLAGS.map((rule) => [rule, anyCount])),
    ...Object.fromEntries(Object.keys(WITHIN_FLAGS).map((rule) => [rule, anyDuration])),
    tags: fc.array(fc.constantFrom(['x'], ['x', 'y'], ['']), { minLength: 1, maxLength: 2 }),
  },
  { requiredKeys: [] },
)
const anyGroupBy = fc.subarray(['host', 'paths', 'tags'] as const)
const anyFilter = fc.record(
  {
    hosts: fc.constantFrom(['one'], ['one', 'two']),
    tags: fc.constant([['x'], ['']]),
    paths: fc.constantFrom(['/a'], ['/b']),
  },
  { requiredKeys: ['hosts'] },
)

function flagsFor({ policy = {}, groupBy = [], filter = {} }: ForgetOptions): string[] {
  const flags = ['--group-by', groupBy.join(',')]
  for (const rule of COUNT_FLAGS) {
    const count = policy[rule]
    if (count !== undefined) flags.push(`--keep-${rule}`, count === -1 ? 'unlimited' : String(count))
  }
  for (const [rule, flag] of Object.entries(WITHIN_FLAGS)) {
    const duration: Duration | undefined = policy[isWithin(rule) ? rule : 'within']
    if (duration !== undefined) flags.push(flag, formatDuration(duration))
  }
  for (const tags of policy.tags ?? []) flags.push('--keep-tag', tags.join(','))
  for (const host of filter.hosts ?? []) flags.push('--host', host)
  for (const tags of filter.tags ?? []) flags.push('--tag', tags.join(','))
  for (const path of filter.paths ?? []) flags.push('--path', path)
  return flags
}

function isWithin(rule: string): rule is keyof typeof WITHIN_FLAGS {
  return rule in WITHIN_FLAGS
}

interface ResticGroup {
  readonly tags: string[] | null
  readonly host: string
  readonly paths: string[] | null
  readonly keep: { readonly id: string }[] | null
  readonly remove: { readonly id: string }[] | null
  readonly reasons: { readonly snapshot: { readonly id: string }; readonly matches: string[] }[] | null
}

function isGroups(value: unknown): value is ResticGroup[] {
  return Array.isArray(value)
}

/** Decisions in one form, or what was refused. */
function byRestic(options: ForgetOptions): unknown {
  const args = ['-r', join(base, 'repo'), '--no-lock', 'forget', '--dry-run', '--json', ...flagsFor(options)]
  const { code, stdout, stderr } = runRestic(args, { env: { TZ: ZONE } })
  if (code !== 0) {
    const [, message = stderr] = /"message":"(?:Fatal: )?(.*?)(?: (?:of|for) .*)?"\}/.exec(stderr) ?? []
    return message.split(' snapshot group')[0]
  }
  if (stdout.trim() === '') return []
  const groups: unknown = JSON.parse(stdout)
  if (!isGroups(groups)) throw new Error(`unexpected output: ${stdout}`)
  return groups
    .map((group) => ({
      key: { hostname: group.host, paths: group.paths ?? [], tags: group.tags ?? [] },
      keep: group.reasons?.map((reason) => [reason.snapshot.id, ...reason.matches]) ?? [],
      remove: group.remove?.map((snapshot) => snapshot.id) ?? [],
    }))
    .toSorted((a, b) => (JSON.stringify(a.key) < JSON.stringify(b.key) ? -1 : 1))
}

async function byUs(options: ForgetOptions): Promise<unknown> {
  try {
    const { groups } = await forget(repository, { ...options, dryRun: true })
    return groups
      .map((group) => ({
        key: group.key,
        keep: group.reasons.map((reason) => [reason.record.id, ...reason.matches]),
        remove: group.remove.map((record) => record.id),
      }))
      .toSorted((a, b) => (JSON.stringify(a.key) < JSON.stringify(b.key) ? -1 : 1))
  } catch (error) {
    if (!(error instanceof Error)) throw error
    return error.message.split(' of snapshot group')[0]
  }
}

describe.runIf(hasRestic())('forget in restic', () => {
  it('keeps and removes the same for the same reasons', async () => {
    const anyOptions = fc.record({ policy: anyPolicy, groupBy: anyGroupBy, filter: anyFilter })
    await fc.assert(
      fc.asyncProperty(anyOptions, async (options) => {
        expect(await byUs(options)).toEqual(byRestic(options))
      }),
      propertyRuns(25, 2000),
    )
  })

  it('goes back over a change of clocks as restic does', async () => {
    const policy: KeepPolicy = { within: { years: 0, months: 0, days: 1, hours: 0 } }
    const options: ForgetOptions = { filter: { hosts: ['change'] }, groupBy: [], policy }
    expect(await byUs(options)).toEqual(byRestic(options))
    const { groups } = await forget(repository, { ...options, dryRun: true })
    // That day had 23 hours.
    expect(groups[0]?.keep).toHaveLength(23)
  })
})
