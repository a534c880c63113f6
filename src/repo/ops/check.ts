/**
 * Checks a repository (format spec §17.3): index files, packs, snapshots and trees, and on request every stored byte.
 * Whatever is damaged is reported and the check goes on with the rest; only an unusable index ends it early.
 * Budget: the blob index, two bits per blob, 8 bytes per pack, and a pack for each read under way.
 */

import { InvalidInputError, throwIfAborted } from '../../errors.ts'
import type { Bitmap } from '../bitmap.ts'
import type { Id } from '../format/id.ts'
import { readLocked } from '../locks.ts'
import { forEachParallel } from '../parallel.ts'
import type { Repository } from '../repository.ts'
import { checkIndex, checkPacks } from './check-index.ts'
import { checkPack, type PackProblem } from './check-pack.ts'
import { CheckReport, type CheckError, type CheckHint } from './check-report.ts'
import { selectPacks, validateSubset, type ReadDataSubset } from './check-subset.ts'
import { checkTrees, type CheckedTrees } from './check-trees.ts'
import type { ItemError } from './operation.ts'
import { findSnapshots, isEmptyFilter, type SnapshotFilter, type SnapshotRecord } from './snapshots.ts'
import { startThreads } from './threads.ts'

/** What a check is busy with. Units of `done`: index files, packs, snapshots, packs read. */
export interface CheckProgress {
  readonly phase: 'load-index' | 'packs' | 'structure' | 'read-data'
  readonly done: number
  readonly total: number
}

export interface CheckOptions {
  /** Read all packs and check their contents. */
  readonly readData?: boolean | undefined
  /** Read some packs and check their contents. */
  readonly readDataSubset?: ReadDataSubset | undefined
  /** Only these snapshots and the packs they need: unique prefixes or `latest`. */
  readonly ids?: readonly string[] | undefined
  /** Only snapshots that meet this filter, and the packs they need. */
  readonly filter?: SnapshotFilter | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: CheckProgress) => void) | undefined
  readonly onError?: ((error: CheckError) => void) | undefined
  readonly onHint?: ((hint: CheckHint) => void) | undefined
  /** Draws the packs of a random subset: a number in [0, 1). */
  readonly random?: (() => number) | undefined
}

export interface CheckResult {
  /** The first ten thousand errors; `errorCount` counts all. The repository is sound where that is 0. */
  readonly errors: readonly CheckError[]
  readonly errorCount: number
  readonly hints: readonly CheckHint[]
  /** Packs no index names; harmless. */
  readonly orphanedPacks: readonly Id[]
  /** Packs whose contents are bad: for `repair packs`, then `repair snapshots --forget`. */
  readonly brokenPacks: readonly Id[]
  readonly suggestRepairIndex: boolean
  readonly suggestPrune: boolean
  readonly snapshotCount: number
  readonly treeCount: number
  readonly packCount: number
  /** Packs whose contents were read. */
  readonly readPackCount: number
}

/** Stored bytes of packs in memory at once. Packs are read whole, and can be set to 128 MiB each. */
const READING_BYTES_MAX = 256 * 1024 * 1024
/** Fewer are checked before threads have started. */
const FEW_PACKS = 3

/**
 * Checks a repository under an exclusive lock (none where the repository was opened with `noLock`).
 * @throws InvalidInputError, RepositoryLockedError, AbortedError; damage is in the result
 */
export async function check(repo: Repository, options: CheckOptions = {}): Promise<CheckResult> {
  const { readData = false, readDataSubset } = options
  if (readDataSubset !== undefined) {
    if (readData) {
      throw new InvalidInputError('check flags --read-data and --read-data-subset cannot be used together')
    }
    validateSubset(readDataSubset)
  }
  if (repo.settings.noLock === true) return new Check(repo, options).run()
  const lock = await repo.lock(true, options.signal, true)
  const run = (signal: AbortSignal): Promise<CheckResult> => new Check(repo, { ...options, signal }).run()
  return readLocked(lock, run, ({ errorCount }) => errorCount > 0)
}

class Check {
  readonly #repo: Repository
  readonly #options: CheckOptions
  readonly #report: CheckReport
  readonly #counts = { snapshotCount: 0, treeCount: 0, packCount: 0, readPackCount: 0 }

  constructor(repo: Repository, options: CheckOptions) {
    this.#repo = repo
    this.#options = options
    this.#report = new CheckReport(options)
  }

