/**
 * A repository in a folder of an SFTP server (format spec §1), reached through the system's ssh as restic does, so that
 * its configuration, agent and known hosts count. Files are written under a temporary name, synced and renamed.
 */
import { randomBytes } from 'node:crypto'
import { posix } from 'node:path'
import { BackendError, FileNotFoundError, throwIfAborted } from '../errors.ts'
import type { Backend, ByteRange, FileInfo, FileType, Handle } from './backend.ts'
import { oneLine } from './http-breaks.ts'
import { KeptSession } from './kept-session.ts'
import { FILE_TYPES, folderOf, isFileName, packFolders, pathOf } from './layout.ts'
import { SftpConnectionError, SftpStatusError } from './sftp-client.ts'
import { isStatus, type SftpFiles } from './sftp-files.ts'
import { explainFailure, isComplete, isFile, makeFolder, makeFolders, replace } from './sftp-folders.ts'
import { BrokenPacket, STATUS, type SftpAttributes, type SftpName } from './sftp-packets.ts'
import { SftpSession } from './sftp-session.ts'
import { untilAborted } from './shared-call.ts'

export interface SftpBackendOptions {
  /** The location as shown to people. */
  readonly location: string
  readonly connections?: number | undefined
  /** How long the server may leave all requests unanswered. */
  readonly idleMs?: number | undefined
  readonly onMessage?: ((line: string) => void) | undefined
}

interface Modes {
  readonly folder: number
  readonly file: number
}

const DEFAULT_CONNECTIONS = 5
const IDLE_MS = 300_000
/** How long closing waits for what was aborted to clean up. */
const CLEANUP_MS = 2_000
/** Folders listed at once: each takes three answers of the server, and there are 256. */
const FOLDERS_AT_ONCE = 32
const GROUP_READ = 0o040
const ONLY_OURS: Modes = { folder: 0o700, file: 0o600 }
const FOR_THE_GROUP: Modes = { folder: 0o770, file: 0o660 }

export class SftpBackend implements Backend {
  readonly location: string
  readonly connections: number
  readonly #root: string
  readonly #session: KeptSession<SftpSession>
  /** What goes on, also after its caller was told of an abort: temporary files are removed then. */
  readonly #underWay = new Set<Promise<unknown>>()
  #modes: Modes | undefined
  #hasPosixRename = true
  #needsModeToRemove = false

