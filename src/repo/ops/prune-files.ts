/** Removing files by their IDs, several at once. */

import { FileNotFoundError, throwIfAborted } from '../../errors.ts'
import type { Id } from '../format/id.ts'
import { forEachParallel } from '../parallel.ts'
import type { Repository } from '../repository.ts'

export interface RemoveFilesOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((done: number, total: number) => void) | undefined
  /** Told of files that cannot be removed; without it the first one ends the removal. */
  readonly onError?: ((id: Id, error: Error) => void) | undefined
}

/** Removes files of one type; one that is gone already counts as removed. Resolves to the IDs of those removed. */
export async function removeFiles(
  repo: Repository,
  type: 'snapshot' | 'index' | 'pack',
  ids: readonly Id[],
  options: RemoveFilesOptions = {},
): Promise<Id[]> {
  const { signal, onProgress, onError } = options
  const removed: Id[] = []
  let done = 0
  onProgress?.(done, ids.length)
  await repo.backend.prepareRemoval?.(type, ids, signal)
  await forEachParallel(ids, repo.backend.connections, async (id) => {
    throwIfAborted(signal)
    try {
      await repo.remove(type, id, signal)
      removed.push(id)
    } catch (error) {
      throwIfAborted(signal)
      if (error instanceof FileNotFoundError) removed.push(id)
      else if (onError !== undefined && error instanceof Error) onError(id, error)
      else throw error
    }
    onProgress?.(++done, ids.length)
  })
  return removed
}