  async run(): Promise<CheckResult> {
    const repo = this.#repo
    const report = this.#report
    const { signal } = this.#options
    // Before the index: without a lock, a snapshot made meanwhile could refer to packs the index read does not have.
    const snapshotErrors: ItemError[] = []
    const records = await this.#findSnapshots(snapshotErrors)
    const isUsable = await checkIndex(repo, report, { signal, onProgress: this.#progress('load-index') })
    this.#counts.packCount = repo.index.packCount
    if (!isUsable) return this.#result()

    const sizes = await this.#checkPacks()
    for (const { item, error } of snapshotErrors) {
      report.error('snapshot', undefined, `failed to load snapshot ${item}: ${error.message}`)
    }
    const roots = records.map((record) => record.snapshot.tree)
    const structure = this.#checkTrees(roots)
    // What is to be read often does not hang on the trees: threads need not wait for them.
    const reading = this.#isFiltered ? structure.then((trees) => this.#packsOf(trees.used)) : this.#allPacks()
    const data = this.#readPacks(reading, sizes, structure)
    // Neither goes on behind the back of who waits for this.
    await Promise.allSettled([structure, data])
    await Promise.all([structure, data])
    return this.#result()
  }

  async #checkTrees(roots: readonly Id[]): Promise<CheckedTrees> {
    const { signal } = this.#options
    const onProgress = this.#progress('structure')
    const trees = await checkTrees(this.#repo, roots, this.#report, { signal, onProgress })
    this.#counts.treeCount = trees.treeCount
    return trees
  }

  get #isFiltered(): boolean {
    const { ids = [], filter = {} } = this.#options
    return ids.length > 0 || !isEmptyFilter(filter)
  }

  async #findSnapshots(errors: ItemError[]): Promise<SnapshotRecord[]> {
    const { ids = [], filter = {}, signal } = this.#options
    const records = await findSnapshots(
      this.#repo,
      { ids, filter },
      { signal, onError: (error) => errors.push(error) },
    )
    this.#counts.snapshotCount = records.length
    return records
  }

  async #checkPacks(): Promise<Float64Array> {
    const report = this.#progress('packs')
    const total = this.#repo.index.packCount
    report(0, total)
    const sizes = await checkPacks(this.#repo, this.#report, { signal: this.#options.signal })
    report(total, total)
    return sizes
  }

  /** @param before what is to be told of first */
  async #readPacks(
    reading: readonly number[] | Promise<readonly number[]>,
    sizes: Float64Array,
    before: Promise<unknown>,
  ): Promise<void> {
    const { readData = false, readDataSubset: subset, signal, random = Math.random } = this.#options
    if (!readData && subset === undefined) return
    const { index } = this.#repo
    const sizeOf = (pack: number): number => sizes[pack] ?? 0
    const all = await reading
    const packs = subset === undefined ? all : selectPacks(index, all, subset, { sizeOf, random })
    const largest = packs.reduce((size, pack) => Math.max(size, sizeOf(pack)), 1)
    const limit = Math.min(this.#repo.backend.connections + 1, Math.floor(READING_BYTES_MAX / largest))
    const progress = this.#progress('read-data')
    const results = new HeldBack(before)
    results.tell(() => progress(0, packs.length))
    const threads = startThreads(this.#repo, { isSmall: packs.length < FEW_PACKS })
    try {
      await forEachParallel(packs, Math.max(1, limit), async (pack) => {
        throwIfAborted(signal)
        const problem = await checkPack(this.#repo, pack, { threads, signal })
        results.tell(() => {
          if (problem !== undefined) this.#reportPack(pack, problem)
          progress(++this.#counts.readPackCount, packs.length)
        })
      })
      await results.told()
      throwIfAborted(signal)
    } finally {
      await threads.close()
    }
  }

  #reportPack(pack: number, { isBroken, message }: PackProblem): void {
    const id = this.#repo.index.packIdAt(pack)
    if (isBroken) this.#report.brokenPack('pack-data', id, message)
    else this.#report.error('pack-data', id, message)
  }

  #allPacks(): number[] {
    return Array.from({ length: this.#repo.index.packCount }, (_, pack) => pack)
  }

  /** Packs that hold any copy of a blob in use. */
  #packsOf(used: Bitmap): number[] {
    const { index } = this.#repo
    return this.#allPacks().filter((pack) => {
      const { start, end } = index.rowsOfPack(pack)
      for (let row = start; row < end; row++) if (used.has(index.firstCopyOf(row))) return true
      return false
    })
  }

  #progress(phase: CheckProgress['phase']): (done: number, total: number) => void {
    return (done, total) => this.#options.onProgress?.({ phase, done, total })
  }

  #result(): CheckResult {
    const report = this.#report
    return {
      errors: report.errors,
      errorCount: report.errorCount,
      hints: report.hints,
      orphanedPacks: report.orphanedPacks,
      brokenPacks: [...report.brokenPacks].toSorted(),
      suggestRepairIndex: report.suggestRepairIndex,
      suggestPrune: report.suggestPrune,
      ...this.#counts,
    }
  }
}

/** Tells things in their order, but none before something else is over. Where that fails, it is for others to say. */
class HeldBack {
  #last: Promise<void>

  constructor(before: Promise<unknown>) {
    this.#last = before.then(
      () => undefined,
      () => undefined,
    )
  }

  tell(what: () => void): void {
    this.#last = this.#last.then(what)
    // Whoever waits for `told` hears of it; until then it must not pass for unhandled.
    this.#last.catch(() => undefined)
  }

  /** Resolves when all is told. */
  told(): Promise<void> {
    return this.#last
  }
}
