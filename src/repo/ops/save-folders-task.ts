/**
 * Thread task: saves what is easy in folders that the parent snapshot does not have: small files and links, from the
 * listing to the JSON of their nodes. Folders, large files and whatever is odd in any way are left to the walk.
 */
import type { Id } from '../format/id.ts'
import { encodeNode } from '../format/node-encoding.ts'
import type { Node } from '../format/tree.ts'
import { Utf8Buffer } from '../format/utf8-buffer.ts'
import type { ThreadContext } from '../thread-context.ts'
import type { SourceStat } from './backup-source.ts'
import { sliceListing, type FolderListing } from './folder-listing.ts'
import { folderReaderOf, type FolderEntries, type FolderReader, type SourceFolder } from './folder-reader.ts'
import { readOpenFile, SMALL_FILE_BYTES } from './save-files-task.ts'

/** What one slice holds at most: large folders are shared by the threads. */
export const SLICE_ENTRIES = 256
/** After so many bytes nothing more goes into a slice, or into an answer. */
const ANSWER_BYTES = 4 << 20

export interface FolderSlice extends SourceFolder {
  /** The entries to save; all that are in the folder where there are none given. */
  readonly entries?: FolderListing | undefined
}

export interface SavedSlice {
  /** Nodes as they are in a tree, joined by commas from one of `left` to the next. */
  readonly encoded: Uint8Array
  /** Where in `encoded` those end that come before each of `left`, and at last those after it. */
  readonly ends: readonly number[]
  /** Names for the walk to save. */
  readonly left: readonly string[]
  /** What was not looked at. */
  readonly rest: FolderListing
  /** Files that were saved, and their bytes. */
  readonly files: number
  readonly bytes: number
  /** Blobs that were new, their bytes and what was stored for them. */
  readonly dataBlobs: number
  readonly dataSize: number
  readonly dataSizeInRepo: number
}

const EXCLUDED = Symbol('excluded')

interface ReadEntry {
  readonly node: Node
  /** Of a file; valid until the next one is read. */
  readonly content: Uint8Array | undefined
  /** The node's, to be filled. */
  readonly ids: Id[]
}

/**
 * @returns one for each slice, undefined where the folder cannot be listed; fewer where these are enough for one answer
 * @throws what saving blobs came to
 */
export function saveFolders(
  context: ThreadContext,
  slices: readonly FolderSlice[],
): (SavedSlice | undefined)[] {
  const reader = folderReaderOf(context)
  const saved: (SavedSlice | undefined)[] = []
  let bytes = 0
  for (const slice of slices) {
    // Whoever asks looks at how far behind the store is, between one answer and the next.
    if (bytes >= ANSWER_BYTES) break
    const answer = reader && saveSlice(context, reader, slice)
    saved.push(answer)
    bytes += answer?.bytes ?? 0
  }
  return saved
}

function saveSlice(context: ThreadContext, reader: FolderReader, slice: FolderSlice): SavedSlice | undefined {
  return reader.with(slice, (entries) => {
    const listing = slice.entries ?? tryList(entries)
    return listing && new SliceSaver(context, reader, entries).save(listing)
  })
}

function tryList(entries: FolderEntries): FolderListing | undefined {
  try {
    return entries.listing()
  } catch {
    return undefined
  }
}

class SliceSaver {
  readonly #context: ThreadContext
  readonly #reader: FolderReader
  readonly #entries: FolderEntries
  #files = 0
  #bytes = 0
  #dataBlobs = 0
  #dataSize = 0
  #dataSizeInRepo = 0

  constructor(context: ThreadContext, reader: FolderReader, entries: FolderEntries) {
    this.#context = context
    this.#reader = reader
    this.#entries = entries
  }

  save(listing: FolderListing): SavedSlice {
    const encoded = new Utf8Buffer()
    const ends: number[] = []
    const left: string[] = []
    let isFirst = true
    let count = 0
    for (const [i, name] of listing.names.entries()) {
      if (count >= SLICE_ENTRIES || this.#bytes >= ANSWER_BYTES) break
      count += 1
      const json = this.#save(name, listing.areFiles[i] === 1)
      if (json === '') continue
      if (json === undefined) {
        left.push(name)
        ends.push(encoded.length())
      } else {
        encoded.append(isFirst ? json : `,${json}`)
      }
      isFirst = json === undefined
    }
    ends.push(encoded.length())
    return {
      encoded: encoded.toBytes(),
      ends,
      left,
      rest: sliceListing(listing, count),
      files: this.#files,
      bytes: this.#bytes,
      dataBlobs: this.#dataBlobs,
      dataSize: this.#dataSize,
      dataSizeInRepo: this.#dataSizeInRepo,
    }
  }

  /** The node as JSON, '' for what is left out of the backup, undefined for what is left to the walk. */
  #save(name: string, isFile: boolean): string | undefined {
    this.#reader.isWarned = false
    const entry = this.#tryRead(name, isFile)
    if (this.#reader.isWarned || entry === undefined) return undefined
    if (entry === EXCLUDED) return ''
    const { node, content, ids } = entry
    if (content !== undefined) {
      // What fails here must end the backup, and not only this file: others may count on the blob by now.
      if (content.length > 0) ids.push(this.#saveBlob(content))
      this.#files += 1
      this.#bytes += content.length
    }
    return encodeNode(node)
  }

  /** Undefined for what the walk is to look at: it also says what is wrong. */
  #tryRead(name: string, isFile: boolean): ReadEntry | typeof EXCLUDED | undefined {
    try {
      return isFile ? this.#readListed(name) : this.#read(name)
    } catch {
      return undefined
    }
  }

  #readListed(name: string): ReadEntry | typeof EXCLUDED | undefined {
    if (!this.#entries.selectsName(name)) return EXCLUDED
    return this.#entries.withListed(name, (fd, stat) =>
      this.#entries.selects(name, stat) ? this.#readOpened(name, stat, fd) : EXCLUDED,
    )
  }

  #read(name: string): ReadEntry | typeof EXCLUDED | undefined {
    const stat = this.#entries.select(name)
    if (stat === undefined) return EXCLUDED
    if (stat.kind === 'dir' || stat.size > SMALL_FILE_BYTES) return undefined
    if (stat.kind !== 'file') return { node: this.#entries.toNode(name, stat), content: undefined, ids: [] }
    return this.#entries.withFile(name, stat, (fd) => this.#readOpened(name, stat, fd))
  }

  #readOpened(name: string, stat: SourceStat, fd: number): ReadEntry | undefined {
    if (stat.size > SMALL_FILE_BYTES) return undefined
    const ids: Id[] = []
    const node = this.#entries.toNode(name, stat, fd, ids)
    // A file that is left to the walk is read there.
    const content = this.#reader.isWarned ? undefined : readOpenFile(this.#context, fd, stat.size)
    return content === undefined ? undefined : { node, content, ids }
  }

  #saveBlob(content: Uint8Array): Id {
    const { id, isNew, packedLength } = this.#context.save('data', content)
    if (isNew) {
      this.#dataBlobs += 1
      this.#dataSize += content.length
      this.#dataSizeInRepo += packedLength
    }
    return id
  }
}
