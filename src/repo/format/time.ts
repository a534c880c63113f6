/**
 * Times as the repository stores them: RFC 3339 with nanoseconds and a zone offset (format spec §11). An instant plus
 * the offset it was written with, so that what was read is written again byte for byte.
 */
import { CorruptDataError, InvalidInputError } from '../../errors.ts'
import { civilFromDays, daysFromCivil, isCivilDate, SECONDS_PER_DAY } from './civil-date.ts'
import { localOffsetAt } from './local-zone.ts'

/** `seconds` since 1970 (negative before), 0 to 999,999,999 nanoseconds after them, and the zone shown. */
export interface Time {
  readonly seconds: number
  readonly nanoseconds: number
  readonly offsetSeconds: number
}

const NANOSECONDS_PER_MILLISECOND = 1_000_000
const MAX_YEAR = 9999
/** Outside of these (a day within years 0 and 9999) the year may need clamping. */
const FIRST_SAFE_SECOND: number = daysFromCivil(0, 1, 2) * SECONDS_PER_DAY
const LAST_SAFE_SECOND: number = daysFromCivil(MAX_YEAR, 12, 31) * SECONDS_PER_DAY

/** Go's zero time, 0001-01-01T00:00:00Z: what a missing field reads as. */
export const ZERO_TIME: Time = {
  seconds: daysFromCivil(1, 1, 1) * SECONDS_PER_DAY,
  nanoseconds: 0,
  offsetSeconds: 0,
}

const TWO_DIGITS: readonly string[] = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, '0'))

/**
 * The time `text` spells.
 * @throws CorruptDataError where it is not RFC 3339
 */
export function parseTime(text: string): Time {
  const bytes = new TextEncoder().encode(text)
  const time = timeFromBytes(bytes, 0, bytes.length)
  if (time === undefined)
    throw new CorruptDataError('time', `${JSON.stringify(text)} is not in RFC 3339 form`)
  return time
}

/** `YYYY-MM-DDTHH:MM:SS[.fraction](Z|±HH:MM)`, as Go's RFC3339Nano. Years are brought into 0 to 9999. */
export function formatTime(time: Time): string {
  const { seconds, nanoseconds, offsetSeconds } = clampYear(time, time.offsetSeconds)
  const local = seconds + offsetSeconds
  return `${formatSecond(local)}${formatFraction(nanoseconds)}${formatOffset(offsetSeconds)}`
}

/** The time in the local zone, with the offset that zone has at that very instant; years as for `formatTime`. */
export function localTime(seconds: number, nanoseconds: number): Time {
  const time = { seconds, nanoseconds, offsetSeconds: localOffsetAt(seconds) }
  return seconds >= FIRST_SAFE_SECOND && seconds <= LAST_SAFE_SECOND ? time : clampYear(time)
}

/**
 * The local time of a Date.
 * @throws InvalidInputError for an invalid Date
 */
export function timeFromDate(date: Date): Time {
  const milliseconds = date.getTime()
  if (Number.isNaN(milliseconds)) throw new InvalidInputError('the date is invalid')
  const seconds = Math.floor(milliseconds / 1000)
  return localTime(seconds, (milliseconds - seconds * 1000) * NANOSECONDS_PER_MILLISECOND)
}

/** The Date of a time, its nanoseconds cut to milliseconds. */
export function timeToDate(time: Time): Date {
  return new Date(time.seconds * 1000 + Math.floor(time.nanoseconds / NANOSECONDS_PER_MILLISECOND))
}

/** Whether two times are the same instant, whatever their zones. */
export function sameInstant(a: Time, b: Time): boolean {
  return a.seconds === b.seconds && a.nanoseconds === b.nanoseconds
}

/** Orders instants: negative where `a` is earlier. */
export function compareTimes(a: Time, b: Time): number {
  return a.seconds - b.seconds || a.nanoseconds - b.nanoseconds
}

/** The time in `bytes[start … end)`, or undefined where that is not RFC 3339. */
export function timeFromBytes(bytes: Uint8Array, start: number, end: number): Time | undefined {
  const year = number2(bytes, start) * 100 + number2(bytes, start + 2)
  const month = number2(bytes, start + 5)
  const day = number2(bytes, start + 8)
  const timeOfDay = clockTime(bytes, start + 11)
  const separators =
    bytes[start + 4] === 0x2d && bytes[start + 7] === 0x2d && bytes[start + 10] === 0x54 && end - start >= 20
  // A digit missing makes its number NaN, for which no comparison holds.
  if (!separators || !isCivilDate(year, month, day) || !(timeOfDay >= 0)) return undefined
  let position = start + 19
  let nanoseconds = 0
  if (bytes[position] === 0x2e) {
    const digits = position + 1
    for (position = digits; isDigit(bytes[position]) && position < end; position++) {
      if (position - digits < 9) nanoseconds = nanoseconds * 10 + (bytes[position] ?? 0) - 0x30
    }
    if (position === digits) return undefined
    for (let given = position - digits; given < 9; given++) nanoseconds *= 10
  }
  const offsetSeconds = offsetFromBytes(bytes, position, end)
  if (offsetSeconds === undefined) return undefined
  return {
    seconds: daysFromCivil(year, month, day) * SECONDS_PER_DAY + timeOfDay - offsetSeconds,
    nanoseconds,
    offsetSeconds,
  }
}

