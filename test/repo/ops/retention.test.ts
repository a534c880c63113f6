import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../../src/errors.ts'
import { parseId } from '../../../src/repo/format/id.ts'
import type { Snapshot } from '../../../src/repo/format/snapshot.ts'
import { compareTimes, formatTime, parseTime, type Time } from '../../../src/repo/format/time.ts'
import { parseDuration } from '../../../src/repo/ops/duration.ts'
import {
  applyPolicy,
  describePolicy,
  isEmptyPolicy,
  parseKeepCount,
  validatePolicy,
  type KeepPolicy,
} from '../../../src/repo/ops/retention.ts'
import type { SnapshotRecord } from '../../../src/repo/ops/snapshots.ts'
import { propertyRuns } from '../../support/real-restic.ts'

const NOW = parseTime('2030-01-01T00:00:00Z')

function record(number: number, time: Time, tags: readonly string[] = []): SnapshotRecord {
  const id = parseId(number.toString(16).padStart(64, '0'))
  const snapshot: Snapshot = {
    time,
    tree: id,
    paths: ['/srv'],
    hostname: 'vm',
    username: '',
    uid: 0,
    gid: 0,
    excludes: [],
    tags: [...tags],
    programVersion: '',
  }
  return { id, snapshot }
}

function numberOf({ id }: SnapshotRecord): number {
  return Number.parseInt(id, 16)
}

function kept(records: readonly SnapshotRecord[], policy: KeepPolicy): string {
  const { reasons } = applyPolicy(records, policy, { now: NOW })
  return reasons
    .map(
      (reason) =>
        `${numberOf(reason.record)}${reason.matches[0]?.startsWith('oldest') === true ? '(oldest)' : ''}`,
    )
    .join(' ')
}

/** The 200 snapshots of format spec §20.4. */
const START_SECONDS = parseTime('2024-01-01T00:30:00Z').seconds
const SERIES = Array.from({ length: 200 }, (_, i) => {
  const time = { seconds: START_SECONDS + i * 7 * 3600, nanoseconds: 0, offsetSeconds: 0 }
  return record(i, time, i % 50 === 0 ? ['even', 'mark'] : [i % 2 === 0 ? 'even' : 'odd'])
})

const within = parseDuration

describe('applyPolicy on the vectors made with restic 0.19.1', () => {
  it.each<[string, KeepPolicy, string]>([
    ['last 3', { last: 3 }, '199 198 197'],
    ['hourly 5', { hourly: 5 }, '199 198 197 196 195'],
    ['daily 5', { daily: 5 }, '199 198 195 191 188'],
    ['weekly 4', { weekly: 4 }, '199 191 167 143'],
    ['monthly 12', { monthly: 12 }, '199 106 0(oldest)'],
    ['yearly 5', { yearly: 5 }, '199 0(oldest)'],
    ['several', { last: 2, daily: 3, weekly: 3, monthly: 2 }, '199 198 195 191 167 106'],
    ['within 2d', { within: within('2d') }, '199 198 197 196 195 194 193'],
    ['within-daily 10d', { withinDaily: within('10d') }, '199 198 195 191 188 185 181 178 174 171 167'],
    ['within-weekly 1m', { withinWeekly: within('1m') }, '199 191 167 143 119 95'],
    ['within-monthly 1y', { withinMonthly: within('1y') }, '199 106 0(oldest)'],
    ['within-yearly 3y', { withinYearly: within('3y') }, '199 0(oldest)'],
    ['within-hourly 1d2h', { withinHourly: within('1d2h') }, '199 198 197 196'],
    ['keep-tag mark', { tags: [['mark']] }, '150 100 50 0'],
  ])('%s', (_name, policy, expected) => {
    expect(kept(SERIES, policy)).toBe(expected)
  })

  it('keeps any number with -1', () => {
    expect(applyPolicy(SERIES, { daily: -1 }, { now: NOW }).keep).toHaveLength(60)
  })

  it('counts each group for itself', () => {
    const groups = [
      SERIES.filter((_, i) => i % 50 === 0),
      SERIES.filter((_, i) => i % 50 !== 0 && i % 2 === 0),
      SERIES.filter((_, i) => i % 2 === 1),
    ]
    expect(groups.map((group) => kept(group, { monthly: 2 }))).toEqual(['150 100', '198 106', '199 105'])
  })
})

