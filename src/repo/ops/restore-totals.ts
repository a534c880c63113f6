/** What a restore comes to, where the snapshot says so itself: the walk, which counts, may not be through by then. */
import type { Snapshot } from '../format/snapshot.ts'
import { isSelective, type RestoreOptions, type RestoreProgress } from './restore-options.ts'

export type RestoreTotals = Pick<RestoreProgress, 'filesTotal' | 'bytesTotal'>

/**
 * Totals of a restore of all that is in a snapshot, by its summary.
 * @param subfolder of which alone is restored, if there is one
 * @returns undefined where only the walk can tell: something is left out, or the snapshot has no summary
 */
export function foretoldTotals(
  { summary }: Snapshot,
  subfolder: string | undefined,
  options: RestoreOptions,
): RestoreTotals | undefined {
  const { overwrite = 'always' } = options
  if (summary === undefined || isSelective(options) || subfolder !== undefined || overwrite !== 'always')
    return undefined
  const { dirsNew, dirsChanged, dirsUnmodified, totalFilesProcessed, totalBytesProcessed } = summary
  return {
    filesTotal: totalFilesProcessed + dirsNew + dirsChanged + dirsUnmodified,
    bytesTotal: totalBytesProcessed,
  }
}

/** What is reported: never less than was counted by now. */
export function withTotals(progress: RestoreProgress, totals: RestoreTotals | undefined): RestoreProgress {
  return {
    ...progress,
    filesTotal: Math.max(progress.filesTotal, totals?.filesTotal ?? 0),
    bytesTotal: Math.max(progress.bytesTotal, totals?.bytesTotal ?? 0),
  }
}
