/** Where a backup's files come from: the file system, or one stream under a made-up name (`--stdin`). */
import { posix } from 'node:path'
import { SourceError } from '../../errors.ts'
import type { Id } from '../format/id.ts'
import type { Time } from '../format/time.ts'
import type { Node } from '../format/tree.ts'
import { unlessAborted } from './operation.ts'

/** What a backup needs to know of an entry before it becomes a node. */
export interface SourceStat {
  readonly kind: 'file' | 'dir' | 'symlink' | 'socket' | 'other'
  readonly size: number
  readonly mtime: Time
  readonly ctime: Time
  readonly inode: bigint
  readonly deviceId: bigint
}

/** A file open for reading. */
export interface SourceFile {
  readonly stat: SourceStat
  /** For other threads to read by position; undefined where only `read` reads it. */
  readonly fd?: number
  /** Fills `target` from its start; the bytes read, 0 at the end. */
  read(target: Uint8Array): number | Promise<number>
  close(): void
}

/** Paths are the caller's own, absolute or relative to the working directory, names surrogate-escaped. */
export interface BackupSource {
  /** @throws SourceError; errors for which `isMissing` answers true where there is no such entry */
  lstat(path: string): SourceStat
  /** The entry a path leads to, symlinks followed, and where it is. */
  resolve(path: string): { readonly path: string; readonly stat: SourceStat }
  /** Names in a folder by byte order. */
  listNames(path: string): string[]
  /**
   * The entry as a node named `name`, without content.
   * @param onWarning takes what could not be read of the metadata (xattrs)
   */
  toNode(path: string, name: string, stat: SourceStat, options: ToNodeOptions): Node
  /** Opens a regular file without following a symlink. */
  open(path: string): SourceFile
  /** Numbers that change when the file does; undefined where other threads cannot open it. */
  fingerprint?(stat: SourceStat): readonly bigint[]
  isMissing(error: unknown): boolean
  /** The absolute form of a path, as excludes and messages use it. */
  absolute(path: string): string
}

export interface ToNodeOptions {
  /** Folders above a target may refuse to list their xattrs: no reason to complain. */
  readonly ignoreXattrListError: boolean
  readonly onWarning: (error: Error) => void
  /** Whether its access time is kept: by default; otherwise it is that of the last change. */
  readonly withAtime?: boolean | undefined
  /** What of the node is known already. */
  readonly content?: readonly Id[] | undefined
  /** The entry as an open file. */
  readonly fd?: number | undefined
}

export interface StreamSourceOptions {
  /** Path of the file in the snapshot. */
  readonly path: string
  readonly stream: AsyncIterable<Uint8Array>
  readonly time: Time
  readonly uid: number
  readonly gid: number
  readonly signal?: AbortSignal | undefined
}

const DIR_MODE = 0x8000_0000 + 0o755
const FILE_MODE = 0o644

/** A source with a single file fed by a stream, which can be read once. */
export class StreamSource implements BackupSource {
  readonly #options: StreamSourceOptions
  readonly #path: string

  /** @throws SourceError where the path names no file */
  constructor(options: StreamSourceOptions) {
    this.#options = options
    this.#path = posix.normalize(`/${options.path}`)
    if (this.#path.endsWith('/')) throw new SourceError(`invalid filename "${options.path}" for the stream`)
  }

  lstat(path: string): SourceStat {
    const kind = this.absolute(path) === this.#path ? 'file' : 'dir'
    const { time } = this.#options
    return { kind, size: 0, mtime: time, ctime: time, inode: 0n, deviceId: 0n }
  }

  resolve(path: string): { readonly path: string; readonly stat: SourceStat } {
    return { path, stat: this.lstat(path) }
  }

  listNames(path: string): string[] {
    const below = this.absolute(path) === '/' ? '/' : `${this.absolute(path)}/`
    const [name] = this.#path.startsWith(below) ? this.#path.slice(below.length).split('/') : []
    return name === undefined ? [] : [name]
  }

  toNode(_path: string, name: string, stat: SourceStat): Node {
    const { time, uid, gid } = this.#options
    const isFile = stat.kind === 'file'
    return {
      name,
      type: isFile ? 'file' : 'dir',
      mode: isFile ? FILE_MODE : DIR_MODE,
      mtime: time,
      atime: time,
      ctime: time,
      uid,
      gid,
      user: '',
      group: '',
      inode: 0n,
      deviceId: 0n,
      size: 0,
      links: 0,
      linkTarget: '',
      extendedAttributes: [],
      device: 0n,
      content: null,
      subtree: null,
      error: '',
    }
  }

  open(path: string): SourceFile {
    const iterator: AsyncIterator<Uint8Array, unknown> = this.#options.stream[Symbol.asyncIterator]()
    let rest: Uint8Array = new Uint8Array()
    let any = false
    const read = async (target: Uint8Array): Promise<number> => {
      while (rest.length === 0) {
        // Whoever waits for a stream may wait for ever.
        const step = await unlessAborted(iterator.next(), this.#options.signal)
        if (step.done === true) {
          if (!any) throw new SourceError(`read ${this.#path}: no data read`)
          return 0
        }
        rest = step.value
      }
      any = true
      const length = Math.min(rest.length, target.length)
      target.set(rest.subarray(0, length))
      rest = rest.subarray(length)
      return length
    }
    return { stat: this.lstat(path), read, close: () => undefined }
  }

  isMissing(): boolean {
    return false
  }

  absolute(path: string): string {
    return posix.normalize(`/${path}`)
  }
}
