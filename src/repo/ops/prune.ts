/**
 * Removes data no snapshot needs (format spec §17.2): finds what is used, plans, then executes the plan in an order
 * that leaves a whole repository wherever it is interrupted:
 *
 * 1. packs that no index names are deleted;
 * 2. wanted blobs are copied into new packs, which are stored and indexed;
 * 3. index files without the packs to go are saved, then those they replace are deleted;
 * 4. the packs are deleted. Only now is anything gone that an index ever named.
 */

import { InvalidInputError, throwIfAborted } from '../../errors.ts'
import type { Id } from '../format/id.ts'
import { DEFAULT_PACK_SIZE_BYTES, type Repository } from '../repository.ts'
import type { ItemError, OperationOptions } from './operation.ts'
import { removeFiles } from './prune-files.ts'
import { rewriteIndexFiles, saveIndexFiles } from './prune-index.ts'
import { planPrune, type PrunePlan, type PrunePlanOptions, type PruneStats } from './prune-plan.ts'
import { repackBlobs } from './prune-repack.ts'
import { loadSnapshots } from './snapshots.ts'
import { findUsedBlobs } from './walk.ts'

/** What a prune is busy with. Units of `done`: index files, snapshots, packs, packs, index files, index files, packs. */
export type PrunePhase =
  | 'load-index'
  | 'find-used'
  | 'remove-unreferenced'
  | 'repack'
  | 'rewrite-index'
  | 'remove-index'
  | 'remove-packs'

export interface PruneProgress {
  readonly phase: PrunePhase
  readonly done: number
  readonly total: number
}

export interface PruneOptions extends PrunePlanOptions, OperationOptions<PruneProgress> {
  /** Plan only, change nothing. */
  readonly dryRun?: boolean | undefined
  /**
   * The repository's ID: delete index files before anything is written, where the store has no space left at all. An
   * interruption then leaves a repository that only `repair index` brings back.
   */
  readonly unsafeRecoverNoFreeSpace?: string | undefined
  /** Told what is going to be done before it is. */
  readonly onPlan?: ((plan: PrunePlan) => void) | undefined
}

export interface PruneResult {
  readonly stats: PruneStats
  /** Packs removed, or in a dry run to be removed: unused and repacked ones. */
  readonly removedPacks: readonly Id[]
  /** Packs removed that no index named. */
  readonly removedUnreferencedPacks: readonly Id[]
  /** Packs that stay behind because they could not be deleted; a later prune takes them. */
  readonly failures: readonly ItemError[]
}

/**
 * Removes data no snapshot needs, under an exclusive lock of its own.
 * @throws RepositoryDamagedError, CorruptDataError where data in use is missing or cannot be read: nothing has been
 *   removed then that anyone may need; InvalidInputError
 */
export async function prune(repo: Repository, options: PruneOptions = {}): Promise<PruneResult> {
  validatePruneOptions(repo, options)
  if (options.dryRun === true && repo.settings.noLock === true) return pruneLocked(repo, options)
  const lock = await repo.lock(true, options.signal)
  try {
    return await pruneLocked(repo, { ...options, signal: lock.signal })
  } finally {
    await lock.release()
  }
}

/** @throws InvalidInputError for options that contradict each other or the repository */
export function validatePruneOptions(repo: Repository, options: PruneOptions): void {
  const { repackSmallerThanBytes: smallBytes, unsafeRecoverNoFreeSpace: recoverId } = options
  if (smallBytes !== undefined && !(smallBytes > 0)) {
    throw new InvalidInputError('--repack-smaller-than must be larger than zero')
  }
  if (smallBytes !== undefined && smallBytes > (repo.settings.packSizeBytes ?? DEFAULT_PACK_SIZE_BYTES)) {
    throw new InvalidInputError('repack-smaller-than exceeds repository packsize')
  }
  if (options.repackUncompressed === true && repo.settings.compression === 'off') {
    throw new InvalidInputError('disabled compression and `--repack-uncompressed` are mutually exclusive')
  }
  if (recoverId !== undefined && recoverId !== repo.config.id) {
    throw new InvalidInputError(`must pass id '${repo.config.id}' to --unsafe-recover-no-free-space`)
  }
}

/**
 * As `prune`, under a lock the caller holds and whose signal is `options.signal`.
 * @param withoutSnapshots snapshots to take for removed: a dry run of forget has not removed them
 */
export async function pruneLocked(
  repo: Repository,
  options: PruneOptions,
  withoutSnapshots: ReadonlySet<Id> = new Set(),
): Promise<PruneResult> {
  const { plan, hasRepeatedPacks } = await makePlan(repo, options, withoutSnapshots)
  options.onPlan?.(plan)
  if (options.dryRun === true) {
    return {
      stats: plan.stats,
      removedPacks: packsToRemove(repo, plan),
      removedUnreferencedPacks: plan.unreferencedPacks,
      failures: [],
    }
  }
  return new Execution(repo, options, plan).run(hasRepeatedPacks)
}