describe('applyPolicy', () => {
  it('gives its reasons in restic’s words and order', () => {
    const records = [
      record(0, parseTime('2024-01-01T10:10:00Z'), ['a', 'b']),
      record(1, parseTime('2024-01-01T10:20:00Z')),
    ]
    const policy: KeepPolicy = {
      last: 2,
      hourly: 2,
      daily: 2,
      weekly: 2,
      monthly: 2,
      yearly: 2,
      within: within('1y2d'),
      withinHourly: within('3h'),
      withinDaily: within('1d'),
      withinWeekly: within('1m'),
      withinMonthly: within('1y'),
      withinYearly: within('1y5m7d2h'),
      tags: [['a', 'b'], [''], ['b']],
    }
    const { reasons } = applyPolicy(records, policy, { now: NOW })
    expect(reasons.map((reason) => reason.matches)).toEqual([
      [
        'has tags []',
        'within 1y2d',
        'last snapshot',
        'hourly snapshot',
        'daily snapshot',
        'weekly snapshot',
        'monthly snapshot',
        'yearly snapshot',
        'hourly within 3h',
        'daily within 1d',
        'weekly within 1m',
        'monthly within 1y',
        'yearly within 1y5m7d2h',
      ],
      [
        'has tags [a, b]',
        'has tags [b]',
        'within 1y2d',
        'last snapshot',
        'oldest hourly snapshot',
        'oldest daily snapshot',
        'oldest weekly snapshot',
        'oldest monthly snapshot',
        'oldest yearly snapshot',
        'oldest hourly within 3h',
        'oldest daily within 1d',
        'oldest weekly within 1m',
        'oldest monthly within 1y',
        'oldest yearly within 1y5m7d2h',
      ],
    ])
  })

  it('goes by the clock of the zone a snapshot is stored with', () => {
    const records = [
      record(0, parseTime('2024-01-01T23:30:00-05:00')), // 04:30 UTC of the 2nd
      record(1, parseTime('2024-01-02T05:00:00Z')),
      record(2, parseTime('2024-01-03T01:00:00+09:00')), // 16:00 UTC of the 2nd
    ]
    expect(kept(records, { daily: 9 })).toBe('2 1 0')
    expect(kept(records.slice(0, 2), { monthly: 1 })).toBe('1')
  })

  it('does not take a snapshot of the future for the newest, and keeps it as one within', () => {
    const records = [
      record(0, parseTime('2024-01-01T00:00:00Z')),
      record(1, parseTime('2024-01-05T00:00:00Z')),
      record(2, parseTime('2099-01-01T00:00:00Z')),
    ]
    expect(kept(records, { within: within('2d') })).toBe('2 1')
    expect(kept(records.slice(2), { within: within('2d') })).toBe('2')
    expect(kept(records, { last: 1 })).toBe('2')
  })

  it('leaves out what is exactly as old as the duration', () => {
    const records = [
      record(0, { seconds: 1_000_000, nanoseconds: 5, offsetSeconds: 0 }),
      record(1, { seconds: 1_000_000, nanoseconds: 6, offsetSeconds: 0 }),
      record(2, { seconds: 1_000_000 + 7200, nanoseconds: 5, offsetSeconds: 0 }),
    ]
    expect(kept(records, { within: within('2h') })).toBe('2 1')
  })

  it('keeps the order given for snapshots of the same instant', () => {
    const time = parseTime('2024-01-01T00:00:00Z')
    expect(kept([record(5, time), record(3, time), record(9, time)], { last: 2 })).toBe('5 3')
  })

  it('has nothing to say of no snapshots', () => {
    expect(applyPolicy([], { last: 1 })).toEqual({ keep: [], remove: [], reasons: [] })
  })
})

const anyTime: fc.Arbitrary<Time> = fc.record({
  seconds: fc.integer({ min: 1_600_000_000, max: 1_700_000_000 }),
  nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
  offsetSeconds: fc.integer({ min: -14, max: 14 }).map((hours) => hours * 3600),
})
const anyRecords = fc
  .array(fc.tuple(anyTime, fc.subarray(['a', 'b', 'c'])), { minLength: 1, maxLength: 60 })
  .map((list) => list.map(([time, tags], i) => record(i, time, tags)))
const anyCount = fc.oneof(fc.constant(0), fc.integer({ min: -1, max: 6 }))
const anyDuration = fc.record({
  years: fc.integer({ min: 0, max: 2 }),
  months: fc.integer({ min: 0, max: 20 }),
  days: fc.integer({ min: 0, max: 50 }),
  hours: fc.integer({ min: 0, max: 100 }),
})
const anyPolicy: fc.Arbitrary<KeepPolicy> = fc.record(
  {
    last: anyCount,
    hourly: anyCount,
    daily: anyCount,
    weekly: anyCount,
    monthly: anyCount,
    yearly: anyCount,
    within: anyDuration,
    withinHourly: anyDuration,
    withinDaily: anyDuration,
    withinWeekly: anyDuration,
    withinMonthly: anyDuration,
    withinYearly: anyDuration,
    tags: fc.array(fc.subarray(['a', 'b', '']), { maxLength: 2 }),
  },
  { requiredKeys: [] },
)

function isRule(name: string): name is keyof KeepPolicy {
  return name !== ''
}

