/**
 * Days and weeks as retention rules count them: in the Gregorian calendar, by the clock of the zone a snapshot was
 * stored with (format spec §17.1).
 */

import { civilFromDays, daysFromCivil, SECONDS_PER_DAY } from '../format/civil-date.ts'
import { localOffsetAt } from '../format/local-zone.ts'
import type { Time } from '../format/time.ts'
import type { Duration } from './duration.ts'

/** What a calendar and a clock on the wall show. Months and days count from 1. */
export interface WallTime {
  readonly year: number
  readonly month: number
  readonly day: number
  readonly hour: number
  /** Days since 1970-01-01 on the same wall. */
  readonly dayNumber: number
}

const SECONDS_PER_HOUR = 3600

/** What the calendar shows at `time` in the zone it is stored with. */
export function wallTime(time: Time): WallTime {
  const seconds = time.seconds + time.offsetSeconds
  const dayNumber = Math.floor(seconds / SECONDS_PER_DAY)
  const hour = Math.floor((seconds - dayNumber * SECONDS_PER_DAY) / SECONDS_PER_HOUR)
  return { ...civilFromDays(dayNumber), hour, dayNumber }
}

/** The ISO 8601 week a day belongs to, and the year that week belongs to. */
export function isoWeek(wall: WallTime): { readonly year: number; readonly week: number } {
  // 1970-01-01 was a Thursday, and a week belongs to the year its Thursday is in.
  const daysAfterMonday = modulo(wall.dayNumber + 3, 7)
  const thursday = wall.dayNumber - daysAfterMonday + 3
  const { year } = civilFromDays(thursday)
  return { year, week: Math.floor((thursday - daysFromCivil(year, 1, 1)) / 7) + 1 }
}

/**
 * The instant `duration` before `time`: years, months and days are taken off the date on the wall (a day the month
 * does not have runs over into the next, as in Go), hours off the result. Nanoseconds stay as they are.
 *
 * A stored offset is a zone of its own, without rules. But where it is what the local zone has at `time`, the local
 * zone's rules hold, as in restic: a day earlier is the same hour on the wall in spite of daylight saving.
 */
export function subtractDuration(
  time: Time,
  duration: Duration,
): { readonly seconds: number; readonly nanoseconds: number } {
  const wall = wallTime(time)
  const months = wall.year * 12 + (wall.month - 1) - duration.years * 12 - duration.months
  const year = Math.floor(months / 12)
  const day = daysFromCivil(year, months - year * 12 + 1, 1) + (wall.day - 1) - duration.days
  const onWall = day * SECONDS_PER_DAY + modulo(time.seconds + time.offsetSeconds, SECONDS_PER_DAY)
  const isLocal = localOffsetAt(time.seconds) === time.offsetSeconds
  const offset = isLocal ? localOffsetOnWall(onWall) : time.offsetSeconds
  return { seconds: onWall - offset - duration.hours * SECONDS_PER_HOUR, nanoseconds: time.nanoseconds }
}

/** The local zone's offset when local clocks show `onWall`, found the way Go's time.Date finds it. */
function localOffsetOnWall(onWall: number): number {
  const guess = localOffsetAt(onWall)
  return guess === 0 ? 0 : localOffsetAt(onWall - guess)
}

function modulo(value: number, by: number): number {
  return value - Math.floor(value / by) * by
}
