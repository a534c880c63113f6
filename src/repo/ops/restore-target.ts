/**
 * The folder a restore writes to, and everything that touches it. Nothing here leaves it: names have been checked to
 * be single components, a folder is only entered after lstat found a real one, and files are opened with O_NOFOLLOW.
 */
import {
  chmodSync, closeSync, constants, ftruncateSync, linkSync, lstatSync, mkdirSync, openSync, readdirSync, readSync,
  rmdirSync, rmSync, statSync, symlinkSync, unlinkSync, writeSync, type BigIntStats,
} from 'node:fs' // prettier-ignore
import { dirname } from 'node:path'
import { BackendError, UnsupportedError } from '../../errors.ts'
import { decodeRawName, encodeRawName } from '../format/raw-name.ts'
import type { Node, NodeType } from '../format/tree.ts'
import { loadLibc } from './libc.ts'
import { nativePath } from './native-path.ts'

/** Until its metadata is set nobody else may look into what is being restored. */
const FOLDER_MODE = 0o700
const FILE_MODE = 0o600
const OPEN_FLAGS = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK
/** What the node's type says counts, not its mode, which may say otherwise. */
const SPECIAL_TYPES: Partial<Record<NodeType, number>> = { dev: 0o060000, chardev: 0o020000, fifo: 0o010000 }
const CREATE_FLAGS = OPEN_FLAGS | constants.O_CREAT | constants.O_EXCL
/** Smaller files are not worth a call: there is little to write. */
const RESERVED_BYTES_MIN = 512 << 10
/** Folders known to be real ones; bounded, as a tree may have millions. */
const KNOWN_FOLDERS_MAX = 10_000

export interface OpenedFile {
  readonly fd: number
  readonly isNew: boolean
  /** Zeros need not be written: it is full of them. */
  readonly isZeroed: boolean
}

export class RestoreTarget {
  readonly root: string
  readonly #allowDelete: boolean
  readonly #folders = new Set<string>()
  readonly #newFolders = new Set<string>()

  /** @param allowDelete whether a folder with content may be removed where a file is to go (`--delete`) */
  constructor(root: string, allowDelete: boolean) {
    this.root = root.endsWith('/') && root.length > 1 ? root.slice(0, -1) : root
    this.#allowDelete = allowDelete
  }

  /** Path of an item; `location` is absolute within the snapshot. */
  pathOf(location: string): string {
    if (location === '/') return this.root
    return this.root === '/' ? location : this.root + location
  }

  /** Makes the root folder and those above it. What the user named may be a symlink to a folder. */
  createRoot(): void {
    makeFolders(this.root)
  }

