/** Calendar durations as retention rules take them: years, months, days and hours, no smaller and no larger unit. */

import { InvalidInputError } from '../../errors.ts'

/** A span on the calendar. Each part is a whole number; a missing unit is 0. */
export interface Duration {
  readonly years: number
  readonly months: number
  readonly days: number
  readonly hours: number
}

const FIELDS = { y: 'years', m: 'months', d: 'days', h: 'hours' } as const

/** Beyond this no calendar arithmetic makes sense; restic crashes on numbers that do not fit 63 bits. */
const MAX_NUMBER = 1e9

/**
 * Reads a duration like `1y5m7d2h`: numbers each followed by its unit, in any order, the last one of a unit counts.
 * Negative numbers are read (and refused where a policy is checked), an empty text is no time at all.
 * @throws InvalidInputError
 */
export function parseDuration(text: string): Duration {
  const duration = { years: 0, months: 0, days: 0, hours: 0 }
  let rest = text.trim()
  while (rest !== '') {
    const [number = '', sign, digits = ''] = /^(-?)([0-9]*)/.exec(rest) ?? []
    if (digits === '') throw new InvalidInputError(`invalid duration "${text}": no number found`)
    const value = Number(digits)
    if (value > MAX_NUMBER) throw new InvalidInputError(`invalid duration "${text}": ${digits} is too large`)
    const signed = sign === '-' && value !== 0 ? -value : value
    const unit = rest.slice(number.length, number.length + 1)
    if (unit === '') {
      throw new InvalidInputError(`invalid duration "${text}": no unit found after number ${signed}`)
    }
    if (!isUnit(unit)) {
      throw new InvalidInputError(
        `invalid duration "${text}": invalid unit '${unit}' found after number ${signed}`,
        { hint: 'the units are y (years), m (months), d (days) and h (hours)' },
      )
    }
    duration[FIELDS[unit]] = signed
    rest = rest.slice(number.length + 1)
  }
  return duration
}

/** Writes a duration as `parseDuration` reads it, units of 0 left out; no time at all is the empty text. */
export function formatDuration(duration: Duration): string {
  let text = ''
  if (duration.years !== 0) text += `${duration.years}y`
  if (duration.months !== 0) text += `${duration.months}m`
  if (duration.days !== 0) text += `${duration.days}d`
  if (duration.hours !== 0) text += `${duration.hours}h`
  return text
}

/** Whether a duration is no time at all, which switches its rule off. */
export function isZeroDuration(duration: Duration): boolean {
  return duration.years === 0 && duration.months === 0 && duration.days === 0 && duration.hours === 0
}

/** Whether any part of a duration is below 0. */
export function isNegativeDuration(duration: Duration): boolean {
  return duration.years < 0 || duration.months < 0 || duration.days < 0 || duration.hours < 0
}

function isUnit(unit: string): unit is keyof typeof FIELDS {
  return unit === 'y' || unit === 'm' || unit === 'd' || unit === 'h'
}
