/** What the system keeps of an entry, to the nanosecond: Node's own numbers, or read by libc.ts at half the cost. */
import type { BigIntStats } from 'node:fs'

/** `seconds` since 1970, negative before; 0 to 999,999,999 nanoseconds after them. */
export interface FileTime {
  readonly seconds: number
  readonly nanoseconds: number
}

export interface FileStat {
  /** With file type bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly links: number
  readonly size: number
  readonly inode: bigint
  readonly deviceId: bigint
  /** st_rdev of a device file. */
  readonly device: bigint
  readonly atime: FileTime
  readonly mtime: FileTime
  readonly ctime: FileTime
}

const NANOSECONDS = 1_000_000_000n

export function fileStatOf(stats: BigIntStats): FileStat {
  return {
    mode: Number(stats.mode),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    links: Number(stats.nlink),
    size: Number(stats.size),
    inode: stats.ino,
    deviceId: stats.dev,
    device: stats.rdev,
    atime: fileTimeOf(stats.atimeNs),
    mtime: fileTimeOf(stats.mtimeNs),
    ctime: fileTimeOf(stats.ctimeNs),
  }
}

export const FINGERPRINT_LENGTH = 6

/** What tells that a file opened a little later is still the one a folder's walk has seen. */
export function fingerprintOf(stat: FileStat): readonly bigint[] {
  const { mode, inode, deviceId, size, mtime, ctime } = stat
  return [BigInt(mode), inode, deviceId, BigInt(size), nanosecondsOf(mtime), nanosecondsOf(ctime)]
}

/** As two fingerprints that are equal, at less cost. */
export function isSameStat(a: FileStat, b: FileStat): boolean {
  return (
    a.inode === b.inode &&
    a.size === b.size &&
    a.mode === b.mode &&
    a.deviceId === b.deviceId &&
    isSameTime(a.mtime, b.mtime) &&
    isSameTime(a.ctime, b.ctime)
  )
}

function isSameTime(a: FileTime, b: FileTime): boolean {
  return a.seconds === b.seconds && a.nanoseconds === b.nanoseconds
}

function fileTimeOf(nanosecondsSinceEpoch: bigint): FileTime {
  let nanoseconds = nanosecondsSinceEpoch % NANOSECONDS
  if (nanoseconds < 0n) nanoseconds += NANOSECONDS
  return {
    seconds: Number((nanosecondsSinceEpoch - nanoseconds) / NANOSECONDS),
    nanoseconds: Number(nanoseconds),
  }
}

function nanosecondsOf({ seconds, nanoseconds }: FileTime): bigint {
  return BigInt(seconds) * NANOSECONDS + BigInt(nanoseconds)
}
