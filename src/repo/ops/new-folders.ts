/**
 * Has threads save folders that the parent snapshot does not have: of each entry the walk would make a stat, a node and
 * a promise, and threads a task and an answer; of a whole folder it is a task, and bytes that go into its tree.
 */
import { throwIfAborted } from '../../errors.ts'
import type { ContentSaver } from './content-saver.ts'
import type { FolderRules, SourceFolder } from './folder-reader.ts'
import { SLICE_ENTRIES, type FolderSlice, type SavedSlice } from './save-folders-task.ts'

/** Sent to a thread at once. */
const BATCH_SLICES = 8

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
  #prepared: Promise<void> | undefined
  #running = 0

  constructor(options: NewFoldersOptions) {
    this.#options = options
  }

  /** Whether there are threads: a backup with next to nothing to save is done before they have started. */
  get isReady(): boolean {
    return this.#options.saver.hasThreads
  }

  /**
   * Saves what is easy in a folder.
   * @returns its entries in their order; undefined where it is left to the walk altogether
   * @throws AbortedError, LockLostError, WorkerError
   */
  async save(folder: SourceFolder): Promise<readonly SavedSlice[] | undefined> {
    const first = await this.#run(folder)
    return first === undefined ? undefined : [first, ...(await this.#saveRest(folder, first.rest))]
  }

  async #saveRest(folder: SourceFolder, rest: readonly string[]): Promise<SavedSlice[]> {
    const parts: string[][] = []
    for (let i = 0; i < rest.length; i += SLICE_ENTRIES) parts.push(rest.slice(i, i + SLICE_ENTRIES))
    // The last one pushed is the next one done.
    const saving = parts.toReversed().map((names) => this.#saveNames({ ...folder, names }))
    return (await Promise.all(saving.toReversed())).flat()
  }

  async #saveNames(slice: FolderSlice): Promise<SavedSlice[]> {
    const { names = [] } = slice
    const saved = (await this.#run(slice)) ?? nothingSaved(names)
    return saved.rest.length === 0
      ? [saved]
      : [saved, ...(await this.#saveNames({ ...slice, names: saved.rest }))]
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
    while (this.#running < batchesAtOnce && this.#stack.length > 0) {
      this.#running += 1
      const share = Math.floor(this.#stack.length / batchesAtOnce)
      void this.#runBatch(this.#stack.splice(-Math.min(BATCH_SLICES, Math.max(1, share))).toReversed())
    }
  }

  async #runBatch(batch: readonly Job[]): Promise<void> {
    try {
      const { saver, rules, signal } = this.#options
      const threads = saver.threads()
      this.#prepared ??= threads.runOnAll('prepareFolders', rules)
      await this.#prepared
      await saver.ready()
      throwIfAborted(signal)
      const saved = await threads.run(
        'saveFolders',
        batch.map(({ slice }) => slice),
      )
      for (const [i, { resolve }] of batch.entries()) resolve(saved[i])
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
    rest: [],
    files: 0,
    bytes: 0,
    dataBlobs: 0,
    dataSize: 0,
    dataSizeInRepo: 0,
  }
}