async function makePlan(
  repo: Repository,
  options: PruneOptions,
  withoutSnapshots: ReadonlySet<Id>,
): Promise<{ readonly plan: PrunePlan; readonly hasRepeatedPacks: boolean }> {
  const { signal } = options
  let hasRepeatedPacks = false
  // What an earlier operation knew may be out of date.
  repo.discardIndex()
  await repo.loadIndex({
    signal,
    onProgress: reporter(options, 'load-index'),
    onRepeated: () => (hasRepeatedPacks = true),
  })
  const records = await loadSnapshots(repo, { signal, except: withoutSnapshots })
  const roots = records.map((record) => record.snapshot.tree)
  const used = await findUsedBlobs(repo, roots, { signal, onProgress: reporter(options, 'find-used') })
  const storedPacks: { readonly id: Id; readonly size: number }[] = []
  for await (const pack of repo.list('pack', signal)) storedPacks.push(pack)
  const isRecovery = options.unsafeRecoverNoFreeSpace !== undefined
  const plan = planPrune({
    index: repo.index,
    used,
    storedPacks,
    version: repo.config.version,
    // Without free space there is nothing to copy to.
    options: isRecovery ? { ...options, maxRepackSizeBytes: 0 } : options,
  })
  return { plan, hasRepeatedPacks }
}

/** Unused packs and those to be repacked, each once. */
function packsToRemove(repo: Repository, plan: PrunePlan): Id[] {
  return [...new Set([...plan.removePacks, ...plan.repackPacks.map((pack) => repo.index.packIdAt(pack))])]
}

function reporter(options: PruneOptions, phase: PrunePhase): (done: number, total: number) => void {
  return (done, total) => options.onProgress?.({ phase, done, total })
}

class Execution {
  readonly #repo: Repository
  readonly #options: PruneOptions
  readonly #plan: PrunePlan
  readonly #failures: ItemError[] = []

  constructor(repo: Repository, options: PruneOptions, plan: PrunePlan) {
    this.#repo = repo
    this.#options = options
    this.#plan = plan
  }

  /** @param hasRepeatedPacks rewrite the index files in any case: a prune interrupted here left some packs named twice */
  async run(hasRepeatedPacks: boolean): Promise<PruneResult> {
    const repo = this.#repo
    const { signal } = this.#options
    const removedUnreferencedPacks = await this.#removePacks(
      this.#plan.unreferencedPacks,
      'remove-unreferenced',
    )
    const packs = packsToRemove(repo, this.#plan)
    if (this.#plan.repackPacks.length > 0) {
      await repackBlobs(repo, this.#plan, { signal, onProgress: this.#report('repack') })
    }
    throwIfAborted(signal)
    const exclude = new Set([...packs, ...this.#plan.missingPacks])
    try {
      const removedPacks =
        this.#options.unsafeRecoverNoFreeSpace === undefined
          ? await this.#removeSafely(packs, exclude, hasRepeatedPacks)
          : await this.#removeWithoutSpace(packs, exclude)
      return { stats: this.#plan.stats, removedPacks, removedUnreferencedPacks, failures: this.#failures }
    } finally {
      repo.discardIndex()
    }
  }

  async #removeSafely(
    packs: readonly Id[],
    exclude: ReadonlySet<Id>,
    hasRepeatedPacks: boolean,
  ): Promise<Id[]> {
    if (exclude.size > 0 || hasRepeatedPacks) {
      await rewriteIndexFiles(this.#repo, exclude, {
        signal: this.#options.signal,
        onRewritten: this.#report('rewrite-index'),
        onRemoved: this.#report('remove-index'),
      })
    }
    return this.#removePacks(packs, 'remove-packs')
  }

  /** Makes room for new index files by deleting everything else first. From the first deletion on nothing stops it. */
  async #removeWithoutSpace(packs: readonly Id[], exclude: ReadonlySet<Id>): Promise<Id[]> {
    const indexIds: Id[] = []
    for await (const { id } of this.#repo.list('index', this.#options.signal)) indexIds.push(id)
    await removeFiles(this.#repo, 'index', indexIds, { onProgress: this.#report('remove-index') })
    const removed = await removeFiles(this.#repo, 'pack', packs, {
      onProgress: this.#report('remove-packs'),
      onError: (id, error) => this.#fail(id, error),
    })
    await saveIndexFiles(this.#repo, this.#repo.index, exclude)
    return removed
  }

  /** A pack too many does no harm, so one that cannot be deleted does not end the prune. */
  async #removePacks(packs: readonly Id[], phase: PrunePhase): Promise<Id[]> {
    if (packs.length === 0) return []
    return removeFiles(this.#repo, 'pack', packs, {
      signal: this.#options.signal,
      onProgress: this.#report(phase),
      onError: (id, error) => this.#fail(id, error),
    })
  }

  #fail(id: Id, error: Error): void {
    const failure: ItemError = { item: `pack ${id}`, during: 'remove', error }
    this.#failures.push(failure)
    this.#options.onError?.(failure)
  }

  #report(phase: PrunePhase): (done: number, total: number) => void {
    return reporter(this.#options, phase)
  }
}
