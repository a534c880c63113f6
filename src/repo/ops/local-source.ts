/**
 * The local file system as a backup reads it (format spec §10, §12.3). Synchronous calls: at tens of thousands of
 * small files, promises cost more than the calls.
 */
import { closeSync, lstatSync, readdirSync, readlinkSync, readSync, realpathSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { SourceError } from '../../errors.ts'
import { goModeFromUnix } from '../format/file-mode.ts'
import type { Id } from '../format/id.ts'
import { compareRawNames, decodeRawName } from '../format/raw-name.ts'
import { localTime } from '../format/time.ts'
import type { ExtendedAttribute, Node, NodeType } from '../format/tree.ts'
import { createAccountNames } from './account-names.ts'
import type { BackupSource, SourceFile, SourceStat, ToNodeOptions } from './backup-source.ts'
import { fileStatOf, fingerprintOf, isSameStat, type FileStat } from './file-stat.ts'
import { loadLibc, statOfOpen, SystemCallError, type Entry } from './libc.ts'
import { joinPath, nativePath } from './native-path.ts'
import { openQuietly } from './quiet-open.ts'

const S_IFMT = 0o170000
const TYPE_SHIFT = 12
const NO_CONTENT: readonly Id[] = []
const NO_ATTRIBUTES: readonly ExtendedAttribute[] = []
const KINDS = byFileType<SourceStat['kind']>({
  0o100000: 'file',
  0o040000: 'dir',
  0o120000: 'symlink',
  0o140000: 'socket',
})
const NODE_TYPES = byFileType<NodeType>({
  0o100000: 'file',
  0o040000: 'dir',
  0o120000: 'symlink',
  0o140000: 'socket',
  0o060000: 'dev',
  0o020000: 'chardev',
  0o010000: 'fifo',
})
const HIGH_UNITS = /[\ud800-\uffff]/
/** The file system has no such attributes, or this one went away: nothing is missing from the backup. */
const NO_XATTR_CODES = new Set(['ENOTSUP', 'EOPNOTSUPP', 'ENODATA', 'ENOATTR', 'EPERM'])

interface LocalStat extends SourceStat {
  readonly entry: FileStat
}

/** A folder that is open, and where it was when it was opened. */
export interface OpenedFolder {
  readonly fd: number
  readonly path: string
}

export class LocalSource implements BackupSource {
  readonly #names = createAccountNames()
  readonly #libc = loadLibc()

  lstat(path: string): LocalStat {
    return describe(this.#libc?.lstat(path) ?? fileStatOf(lstatSync(nativePath(path), { bigint: true })))
  }

  /** As `lstat`, of a name in a folder that `libc` opened. */
  lstatIn(folder: OpenedFolder, name: string): LocalStat {
    const entry = this.#libc?.lstatIn(folder.fd, name)
    return entry === undefined ? this.lstat(joinPath(folder.path, name)) : describe(entry)
  }

  /** As `lstat`, of an open file. */
  statOpened(fd: number): LocalStat {
    return describe(statOfOpen(fd))
  }

  resolve(path: string): { readonly path: string; readonly stat: LocalStat } {
    const native = nativePath(path)
    const real = realpathSync.native(native, 'buffer')
    return { path: decodeRawName(real), stat: describe(fileStatOf(statSync(native, { bigint: true }))) }
  }

  listNames(path: string): string[] {
    const native = nativePath(path)
    const names = typeof native === 'string' ? readdirSync(native) : []
    // Below the surrogates code units are in the order of the bytes, and V8's own comparison is faster than ours.
    if (typeof native === 'string' && !names.some((name) => HIGH_UNITS.test(name)))
      return names.toSorted(undefined)
    // Names that are not UTF-8 show as U+FFFD: only then they are worth asking for as bytes.
    const needsBytes = typeof native !== 'string' || names.some((name) => name.includes('\ufffd'))
    const exact = needsBytes ? readdirSync(native, 'buffer').map((name) => decodeRawName(name)) : names
    return exact.toSorted(compareRawNames)
  }

  toNode(path: string, name: string, stat: SourceStat, options: ToNodeOptions): Node {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every stat comes from this class's own lstat, resolve or open
    const { entry } = stat as LocalStat
    const { mode, uid, gid, atime } = entry
    const type = NODE_TYPES[(mode & S_IFMT) >> TYPE_SHIFT]
    if (type === undefined) throw new SourceError(`${path} has an unknown file type`)
    const hasLinks = type !== 'dir' && type !== 'fifo' && type !== 'socket'
    return {
      name,
      type,
      mode: goModeFromUnix(mode),
      mtime: stat.mtime,
      atime: options.withAtime === false ? stat.mtime : localTime(atime.seconds, atime.nanoseconds),
      ctime: stat.ctime,
      uid,
      gid,
      user: this.#names.userName(uid),
      group: this.#names.groupName(gid),
      inode: entry.inode,
      deviceId: entry.deviceId,
      size: type === 'file' ? stat.size : 0,
      links: hasLinks ? entry.links : 0,
      linkTarget: type === 'symlink' ? decodeRawName(readlinkSync(nativePath(path), 'buffer')) : '',
      extendedAttributes: this.#readXattrs(options.fd ?? path, options),
      device: type === 'dev' || type === 'chardev' ? entry.device : 0n,
      content: type === 'file' ? (options.content ?? NO_CONTENT) : null,
      subtree: null,
      error: '',
    }
  }

  open(path: string): SourceFile {
    const native = nativePath(path)
    const fd = openQuietly(native)
    try {
      const stat = this.statOpened(fd)
      return { stat, fd, read: (target) => readSync(fd, target), close: () => closeSync(fd) }
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }

  fingerprint(stat: SourceStat): readonly bigint[] {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as above
    return fingerprintOf((stat as LocalStat).entry)
  }

  /** Whether a file that was opened is still the one that was seen. */
  isSame(seen: SourceStat, fd: number): boolean {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as above
    const { entry } = seen as LocalStat
    return this.#libc?.isSame(fd, entry) ?? isSameStat(entry, statOfOpen(fd))
  }

  isMissing(error: unknown): boolean {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT'
  }

  absolute(path: string): string {
    return resolve(path)
  }

  #readXattrs(entry: Entry, options: ToNodeOptions): readonly ExtendedAttribute[] {
    const libc = this.#libc
    if (libc === undefined) return NO_ATTRIBUTES
    let names: string[]
    try {
      names = libc.listXattrs(entry)
    } catch (error) {
      if (this.isMissing(error)) throw error
      if (!isNoXattrError(error) && !(options.ignoreXattrListError && isDenied(error)))
        options.onWarning(asError(error))
      return NO_ATTRIBUTES
    }
    if (names.length === 0) return NO_ATTRIBUTES
    const attributes: ExtendedAttribute[] = []
    for (const name of names) {
      try {
        attributes.push({ name, value: libc.getXattr(entry, name) })
      } catch (error) {
        if (!isNoXattrError(error)) options.onWarning(asError(error))
      }
    }
    return attributes
  }
}

/** By the type bits of a mode, moved down: V8 looks small numbers up in an array, and such large ones in a hash table. */
function byFileType<Value>(values: Readonly<Record<number, Value>>): readonly (Value | undefined)[] {
  return Array.from({ length: (S_IFMT >> TYPE_SHIFT) + 1 }, (_, type) => values[type << TYPE_SHIFT])
}

function describe(entry: FileStat): LocalStat {
  const { mode, size, mtime, ctime, inode, deviceId } = entry
  return {
    kind: KINDS[(mode & S_IFMT) >> TYPE_SHIFT] ?? 'other',
    size,
    mtime: localTime(mtime.seconds, mtime.nanoseconds),
    ctime: localTime(ctime.seconds, ctime.nanoseconds),
    inode,
    deviceId,
    entry,
  }
}

function isNoXattrError(error: unknown): boolean {
  return error instanceof SystemCallError && NO_XATTR_CODES.has(error.code)
}

function isDenied(error: unknown): boolean {
  return error instanceof SystemCallError && error.code === 'EACCES'
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
