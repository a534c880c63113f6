/** What SFTP leaves to its clients: folders with their parents, replacing a file, and why writing failed. */
import { posix } from 'node:path'
import { BackendError } from '../errors.ts'
import { isStatus, type SftpFiles } from './sftp-files.ts'
import { STATUS, type SftpAttributes } from './sftp-packets.ts'

const TYPE_BITS = 0o170000
const FOLDER_TYPE = 0o040000
const FILE_TYPE = 0o100000
const RENAME_TRIES = 5

/** Whether size and type are known, and not only those of a link. */
export function isComplete({ size, mode }: SftpAttributes): boolean {
  const type = (mode ?? 0) & TYPE_BITS
  return size !== undefined && (type === FILE_TYPE || type === FOLDER_TYPE)
}

/** Servers that tell no types have nothing but files and folders. */
export function isFile({ mode }: SftpAttributes): boolean {
  const type = (mode ?? 0) & TYPE_BITS
  return type === FILE_TYPE || type === 0
}

/** Makes a folder whose parent exists. What is there already stays as it is. */
export async function makeFolder(files: SftpFiles, path: string, mode: number): Promise<void> {
  try {
    await files.makeFolder(path, mode)
  } catch (error) {
    // Version 3 of SFTP has no word for "exists already".
    if (await isFolder(files, path)) return
    throw error
  }
  try {
    await files.setMode(path, mode) // the server's umask may have taken something away
  } catch (error) {
    if (!isStatus(error, STATUS.unsupported)) throw error
  }
}

/** Makes a folder and its parents. */
export async function makeFolders(files: SftpFiles, path: string, mode: number): Promise<void> {
  if (await isFolder(files, path)) return
  const parent = posix.dirname(path)
  if (parent !== path) await makeFolders(files, parent, mode)
  await makeFolder(files, path, mode)
}

/** Gives a file a name that may be taken. */
export async function replace(files: SftpFiles, from: string, to: string): Promise<void> {
  for (let triesLeft = RENAME_TRIES - 1; ; triesLeft -= 1) {
    try {
      return await files.rename(from, to)
    } catch (error) {
      if (files.hasPosixRename || triesLeft === 0) throw error
    }
    try {
      await files.remove(to) // the rename of the standard never replaces
    } catch (error) {
      if (!isStatus(error, STATUS.noSuchFile)) throw error // somebody else is replacing it, too
    }
  }
}

/** OpenSSH's server says "failure" to a full disk as to everything else, but it tells how much room there is. */
export async function explainFailure(
  files: SftpFiles,
  error: unknown,
  { path, length }: { readonly path: string; readonly length: number },
): Promise<unknown> {
  const room = await files.roomAt(posix.dirname(path)).catch(() => undefined)
  if (room === undefined || (room.files > 0 && room.bytes >= length)) return error
  return new BackendError(`write ${path}: no space left on the server`, {
    hint: 'make room on the disk that holds the repository and run the command again',
  })
}

async function isFolder(files: SftpFiles, path: string): Promise<boolean> {
  try {
    const { mode = FOLDER_TYPE } = await files.stat(path)
    return (mode & TYPE_BITS) === FOLDER_TYPE
  } catch (error) {
    if (isStatus(error, STATUS.noSuchFile)) return false
    throw error
  }
}
