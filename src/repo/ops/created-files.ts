/** Files that a thread restores from beginning to end, as all of their content is in its hands. */
import { namesOf, type FilesToCreate } from './files-to-create.ts'
import { metadataAt } from './metadata-table.ts'
import { applyMetadataToOpen, attemptToSet } from './node-metadata.ts'
import { fillWithZeros, writeFully } from './restore-target.ts'
import { systemFailureOf, type SystemFailure } from './system-failure.ts'
import { TargetFolder, type NewFile } from './target-folder.ts'
import { isZero } from './zeros.ts'

/** What became of files, by their number; nothing is said of those that are whole. */
export interface CreatedFilesOutcome {
  /** Nothing of them is there: something stood in the way, or a blob was damaged. */
  readonly undone: ReadonlySet<number>
  /** Nothing of them is there: the system would not. */
  readonly failures: ReadonlyMap<number, SystemFailure>
  /** They are whole, but not all of their metadata could be set. */
  readonly metadataFailures: readonly (readonly [file: number, failure: SystemFailure])[]
}

interface OpenFile {
  readonly file: NewFile
  /** Zeros need not be written. */
  isZeroed: boolean
  missing: number
}

export class CreatedFiles {
  readonly #files: FilesToCreate
  readonly #names: readonly string[]
  readonly #selectXattr: (name: string) => boolean
  readonly #sparse: boolean
  readonly #open = new Map<number, OpenFile>()
  /** The one used last: files come folder by folder. */
  #folder: { readonly number: number; readonly entries: TargetFolder } | undefined
  readonly #undone = new Set<number>()
  readonly #failures = new Map<number, SystemFailure>()
  readonly #metadataFailures: [number, SystemFailure][] = []

  /** @param sparse whether zeros are left out, which new files are full of */
  constructor(
    files: FilesToCreate,
    how: { readonly sparse: boolean; readonly selectXattr: (name: string) => boolean },
  ) {
    this.#files = files
    this.#names = namesOf(files)
    this.#sparse = how.sparse
    this.#selectXattr = how.selectXattr
  }

  get outcome(): CreatedFilesOutcome {
    return { undone: this.#undone, failures: this.#failures, metadataFailures: this.#metadataFailures }
  }

  /** Puts a blob in its place; the file appears with its first and is whole with its last one. */
  write(number: number, offset: number, plaintext: Uint8Array): void {
    if (this.#undone.has(number) || this.#failures.has(number)) return
    try {
      const open = this.#open.get(number) ?? this.#create(number)
      if (open === undefined) return
      if (!open.isZeroed || !isZero(plaintext)) writeFully(open.file.fd, plaintext, offset)
      open.missing -= 1
      if (open.missing === 0) this.#finish(number, open.file)
    } catch (error) {
      this.#failures.set(number, systemFailureOf(error))
      this.#discard(number)
    }
  }

  /** Takes a file away again, as one of its blobs is damaged. */
  giveUp(number: number): void {
    this.#undone.add(number)
    this.#discard(number)
  }

  /** What is still open is not whole. */
  close(): void {
    for (const number of this.#open.keys()) this.giveUp(number)
    this.#folder?.entries.close()
    this.#folder = undefined
  }

  #create(number: number): OpenFile | undefined {
    const file = this.#folderOf(number).create(this.#nameOf(number))
    if (file === undefined) {
      this.#undone.add(number)
      return undefined
    }
    const open = { file, isZeroed: false, missing: this.#files.placeCounts[number] ?? 0 }
    // It is taken away where the rest fails.
    this.#open.set(number, open)
    open.isZeroed = fillWithZeros(file.fd, this.#files.sizes[number] ?? 0, this.#sparse)
    return open
  }

  #finish(number: number, file: NewFile): void {
    const folder = this.#folderOf(number)
    const metadata = metadataAt(this.#files.metadata, number)
    let errors: readonly Error[] = []
    this.#open.delete(number)
    try {
      errors = applyMetadataToOpen(file.fd, metadata, { select: this.#selectXattr, given: folder.given })
    } finally {
      folder.closeFile(file)
    }
    // Closing a file may change its time where another machine keeps it: that comes last.
    errors = [...errors, ...attemptToSet(() => folder.setTimes(this.#nameOf(number), metadata))]
    for (const error of errors) this.#metadataFailures.push([number, systemFailureOf(error)])
  }

  #discard(number: number): void {
    const open = this.#open.get(number)
    if (open === undefined) return
    this.#open.delete(number)
    const folder = this.#folderOf(number)
    folder.closeFile(open.file)
    folder.remove(this.#nameOf(number))
  }

  #nameOf(number: number): string {
    const name = this.#names[number]
    if (name === undefined) throw new RangeError(`no file ${number}`)
    return name
  }

  #folderOf(file: number): TargetFolder {
    const number = this.#files.folderOf[file] ?? -1
    if (this.#folder?.number === number) return this.#folder.entries
    const path = this.#files.folders[number]
    if (path === undefined) throw new RangeError(`no folder of file ${file}`)
    this.#folder?.entries.close()
    const entries = new TargetFolder(path)
    this.#folder = { number, entries }
    return entries
  }
}
