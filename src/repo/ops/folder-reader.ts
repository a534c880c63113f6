/** How threads look at folders of a backup's source: with the excludes and settings of the walk, but never a word said. */
import type { Node } from '../format/tree.ts'
import type { ThreadContext } from '../thread-context.ts'
import { createBackupFilter, type BackupFilter, type ExcludeOptions } from './backup-excludes.ts'
import type { SourceStat } from './backup-source.ts'
import { LocalSource } from './local-source.ts'

export interface FolderRules extends ExcludeOptions {
  /** Absolute, for `oneFileSystem`. */
  readonly targets: readonly string[]
  readonly withAtime: boolean
}

/** A folder of the source. */
export interface SourceFolder {
  /** The caller's own, surrogate-escaped. */
  readonly path: string
  /** As excludes mean it. */
  readonly absolute: string
}

const readers = new WeakMap<ThreadContext, FolderReader>()

/** Thread task: to be called once for each thread before others that read folders. */
export function prepareFolders(context: ThreadContext, rules: FolderRules): void {
  try {
    readers.set(context, new FolderReader(rules))
  } catch {
    // A target has gone since the walk began. The walk says so when it gets there; folders are left to it until then.
  }
}

/** Undefined where `prepareFolders` was not called, or came to nothing. */
export function folderReaderOf(context: ThreadContext): FolderReader | undefined {
  return readers.get(context)
}

export class FolderReader {
  /** Something was to be said: who can say it has to look again. */
  isWarned = false
  readonly source: LocalSource = new LocalSource()
  readonly #withAtime: boolean
  readonly #filter: BackupFilter

  constructor(rules: FolderRules) {
    this.#withAtime = rules.withAtime
    this.#filter = createBackupFilter(this.source, rules.targets, rules, () => (this.isWarned = true))
  }

  /** Names in a folder by byte order, each once; undefined where it is none any more. @throws what the system says */
  list(path: string): string[] | undefined {
    const names = this.source.listNames(path)
    // Listing follows symlinks.
    if (this.source.lstat(path).kind !== 'dir') return undefined
    return names.filter((name, i) => i === 0 || name !== names[i - 1])
  }

  /** Undefined for what is left out of the backup. */
  select(path: string, absolute: string): SourceStat | undefined {
    if (!this.#filter.selectByName(absolute)) return undefined
    const stat = this.source.lstat(path)
    return this.#filter.select(absolute, stat) && stat.kind !== 'socket' ? stat : undefined
  }

  /** The entry's node, without content. */
  toNode(path: string, name: string, stat: SourceStat): Node {
    const node = this.source.toNode(path, name, stat, {
      ignoreXattrListError: false,
      onWarning: () => (this.isWarned = true),
    })
    return this.#withAtime ? node : { ...node, atime: node.mtime }
  }
}