  /**
   * @param command program and arguments that speak SFTP on their standard input and output
   * @param root folder of the repository on the server
   */
  constructor(command: readonly string[], root: string, options: SftpBackendOptions) {
    this.location = options.location
    this.connections = options.connections ?? DEFAULT_CONNECTIONS
    this.#root = root
    const { idleMs = IDLE_MS, onMessage } = options
    this.#session = new KeptSession(async (signal) => {
      const session = await SftpSession.start(command, { idleMs, onMessage }, signal)
      this.#hasPosixRename = session.files.hasPosixRename
      return session
    })
  }

  /** As OpenSSH's server has it, until this server has said otherwise. */
  get hasAtomicReplace(): boolean {
    return this.#hasPosixRename
  }

  async create(signal?: AbortSignal): Promise<void> {
    await this.#attempt(`create ${this.location}`, signal, async (files) => {
      await makeFolders(files, this.#root, ONLY_OURS.folder)
      for (const group of [FILE_TYPES.map(folderOf), packFolders()]) {
        throwIfAborted(signal)
        await Promise.all(group.map((folder) => makeFolder(files, this.#path(folder), ONLY_OURS.folder)))
      }
    })
  }

  async stat(handle: Handle, signal?: AbortSignal): Promise<FileInfo> {
    const path = this.#path(pathOf(handle))
    const { size } = await this.#attempt(`stat ${path}`, signal, (files) => files.stat(path), path)
    if (size === undefined) throw new BackendError(`stat ${path}: the server tells no sizes`)
    return { name: handle.name, size }
  }

  async *list(type: Exclude<FileType, 'config'>, signal?: AbortSignal): AsyncGenerator<FileInfo> {
    const folder = this.#path(folderOf(type))
    const folders = type === 'pack' ? await this.#subfolders(folder, signal) : [folder]
    for (let start = 0; start < folders.length; start += FOLDERS_AT_ONCE) {
      const group = folders.slice(start, start + FOLDERS_AT_ONCE)
      const lists = await this.#attempt(`list ${folder}`, signal, (files) =>
        Promise.all(group.map((path) => filesIn(files, path, signal))),
      )
      for (const file of lists.flat()) {
        throwIfAborted(signal)
        yield file
      }
    }
  }

  async read(handle: Handle, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    const path = this.#path(pathOf(handle))
    const what = `read ${path}`
    const bytes = await this.#attempt(what, signal, (files) => files.read(path, range, signal), path)
    if (range === undefined || bytes.length === range.length) return bytes
    throw new BackendError(`${what}: the file is too short: no ${range.length} bytes at ${range.offset}`, {
      hint: 'run `check` to see what is affected',
    })
  }

  async write(handle: Handle, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    const path = this.#path(pathOf(handle))
    await this.#attempt(`write ${path}`, signal, async (files) => {
      const modes = await this.#readModes(files)
      const temporary = `${path}-restic-temp-${randomBytes(16).toString('hex')}`
      const mode = { create: modes.file, final: modes.file & ~0o222 }
      try {
        await this.#writeNew(files, temporary, () => files.write(temporary, data, mode, signal))
        throwIfAborted(signal)
        await replace(files, temporary, path)
      } catch (error) {
        await files.remove(temporary).catch(() => undefined)
        throw isStatus(error, STATUS.failure)
          ? await explainFailure(files, error, { path, length: data.length })
          : error
      }
    })
  }

  async remove(handle: Handle, signal?: AbortSignal): Promise<void> {
    const path = this.#path(pathOf(handle))
    await this.#attempt(`remove ${path}`, signal, (files) => this.#remove(files, path), path)
  }

  async close(): Promise<void> {
    const limit = new AbortController()
    const timer = setTimeout(() => limit.abort(), CLEANUP_MS)
    await untilAborted(Promise.allSettled(this.#underWay), limit.signal).catch(() => undefined)
    clearTimeout(timer)
    await this.#session.close()
  }

  #path(relative: string): string {
    return posix.join(this.#root, relative)
  }

  /** Servers on Windows do not remove what is read-only. */
  async #remove(files: SftpFiles, path: string): Promise<void> {
    const { file } = await this.#readModes(files)
    if (this.#needsModeToRemove) await files.setMode(path, file)
    try {
      await files.remove(path)
    } catch (error) {
      if (this.#needsModeToRemove || !isStatus(error, STATUS.permissionDenied)) throw error
      await files.setMode(path, file)
      await files.remove(path)
      this.#needsModeToRemove = true
    }
  }

  async #writeNew(files: SftpFiles, path: string, write: () => Promise<void>): Promise<void> {
    try {
      await write()
    } catch (error) {
      if (!isStatus(error, STATUS.noSuchFile)) throw error
      const { folder } = await this.#readModes(files)
      await makeFolders(files, posix.dirname(path), folder)
      await write()
    }
  }

  async #subfolders(folder: string, signal: AbortSignal | undefined): Promise<string[]> {
    const entries = await this.#attempt(`list ${folder}`, signal, (files) => entriesOf(files, folder, signal))
    return entries
      .filter(({ name }) => /^[0-9a-f]{2}$/.test(name))
      .map(({ name }) => posix.join(folder, name))
  }

  /** A repository whose config its group may read keeps everything readable for the group, as restic does. */
  async #readModes(files: SftpFiles): Promise<Modes> {
    if (this.#modes !== undefined) return this.#modes
    try {
      const { mode = 0 } = await files.stat(this.#path('config'))
      this.#modes = (mode & GROUP_READ) === 0 ? ONLY_OURS : FOR_THE_GROUP
      return this.#modes
    } catch (error) {
      if (isStatus(error, STATUS.noSuchFile)) return ONLY_OURS // no config yet: ask again once there is one
      throw error
    }
  }

  #follow<T>(call: Promise<T>): Promise<T> {
    this.#underWay.add(call)
    const forget = (): boolean => this.#underWay.delete(call)
    call.then(forget, forget)
    return call
  }

  /** @param missing path to name where the file is not there */
  async #attempt<T>(
    what: string,
    signal: AbortSignal | undefined,
    call: (files: SftpFiles) => Promise<T>,
    missing?: string,
  ): Promise<T> {
    throwIfAborted(signal)
    const session = await this.#session.get(signal)
    try {
      return await untilAborted(this.#follow(call(session.files)), signal)
    } catch (error) {
      throwIfAborted(signal)
      if (error instanceof SftpConnectionError || error instanceof BrokenPacket)
        throw prefixed(what, await session.explain(error))
      if (!(error instanceof SftpStatusError)) throw error
      if (missing !== undefined && error.status === STATUS.noSuchFile) throw new FileNotFoundError(missing)
      throw statusError(what, error)
    }
  }
}

function prefixed(what: string, error: BackendError): BackendError {
  const { cause, hint, transient } = error
  return new BackendError(`${what}: ${error.message}`, {
    cause,
    transient,
    ...(hint === undefined ? {} : { hint }),
  })
}

function statusError(what: string, error: SftpStatusError): BackendError {
  const isDenied = error.status === STATUS.permissionDenied
  const said = oneLine(error.message) || 'no reason given'
  return new BackendError(`${what}: the server answers ${error.status}: ${said}`, {
    cause: error,
    transient: !isDenied && error.status !== STATUS.unsupported,
    ...(isDenied ? { hint: 'check who owns the repository on the server and its permissions' } : {}),
  })
}

/** Nothing, where there is no such folder. */
async function entriesOf(
  files: SftpFiles,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<SftpName[]> {
  try {
    return await files.readFolder(folder, signal)
  } catch (error) {
    if (isStatus(error, STATUS.noSuchFile)) return []
    throw error
  }
}

async function filesIn(
  files: SftpFiles,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<FileInfo[]> {
  const found: FileInfo[] = []
  for (const { name, attributes } of await entriesOf(files, folder, signal)) {
    if (!isFileName(name)) continue
    const known = isComplete(attributes) ? attributes : await statIfThere(files, posix.join(folder, name))
    if (known?.size !== undefined && isFile(known)) found.push({ name, size: known.size })
  }
  return found
}

/** Undefined for what was removed since it was listed. */
async function statIfThere(files: SftpFiles, path: string): Promise<SftpAttributes | undefined> {
  try {
    return await files.stat(path)
  } catch (error) {
    if (isStatus(error, STATUS.noSuchFile)) return undefined
    throw error
  }
}
