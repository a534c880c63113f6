/**
 * A folder that a thread makes files in. Where the C library can be used it is opened, so that the system finds the way
 * to it once and not twice for each file; otherwise, and for whatever fails, files are made by their paths.
 */
import { closeSync, unlinkSync } from 'node:fs'
import { loadLibc, type Libc } from './libc.ts'
import { joinPath, nativePath } from './native-path.ts'
import { setTimes, type GivenMetadata, type Metadata } from './node-metadata.ts'
import { createFile } from './restore-target.ts'

/** A new file in it, open for writing. */
export interface NewFile {
  readonly fd: number
  /** Node keeps account of what it opened. */
  readonly byNode: boolean
}

export class TargetFolder {
  readonly #path: string
  readonly #libc: Libc | undefined
  /** -1 where it is not open. */
  readonly #fd: number
  #given: GivenMetadata | undefined

  /** @param path of a folder that has been looked at before; it is to be closed */
  constructor(path: string) {
    this.#path = path
    this.#libc = loadLibc()
    this.#fd = this.#libc?.findFolder(path) ?? -1
  }

  /** Makes a file that only we may open; undefined where something stands there. @throws what the system says */
  create(name: string): NewFile | undefined {
    const fd = this.#fd < 0 ? -1 : (this.#libc?.createIn(this.#fd, name) ?? -1)
    const file = fd < 0 ? this.#createByPath(name) : { fd, byNode: false }
    if (file !== undefined) this.#given ??= this.#givenTo(file.fd)
    return file
  }

  /** What every new file has here before anything is set; undefined where that is not known. */
  get given(): GivenMetadata | undefined {
    return this.#given
  }

  closeFile({ fd, byNode }: NewFile): void {
    if (byNode) closeSync(fd)
    else this.#libc?.close(fd)
  }

  /** @throws what the system says */
  setTimes(name: string, metadata: Metadata): void {
    const { atime, mtime } = metadata
    const isSet = this.#fd >= 0 && this.#libc?.setTimesIn(this.#fd, name, atime, mtime) === true
    if (!isSet) setTimes(this.pathOf(name), metadata)
  }

  remove(name: string): void {
    unlinkSync(nativePath(this.pathOf(name)))
  }

  pathOf(name: string): string {
    return joinPath(this.#path, name)
  }

  close(): void {
    if (this.#fd >= 0) this.#libc?.close(this.#fd)
  }

  #createByPath(name: string): NewFile | undefined {
    const fd = createFile(nativePath(this.pathOf(name)))
    return fd === undefined ? undefined : { fd, byNode: true }
  }

  /** Owner and attributes come from the process, the folder and the file system, and so are the same for all. */
  #givenTo(fd: number): GivenMetadata | undefined {
    const stat = this.#libc?.fstat(fd)
    if (this.#libc === undefined || stat === undefined) return undefined
    try {
      return { uid: stat.uid, gid: stat.gid, hasXattrs: this.#libc.listXattrs(fd).length > 0 }
    } catch {
      // Whoever sets them will hear of it.
      return { uid: stat.uid, gid: stat.gid, hasXattrs: true }
    }
  }
}
