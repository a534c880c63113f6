/* oxlint-disable node/no-process-env -- the zone must be set before anything asks for it */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatTime, parseTime } from '../../../src/repo/format/time.ts'
import { parseDuration } from '../../../src/repo/ops/duration.ts'
import { isoWeek, subtractDuration, wallTime } from '../../../src/repo/ops/retention-calendar.ts'

process.env['TZ'] = 'America/New_York'

describe('the calendar', () => {
  it.each([
    ['2020-12-31T00:00:00Z', 2020, 53],
    ['2021-01-03T23:59:59Z', 2020, 53],
    ['2021-01-04T00:00:00Z', 2021, 1],
    ['2018-12-31T00:00:00Z', 2019, 1],
    ['1969-12-29T00:00:00Z', 1970, 1],
    ['2000-02-29T12:00:00Z', 2000, 9],
    ['0004-12-31T12:00:00Z', 4, 53],
  ])('%s is in week %d-%d', (text, year, week) => {
    expect(isoWeek(wallTime(parseTime(text)))).toEqual({ year, week })
  })

  it.each([
    ['2024-03-31T12:00:00Z', '1m', '2024-03-02T12:00:00Z'], // February has no 31st
    ['2023-03-31T12:00:00Z', '1m', '2023-03-03T12:00:00Z'],
    ['2024-02-29T12:00:00Z', '1y', '2023-03-01T12:00:00Z'],
    ['2024-01-15T12:00:00Z', '13m', '2022-12-15T12:00:00Z'],
    ['2024-01-01T00:00:00.5Z', '1d1h', '2023-12-30T23:00:00.5Z'],
    ['2024-01-01T01:00:00+05:00', '1y1m1d1h', '2022-11-30T00:00:00+05:00'],
  ])('%s less %s is %s', (text, duration, expected) => {
    const time = parseTime(text)
    const earlier = subtractDuration(time, parseDuration(duration))
    expect(formatTime({ ...earlier, offsetSeconds: time.offsetSeconds })).toBe(expected)
  })

  it('agrees with Date for any time', () => {
    fc.assert(
      fc.property(fc.integer({ min: -60_000_000_000, max: 200_000_000_000 }), (seconds) => {
        const date = new Date(seconds * 1000)
        const wall = wallTime({ seconds, nanoseconds: 0, offsetSeconds: 0 })
        expect([wall.year, wall.month, wall.day, wall.hour]).toEqual([
          date.getUTCFullYear(),
          date.getUTCMonth() + 1,
          date.getUTCDate(),
          date.getUTCHours(),
        ])
      }),
    )
  })

  it.each([
    // Clocks went forward at 07:00 UTC of the 10th: a day earlier is the same hour on the wall, 23 hours ago.
    ['2024-03-10T12:00:00-04:00', '1d', '2024-03-09T17:00:00Z'],
    ['2024-03-10T12:00:00-04:00', '24h', '2024-03-09T16:00:00Z'],
    ['2024-03-10T12:00:00-04:00', '1m', '2024-02-10T17:00:00Z'],
    // This hour did not exist, nor does Go agree with itself on it: its rule is to take the offset found first.
    ['2024-03-11T02:30:00-04:00', '1d', '2024-03-10T06:30:00Z'],
    // The clocks of a zone with another offset are not those of this machine.
    ['2024-03-10T12:00:00-05:00', '1d', '2024-03-09T17:00:00Z'],
    ['2024-03-10T12:00:00Z', '1d', '2024-03-09T12:00:00Z'],
  ])('%s less %s is %s in New York', (text, duration, expected) => {
    const earlier = subtractDuration(parseTime(text), parseDuration(duration))
    expect(formatTime({ ...earlier, offsetSeconds: 0 })).toBe(expected)
  })
})
