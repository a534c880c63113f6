/**
 * Has threads save folders that the parent snapshot does not have: of each entry the walk would make a stat, a node and
 * a promise, and threads a task and an answer; of a whole folder it is a task, and bytes that go into its tree.
 */
import { throwIfAborted } from '../../errors.ts'
import type { ContentSaver } from './content-saver.ts'
import { listingOf, sliceListing, type FolderListing } from './folder-listing.ts'
import type { FolderRules, SourceFolder } from './folder-reader.ts'
import { SLICE_ENTRIES, type FolderSlice, type SavedSlice } from './save-folders-task.ts'

/** Sent to a thread at once. */
const BATCH_SLICES = 8
/** Folders that wait for threads, before the walk waits: there may be a million in one folder. */
const WAITING_FOLDERS = 1024
/** Folders the walk is not through with, before threads wait: they find large files faster than those can be read. */
const WALKED_FOLDERS = 256

export interface NewFoldersOptions {
  readonly saver: ContentSaver
  readonly rules: FolderRules
  readonly signal?: AbortSignal | undefined
}

interface Job {
  readonly slice: FolderSlice
  readonly resolve: (saved: SavedSlice | undefined) => void
  readonly reject: (error: unknown) => void
}

export class NewFolders {
  readonly #options: NewFoldersOptions
  /** The last one is next: of folders on the way to it less is in memory than of all at one depth. */
  readonly #stack: Job[] = []
  /** Walks that wait for room on the stack. The last one is next here too, and mostly the deepest. */
  readonly #waiting: (() => void)[] = []
  /** Walks that are going on, but for those that wait for room or for threads. */
  #walks = 0
  /** Folders that `save` is not through with. */
  #folders = 0
  #onThrough: (() => void) | undefined
  #failure: { readonly error: unknown } | undefined
  #prepared: Promise<void> | undefined
  #running = 0

  constructor(options: NewFoldersOptions) {
    this.#options = options
  }

  /** Whether there are threads: a backup with next to nothing to save is done before they have started. */
  get isReady(): boolean {
    return this.#options.saver.hasThreads
  }

  /** Resolves when there is room for another folder; undefined where there is at once. */
  room(): Promise<void> | undefined {
    if (this.#stack.length < WAITING_FOLDERS) return undefined
    return this.#aside(new Promise((resolve) => this.#waiting.push(resolve)))
  }

  /**
   * Saves what is easy in a folder. Wait for `room` first.
   * @param walk saves the rest. It is given the folder's entries in their order, or nothing where all is left to it
   * @returns what `walk` does
   * @throws what `walk` does; AbortedError, LockLostError, WorkerError
   */
  async save<Result>(
    folder: SourceFolder,
    walk: (slices: AsyncIterable<SavedSlice> | undefined) => Promise<Result>,
  ): Promise<Result> {
    this.#folders += 1
    try {
      const first = await this.#run(folder)
      return await this.#walk(() => walk(first && this.#slicesFrom(folder, first)))
    } finally {
      this.#folders -= 1
      if (this.#folders === 0) this.#onThrough?.()
    }
  }

  /** Resolves when no folder is being saved or walked. To be called when no more come but from those walks. */
  async through(): Promise<void> {
    if (this.#folders === 0) return
    await new Promise<void>((resolve) => {
      this.#onThrough = resolve
    })
  }

  /** Saves no more: @param error what `save` throws from now on */
  abandon(error: unknown): void {
    this.#failure ??= { error }
  }

  async #walk<Result>(walk: () => Promise<Result>): Promise<Result> {
    this.#walks += 1
    try {
      return await walk()
    } finally {
      this.#walks -= 1
      this.#proceed()
    }
  }

  /** Waits for what threads do: they must not wait for this walk meanwhile. */
  async #aside<Result>(waiting: Promise<Result>): Promise<Result> {
    this.#walks -= 1
    this.#proceed()
    try {
      return await waiting
    } finally {
      this.#walks += 1
    }
  }

  async *#slicesFrom(folder: SourceFolder, first: SavedSlice): AsyncGenerator<SavedSlice> {
    const rest = this.#saveRest(folder, first.rest)
    yield first
    for (const part of rest) yield* await this.#aside(part)
  }

  #saveRest(folder: SourceFolder, rest: FolderListing): Promise<SavedSlice[]>[] {
    const parts: FolderListing[] = []
    for (let i = 0; i < rest.names.length; i += SLICE_ENTRIES)
      parts.push(sliceListing(rest, i, i + SLICE_ENTRIES))
    // The last one pushed is the next one done.
    const saving = parts.toReversed().map((entries) => {
      const part = this.#saveEntries(folder, entries)
      // Whoever takes it hears of it; until then it must not pass for unhandled.
      part.catch(() => undefined)
      return part
    })
    return saving.toReversed()
  }

  async #saveEntries(folder: SourceFolder, entries: FolderListing): Promise<SavedSlice[]> {
    const saved = (await this.#run({ ...folder, entries })) ?? nothingSaved(entries.names)
    const { rest } = saved
    return rest.names.length === 0 ? [saved] : [saved, ...(await this.#saveEntries(folder, rest))]
  }

  #run(slice: FolderSlice): Promise<SavedSlice | undefined> {
    return new Promise((resolve, reject) => {
      this.#stack.push({ slice, resolve, reject })
      this.#proceed()
    })
  }

  #proceed(): void {
    const { threadCount } = this.#options.saver.threads()
    // One more than threads can be at.
    const batchesAtOnce = 2 * threadCount + 1
    while (this.#running < batchesAtOnce && this.#stack.length > 0 && this.#walks < WALKED_FOLDERS) {
      this.#running += 1
      const share = Math.floor(this.#stack.length / batchesAtOnce)
      void this.#runBatch(this.#stack.splice(-Math.min(BATCH_SLICES, Math.max(1, share))).toReversed())
    }
    // One is enough: it comes back with a folder, and then the next one has its turn.
    if (this.#stack.length < WAITING_FOLDERS) this.#waiting.pop()?.()
  }

  async #runBatch(batch: readonly Job[]): Promise<void> {
    try {
      const { saver, rules, signal } = this.#options
      const threads = saver.threads()
      this.#prepared ??= threads.runOnAll('prepareFolders', rules)
      await this.#prepared
      if (this.#failure !== undefined) throw this.#failure.error
      await saver.ready()
      throwIfAborted(signal)
      const saved = await threads.run(
        'saveFolders',
        batch.map(({ slice }) => slice),
      )
      for (const [i, job] of batch.entries()) if (i < saved.length) job.resolve(saved[i])
      // What there was no room for in the answer is next.
      this.#stack.push(...batch.slice(saved.length).toReversed())
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      this.#running -= 1
      this.#proceed()
    }
  }
}

/** All is left to the walk. */
function nothingSaved(names: readonly string[]): SavedSlice {
  return {
    encoded: new Uint8Array(0),
    ends: [...names.map(() => 0), 0],
    left: names,
    rest: listingOf([]),
    files: 0,
    bytes: 0,
    dataBlobs: 0,
    dataSize: 0,
    dataSizeInRepo: 0,
  }
}
