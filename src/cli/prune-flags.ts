/** Flags of prune that forget takes as well. */
import type { Command } from 'commander'
import { parseByteSize, parseMaxUnused, type PruneOptions } from '../index.ts'

export interface PruneFlags {
  readonly maxUnused?: string
  readonly maxRepackSize?: string
  readonly repackCacheableOnly?: boolean
  readonly repackUncompressed?: boolean
  readonly repackSmallerThan?: string
  /** Of prune only. */
  readonly unsafeRecoverNoFreeSpace?: string
}

export function addPruneOptions(command: Command): Command {
  return command
    .option(
      '--max-unused <limit>',
      'unused data to tolerate: a percentage, a size or unlimited (default: 5%)',
    )
    .option('--max-repack-size <size>', 'stop repacking at this size (k, m, g, t)')
    .option('--repack-cacheable-only', 'repack only packs that a cache would hold')
    .option('--repack-uncompressed', 'repack all uncompressed data')
    .option('--repack-small', 'accepted for compatibility: small packs are repacked anyway')
    .option('--repack-smaller-than <size>', 'repack packs smaller than this')
}

/** @throws InvalidInputError */
export function pruneOptionsFrom(flags: PruneFlags): PruneOptions {
  return {
    maxUnused: flags.maxUnused === undefined ? undefined : parseMaxUnused(flags.maxUnused),
    maxRepackSizeBytes: flags.maxRepackSize === undefined ? undefined : parseByteSize(flags.maxRepackSize),
    repackCacheableOnly: flags.repackCacheableOnly,
    repackUncompressed: flags.repackUncompressed,
    repackSmallerThanBytes:
      flags.repackSmallerThan === undefined ? undefined : parseByteSize(flags.repackSmallerThan),
    unsafeRecoverNoFreeSpace: flags.unsafeRecoverNoFreeSpace,
  }
}
