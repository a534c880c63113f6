/**
 * The files of one repository's cache (format spec §14): copies of stored bytes, named by their hashes. What another
 * process or a bad disk made of them is found out before anything is given away: a copy that does not have its hash
 * is removed and counts as absent.
 */
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, open, readdir, rename, stat, unlink, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ByteRange } from './backend.ts'
import { isCode, type CachedType } from './cache-directory.ts'
import { folderOf, isFileName, pathOf } from './layout.ts'

export interface CachedHandle {
  readonly type: CachedType
  readonly name: string
}

/** The state of a file whose hash was right: as long as it stays so, it is not read again as a whole. */
interface Seen {
  readonly inode: bigint
  readonly size: bigint
  readonly mtimeNs: bigint
}

const PIECE_BYTES = 1 << 20
/** A temporary file this old was left by a process that died. */
const ABANDONED_MS = 24 * 60 * 60_000

export class CacheFiles {
  readonly #root: string
  readonly #checked = new Map<string, Seen>()

  /** @param root folder of the repository's cache */
  constructor(root: string) {
    this.#root = root
  }

  /** The file or a range of it, in a buffer of its own. What is not whole is absent. */
  async read(handle: CachedHandle, range?: ByteRange): Promise<Uint8Array | 'absent' | 'too short'> {
    const path = this.#pathOf(handle)
    let file: FileHandle
    try {
      file = await open(path, 'r')
    } catch {
      return 'absent'
    }
    try {
      const size = await this.#check(file, path, handle.name)
      if (size === undefined) return 'absent'
      const { offset, length } = range ?? { offset: 0, length: size }
      if (offset + length > size) return 'too short'
      return (await readExactly(file, offset, length)) ?? 'absent'
    } catch {
      return 'absent' // a disk that cannot be read is as good as none
    } finally {
      await file.close()
    }
  }

  /** @throws errors of the file system; nothing is left behind then */
  async write(handle: CachedHandle, data: Uint8Array): Promise<void> {
    const path = this.#pathOf(handle)
    const temporary = join(dirname(path), `tmp-${randomBytes(8).toString('hex')}`)
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const file = await open(temporary, 'wx', 0o600)
    try {
      let seen: Seen
      try {
        await file.writeFile(data)
        seen = await stateOf(file)
      } finally {
        await file.close()
      }
      await rename(temporary, path)
      this.#checked.set(path, seen)
    } catch (error) {
      await unlink(temporary).catch(() => undefined)
      throw error
    }
  }

  /** @throws errors of the file system, but not where there is no such file */
  async remove(handle: CachedHandle): Promise<void> {
    const path = this.#pathOf(handle)
    this.#checked.delete(path)
    try {
      await unlink(path)
    } catch (error) {
      if (!isCode(error, 'ENOENT')) throw error
    }
  }

  /** The names of all files of a type. Removes what died processes left beside them. */
  async names(type: CachedType): Promise<Set<string>> {
    const folder = join(this.#root, folderOf(type))
    const names = new Set<string>()
    for (const subfolder of await entriesOf(folder)) {
      for (const name of await entriesOf(join(folder, subfolder))) {
        if (isFileName(name)) names.add(name)
        else if (name.startsWith('tmp-')) await removeIfAbandoned(join(folder, subfolder, name))
      }
    }
    return names
  }

  /** In a cache all types are spread over subfolders. */
  #pathOf({ type, name }: CachedHandle): string {
    pathOf({ type, name }) // throws for what is no name
    return join(this.#root, folderOf(type), name.slice(0, 2), name)
  }

  /** The file's length; undefined where its content is not what its name says: it is removed then. */
  async #check(file: FileHandle, path: string, name: string): Promise<number | undefined> {
    const state = await stateOf(file)
    const seen = this.#checked.get(path)
    const isSame =
      seen !== undefined &&
      seen.inode === state.inode &&
      seen.size === state.size &&
      seen.mtimeNs === state.mtimeNs
    if (isSame) return Number(state.size)
    if ((await hashOf(file)) !== name) {
      this.#checked.delete(path)
      await unlink(path)
      return undefined
    }
    this.#checked.set(path, state)
    return Number(state.size)
  }
}

async function stateOf(file: FileHandle): Promise<Seen> {
  const { ino, size, mtimeNs } = await file.stat({ bigint: true })
  return { inode: ino, size, mtimeNs }
}

async function hashOf(file: FileHandle): Promise<string> {
  const hash = createHash('sha256')
  const piece = new Uint8Array(PIECE_BYTES)
  for (let offset = 0; ;) {
    const { bytesRead } = await file.read(piece, 0, piece.length, offset)
    if (bytesRead === 0) return hash.digest('hex')
    hash.update(piece.subarray(0, bytesRead))
    offset += bytesRead
  }
}

async function readExactly(
  file: FileHandle,
  offset: number,
  length: number,
): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled)
    if (bytesRead === 0) return undefined
    filled += bytesRead
  }
  return bytes
}

async function entriesOf(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isCode(error, 'ENOENT') || isCode(error, 'ENOTDIR')) return []
    throw error
  }
}

async function removeIfAbandoned(path: string): Promise<void> {
  try {
    const { mtimeMs } = await stat(path)
    if (mtimeMs < Date.now() - ABANDONED_MS) await unlink(path)
  } catch {
    // Its owner is alive after all, or another process was faster.
  }
}
