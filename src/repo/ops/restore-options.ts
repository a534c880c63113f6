/** What a restore is asked for, and what it tells. */
import { InvalidInputError } from '../../errors.ts'
import type { ItemError } from './operation.ts'
import type { SelectOptions } from './restore-select.ts'
import type { OverwriteMode } from './restore-verdict.ts'
import type { SnapshotFilter, SnapshotRecord } from './snapshots.ts'

/** One item that is done, by its path in the snapshot (`deleted`: in the target). */
export interface RestoredItem {
  readonly action: 'restored' | 'updated' | 'unchanged' | 'deleted'
  readonly path: string
  readonly isDir: boolean
  readonly size: number
}

/** Counts include folders, links and special files. Totals are by the snapshot's summary until all is counted. */
export interface RestoreProgress {
  /** As restic counts: without files whose content is skipped, which are known before anything is restored. */
  readonly filesTotal: number
  readonly filesRestored: number
  readonly filesSkipped: number
  readonly filesDeleted: number
  readonly bytesTotal: number
  readonly bytesRestored: number
  readonly bytesSkipped: number
}

export interface RestoreOptions extends SelectOptions {
  /** `latest` or a prefix, either with `:subfolder`. */
  readonly snapshot: string
  /** Narrows `latest`. */
  readonly filter?: SnapshotFilter | undefined
  readonly target: string
  readonly overwrite?: OverwriteMode | undefined
  /** Remove entries of restored folders that the snapshot does not have. */
  readonly delete?: boolean | undefined
  readonly sparse?: boolean | undefined
  /** Read everything again afterwards and compare. */
  readonly verify?: boolean | undefined
  readonly dryRun?: boolean | undefined
  readonly ownershipByName?: boolean | undefined
  readonly signal?: AbortSignal | undefined
  readonly onSnapshot?: ((record: SnapshotRecord, subfolder: string | undefined) => void) | undefined
  readonly onLoadIndex?: ((done: number, total: number) => void) | undefined
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined
  readonly onItem?: ((item: RestoredItem) => void) | undefined
  readonly onError?: ((error: ItemError) => void) | undefined
  readonly onVerifyStart?: (() => void) | undefined
}

export interface RestoreResult extends RestoreProgress {
  readonly record: SnapshotRecord
  readonly errorCount: number
  /** Files compared by `verify`. */
  readonly filesVerified: number
  readonly durationSeconds: number
}

/** @throws InvalidInputError for options that exclude each other */
export function checkOptions(options: RestoreOptions): void {
  const included = has(options.includes, options.insensitiveIncludes)
  const excluded = has(options.excludes, options.insensitiveExcludes)
  if (included && excluded) throw new InvalidInputError('exclude and include patterns are mutually exclusive')
  if (has(options.includeXattrs) && has(options.excludeXattrs)) {
    throw new InvalidInputError('exclude and include xattr patterns are mutually exclusive')
  }
  if (options.dryRun === true && options.verify === true) {
    throw new InvalidInputError('--dry-run and --verify are mutually exclusive')
  }
  if (options.delete === true && options.target === '/' && !included && !excluded) {
    throw new InvalidInputError("'--target / --delete' must be combined with an include or exclude filter")
  }
}

/** Whether anything of a snapshot is left out. */
export function isSelective(options: SelectOptions): boolean {
  const { includes, insensitiveIncludes, excludes, insensitiveExcludes } = options
  return has(includes, insensitiveIncludes, excludes, insensitiveExcludes)
}

function has(...lists: readonly (readonly string[] | undefined)[]): boolean {
  return lists.some((list) => (list?.length ?? 0) > 0)
}
