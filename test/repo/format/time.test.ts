import * as fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { CorruptDataError, InvalidInputError } from '../../../src/errors.ts'
import { civilFromDays, daysFromCivil } from '../../../src/repo/format/civil-date.ts'
import * as times from '../../../src/repo/format/time.ts'
import { propertyRuns } from '../../support/real-restic.ts'
import { time } from './arbitraries.ts'
import { fixtureText, jsonAs } from './fixtures.ts'

const { compareTimes, formatTime, parseTime, sameInstant, timeFromDate, timeToDate } = times

/** The text of a time at the start of a day. */
const at = (year: number, month: number, day: number): string =>
  formatTime({ seconds: daysFromCivil(year, month, day) * 86_400, nanoseconds: 5, offsetSeconds: 0 })

/** The module as it is in a process that lives in `zone`: without offsets remembered from another. */
async function timesIn(zone: string): Promise<typeof times> {
  vi.stubEnv('TZ', zone)
  vi.resetModules()
  return import('../../../src/repo/format/time.ts')
}

afterEach(() => {
  vi.unstubAllEnvs()
})

describe('dates', () => {
  it('are those of Date, day by day', () => {
    const wrong: number[] = []
    for (let day = daysFromCivil(1890, 1, 1); day <= daysFromCivil(2110, 1, 1); day++) {
      const date = new Date(day * 86_400_000)
      const { year, month, day: dayOfMonth } = civilFromDays(day)
      const isRight =
        year === date.getUTCFullYear() &&
        month === date.getUTCMonth() + 1 &&
        dayOfMonth === date.getUTCDate() &&
        daysFromCivil(year, month, dayOfMonth) === day
      if (!isRight) wrong.push(day)
    }
    expect(wrong).toEqual([])
    expect(daysFromCivil(2110, 1, 1) - daysFromCivil(1890, 1, 1)).toBe(80_353)
  })

  it('are those of Date far away', () => {
    fc.assert(
      fc.property(fc.integer({ min: -100_000_000, max: 100_000_000 }), (day) => {
        const date = new Date(day * 86_400_000)
        expect(civilFromDays(day)).toEqual({
          year: date.getUTCFullYear(),
          month: date.getUTCMonth() + 1,
          day: date.getUTCDate(),
        })
      }),
      propertyRuns(500),
    )
  })
})

describe('times', () => {
  it('go to text and back', () => {
    fc.assert(
      fc.property(time, (value) => {
        expect(parseTime(formatTime(value))).toEqual(value)
      }),
      propertyRuns(200),
    )
  })

  it('name the instants Date names', () => {
    fc.assert(
      fc.property(time, (value) => {
        const millisecond = { ...value, nanoseconds: Math.floor(value.nanoseconds / 1e6) * 1e6 }
        expect(timeToDate(value).getTime()).toBe(Date.parse(formatTime(millisecond)))
      }),
      propertyRuns(200),
    )
  })

  it.each([
    ['2024-01-02T03:04:05Z', 1_704_164_645, 0, 0],
    ['2024-01-02T03:04:05.000000006Z', 1_704_164_645, 6, 0],
    ['2024-01-02T03:04:05.12-05:00', 1_704_182_645, 120_000_000, -18_000],
    ['1969-12-31T23:59:59.999999999Z', -1, 999_999_999, 0],
    ['0000-01-01T00:00:00Z', -62_167_219_200, 0, 0],
    ['9999-12-31T23:59:59+23:59', 253_402_214_459, 0, 86_340],
    ['2024-02-29T00:00:00+05:30', 1_709_145_000, 0, 19_800],
    ['0001-01-01T00:00:00Z', times.ZERO_TIME.seconds, 0, 0],
  ])('spell %s', (text, seconds, nanoseconds, offsetSeconds) => {
    expect(parseTime(text)).toEqual({ seconds, nanoseconds, offsetSeconds })
    expect(formatTime({ seconds, nanoseconds, offsetSeconds })).toBe(text)
  })

  it('are read leniently and written in one way only', () => {
    expect(formatTime(parseTime('2024-01-02T03:04:05.000Z'))).toBe('2024-01-02T03:04:05Z')
    expect(formatTime(parseTime('2024-01-02T03:04:05.500+00:00'))).toBe('2024-01-02T03:04:05.5Z')
    expect(formatTime(parseTime('2024-01-02T03:04:05-00:00'))).toBe('2024-01-02T03:04:05Z')
    expect(formatTime(parseTime('2024-01-02T03:04:05.1234567899Z'))).toBe('2024-01-02T03:04:05.123456789Z')
  })

  it.each([
    '',
    'Z',
    '2024-01-02',
    '2024-01-02 03:04:05Z',
    '2024-01-02T03:04:05',
    '2024-01-02t03:04:05z',
    '2024-01-02T3:04:05Z',
    '2024-00-02T03:04:05Z',
    '2024-13-02T03:04:05Z',
    '2024-01-00T03:04:05Z',
    '2023-02-29T03:04:05Z',
    '2024-04-31T03:04:05Z',
    '2024-01-02T24:00:00Z',
    '2024-01-02T03:60:05Z',
    '2024-01-02T03:04:60Z',
    '2024-01-02T03:04:05.Z',
    '2024-01-02T03:04:05,5Z',
    '2024-01-02T03:04:05+24:00',
    '2024-01-02T03:04:05+01:60',
    '2024-01-02T03:04:05+0100',
    '2024-01-02T03:04:05+01:00x',
    '2024-01-02T03:04:05Zx',
    '+024-01-02T03:04:05Z',
    '20é4-01-02T03:04:05Z',
    '2024-01-02T03:04:05.123',
    '2024-01-02T0a:04:05Z',
  ])('refuse %j', (text) => {
    expect(() => parseTime(text)).toThrow(CorruptDataError)
  })

  it('compare by instant', () => {
    const here = parseTime('2024-01-02T03:04:05.5+01:00')
    const there = parseTime('2024-01-02T02:04:05.5Z')
    expect(sameInstant(here, there)).toBe(true)
    expect(compareTimes(here, there)).toBe(0)
    expect(sameInstant(here, { ...there, nanoseconds: 1 })).toBe(false)
    expect(compareTimes(here, { ...there, nanoseconds: 1 })).toBeGreaterThan(0)
    expect(compareTimes(here, { ...there, seconds: there.seconds + 1 })).toBeLessThan(0)
  })

  it('come from dates', () => {
    const date = new Date(-1500)
    const value = timeFromDate(date)
    expect([value.seconds, value.nanoseconds]).toEqual([-2, 500_000_000])
    expect(timeToDate(value)).toEqual(date)
    expect(() => timeFromDate(new Date(Number.NaN))).toThrow(InvalidInputError)
  })

  it('have their years brought into 0 to 9999', () => {
    expect(at(12_345, 7, 8)).toBe('9999-07-08T00:00:00.000000005Z')
    expect(at(12_000, 2, 29)).toBe('9999-03-01T00:00:00.000000005Z') // 9999 is no leap year
    expect(at(-44, 3, 15)).toBe('0000-03-15T00:00:00.000000005Z')
    expect(at(-292_000_000_000, 1, 1)).toBe('0000-01-01T00:00:00.000000005Z')
  })
})

