/** Files that a thread is to make, in columns: an object for each would take longer to send than a small file to make. */
import type { MetadataRows, MetadataTable } from './metadata-table.ts'

export interface FilesToCreate {
  /** Paths of the folders they are in, … */
  readonly folders: readonly string[]
  /** … for each file the number of its folder, … */
  readonly folderOf: Uint32Array
  /** … and its name, with slashes between. */
  readonly names: string
  readonly sizes: Float64Array
  /** How many places blobs of it go to. */
  readonly placeCounts: Uint32Array
  readonly metadata: MetadataRows
}

export interface FileToCreate {
  readonly folder: string
  readonly name: string
  readonly size: number
  readonly placeCount: number
  /** Row of its metadata. */
  readonly row: number
}

/** @param metadata has the rows of all the files */
export function filesToCreate(files: readonly FileToCreate[], metadata: MetadataTable): FilesToCreate {
  const folders: string[] = []
  const folderOf = new Uint32Array(files.length)
  files.forEach(({ folder }, i) => {
    // Neighbours are in one folder; one that comes again later is as good as another.
    if (folders.at(-1) !== folder) folders.push(folder)
    folderOf[i] = folders.length - 1
  })
  return {
    folders,
    folderOf,
    names: files.map(({ name }) => name).join('/'),
    sizes: Float64Array.from(files, ({ size }) => size),
    placeCounts: Uint32Array.from(files, ({ placeCount }) => placeCount),
    metadata: metadata.pick(files.map(({ row }) => row)),
  }
}

export function namesOf({ names }: FilesToCreate): string[] {
  return names.split('/')
}