const runs = propertyRuns(100)

describe('any policy on any snapshots', () => {
  it('keeps or removes each snapshot once, newest first, and has reasons for what it keeps', () => {
    fc.assert(
      fc.property(anyRecords, anyPolicy, (records, policy) => {
        const { keep, remove, reasons } = applyPolicy(records, policy, { now: NOW })
        expect([...keep, ...remove].map(numberOf).toSorted((a, b) => a - b)).toEqual(records.map(numberOf))
        expect(reasons.map((reason) => reason.record)).toEqual(keep)
        expect(reasons.every((reason) => reason.matches.length > 0)).toBe(true)
        for (const list of [keep, remove]) {
          const order = list
            .slice(1)
            .map((next, i) => compareTimes(list[i]!.snapshot.time, next.snapshot.time))
          expect(order.every((step) => step >= 0)).toBe(true)
        }
      }),
      runs,
    )
  })

  it('keeps all that any of its rules alone keeps, and nothing else', () => {
    fc.assert(
      fc.property(anyRecords, anyPolicy, (records, policy) => {
        const together = new Set(applyPolicy(records, policy, { now: NOW }).keep.map(numberOf))
        const apart = new Set<number>()
        for (const rule of Object.keys(policy).filter(isRule)) {
          const alone: KeepPolicy = { [rule]: policy[rule] }
          for (const one of applyPolicy(records, alone, { now: NOW }).keep) apart.add(numberOf(one))
        }
        expect(together).toEqual(apart)
      }),
      runs,
    )
  })

  it('keeps the newest snapshot of each day for as many days as it counts', () => {
    fc.assert(
      fc.property(anyRecords, fc.integer({ min: 1, max: 10 }), (records, daily) => {
        const utc = records.map(({ snapshot }, i) => record(i, { ...snapshot.time, offsetSeconds: 0 }))
        const newest = new Map<string, SnapshotRecord>()
        const byAge = [...utc].toSorted((a, b) => compareTimes(b.snapshot.time, a.snapshot.time))
        for (const one of byAge) {
          const day = formatTime(one.snapshot.time).slice(0, 10)
          if (!newest.has(day)) newest.set(day, one)
        }
        const expected = [...newest.values()].slice(0, daily).map(numberOf)
        const oldest = byAge.at(-1)!
        if (newest.size < daily && !expected.includes(numberOf(oldest))) expected.push(numberOf(oldest))
        expect(applyPolicy(utc, { daily }, { now: NOW }).keep.map(numberOf)).toEqual(expected)
      }),
      runs,
    )
  })
})

describe('policies as given', () => {
  it('reads counts', () => {
    expect(['7', '0', '+3', '-0', 'unlimited'].map(parseKeepCount)).toEqual([7, 0, 3, 0, -1])
    for (const text of ['', 'x', '1.5', ' 1', '1_000', '0x10', '99999999999999999999']) {
      expect(() => parseKeepCount(text)).toThrow(InvalidInputError)
    }
    expect(() => parseKeepCount('-1')).toThrow("negative values not allowed, use 'unlimited' instead")
  })

  it('tells an empty one', () => {
    expect(isEmptyPolicy({})).toBe(true)
    expect(isEmptyPolicy({ last: 0, within: parseDuration(''), tags: [] })).toBe(true)
    expect(isEmptyPolicy({ last: -1 })).toBe(false)
    expect(isEmptyPolicy({ withinYearly: parseDuration('1h') })).toBe(false)
    expect(isEmptyPolicy({ tags: [['']] })).toBe(false)
  })

  it('refuses counts and durations that make no sense', () => {
    expect(() => validatePolicy({ daily: -2 })).toThrow('negative values other than -1')
    expect(() => validatePolicy({ daily: 1.5 })).toThrow(InvalidInputError)
    expect(() => validatePolicy({ within: parseDuration('1y-1d') })).toThrow('durations containing negative')
    expect(() => validatePolicy({ withinDaily: parseDuration('-1h') })).toThrow(InvalidInputError)
    validatePolicy({ last: -1, daily: 3, within: parseDuration('1y') })
  })

  it.each<[KeepPolicy, string]>([
    [{}, 'remove'],
    [{ last: 3 }, 'keep 3 latest snapshots'],
    [{ last: -1, daily: 7 }, 'keep all latest, 7 daily snapshots'],
    [{ withinDaily: within('7d') }, 'keep daily snapshots within 7d'],
    [
      { yearly: 1, withinHourly: within('1d'), within: within('1m'), tags: [['a', 'b'], ['c']] },
      'keep 1 yearly snapshots, hourly snapshots within 1d and all snapshots with tags [[a, b] [c]] and all snapshots within 1m of the newest',
    ],
  ])('describes %j', (policy, text) => {
    expect(describePolicy(policy)).toBe(text)
  })
})
