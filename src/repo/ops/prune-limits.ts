/** How much unused data a prune may leave behind, and sizes as restic's flags take them. */

import { InvalidInputError } from '../../errors.ts'

/** A share of what is left in the repository, a number of bytes, or no limit. */
export type MaxUnused = { readonly percent: number } | { readonly bytes: number } | 'unlimited'

/** What restic tolerates unless told otherwise. */
export const DEFAULT_MAX_UNUSED: MaxUnused = { percent: 5 }

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
}

/**
 * Reads what --max-unused takes: `5%`, `unlimited`, or a size.
 * @throws InvalidInputError
 */
export function parseMaxUnused(text: string): MaxUnused {
  const trimmed = text.trim()
  if (trimmed === '') throw new InvalidInputError(`invalid value for --max-unused: "${text}"`)
  if (trimmed === 'unlimited') return 'unlimited'
  if (trimmed.endsWith('%')) {
    const limit: MaxUnused = { percent: parseFloatStrictly(trimmed.slice(0, -1)) }
    validateMaxUnused(limit)
    return limit
  }
  return { bytes: parseByteSize(trimmed) }
}

/** @throws InvalidInputError for a percentage that is none or leaves nothing used, and for negative sizes */
export function validateMaxUnused(limit: MaxUnused): void {
  if (limit === 'unlimited') return
  if ('bytes' in limit) {
    if (!(limit.bytes >= 0)) throw new InvalidInputError('the size for --max-unused must not be negative')
    return
  }
  if (Number.isNaN(limit.percent)) throw new InvalidInputError('invalid percentage passed for --max-unused')
  if (limit.percent < 0) throw new InvalidInputError('percentage for --max-unused must be positive')
  if (limit.percent >= 100) throw new InvalidInputError('percentage for --max-unused must be below 100%')
}

/** Bytes that may stay unused beside `usedBytes` that are used; a percentage is one of their sum. */
export function maxUnusedBytes(limit: MaxUnused, usedBytes: number): number {
  if (limit === 'unlimited') return Number.POSITIVE_INFINITY
  if ('bytes' in limit) return limit.bytes
  return Math.floor((limit.percent / (100 - limit.percent)) * usedBytes)
}

/**
 * Reads a size: a whole number, perhaps with one of the suffixes b, k, m, g, t for powers of 1024, in either case.
 * @throws InvalidInputError
 */
export function parseByteSize(text: string): number {
  const [, digits = '', unit = ''] = /^([+-]?[0-9]+)([bkmgt]?)$/i.exec(text) ?? []
  const bytes = Number(digits) * (UNITS[unit.toLowerCase()] ?? Number.NaN)
  if (digits === '')
    throw new InvalidInputError(`invalid size "${text}": not a number with an optional suffix`)
  if (bytes < 0) throw new InvalidInputError(`invalid size "${text}": it is negative`)
  if (!Number.isSafeInteger(bytes)) throw new InvalidInputError(`invalid size "${text}": it is too large`)
  return bytes === 0 ? 0 : bytes
}

/** A decimal number and nothing else: `Number` alone would take blanks for 0 and much besides. */
export function parseFloatStrictly(text: string): number {
  return /^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?$/i.test(text) ? Number(text) : Number.NaN
}
