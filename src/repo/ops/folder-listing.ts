/**
 * What a folder says of its entries when it is read: names, and of most file systems which are regular files. Those can
 * be opened without a look at each first.
 */
import { compareRawNames, decodeRawName } from '../format/raw-name.ts'

export interface FolderListing {
  /** Surrogate-escaped, by byte order, each once. */
  readonly names: readonly string[]
  /** For each name: 1 where it is a regular file, 0 where it is something else or the folder does not say. */
  readonly areFiles: Uint8Array
}

/** A listing that says no more than names, which are in order; some may come twice. */
export function listingOf(ordered: readonly string[]): FolderListing {
  const names = eachOnce(ordered)
  return { names, areFiles: new Uint8Array(names.length) }
}

function eachOnce(ordered: readonly string[]): readonly string[] {
  return ordered.filter((name, i) => i === 0 || name !== ordered[i - 1])
}

export function sliceListing(listing: FolderListing, start: number, end?: number): FolderListing {
  return { names: listing.names.slice(start, end), areFiles: listing.areFiles.slice(start, end) }
}

/** Of a system call; large folders take a few. */
const READ_BYTES = 1 << 16
/** Offsets in Linux's `struct linux_dirent64`. */
const LENGTH_AT = 16
const TYPE_AT = 18
const NAME_AT = 19
const DT_REG = 8
const DOT = 0x2e

const buffer = Buffer.allocUnsafeSlow(READ_BYTES)

/**
 * @param read fills memory with entries as `getdents64` does; the bytes filled, 0 at the end
 * @throws what `read` does
 */
export function readListing(read: (target: Uint8Array) => number): FolderListing {
  const entries: Entries = { names: [], others: new Set(), isAscii: true }
  for (let end = read(buffer); end > 0; end = read(buffer)) {
    for (let at = 0; at < end; at += buffer.readUInt16LE(at + LENGTH_AT)) takeEntry(entries, at)
  }
  const { others, isAscii } = entries
  // V8's own comparison is faster than ours, and of ASCII the same.
  const sorted = isAscii ? entries.names.toSorted() : entries.names.toSorted(compareRawNames)
  const names = eachOnce(sorted)
  const areFiles = new Uint8Array(names.length).fill(1)
  if (others.size > 0) for (const [i, name] of names.entries()) if (others.has(name)) areFiles[i] = 0
  return { names, areFiles }
}

interface Entries {
  readonly names: string[]
  /** What is not known to be a regular file. */
  readonly others: Set<string>
  isAscii: boolean
}

/** Takes the entry at `buffer[at …]`, unless it is the folder itself or the one above. */
function takeEntry(entries: Entries, at: number): void {
  const start = at + NAME_AT
  let end = start
  let seen = 0
  for (let byte = buffer[end] ?? 0; byte !== 0; byte = buffer[end] ?? 0) {
    seen |= byte
    end += 1
  }
  if (buffer[start] === DOT && (end === start + 1 || (end === start + 2 && buffer[start + 1] === DOT))) return
  const isAscii = seen < 0x80
  const name = isAscii ? buffer.toString('latin1', start, end) : decodeRawName(buffer.subarray(start, end))
  entries.isAscii &&= isAscii
  entries.names.push(name)
  if (buffer[at + TYPE_AT] !== DT_REG) entries.others.add(name)
}
