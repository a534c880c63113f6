/** The tasks that worker threads can do, and how an operation gets its threads. */
import { availableParallelism } from 'node:os'
import type { Repository } from '../repository.ts'
import type { SharedKnownBlobs } from '../known-blobs.ts'
import type { FinishedPack } from '../pack-builder.ts'
import { findThreadModule } from '../thread-module.ts'
import { WorkerPool, type TaskTable } from '../worker-pool.ts'
import { checkPackBytes } from './check-pack-task.ts'
import { compareFolders } from './compare-folders-task.ts'
import { copyBlobs, recodeBlobs } from './copy-blobs-task.ts'
import { prepareFolders } from './folder-reader.ts'
import { finishPacks, saveChunk, saveFiles } from './save-files-task.ts'
import { saveFolders } from './save-folders-task.ts'
import { writeBlobs } from './write-blobs-task.ts'

export interface Tasks extends TaskTable {
  readonly saveFiles: typeof saveFiles
  readonly saveChunk: typeof saveChunk
  readonly finishPacks: typeof finishPacks
  readonly writeBlobs: typeof writeBlobs
  readonly checkPackBytes: typeof checkPackBytes
  readonly prepareFolders: typeof prepareFolders
  readonly compareFolders: typeof compareFolders
  readonly saveFolders: typeof saveFolders
  readonly copyBlobs: typeof copyBlobs
  readonly recodeBlobs: typeof recodeBlobs
}

export const TASKS: Tasks = {
  saveFiles,
  saveChunk,
  finishPacks,
  writeBlobs,
  checkPackBytes,
  prepareFolders,
  compareFolders,
  saveFolders,
  copyBlobs,
  recodeBlobs,
}

export interface ThreadOptions {
  readonly known?: SharedKnownBlobs | undefined
  /** More repositories that get whatever is saved, and what they have. */
  readonly mirrors?:
    readonly { readonly repository: Repository; readonly known: SharedKnownBlobs }[] | undefined
  /** @param member 0, or the number of a mirror, from 1 */
  readonly onPack?: ((pack: FinishedPack, member: number) => Promise<void>) | undefined
  /** The repository blobs are copied from, if that is another one. */
  readonly source?: Repository | undefined
  /** Threads to start, instead of what the repository's settings say. */
  readonly count?: number | undefined
  /** Work so small that threads would cost more than they bring is done without them. */
  readonly isSmall?: boolean | undefined
}

/** Threads for one operation, as many as the repository's settings say. Close them in the end. */
export function startThreads(repository: Repository, options: ThreadOptions): WorkerPool<Tasks> {
  const { settings } = repository
  return new WorkerPool({
    count: options.isSmall === true ? 0 : (options.count ?? settings.workers ?? availableParallelism()),
    entry: findThreadModule('thread.js'),
    tasks: TASKS,
    crypto: repository.keyStore.crypto,
    setup: {
      ...repository.threadSetup,
      known: options.known,
      mirrors: options.mirrors?.map(({ repository: { masterKey, config }, known }) => ({
        key: masterKey,
        version: config.version,
        known,
      })),
      source:
        options.source === undefined
          ? undefined
          : { key: options.source.masterKey, version: options.source.config.version },
    },
    onPack: options.onPack,
  })
}
