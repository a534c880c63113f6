/**
 * Passes on to the writer what the walk has planned. Where reading a pack twice costs nothing, that is done in windows, so
 * that threads write while the walk goes on, and not all is in memory at once; otherwise when all is planned, so that each
 * part of a pack is read once.
 */
import type { BlobIndex } from '../blob-index.ts'
import type { PackJob, RestorePlan } from './restore-plan.ts'

/** Places in a window: enough for every thread to have work while the next is planned. */
export const WINDOW_PLACES = 8192
/** Windows that wait before the walk does. */
const WAITING_MAX = 1

export class RestoreJobs implements AsyncIterable<PackJob> {
  readonly #plan: RestorePlan
  readonly #index: BlobIndex
  readonly #windows: Iterable<PackJob>[] = []
  /** Places there have to be before it is tried to make a window of them. */
  #enough: number
  readonly #windowPlaces: number
  #isComplete = false
  #isFailed = false
  #failure: unknown
  #wakeWriter: (() => void) | undefined
  #wakeWalk: (() => void) | undefined

  /** @param windowPlaces how many make a window; Infinity where packs are not to be read twice */
  constructor(plan: RestorePlan, index: BlobIndex, windowPlaces: number) {
    this.#plan = plan
    this.#index = index
    this.#windowPlaces = windowPlaces
    this.#enough = windowPlaces
  }

  /**
   * For the walk, to be called between files: resolves when it may go on, undefined where it may at once.
   * @throws what the writer failed with
   */
  passOn(): Promise<void> | undefined {
    if (this.#isFailed) throw this.#failure
    if (this.#plan.waitingCount < this.#enough) return undefined
    const jobs = this.#plan.takeDense(this.#index)
    // What lies far apart in the packs is better read together with more.
    if (jobs === undefined) this.#enough *= 2
    else {
      this.#enough = this.#windowPlaces
      this.#windows.push(jobs)
      this.#wakeWriter?.()
    }
    if (this.#windows.length <= WAITING_MAX) return undefined
    return new Promise((resolve) => {
      this.#wakeWalk = resolve
    })
  }

  /** All is planned. */
  complete(): void {
    this.#windows.push(this.#plan.takeAll(this.#index))
    this.#isComplete = true
    this.#wakeWriter?.()
  }

  /** The walk or the writer has failed: the other is to fail too. */
  fail(error: unknown): void {
    if (!this.#isFailed) this.#failure = error
    this.#isFailed = true
    this.#wakeWriter?.()
    this.#wakeWalk?.()
  }

  /** For the one writer. @throws what the walk failed with */
  async *[Symbol.asyncIterator](): AsyncGenerator<PackJob, void, undefined> {
    for (;;) {
      const window = this.#windows.shift()
      this.#wakeWalk?.()
      for (const job of window ?? []) {
        if (this.#isFailed) throw this.#failure
        yield job
      }
      if (this.#isFailed) throw this.#failure
      if (this.#windows.length > 0) continue
      if (this.#isComplete) return
      await new Promise<void>((resolve) => {
        this.#wakeWriter = resolve
      })
    }
  }
}
