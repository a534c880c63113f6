/**
 * A repository in a folder (format spec §1, §15). Files are written under a temporary name, synced, renamed and their
 * folder synced, so that a file under its final name is always whole, whatever happens.
 */
import { randomBytes } from 'node:crypto'
import type { Dirent } from 'node:fs'
import { mkdir, open, readdir, rename, stat, unlink, type FileHandle } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { BackendError, FileNotFoundError, throwIfAborted } from '../errors.ts'
import type { Backend, ByteRange, FileInfo, FileType, Handle } from './backend.ts'
import { DirectWriter } from './direct-write.ts'
import { FILE_TYPES, folderOf, isFileName, packFolders, pathOf } from './layout.ts'
import { ReadMemory } from './read-memory.ts'

export interface LocalBackendOptions {
  /** Transfers at once; restic's default for a disk is 2. */
  readonly connections?: number | undefined
}

const DEFAULT_CONNECTIONS = 2
const GROUP_READ = 0o040
const STATS_AT_ONCE = 256
/** A range longer than this is compared with the file's length before there is memory for it. */
const UNCHECKED_BYTES_MAX = 1 << 20
/** Errors that pass by themselves; all others will come again. */
const TRANSIENT_CODES = new Set([
  'EAGAIN',
  'EBUSY',
  'EINTR',
  'EIO',
  'EMFILE',
  'ENFILE',
  'ETIMEDOUT',
  'ESTALE',
])
/** File systems that cannot do what was asked say so in one of these ways. */
const UNSUPPORTED_CODES = new Set(['EINVAL', 'ENOSYS', 'ENOTSUP', 'ENOTTY', 'EOPNOTSUPP'])
/** There are more ways to say that a folder cannot be synced, or that a mode cannot be changed. */
const UNSUPPORTED_OR_FORBIDDEN_CODES = new Set([...UNSUPPORTED_CODES, 'EACCES', 'EBADF', 'EISDIR', 'EPERM'])

const HINTS: Record<string, string> = {
  ENOSPC: 'make room on the disk that holds the repository and run the command again',
  EDQUOT: 'the disk quota is used up: make room and run the command again',
  EFBIG: 'the file size limit is too low for a pack: raise it (ulimit -f) and run the command again',
  EACCES: 'check who owns the repository and its permissions',
  EPERM: 'check who owns the repository and its permissions',
  EROFS: 'the file system is mounted read-only',
}

export class LocalBackend implements Backend {
  readonly location: string
  readonly connections: number
  readonly hasAtomicReplace: boolean = true
  readonly listsForFree: boolean = true
  readonly #root: string
  readonly #memory = new ReadMemory()
  readonly #direct = new DirectWriter()
  #modes: Promise<{ readonly folder: number; readonly file: number }> | undefined

  /** @param path absolute, or relative to the working directory */
  constructor(path: string, options: LocalBackendOptions = {}) {
    this.location = path
    this.#root = resolve(path)
    this.connections = options.connections ?? DEFAULT_CONNECTIONS
  }

  async create(signal?: AbortSignal): Promise<void> {
    for (const folders of [[''], FILE_TYPES.map(folderOf), packFolders()]) {
      throwIfAborted(signal)
      await Promise.all(folders.map((folder) => this.#createFolder(join(this.#root, folder))))
    }
  }

  async stat(handle: Handle, signal?: AbortSignal): Promise<FileInfo> {
    throwIfAborted(signal)
    const path = this.#pathOf(handle)
    const info = await this.#attempt(`stat ${path}`, () => stat(path), path)
    return { name: handle.name, size: info.size }
  }

  async *list(type: Exclude<FileType, 'config'>, signal?: AbortSignal): AsyncGenerator<FileInfo> {
    throwIfAborted(signal)
    const folder = join(this.#root, folderOf(type))
    const folders = type === 'pack' ? await this.#subfolders(folder) : [folder]
    for (const path of folders) {
      const names = await this.#fileNames(path)
      for (let start = 0; start < names.length; start += STATS_AT_ONCE) {
        const some = names.slice(start, start + STATS_AT_ONCE)
        const infos = await Promise.all(some.map((name) => this.#statIfThere(path, name)))
        for (const info of infos) {
          throwIfAborted(signal)
          if (info !== undefined) yield info
        }
      }
    }
  }

  async read(handle: Handle, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal)
    const path = this.#pathOf(handle)
    const file = await this.#attempt(`open ${path}`, () => open(path, 'r'), path)
    try {
      return await this.#attempt(`read ${path}`, async () => {
        const { offset, length } = range ?? { offset: 0, length: (await file.stat()).size }
        if (range !== undefined && length > UNCHECKED_BYTES_MAX) {
          const { size } = await file.stat()
          if (size < offset + length) throw tooShort(path, offset + length - size)
        }
        return readExactly(file, { path, offset, buffer: this.#memory.take(length) }, signal)
      })
    } finally {
      await file.close()
    }
  }

  async write(handle: Handle, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal)
    const path = this.#pathOf(handle)
    const temporary = `${path}-tmp-${randomBytes(8).toString('hex')}`
    const modes = await this.#readModes()
    await this.#attempt(`write ${path}`, async () => {
      const file = await openNew(temporary, modes)
      try {
        try {
          await writeRest(file, data, await this.#direct.write(temporary, data))
          await ignoring(UNSUPPORTED_CODES, () => file.sync())
          // Only a protection against mistakes, and not to be had on every file system.
          await ignoring(UNSUPPORTED_OR_FORBIDDEN_CODES, () => file.chmod(modes.file & ~0o222))
        } finally {
          await file.close()
        }
        throwIfAborted(signal)
        await rename(temporary, path)
      } catch (error) {
        await unlink(temporary).catch(() => undefined)
        throw error
      }
      await syncFolder(dirname(path))
    })
  }

  async remove(handle: Handle, signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal)
    const path = this.#pathOf(handle)
    await this.#attempt(`remove ${path}`, () => unlink(path), path)
  }

  reuse(bytes: Uint8Array): void {
    this.#memory.give(bytes)
  }

  async close(): Promise<void> {
    // Nothing is held open between calls.
  }

  async #createFolder(path: string): Promise<void> {
    await this.#attempt(`create folder ${path}`, () => makeFolder(path, 0o700))
  }

