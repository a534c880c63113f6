/** Days of the Gregorian calendar, extended to all years, as Go's time package counts them (no leap seconds). */

export const SECONDS_PER_DAY = 86_400
const DAYS_PER_ERA = 146_097 // 400 years
const DAYS_TO_MARCH_0000 = 719_468

export interface CivilDate {
  readonly year: number
  /** 1 to 12. */
  readonly month: number
  /** 1 to 31. */
  readonly day: number
}

/** Days from 1970-01-01. A day beyond the end of its month counts into the next one. */
export function daysFromCivil(year: number, month: number, day: number): number {
  // Years begin in March, so that the leap day is a year's last.
  const marchYear = month > 2 ? year : year - 1
  const era = Math.floor(marchYear / 400)
  const yearOfEra = marchYear - era * 400
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * DAYS_PER_ERA + dayOfEra - DAYS_TO_MARCH_0000
}

/** The date that lies `days` after 1970-01-01. */
export function civilFromDays(days: number): CivilDate {
  const shifted = days + DAYS_TO_MARCH_0000
  const era = Math.floor(shifted / DAYS_PER_ERA)
  const dayOfEra = shifted - era * DAYS_PER_ERA
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / (DAYS_PER_ERA - 1))) /
      365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1,
  }
}

/** Whether there is such a date; NaN is in none. */
export function isCivilDate(year: number, month: number, day: number): boolean {
  const plausible = year >= 0 && month >= 1 && month <= 12 && day >= 1 && day <= 31
  if (!plausible) return false
  return day <= 28 || civilFromDays(daysFromCivil(year, month, day)).month === month
}