function offsetFromBytes(bytes: Uint8Array, position: number, end: number): number | undefined {
  const sign = bytes[position]
  if (sign === 0x5a) return position + 1 === end ? 0 : undefined
  if ((sign !== 0x2b && sign !== 0x2d) || position + 6 !== end || bytes[position + 3] !== 0x3a)
    return undefined
  const hours = number2(bytes, position + 1)
  const minutes = number2(bytes, position + 4)
  if (!(hours < 24) || !(minutes < 60)) return undefined
  const offset = (hours * 60 + minutes) * 60
  return sign === 0x2d && offset !== 0 ? -offset : offset
}

/** Seconds of `HH:MM:SS`, or NaN. */
function clockTime(bytes: Uint8Array, position: number): number {
  const hours = number2(bytes, position)
  const minutes = number2(bytes, position + 3)
  const seconds = number2(bytes, position + 6)
  const valid =
    hours < 24 && minutes < 60 && seconds < 60 && bytes[position + 2] === 0x3a && bytes[position + 5] === 0x3a
  return valid ? (hours * 60 + minutes) * 60 + seconds : Number.NaN
}

/** The number two digits make, or NaN. */
function number2(bytes: Uint8Array, position: number): number {
  const tens = bytes[position]
  const ones = bytes[position + 1]
  return isDigit(tens) && isDigit(ones) ? (tens - 0x30) * 10 + ones - 0x30 : Number.NaN
}

function isDigit(byte: number | undefined): byte is number {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39
}

/** Moves a time into the years that can be written, as restic does; in the local zone unless `fixedOffset` is given. */
function clampYear(time: Time, fixedOffset?: number): Time {
  if (time.seconds >= FIRST_SAFE_SECOND && time.seconds <= LAST_SAFE_SECOND) return time
  const local = time.seconds + time.offsetSeconds
  const days = Math.floor(local / SECONDS_PER_DAY)
  const { year, month, day } = civilFromDays(days)
  if (year >= 0 && year <= MAX_YEAR) return time
  const movedDays = daysFromCivil(year < 0 ? 0 : MAX_YEAR, month, day)
  const movedLocal = local + (movedDays - days) * SECONDS_PER_DAY
  const offsetSeconds = fixedOffset ?? localOffsetAt(movedLocal - time.offsetSeconds)
  return { seconds: movedLocal - offsetSeconds, nanoseconds: time.nanoseconds, offsetSeconds }
}

/** Recent days and seconds, so that a tree's neighbours in time are not computed again. */
const formattedDates: string[] = []
const formattedDays: number[] = []
const formattedTexts: string[] = []
const formattedSeconds: number[] = []
const REMEMBERED = 64

/** @param local seconds since 1970 by the local clock */
function formatSecond(local: number): string {
  const slot = local & (REMEMBERED - 1)
  const known = formattedSeconds[slot] === local ? formattedTexts[slot] : undefined
  if (known !== undefined) return known
  const days = Math.floor(local / SECONDS_PER_DAY)
  const timeOfDay = local - days * SECONDS_PER_DAY
  const minutes = Math.floor(timeOfDay / 60)
  const clock = `${twoDigits(Math.floor(minutes / 60))}:${twoDigits(minutes % 60)}:${twoDigits(timeOfDay % 60)}`
  const text = `${formatDate(days)}T${clock}`
  formattedSeconds[slot] = local
  formattedTexts[slot] = text
  return text
}

function formatDate(days: number): string {
  const slot = days & (REMEMBERED - 1)
  const known = formattedDays[slot] === days ? formattedDates[slot] : undefined
  if (known !== undefined) return known
  const { year, month, day } = civilFromDays(days)
  const text = `${String(year).padStart(4, '0')}-${twoDigits(month)}-${twoDigits(day)}`
  formattedDays[slot] = days
  formattedDates[slot] = text
  return text
}

function formatFraction(nanoseconds: number): string {
  if (nanoseconds === 0) return ''
  // A one in front keeps the zeros that follow it.
  const digits = String(1_000_000_000 + nanoseconds)
  let end = digits.length
  while (digits.charCodeAt(end - 1) === 0x30) end--
  return `.${digits.slice(1, end)}`
}

/** Whole minutes only: RFC 3339 has no more, and Go drops the rest too. */
function formatOffset(offsetSeconds: number): string {
  if (offsetSeconds === 0) return 'Z'
  const signed = Math.trunc(offsetSeconds / 60)
  const minutes = Math.abs(signed)
  return `${signed < 0 ? '-' : '+'}${twoDigits(Math.floor(minutes / 60))}:${twoDigits(minutes % 60)}`
}

function twoDigits(number: number): string {
  return TWO_DIGITS[number] ?? String(number)
}
