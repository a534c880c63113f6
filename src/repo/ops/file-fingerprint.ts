/** What tells that a file opened a little later is still the one a folder's walk has seen. */
import type { BigIntStats } from 'node:fs'

export const FINGERPRINT_LENGTH = 6

export function fingerprintOf(stats: BigIntStats): readonly bigint[] {
  return [stats.mode, stats.ino, stats.dev, stats.size, stats.mtimeNs, stats.ctimeNs]
}