  #pathOf(handle: Handle): string {
    return join(this.#root, pathOf(handle))
  }

  /** A repository whose config its group may read keeps everything readable for the group, as restic does. */
  #readModes(): Promise<{ readonly folder: number; readonly file: number }> {
    this.#modes ??= stat(join(this.#root, 'config')).then(
      (config) =>
        (config.mode & GROUP_READ) === 0 ? { folder: 0o700, file: 0o600 } : { folder: 0o770, file: 0o660 },
      () => {
        this.#modes = undefined // no config yet: ask again once there is one
        return { folder: 0o700, file: 0o600 }
      },
    )
    return this.#modes
  }

  async #subfolders(folder: string): Promise<string[]> {
    const entries = await this.#entries(folder)
    return entries
      .filter((entry) => /^[0-9a-f]{2}$/.test(entry.name))
      .map((entry) => join(folder, entry.name))
  }

  async #entries(folder: string): Promise<Dirent[]> {
    try {
      return await readdir(folder, { withFileTypes: true })
    } catch (error) {
      if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return []
      throw backendError(`list ${folder}`, error)
    }
  }

  async #fileNames(folder: string): Promise<string[]> {
    const entries = await this.#entries(folder)
    return entries.filter((entry) => isFileName(entry.name) && !entry.isDirectory()).map(({ name }) => name)
  }

  /** Undefined for what is not a file, such as a link that leads nowhere. */
  async #statIfThere(folder: string, name: string): Promise<FileInfo | undefined> {
    const path = join(folder, name)
    try {
      const info = await stat(path)
      return info.isFile() ? { name, size: info.size } : undefined
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined // removed since it was listed
      throw backendError(`stat ${path}`, error)
    }
  }

  /** @param missing path to name where the file is not there */
  async #attempt<T>(what: string, call: () => Promise<T>, missing?: string): Promise<T> {
    try {
      return await call()
    } catch (error) {
      if (missing !== undefined && codeOf(error) === 'ENOENT')
        throw new FileNotFoundError(missing, { cause: error })
      throw codeOf(error) === undefined ? error : backendError(what, error)
    }
  }
}

async function openNew(
  path: string,
  modes: { readonly folder: number; readonly file: number },
): Promise<FileHandle> {
  try {
    return await open(path, 'wx', modes.file)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    await makeFolder(dirname(path), modes.folder)
    return open(path, 'wx', modes.file)
  }
}

/** Node says ENOENT where folders cannot be made one in another, whatever the reason: at first it is asked for one. */
async function makeFolder(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, { mode })
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' && codeOf(error) !== 'EEXIST') throw error
    await mkdir(path, { recursive: true, mode })
  }
}

async function readExactly(
  file: FileHandle,
  wanted: { readonly path: string; readonly offset: number; readonly buffer: Uint8Array },
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const { path, offset, buffer } = wanted
  const { length } = buffer
  let filled = 0
  while (filled < length) {
    throwIfAborted(signal)
    const { bytesRead } = await file.read(buffer, filled, length - filled, offset + filled)
    if (bytesRead === 0) throw tooShort(path, length - filled)
    filled += bytesRead
  }
  return buffer
}

function tooShort(path: string, missing: number): BackendError {
  return new BackendError(`read ${path}: the file ends ${missing} bytes too early`, {
    hint: 'run `check` to see what is affected',
  })
}

async function writeRest(file: FileHandle, data: Uint8Array, start: number): Promise<void> {
  let written = start
  while (written < data.length) {
    const { bytesWritten } = await file.write(data, written, data.length - written, written)
    written += bytesWritten
  }
}

async function syncFolder(path: string): Promise<void> {
  await ignoring(UNSUPPORTED_OR_FORBIDDEN_CODES, async () => {
    const folder = await open(path, 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  })
}

async function ignoring(codes: ReadonlySet<string>, call: () => Promise<void>): Promise<void> {
  try {
    await call()
  } catch (error) {
    if (!codes.has(codeOf(error) ?? '')) throw error
  }
}

function backendError(what: string, error: unknown): BackendError {
  const code = codeOf(error) ?? ''
  const hint = HINTS[code]
  // Node says "EACCES: permission denied, open '/path'": the code tells people nothing, and the call is in `what`.
  const message =
    error instanceof Error ? error.message.replace(/^[A-Z0-9_]+: |, \w+(?: '.*)?$/g, '') : String(error)
  return new BackendError(`${what}: ${message}`, {
    cause: error,
    transient: TRANSIENT_CODES.has(code),
    ...(hint === undefined ? {} : { hint }),
  })
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && 'syscall' in error
    ? error.code
    : undefined
}
