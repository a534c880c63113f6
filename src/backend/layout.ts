/** Where each file of a repository lies below its root: restic's default layout, the same in all stores (format spec §1). */
import { InvalidInputError } from '../errors.ts'
import type { FileType, Handle } from './backend.ts'

export type NamedFileType = Exclude<FileType, 'config'>

const FOLDERS: Record<NamedFileType, string> = {
  key: 'keys',
  lock: 'locks',
  snapshot: 'snapshots',
  index: 'index',
  pack: 'data',
}

export const FILE_TYPES: readonly NamedFileType[] = ['pack', 'index', 'key', 'lock', 'snapshot']

const NAME = /^[0-9a-f]{64}$/

/** Whether a file name is one of a repository's: anything else in its folders is a stray and passed over. */
export function isFileName(name: string): boolean {
  return NAME.test(name)
}

/** The folder of a type, relative to the root. */
export function folderOf(type: NamedFileType): string {
  return FOLDERS[type]
}

/** The subfolders packs are spread over, by the first two digits of their names. */
export function packFolders(): string[] {
  return Array.from({ length: 256 }, (_, i) => `data/${i.toString(16).padStart(2, '0')}`)
}

/**
 * Path of a file relative to the root, with slashes.
 * @throws InvalidInputError for a name that is not 64 lower-case hex digits
 */
export function pathOf(handle: Handle): string {
  if (handle.type === 'config') return 'config'
  if (!isFileName(handle.name))
    throw new InvalidInputError(`"${handle.name}" is not the name of a repository file`)
  const folder = FOLDERS[handle.type]
  return handle.type === 'pack'
    ? `${folder}/${handle.name.slice(0, 2)}/${handle.name}`
    : `${folder}/${handle.name}`
}
