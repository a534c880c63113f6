/** Counts what a backup will look at, beside it, so that progress can say how far it is. */
import type { BackupFilter } from './backup-excludes.ts'
import type { BackupSource } from './backup-source.ts'
import { sortedChildren, type TargetTree } from './backup-targets.ts'
import type { ItemError, Pacer } from './operation.ts'

export interface ScanTotals {
  readonly files: number
  readonly dirs: number
  readonly others: number
  readonly bytes: number
}

export interface ScanOptions {
  readonly source: BackupSource
  readonly filter: BackupFilter
  readonly pacer: Pacer
  readonly onError: (error: ItemError) => void
  readonly onTotals: (totals: ScanTotals) => void
}

/** @throws AbortedError */
export async function scanTargets(targets: TargetTree, options: ScanOptions): Promise<ScanTotals> {
  const { source, filter, pacer } = options
  const totals = { files: 0, dirs: 0, others: 0, bytes: 0 }

  const scanEntry = async (path: string, explicit: boolean): Promise<void> => {
    if (pacer.isDue) {
      options.onTotals({ ...totals })
      await pacer.pause()
    }
    const absolute = source.absolute(path)
    if (!explicit && !filter.selectByName(absolute)) return
    try {
      const stat = source.lstat(path)
      if (!explicit && !filter.select(absolute, stat)) return
      if (stat.kind === 'file') {
        totals.files += 1
        totals.bytes += stat.size
      } else if (stat.kind === 'dir') {
        const names = source.listNames(path)
        for (const name of names) await scanEntry(path.endsWith('/') ? path + name : `${path}/${name}`, false)
        totals.dirs += 1
      } else {
        totals.others += 1
      }
    } catch (error) {
      if (!(error instanceof Error) || !('syscall' in error)) throw error
      if (!source.isMissing(error)) options.onError({ item: absolute, during: 'scan', error })
    }
  }

  const scanLevel = async (level: TargetTree): Promise<void> => {
    for (const [, child] of sortedChildren(level)) {
      if (child.path === undefined) await scanLevel(child)
      else await scanEntry(child.path, child.explicit)
    }
  }

  await scanLevel(targets)
  return totals
}