  /** Makes the folder at `location` and those above it; what stands in the way and is no folder is removed. */
  ensureFolder(location: string): void {
    if (location === '/' || this.#folders.has(location)) return
    this.ensureFolder(dirname(location))
    const path = this.pathOf(location)
    const stats = this.lstat(location)
    if (stats?.isDirectory() !== true) {
      if (stats !== undefined) unlinkSync(nativePath(path))
      mkdirSync(nativePath(path), { mode: FOLDER_MODE })
      this.#newFolders.add(location)
    }
    this.#remember(location)
  }

  #remember(location: string): void {
    if (this.#folders.size >= KNOWN_FOLDERS_MAX) this.#folders.clear()
    this.#folders.add(location)
  }

  /** What stands at `location`; nothing does where the way there leads through a symlink, and so elsewhere. */
  lstat(location: string): BigIntStats | undefined {
    if (location === '/') return statSync(nativePath(this.root), { bigint: true, throwIfNoEntry: false })
    if (!this.#isRealFolder(dirname(location))) return undefined
    return lstatSync(nativePath(this.pathOf(location)), { bigint: true, throwIfNoEntry: false })
  }

  /** What stood at `location` before: nothing in folders that were made here. */
  lstatBefore(location: string, folder: string = dirname(location)): BigIntStats | undefined {
    return this.#newFolders.has(folder) ? undefined : this.lstat(location)
  }

  /** Whether `location` and all above it are folders and no symlinks to folders. */
  #isRealFolder(location: string): boolean {
    if (location === '/' || this.#folders.has(location)) return true
    if (this.lstat(location)?.isDirectory() !== true) return false
    this.#remember(location)
    return true
  }

  listNames(location: string): string[] {
    return readdirSync(nativePath(this.pathOf(location)), 'buffer').map((name) => decodeRawName(name))
  }

  /** Removes whatever stands at `location`: a folder only where empty, or with all its content if that was allowed. */
  clear(location: string): void {
    const stats = this.lstat(location)
    if (stats === undefined) return
    const path = nativePath(this.pathOf(location))
    if (!stats.isDirectory()) unlinkSync(path)
    else if (this.#allowDelete) this.#removeTree(location)
    else rmdirSync(path)
    this.#folders.clear()
  }

  /** Everything at and below `location`, what is in a folder before the folder. */
  *everythingAt(location: string): Generator<string> {
    if (this.lstat(location)?.isDirectory() === true) {
      for (const name of this.listNames(location).toSorted().toReversed())
        yield* this.everythingAt(`${location}/${name}`)
    }
    yield location
  }

  /** Removes an entry the snapshot does not have, with everything below it. */
  remove(location: string): void {
    this.#removeTree(location)
    this.#folders.clear()
  }

  /**
   * Opens the file at `location` for writing, creating it where nothing usable stands: a symlink, special file or file
   * with more names than this one would carry the content elsewhere, so it is replaced.
   * @param sparse whether a new file may have holes
   */
  openFile(location: string, sizeBytes: number, sparse: boolean): OpenedFile {
    this.ensureFolder(dirname(location))
    const created = createFile(nativePath(this.pathOf(location)))
    const { fd, isNew } = created === undefined ? this.#openExisting(location) : { fd: created, isNew: true }
    try {
      const isZeroed = isNew && fillWithZeros(fd, sizeBytes, sparse)
      if (!isZeroed) ftruncateSync(fd, sizeBytes)
      return { fd, isNew, isZeroed }
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }

  /** Opens what `openFile` made before. */
  reopenFile(location: string): number {
    this.ensureFolder(dirname(location))
    return openSync(nativePath(this.pathOf(location)), OPEN_FLAGS)
  }

  /** Opens for reading what is to be compared or verified. */
  openForReading(location: string): number {
    return openSync(
      nativePath(this.pathOf(location)),
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    )
  }

  /** Makes a symlink, device or fifo. @throws UnsupportedError where this system cannot, or nobody can */
  createSpecial(location: string, node: Node): void {
    this.ensureFolder(dirname(location))
    this.clear(location)
    const path = this.pathOf(location)
    if (node.type === 'symlink') {
      symlinkSync(Buffer.from(encodeRawName(node.linkTarget)), nativePath(path))
      return
    }
    const type = SPECIAL_TYPES[node.type]
    if (type === undefined) throw new UnsupportedError(`file type "${node.type}" cannot be restored`)
    const libc = loadLibc()
    if (libc === undefined)
      throw new UnsupportedError(`${node.type} cannot be created: the C library cannot be loaded`)
    libc.makeNode(path, type | FILE_MODE, node.type === 'fifo' ? 0n : node.device)
  }

  /**
   * Makes `location` another name of what stands at `existing`.
   * @throws UnsupportedError where that is not what the node says: what was left as it is may be anything, and the
   * metadata of a file must not be set through a symlink
   */
  link(existing: string, location: string, node: Node): void {
    if (!isOfType(this.lstat(existing), node.type))
      throw new UnsupportedError(`it is the same file as ${existing}, where something else stands`)
    this.ensureFolder(dirname(location))
    this.clear(location)
    linkSync(nativePath(this.pathOf(existing)), nativePath(this.pathOf(location)))
  }

  #openExisting(location: string): { readonly fd: number; readonly isNew: boolean } {
    const path = nativePath(this.pathOf(location))
    const stats = this.lstat(location)
    if (stats?.isFile() === true && stats.nlink === 1n) return { fd: openDespiteMode(path), isNew: false }
    if (stats !== undefined) this.clear(location)
    return { fd: openSync(path, CREATE_FLAGS, FILE_MODE), isNew: true }
  }

  #removeTree(location: string): void {
    rmSync(nativePath(this.pathOf(location)), { recursive: true, force: true })
  }
}

function isOfType(stats: BigIntStats | undefined, type: NodeType): boolean {
  if (stats === undefined) return false
  if (type === 'file') return stats.isFile()
  if (type === 'symlink') return stats.isSymbolicLink()
  return !stats.isFile() && !stats.isSymbolicLink() && !stats.isDirectory()
}

/** Makes a new file; undefined where something stands there already. */
export function createFile(path: string | Buffer): number | undefined {
  try {
    return openSync(path, CREATE_FLAGS, FILE_MODE)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return undefined
    throw error
  }
}

/**
 * Fills a new file with zeros, up to its size, where that costs next to nothing: with a hole where it may be sparse, else
 * with the room on the disk that it would take if they were written, as far as its file system does that.
 * @returns whether it did; otherwise the file is left empty
 */
export function fillWithZeros(fd: number, sizeBytes: number, sparse: boolean): boolean {
  if (!sparse) return sizeBytes >= RESERVED_BYTES_MIN && reserve(fd, sizeBytes)
  ftruncateSync(fd, sizeBytes)
  return true
}

/** False where the system would not, whatever the reason: if the disk is full, writing will tell. */
function reserve(fd: number, sizeBytes: number): boolean {
  try {
    const libc = loadLibc()
    libc?.reserve(fd, sizeBytes)
    return libc !== undefined
  } catch {
    // Gives back what there was room for.
    ftruncateSync(fd, 0)
    return false
  }
}

/** Writes all of `data` at `offset`. */
export function writeFully(fd: number, data: Uint8Array, offset: number): void {
  for (let written = 0; written < data.length;) {
    written += writeSync(fd, data, written, data.length - written, offset + written)
  }
}

/** Fills `target` from `offset`; the bytes there were. */
export function readFully(fd: number, target: Uint8Array, offset: number): number {
  let filled = 0
  while (filled < target.length) {
    const length = readSync(fd, target, filled, target.length - filled, offset + filled)
    if (length === 0) break
    filled += length
  }
  return filled
}

/** As `mkdir -p`. Node's own answers ENOENT where the disk is full. */
function makeFolders(path: string): void {
  if (statSync(nativePath(path), { throwIfNoEntry: false })?.isDirectory() === true) return
  if (dirname(path) !== path) makeFolders(dirname(path))
  mkdirSync(nativePath(path), { mode: FOLDER_MODE })
}

/** A file of ours that we may not write to, as its mode was restored before, is made writable first. */
function openDespiteMode(path: string | Buffer): number {
  try {
    return openSync(path, OPEN_FLAGS)
  } catch (error) {
    if (!hasCode(error, 'EACCES')) throw error
    chmodSync(path, FILE_MODE)
    return openSync(path, OPEN_FLAGS)
  }
}

/**
 * Whether an error says that nothing more can be written at all, so that going on is pointless. Some file systems say
 * ENOSPC of a single extended attribute that is too long for them.
 */
export function isTargetFull(error: unknown): error is Error {
  const isFull = hasCode(error, 'ENOSPC') || hasCode(error, 'EDQUOT')
  return isFull && !(error instanceof Error && 'syscall' in error && error.syscall === 'lsetxattr')
}

/** What a full disk looks like to the caller. */
export function targetFullError(path: string, error: Error): BackendError {
  const reason = hasCode(error, 'EDQUOT') ? 'disk quota exceeded' : 'no space left on device'
  return new BackendError(`unable to restore ${path}: ${reason}`, {
    cause: error,
    hint: 'make room and run the restore again: files already restored are kept',
  })
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
