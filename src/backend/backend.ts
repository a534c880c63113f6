/**
 * What a store of a repository must be able to do: keep opaque, named, write-once bytes. It knows nothing of
 * encryption, blobs or JSON. Every implementation passes the one conformance suite in test/backend.
 */

/** The six kinds of files a repository consists of (format spec §1). There is exactly one config, named ''. */
export type FileType = 'config' | 'key' | 'lock' | 'snapshot' | 'index' | 'pack'

/** Names one file: its type and, but for the config, 64 lower-case hex digits. */
export interface Handle {
  readonly type: FileType
  readonly name: string
  /** A pack that holds trees: what many commands read, and worth a place in a cache. Means nothing to stores. */
  readonly isMetadata?: boolean | undefined
}

/** A file as a listing shows it. `size` is the stored length in bytes. */
export interface FileInfo {
  readonly name: string
  readonly size: number
}

/** `length` bytes from `offset`. Never past the end: a file too short for the range is an error. */
export interface ByteRange {
  readonly offset: number
  readonly length: number
}

/**
 * A place that stores repository files.
 *
 * All methods reject with AbortedError as soon as `signal` fires, with FileNotFoundError where the named file is
 * absent, and with BackendError otherwise. All may be called concurrently; a caller should not have more than
 * `connections` data transfers under way at once.
 */
export interface Backend {
  /** The location as shown to people: no password or key in it. */
  readonly location: string
  /** How many transfers this store serves well at once. At least 1. */
  readonly connections: number
  /** Whether `write` over an existing name either keeps the old file whole or has the new one whole. */
  readonly hasAtomicReplace: boolean
  /** Whether a listing is no request that anybody pays or waits for. */
  readonly listsForFree?: boolean | undefined
  /** Where it keeps copies of files on this machine, if it does. */
  readonly cacheFolder?: string | undefined

  /** Makes the place ready for a new repository (directories, bucket). Does nothing to what exists. */
  create(signal?: AbortSignal): Promise<void>
  /** Size of one file, without reading it. @throws FileNotFoundError */
  stat(handle: Handle, signal?: AbortSignal): Promise<FileInfo>
  /**
   * The files of one type in no particular order, each once, stray files with other names left out. A missing
   * directory is an empty listing. Sizes are those of complete files only.
   */
  list(type: Exclude<FileType, 'config'>, signal?: AbortSignal): AsyncIterable<FileInfo>
  /**
   * The whole file or one range of it, in a buffer that is the caller's own.
   * @throws FileNotFoundError; BackendError with `transient: false` where the file is too short for `range`
   */
  read(handle: Handle, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array>
  /**
   * Stores `data` under `handle` so that after this resolves the file survives a power cut, and before that no
   * reader sees a part of it under this name. `data` must not change until then.
   */
  write(handle: Handle, data: Uint8Array, signal?: AbortSignal): Promise<void>
  /** Deletes the file. @throws FileNotFoundError where there is none */
  remove(handle: Handle, signal?: AbortSignal): Promise<void>
  /**
   * Says that these files will be removed one by one right after, for stores that can find out at once, and cheaper,
   * what they need for each. Changes nothing that is stored. Decorators hand it on; stores without use for it lack it.
   */
  prepareRemoval?(
    type: Exclude<FileType, 'config'>,
    names: readonly string[],
    signal?: AbortSignal,
  ): Promise<void>
  /**
   * Says which packs the repository has, once its index is known: a cache drops its copies of others. Changes nothing
   * that is stored, and never fails. Decorators hand it on; stores lack it.
   */
  forgetCopies?(isPresent: (packName: string) => boolean): Promise<void>
  /**
   * Gives back what `read` gave and nobody looks at any more: memory for later reads. Decorators hand it on; stores
   * without use for it lack it.
   */
  reuse?(bytes: Uint8Array): void
  /** Lets go of connections and handles. The backend must not be used afterwards. */
  close(): Promise<void>
}
