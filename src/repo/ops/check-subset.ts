/** Which packs a check reads when it is not to read all of them (command spec, "check"). */

import { InvalidInputError } from '../../errors.ts'
import type { BlobIndex } from '../blob-index.ts'
import { parseByteSize, parseFloatStrictly } from './prune-limits.ts'

/** Every `of`-th part of the packs, told apart by their IDs; or a random share; or random packs of about this size. */
export type ReadDataSubset =
  { readonly part: number; readonly of: number } | { readonly percent: number } | { readonly bytes: number }

/** Parts go by the first byte of a pack's ID. */
const PARTS_MAX = 256

/**
 * Reads what --read-data-subset takes: `n/t`, `x%` or a size.
 * @throws InvalidInputError
 */
export function parseReadDataSubset(text: string): ReadDataSubset {
  const subset = parseForm(text)
  if (subset === undefined) {
    throw new InvalidInputError('check flag --read-data-subset has invalid value, please see documentation', {
      hint: 'give a part like 1/5, a percentage like 2.5% or a size like 500M',
    })
  }
  validateSubset(subset)
  return subset
}

/** @throws InvalidInputError for a subset that cannot be */
export function validateSubset(subset: ReadDataSubset): void {
  if ('part' in subset) {
    const { part, of } = subset
    if (!Number.isInteger(part) || !Number.isInteger(of) || part < 1 || of < part) {
      throw new InvalidInputError(
        'check flag --read-data-subset=n/t values must be positive integers, and n <= t, e.g. --read-data-subset=1/2',
      )
    }
    if (of > PARTS_MAX) {
      throw new InvalidInputError(`check flag --read-data-subset=n/t t must be at most ${PARTS_MAX}`)
    }
  } else if ('percent' in subset) {
    if (!(subset.percent > 0 && subset.percent <= 100)) {
      throw new InvalidInputError('check flag --read-data-subset=x% x must be above 0.0% and at most 100.0%')
    }
  } else if (!(subset.bytes > 0)) {
    throw new InvalidInputError('check flag --read-data-subset=n n must be above 0')
  }
}

/**
 * The packs of `packs` (numbers in the index) that belong to the subset. Random ones are drawn anew at each call.
 * @param random a number in [0, 1)
 */
export function selectPacks(
  index: BlobIndex,
  packs: readonly number[],
  subset: ReadDataSubset,
  options: { readonly sizeOf: (pack: number) => number; readonly random?: () => number },
): number[] {
  if ('part' in subset) {
    const firstByte = (pack: number): number => Number.parseInt(index.packIdAt(pack).slice(0, 2), 16)
    return packs.filter((pack) => firstByte(pack) % subset.of === subset.part - 1)
  }
  const share = 'percent' in subset ? subset.percent / 100 : shareOfBytes(packs, subset.bytes, options.sizeOf)
  const count = Math.min(packs.length, Math.max(1, Math.floor(packs.length * share)))
  return draw(packs, count, options.random ?? Math.random)
}

/** restic draws as many packs as make up the size if all are alike. */
function shareOfBytes(packs: readonly number[], bytes: number, sizeOf: (pack: number) => number): number {
  let total = 0
  for (const pack of packs) total += sizeOf(pack)
  return total === 0 ? 1 : Math.min(1, bytes / total)
}

/** `count` of the packs, each with the same chance (the beginning of a Fisher–Yates shuffle). */
function draw(packs: readonly number[], count: number, random: () => number): number[] {
  const pool = [...packs]
  for (let drawn = 0; drawn < count; drawn++) {
    const other = drawn + Math.floor(random() * (pool.length - drawn))
    const pack = pool[other] ?? 0
    pool[other] = pool[drawn] ?? 0
    pool[drawn] = pack
  }
  return pool.slice(0, count)
}

function parseForm(text: string): ReadDataSubset | undefined {
  const [, part, of] = /^([0-9]+)\/([0-9]+)$/.exec(text) ?? []
  if (part !== undefined && of !== undefined) return { part: Number(part), of: Number(of) }
  if (text.endsWith('%')) {
    const percent = parseFloatStrictly(text.slice(0, -1))
    return Number.isNaN(percent) ? undefined : { percent }
  }
  try {
    return { bytes: parseByteSize(text) }
  } catch (error) {
    if (error instanceof InvalidInputError) return undefined
    throw error
  }
}