describe('local times', () => {
  const zones = jsonAs<Record<string, [seconds: number, nanoseconds: number, text: string][]>>(
    fixtureText('zone-times.json'),
  )

  it.each(Object.entries(zones))('in %s are what restic 0.19.1 wrote there', async (zone, cases) => {
    const local = await timesIn(zone)
    expect(cases.length).toBe(167)
    for (const [seconds, nanoseconds, text] of cases) {
      expect([seconds, local.formatTime(local.localTime(seconds, nanoseconds))]).toEqual([seconds, text])
    }
  })

  it.each([
    ['America/New_York', '2024-03-10T01:59:59-05:00', '2024-03-10T03:00:00-04:00'],
    ['America/New_York', '2024-11-03T01:59:59-04:00', '2024-11-03T01:00:00-05:00'],
    ['Europe/Berlin', '2024-03-31T01:59:59+01:00', '2024-03-31T03:00:00+02:00'],
    ['Europe/Berlin', '2024-10-27T02:59:59+02:00', '2024-10-27T02:00:00+01:00'],
    ['Australia/Lord_Howe', '2024-04-07T01:59:59+11:00', '2024-04-07T01:30:00+10:30'],
    ['Australia/Lord_Howe', '2024-10-06T01:59:59+10:30', '2024-10-06T02:30:00+11:00'],
    ['Asia/Kathmandu', '1985-12-31T23:59:59+05:30', '1986-01-01T00:15:00+05:45'],
  ])('in %s change from %s to %s', async (zone, before, after) => {
    const local = await timesIn(zone)
    const { seconds } = local.parseTime(before)
    expect(local.parseTime(after).seconds).toBe(seconds + 1)
    const textAt = (instant: number): string => local.formatTime(local.localTime(instant, 0))
    // In turn, with neighbours between, so that offsets remembered are seen, too.
    const texts = [0, 1, 0, -3600, 0, 3600, 1, 0].map((step) => textAt(seconds + step))
    expect([texts[0], texts[2], texts[4], texts[7]]).toEqual([before, before, before, before])
    expect([texts[1], texts[6]]).toEqual([after, after])
  })

  it.each(['America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata', 'Pacific/Apia'])(
    'in %s agree with Date at any instant',
    async (zone) => {
      const local = await timesIn(zone)
      fc.assert(
        fc.property(fc.integer({ min: -1_500_000_000, max: 4_000_000_000 }), (seconds) => {
          const offset = -60 * new Date(seconds * 1000).getTimezoneOffset()
          expect(local.localTime(seconds, 0)).toEqual({ seconds, nanoseconds: 0, offsetSeconds: offset })
        }),
        propertyRuns(500),
      )
    },
  )

  it('beyond the years that can be written are moved into them', async () => {
    const local = await timesIn('America/New_York')
    const text = (seconds: number): string => local.formatTime(local.localTime(seconds, 0))
    expect(text(daysFromCivil(20_000, 7, 1) * 86_400)).toBe('9999-06-30T20:00:00-04:00')
    expect(text(daysFromCivil(20_000, 1, 2) * 86_400)).toBe('9999-01-01T19:00:00-05:00')
    expect(text(9e15)).toMatch(/^9999-/)
    expect(text(-9e15)).toMatch(/^0000-/)
  })
})
