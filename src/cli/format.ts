/** Sizes, durations, times and JSON as restic prints them (command spec §1.2). */
import { timeToDate, type Time } from '../index.ts'
import { wellFormed } from './safe-text.ts'

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB']

/** `512 B`, `2.861 MiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  let value = bytes / 1024
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${formatFixed(value, 3)} ${UNITS[unit] ?? ''}`
}

/**
 * Go's `%.3f`: what lies exactly between two goes to the even one, where `toFixed` takes the larger.
 * A binary fraction lies so exactly if its last bit is that of 2^-(digits + 1).
 */
export function formatFixed(value: number, digits: number): string {
  const rounded = value.toFixed(digits)
  const isTie = Math.abs(value * 2 ** (digits + 1)) % 2 === 1
  return isTie && isOdd(Number(rounded.at(-1)))
    ? (value - Math.sign(value) * 10 ** -(digits + 1)).toFixed(digits)
    : rounded
}

/** `0:07`, `12:34`, `1:02:03`. */
export function formatSeconds(seconds: number): string {
  const total = Math.max(0, Math.floor(seconds))
  const hours = Math.floor(total / 3600)
  const minutes = Math.floor((total % 3600) / 60)
  return hours > 0 ? `${hours}:${two(minutes)}:${two(total % 60)}` : `${minutes}:${two(total % 60)}`
}

/** `42.00%`, at most 100; nothing where there is no total. */
export function formatPercent(done: number, total: number): string {
  if (total === 0) return ''
  return `${formatFixed(Math.min(100, (100 * done) / total), 2)}%`
}

/** A duration to the millisecond as Go writes it: `0s`, `12ms`, `1.5s`, `2m0.25s`. */
export function formatGoDuration(ms: number): string {
  const rounded = Math.round(ms)
  if (rounded === 0) return '0s'
  if (rounded < 1000) return `${rounded}ms`
  const hours = Math.floor(rounded / 3_600_000)
  const minutes = Math.floor((rounded % 3_600_000) / 60_000)
  const seconds = `${(rounded % 60_000) / 1000}s`
  if (hours > 0) return `${hours}h${minutes}m${seconds}`
  return minutes > 0 ? `${minutes}m${seconds}` : seconds
}

/** `2026-11-23 02:46:18` in the local zone. */
export function formatLocalTime(time: Time): string {
  const date = timeToDate(time)
  const day = `${String(date.getFullYear()).padStart(4, '0')}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

/** `2026-11-23 02:46:26.772334931 +0000 UTC`, as Go prints a time with its zone. */
export function formatGoTime(time: Time): string {
  const offset = time.offsetSeconds
  const shifted = new Date((time.seconds + offset) * 1000)
  const fraction =
    time.nanoseconds === 0 ? '' : `.${String(time.nanoseconds).padStart(9, '0').replace(/0+$/, '')}`
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 3600))}${two(Math.floor((Math.abs(offset) % 3600) / 60))}`
  return `${shifted.toISOString().slice(0, 19).replace('T', ' ')}${fraction} ${zone} ${offset === 0 ? 'UTC' : zone}`
}

/** JSON on one line with the escapes Go's encoder makes. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, field: unknown) =>
    typeof field === 'string' ? wellFormed(field) : field,
  ).replaceAll(/[<>&\u2028\u2029]/g, escapeCharacter)
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

function isOdd(digit: number): boolean {
  return digit % 2 === 1
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
