/**
 * Backups in which threads save the new folders, however few there are, beside what the walk alone makes of the same:
 * the tasks of threads run here, as they do where there are none.
 */
import { expect, vi } from 'vitest'
import { backup, type BackupOptions, type BackupResult } from '../../src/repo/ops/backup.ts'
import { ContentSaver } from '../../src/repo/ops/content-saver.ts'
import { TASKS } from '../../src/repo/ops/threads.ts'
import type { Repository } from '../../src/repo/repository.ts'

export interface Outcome {
  readonly result: BackupResult
  /** Sorted: those who save beside each other have no order. */
  readonly errors: readonly string[]
  readonly filesDone: number
  readonly bytesDone: number
  /** Files that threads saved from listing to node. */
  readonly savedFiles: number
  /** Names that threads left to the walk, sorted. */
  readonly left: readonly string[]
}

/** Until mocks are restored. */
export function pretendThreads(): void {
  vi.spyOn(ContentSaver.prototype, 'hasThreads', 'get').mockReturnValue(true)
}

export async function observe(repository: Repository, options: BackupOptions): Promise<Outcome> {
  const errors: string[] = []
  let done = { filesDone: 0, bytesDone: 0 }
  // Where the test has done so before, its own stays.
  const task = vi.spyOn(TASKS, 'saveFolders')
  const first = task.mock.results.length
  const result = await backup(repository, {
    hostname: 'host',
    noScan: true,
    onError: ({ item, error }) => errors.push(`${item}: ${error.message}`),
    onProgress: ({ filesDone, bytesDone }) => (done = { filesDone, bytesDone }),
    ...options,
  })
  const slices = task.mock.results.slice(first).flatMap(({ type, value }) => (type === 'return' ? value : []))
  return {
    result,
    ...done,
    errors: errors.toSorted(),
    savedFiles: slices.reduce((sum, slice) => sum + (slice?.files ?? 0), 0),
    left: slices.flatMap((slice) => slice?.left ?? []).toSorted(),
  }
}

/** Saves with threads what the walk alone, in a dry run, has looked at before: it must come to the same. */
export async function expectAsWalked(repository: Repository, options: BackupOptions): Promise<Outcome> {
  const walked = await observe(repository, { ...options, dryRun: true })
  expect([walked.savedFiles, walked.left]).toEqual([0, []])
  const outcome = await observe(repository, options)
  expect(comparable(outcome)).toEqual(comparable(walked))
  expect(outcome.bytesDone).toBe(outcome.result.statistics.totalBytesProcessed)
  return outcome
}

function comparable({ result, errors, filesDone, bytesDone }: Outcome): unknown {
  // Stored sizes are those of random padding and packs.
  const statistics = { ...result.statistics, dataAddedPacked: 0 }
  return { tree: result.tree, errorCount: result.errorCount, statistics, errors, filesDone, bytesDone }
}
