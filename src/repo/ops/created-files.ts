/** Files that a thread restores from beginning to end, as all of their content is in its hands. */
import { closeSync, unlinkSync } from 'node:fs'
import { nativePath } from './native-path.ts'
import { applyMetadataToOpen, applyTimes, type Metadata } from './node-metadata.ts'
import { createFile, fillWithZeros, writeFully } from './restore-target.ts'
import { systemFailureOf, type SystemFailure } from './system-failure.ts'
import { isZero } from './zeros.ts'

export interface FileToCreate {
  readonly path: string
  readonly size: number
  readonly metadata: Metadata
  /** Places its blobs go to. */
  readonly placeCount: number
}

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
  readonly fd: number
  /** Zeros need not be written. */
  readonly isZeroed: boolean
  missing: number
}

export class CreatedFiles {
  readonly #files: readonly FileToCreate[]
  readonly #selectXattr: (name: string) => boolean
  readonly #sparse: boolean
  readonly #open = new Map<number, OpenFile>()
  readonly #undone = new Set<number>()
  readonly #failures = new Map<number, SystemFailure>()
  readonly #metadataFailures: [number, SystemFailure][] = []

  /** @param sparse whether zeros are left out, which new files are full of */
  constructor(
    files: readonly FileToCreate[],
    how: { readonly sparse: boolean; readonly selectXattr: (name: string) => boolean },
  ) {
    this.#files = files
    this.#sparse = how.sparse
    this.#selectXattr = how.selectXattr
  }

  get outcome(): CreatedFilesOutcome {
    return { undone: this.#undone, failures: this.#failures, metadataFailures: this.#metadataFailures }
  }

  /** Puts a blob in its place; the file appears with its first and is whole with its last one. */
  write(file: number, offset: number, plaintext: Uint8Array): void {
    if (this.#undone.has(file) || this.#failures.has(file)) return
    const planned = this.#files[file]
    if (planned === undefined) throw new RangeError(`no file ${file}`)
    try {
      const open = this.#open.get(file) ?? this.#create(file, planned)
      if (open === undefined) return
      if (!open.isZeroed || !isZero(plaintext)) writeFully(open.fd, plaintext, offset)
      open.missing -= 1
      if (open.missing === 0) this.#finish(file, planned, open.fd)
    } catch (error) {
      this.#failures.set(file, systemFailureOf(error))
      this.#discard(file, planned)
    }
  }

  /** Takes a file away again, as one of its blobs is damaged. */
  giveUp(file: number): void {
    this.#undone.add(file)
    const planned = this.#files[file]
    if (planned !== undefined) this.#discard(file, planned)
  }

  /** What is still open is not whole. */
  close(): void {
    for (const file of this.#open.keys()) this.giveUp(file)
  }

  #create(file: number, { path, size, placeCount }: FileToCreate): OpenFile | undefined {
    const fd = createFile(nativePath(path))
    if (fd === undefined) {
      this.#undone.add(file)
      return undefined
    }
    // It is taken away where the rest fails.
    this.#open.set(file, { fd, isZeroed: false, missing: placeCount })
    const open = { fd, isZeroed: fillWithZeros(fd, size, this.#sparse), missing: placeCount }
    this.#open.set(file, open)
    return open
  }

  #finish(file: number, { path, metadata }: FileToCreate, fd: number): void {
    this.#open.delete(file)
    let errors: readonly Error[] = []
    try {
      errors = applyMetadataToOpen(fd, metadata, this.#selectXattr)
    } finally {
      closeSync(fd)
    }
    for (const error of [...errors, ...applyTimes(path, metadata)])
      this.#metadataFailures.push([file, systemFailureOf(error)])
  }

  #discard(file: number, { path }: FileToCreate): void {
    const open = this.#open.get(file)
    if (open === undefined) return
    this.#open.delete(file)
    closeSync(open.fd)
    unlinkSync(nativePath(path))
  }
}
