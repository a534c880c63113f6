/** Gives a restored entry its owner, attributes, times and mode (format spec §18). Symlinks are never followed. */
import { chmodSync, fchmodSync, fchownSync, lchownSync, lutimesSync } from 'node:fs'
import { MODE_PERMISSIONS, unixModeFromGo } from '../format/file-mode.ts'
import type { Node } from '../format/tree.ts'
import type { AccountNames } from './account-names.ts'
import type { FileTime } from './file-stat.ts'
import { loadLibc, type Entry } from './libc.ts'
import { nativePath } from './native-path.ts'

/** What an entry has besides its content. */
export interface Metadata extends Pick<Node, 'type' | 'mode' | 'uid' | 'gid' | 'extendedAttributes'> {
  readonly atime: FileTime
  readonly mtime: FileTime
}

export interface OwnerOptions {
  readonly accounts: AccountNames
  /** Owners by the names stored instead of the numbers; unknown names become 0, as in restic. */
  readonly ownershipByName: boolean
}

const SPECIAL_BITS = 0o7000
/** Whoever is not root may not set everything; that is no failure. */
const DENIED_CODES = new Set(['EPERM', 'EACCES'])
const UNSUPPORTED_XATTR_CODES = new Set(['ENOTSUP', 'EOPNOTSUPP', 'ENODATA', 'ENOATTR'])

/**
 * What could not be set; empty where all is well. The order matters: chown clears setuid bits, so modes come last.
 * @param selectXattr which extended attributes are restored, and removed where the entry should not have them
 */
export function applyMetadata(
  path: string,
  metadata: Metadata,
  selectXattr: (name: string) => boolean,
): Error[] {
  const { attempt, errors } = collectErrors()
  const native = nativePath(path)
  attempt(() => lchownSync(native, metadata.uid, metadata.gid))
  restoreXattrs(path, metadata, { attempt, select: selectXattr })
  attempt(() => setTimes(path, metadata))
  if (metadata.type !== 'symlink') attempt(() => chmodSync(native, permissionsOf(metadata)))
  return errors
}

/** What a new file has before anything is set: that need not be set again. */
export interface GivenMetadata {
  readonly uid: number
  readonly gid: number
  readonly hasXattrs: boolean
}

/**
 * As `applyMetadata` for a new file that is open, but for its times: they are set by `attemptToSet` once it is closed.
 * @param given what it has already, if that is known
 */
export function applyMetadataToOpen(
  fd: number,
  metadata: Metadata,
  how: { readonly select: (name: string) => boolean; readonly given: GivenMetadata | undefined },
): Error[] {
  const { uid, gid, extendedAttributes } = metadata
  const { select, given } = how
  const { attempt, errors } = collectErrors()
  if (given?.uid !== uid || given.gid !== gid) attempt(() => fchownSync(fd, uid, gid))
  if (given?.hasXattrs !== false || extendedAttributes.length > 0)
    restoreXattrs(fd, metadata, { attempt, select })
  attempt(() => fchmodSync(fd, permissionsOf(metadata)))
  return errors
}

/** What came of setting something by itself, as `applyMetadata` tells. */
export function attemptToSet(set: () => void): Error[] {
  const { attempt, errors } = collectErrors()
  attempt(set)
  return errors
}

interface CollectedErrors {
  readonly attempt: (set: () => void) => void
  readonly errors: Error[]
}

function collectErrors(): CollectedErrors {
  const errors: Error[] = []
  const attempt = (set: () => void): void => {
    try {
      set()
    } catch (error) {
      if (!(error instanceof Error)) throw error
      const isDenied = 'code' in error && typeof error.code === 'string' && DENIED_CODES.has(error.code)
      if (!isDenied || process.geteuid?.() === 0) errors.push(error)
    }
  }
  return { attempt, errors }
}

function permissionsOf({ mode }: Metadata): number {
  return unixModeFromGo(mode) & (MODE_PERMISSIONS | SPECIAL_BITS)
}

/** @throws what the system says */
export function setTimes(path: string, { atime, mtime }: Pick<Metadata, 'atime' | 'mtime'>): void {
  const libc = loadLibc()
  if (libc !== undefined) libc.setTimes(path, atime, mtime)
  else lutimesSync(nativePath(path), nodeTime(atime), nodeTime(mtime))
}

/** Whom a restored entry will belong to. */
export function ownerOf(node: Node, options: OwnerOptions): { readonly uid: number; readonly gid: number } {
  if (!options.ownershipByName) return node
  const uid = node.user === '' ? node.uid : (options.accounts.userId(node.user) ?? 0)
  const gid = node.group === '' ? node.gid : (options.accounts.groupId(node.group) ?? 0)
  return { uid, gid }
}

function restoreXattrs(
  entry: Entry,
  metadata: Metadata,
  how: { readonly attempt: (set: () => void) => void; readonly select: (name: string) => boolean },
): void {
  const libc = loadLibc()
  if (libc === undefined) return
  const attempt = (set: () => void): void => {
    how.attempt(() => {
      try {
        set()
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? error.code : undefined
        if (typeof code !== 'string' || !UNSUPPORTED_XATTR_CODES.has(code)) throw error
      }
    })
  }
  const wanted = new Set<string>()
  for (const { name, value } of metadata.extendedAttributes) {
    if (!how.select(name)) continue
    wanted.add(name)
    attempt(() => libc.setXattr(entry, name, value))
  }
  attempt(() => {
    for (const name of libc.listXattrs(entry)) {
      if (!wanted.has(name) && how.select(name)) attempt(() => libc.removeXattr(entry, name))
    }
  })
}

/** Microseconds is what Node can do; before the epoch, where it takes numbers for now, milliseconds. */
function nodeTime(time: FileTime): number | Date {
  const seconds = time.seconds + time.nanoseconds / 1e9
  return seconds < 0 ? new Date(Math.round(seconds * 1000)) : seconds
}
