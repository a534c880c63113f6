/** How threads look at folders of a backup's source: with the excludes and settings of the walk, but never a word said. */
import { closeSync, existsSync } from 'node:fs'
import type { Id } from '../format/id.ts'
import type { Node } from '../format/tree.ts'
import type { ThreadContext } from '../thread-context.ts'
import { createBackupFilter, type BackupFilter, type ExcludeOptions } from './backup-excludes.ts'
import type { SourceStat } from './backup-source.ts'
import { listingOf, readListing, type FolderListing } from './folder-listing.ts'
import { loadLibc, type Libc } from './libc.ts'
import { LocalSource, type OpenedFolder } from './local-source.ts'
import { joinPath, nativePath } from './native-path.ts'
import { openQuietly } from './quiet-open.ts'

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
  readonly withAtime: boolean
  readonly filter: BackupFilter
  /** With it, folders are opened and what is in them is found by name; without, each entry by its path. */
  readonly libc: Libc | undefined

  constructor(rules: FolderRules) {
    this.withAtime = rules.withAtime
    this.filter = createBackupFilter(this.source, rules.targets, rules, () => (this.isWarned = true))
    // Names in an open folder are listed through this one.
    this.libc = existsSync(OPEN_FILES) ? loadLibc() : undefined
  }

  /**
   * Does something with a folder while it is open.
   * @returns what `work` does; undefined where there is no such folder any more
   */
  with<Result>(folder: SourceFolder, work: (open: FolderEntries) => Result): Result | undefined {
    if (this.libc === undefined) return work(new FolderEntries(this, folder, undefined))
    const fd = this.libc.openFolder(folder.path)
    if (fd < 0) return undefined
    try {
      return work(new FolderEntries(this, folder, { fd, path: folder.path }))
    } finally {
      this.libc.close(fd)
    }
  }
}

/** Where Linux shows what a process has open. */
const OPEN_FILES = '/proc/self/fd'

/** What is in a folder. */
export class FolderEntries {
  readonly #reader: FolderReader
  readonly #folder: SourceFolder
  readonly #opened: OpenedFolder | undefined
  readonly #warn = (): void => {
    this.#reader.isWarned = true
  }

  constructor(reader: FolderReader, folder: SourceFolder, opened: OpenedFolder | undefined) {
    this.#reader = reader
    this.#folder = folder
    this.#opened = opened
  }

  /** Names by byte order, each once; undefined where the folder is none any more. @throws what the system says */
  list(): readonly string[] | undefined {
    return this.listing()?.names
  }

  /** As `list`, with what else the folder says. To be called once. */
  listing(): FolderListing | undefined {
    const { source, libc } = this.#reader
    const { path } = this.#folder
    const fd = this.#opened?.fd
    if (fd !== undefined && libc?.readsEntries === true)
      return readListing((target) => libc.readEntries(fd, target))
    const names = source.listNames(fd === undefined ? path : `${OPEN_FILES}/${fd}`)
    // Listing by path follows symlinks.
    if (fd === undefined && source.lstat(path).kind !== 'dir') return undefined
    return listingOf(names)
  }

  /** Undefined for what is left out of the backup. @throws what the system says */
  select(name: string): SourceStat | undefined {
    if (!this.selectsName(name)) return undefined
    const stat = this.#lstat(name)
    return stat.kind !== 'socket' && this.selects(name, stat) ? stat : undefined
  }

  /** Whether an entry may be part of the backup, as far as its name tells. */
  selectsName(name: string): boolean {
    const { filter } = this.#reader
    return filter.selectsAll || filter.selectByName(joinPath(this.#folder.absolute, name))
  }

  /** Whether an entry that `selectsName` did not leave out is part of the backup. */
  selects(name: string, stat: SourceStat): boolean {
    const { filter } = this.#reader
    return filter.selectsAll || filter.select(joinPath(this.#folder.absolute, name), stat)
  }

  /**
   * Does something with what the folder's listing says is a regular file, while it is open: what it is is asked of the open
   * file only, which it cannot differ from.
   * @returns what `work` does; undefined where it is no such file any more, or cannot be opened
   */
  withListed<Result>(name: string, work: (fd: number, stat: SourceStat) => Result): Result | undefined {
    const { libc, source } = this.#reader
    if (libc === undefined || this.#opened === undefined) return undefined
    const fd = libc.openIn(this.#opened.fd, name)
    if (fd < 0) return undefined
    try {
      const stat = source.statOpened(fd)
      return stat.kind === 'file' ? work(fd, stat) : undefined
    } finally {
      libc.close(fd)
    }
  }

  /**
   * Does something with a file while it is open.
   * @returns what `work` does; undefined where it is not what was seen any more, or cannot be opened
   */
  withFile<Result>(name: string, seen: SourceStat, work: (fd: number) => Result): Result | undefined {
    const { libc, source } = this.#reader
    const isByName = libc !== undefined && this.#opened !== undefined
    const fd = isByName ? libc.openIn(this.#opened.fd, name) : openQuietly(nativePath(this.#pathOf(name)))
    if (fd < 0) return undefined
    try {
      return source.isSame(seen, fd) ? work(fd) : undefined
    } finally {
      // Node keeps account of what it opened.
      if (isByName) libc.close(fd)
      else closeSync(fd)
    }
  }

  /** The entry's node. @param fd the entry as an open file */
  // oxlint-disable-next-line max-params -- called for every entry
  toNode(name: string, stat: SourceStat, fd?: number, content?: readonly Id[]): Node {
    return this.#reader.source.toNode(this.#pathOf(name), name, stat, {
      withAtime: this.#reader.withAtime,
      ignoreXattrListError: false,
      onWarning: this.#warn,
      fd,
      content,
    })
  }

  #lstat(name: string): SourceStat {
    const { source } = this.#reader
    return this.#opened === undefined ? source.lstat(this.#pathOf(name)) : source.lstatIn(this.#opened, name)
  }

  #pathOf(name: string): string {
    return joinPath(this.#folder.path, name)
  }
}
