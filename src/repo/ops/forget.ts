/** Removes snapshots by a policy or by their IDs (command spec, "forget"), and on request what only they needed. */

import { InvalidInputError } from '../../errors.ts'
import type { Id } from '../format/id.ts'
import type { Time } from '../format/time.ts'
import type { Repository } from '../repository.ts'
import type { ItemError, OperationOptions } from './operation.ts'
import {
  pruneLocked,
  validatePruneOptions,
  type PruneOptions,
  type PruneProgress,
  type PruneResult,
} from './prune.ts'
import { removeFiles } from './prune-files.ts'
import {
  applyPolicy,
  isEmptyPolicy,
  validatePolicy,
  type KeepPolicy,
  type PolicyResult,
} from './retention.ts'
import { describeGroupKey, groupSnapshots, type GroupBy, type SnapshotGroupKey } from './snapshot-groups.ts'
import { findSnapshots, isEmptyFilter, type SnapshotFilter, type SnapshotRecord } from './snapshots.ts'

/** Removing counts snapshot files; the other phases are those of the prune that may follow. */
export type ForgetProgress =
  { readonly phase: 'remove-snapshots'; readonly done: number; readonly total: number } | PruneProgress

export interface ForgetOptions extends OperationOptions<ForgetProgress> {
  /** Snapshots to remove: unique prefixes or `latest`. With any given no policy is applied. */
  readonly ids?: readonly string[] | undefined
  readonly filter?: SnapshotFilter | undefined
  readonly policy?: KeepPolicy | undefined
  /** What the policy is applied to separately; host and paths unless given. */
  readonly groupBy?: readonly GroupBy[] | undefined
  /** Allow an empty policy, which removes everything the filter lets through. */
  readonly unsafeAllowRemoveAll?: boolean | undefined
  /** Decide only, remove nothing. */
  readonly dryRun?: boolean | undefined
  /** Prune in the same lock, if any snapshot was removed and none could not be. */
  readonly prune?: Omit<PruneOptions, keyof OperationOptions | 'dryRun'> | undefined
  /** Prune even if there was nothing to remove. */
  readonly pruneAlways?: boolean | undefined
  /** Told what is going to be removed before it is. */
  readonly onDecision?: ((decision: ForgetDecision) => void) | undefined
  /** Time of the run; the clock unless given. */
  readonly now?: Time | undefined
}

/** What the policy says of one group. */
export interface ForgetGroup extends PolicyResult {
  readonly key: SnapshotGroupKey
}

export interface ForgetDecision {
  /** One for each group of snapshots; none where IDs were given. */
  readonly groups: readonly ForgetGroup[]
  readonly remove: readonly SnapshotRecord[]
}

export interface ForgetResult extends ForgetDecision {
  /** Snapshots that are gone; in a dry run those that would be. */
  readonly removed: readonly Id[]
  /** Snapshots that could not be removed. The command ends with exit code 3 where there are any. */
  readonly failures: readonly ItemError[]
  /** IDs nothing answers to, snapshots that cannot be read (they stay), filters without effect. */
  readonly ignored: readonly ItemError[]
  readonly prune?: PruneResult
}

const DEFAULT_GROUP_BY: readonly GroupBy[] = ['host', 'paths']

/**
 * Removes snapshots under an exclusive lock.
 * @throws InvalidInputError for a policy that is empty, malformed, or keeps nothing of a group; as `prune` where that
 *   was asked for
 */
export async function forget(repo: Repository, options: ForgetOptions): Promise<ForgetResult> {
  validate(repo, options)
  if (options.dryRun === true && repo.settings.noLock === true) return forgetLocked(repo, options)
  const lock = await repo.lock(true, options.signal)
  try {
    return await forgetLocked(repo, { ...options, signal: lock.signal })
  } finally {
    await lock.release()
  }
}

function validate(repo: Repository, options: ForgetOptions): void {
  const { policy = {}, filter = {}, prune } = options
  if (prune !== undefined) validatePruneOptions(repo, prune)
  validatePolicy(policy)
  if ((options.ids ?? []).length > 0 || !isEmptyPolicy(policy)) return
  if (options.unsafeAllowRemoveAll !== true) {
    throw new InvalidInputError('no policy was specified, no snapshots will be removed')
  }
  if (isEmptyFilter(filter)) {
    throw new InvalidInputError(
      '--unsafe-allow-remove-all is not allowed unless a snapshot filter option is specified',
    )
  }
}

async function forgetLocked(repo: Repository, options: ForgetOptions): Promise<ForgetResult> {
  const { signal, onProgress, dryRun = false } = options
  const ignored: ItemError[] = []
  const decision = await decide(repo, options, ignored)
  options.onDecision?.(decision)

  const ids = decision.remove.map((record) => record.id)
  if (dryRun) {
    const result = { ...decision, removed: ids, failures: [], ignored }
    return withPrune(repo, options, result)
  }
  const failures: ItemError[] = []
  const removed = await removeFiles(repo, 'snapshot', ids, {
    signal,
    onProgress: (done, total) => onProgress?.({ phase: 'remove-snapshots', done, total }),
    onError: (id, error) => {
      const failure: ItemError = { item: id, during: 'remove', error }
      failures.push(failure)
      options.onError?.(failure)
    },
  })
  return withPrune(repo, options, { ...decision, removed, failures, ignored })
}

async function decide(
  repo: Repository,
  options: ForgetOptions,
  ignored: ItemError[],
): Promise<ForgetDecision> {
  const { ids = [], filter = {}, policy = {}, groupBy = DEFAULT_GROUP_BY, signal, now } = options
  const onError = (error: ItemError): void => {
    ignored.push(error)
    options.onError?.(error)
  }
  const records = await findSnapshots(repo, { ids, filter }, { signal, onError })
  if (ids.length > 0) return { groups: [], remove: records }

  const groups = groupSnapshots(records, groupBy).map(({ key, records: members }): ForgetGroup => {
    const verdict = applyPolicy(members, policy, now === undefined ? {} : { now })
    if (verdict.keep.length === 0 && !isEmptyPolicy(policy)) {
      throw new InvalidInputError(
        `refusing to delete last snapshot of snapshot group "${describeGroupKey(key)}"`,
      )
    }
    return { key, ...verdict }
  })
  return { groups, remove: groups.flatMap((group) => group.remove) }
}

async function withPrune(
  repo: Repository,
  options: ForgetOptions,
  result: ForgetResult,
): Promise<ForgetResult> {
  const { signal, onProgress, onError, dryRun, pruneAlways = false } = options
  const isDue = (result.removed.length > 0 || pruneAlways) && result.failures.length === 0
  if (options.prune === undefined || !isDue) return result
  const pruneOptions: PruneOptions = { ...options.prune, signal, onProgress, onError, dryRun }
  return { ...result, prune: await pruneLocked(repo, pruneOptions, new Set(result.removed)) }
}
