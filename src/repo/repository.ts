/**
 * An open repository: its key, its config, its blob index, and loading and saving of everything a repository holds.
 * Operations (src/repo/ops) are built on this; it holds no policy of theirs.
 */
import type { Backend, ByteRange, Handle } from '../backend/backend.ts'
import { isIrreducible, randomPolynomial } from '../chunker/polynomial.ts'
import { nativeCrypto } from '../crypto/native.ts'
import type { CryptoProvider, ScryptParams } from '../crypto/provider.ts'
import { generateSealKey, type SealKey } from '../crypto/seal.ts'
import {
  BackendError,
  CorruptDataError,
  FileNotFoundError,
  InvalidInputError,
  NotFoundError,
} from '../errors.ts'
import { BlobIndex } from './blob-index.ts'
import { BlobWriter, type SavedBlob } from './blob-writer.ts'
import { Codec } from './codec.ts'
import type { CompressionMode } from './compression.ts'
import { CONFIG_HANDLE, openConfig, readConfig, refuseExisting } from './config-store.ts'
import { encodeConfig, type Config } from './format/config-file.ts'
import { idFromBytes, isId, type Id } from './format/id.ts'
import type { BlobType, PackedBlob } from './format/pack-header.ts'
import { encodeSnapshot, parseSnapshot, type Snapshot } from './format/snapshot.ts'
import { parseTree, type Node } from './format/tree.ts'
import { addKey, searchKey, type KeyStore, type OpenedKey } from './keys.ts'
import { loadIndexFiles, type LoadIndexOptions } from './index-loader.ts'
import { acquireLock, type Lock, type LockStore } from './locks.ts'
import type { FinishedPack } from './pack-builder.ts'
import { damageInPack, parsePackFile, readPackHeader, readPackParts, type PackPart } from './pack-reader.ts'
import { PackStore } from './pack-store.ts'
import type { ThreadSetup } from './thread-context.ts'
import { TreeWindows } from './tree-windows.ts'
import { listFiles, readHashed, resolvePrefix, writeHashed, type HashedFileType } from './unpacked.ts'

export const DEFAULT_PACK_SIZE_BYTES: number = 16 << 20
const MIN_PACK_SIZE_BYTES = 4 << 20
const MAX_PACK_SIZE_BYTES = 128 << 20

/** Something the user should hear of while an operation goes on. */
export interface Notice {
  readonly kind: 'lock-waiting' | 'stale-lock-removed' | 'warning'
  readonly message: string
}

export interface RepositorySettings {
  readonly compression?: CompressionMode | undefined
  /** Size a pack is finished at, 4 to 128 MiB. */
  readonly packSizeBytes?: number | undefined
  /** Decode everything written before it is stored; on unless given up. */
  readonly extraVerify?: boolean | undefined
  readonly crypto?: CryptoProvider | undefined
  /** Take no locks (for stores that cannot be written to). Ignored by operations that write. */
  readonly noLock?: boolean | undefined
  /** Worker threads an operation may start; as many as there are processors by default, none with 0. */
  readonly workers?: number | undefined
  /** How long to wait for another process's lock, in ms. */
  readonly retryLockMs?: number | undefined
  readonly onNotice?: ((notice: Notice) => void) | undefined
}

export interface OpenOptions extends RepositorySettings {
  readonly password: string
  /** ID or prefix of the key file to try first. */
  readonly keyHint?: string | undefined
  /** Puts something before the store once the repository's ID is known: a cache (`withCache`). */
  readonly decorate?: ((backend: Backend, repositoryId: string) => Promise<Backend>) | undefined
  readonly signal?: AbortSignal | undefined
}

export interface CreateOptions extends RepositorySettings {
  readonly password: string
  readonly version?: 1 | 2 | undefined
  /** Take over another repository's polynomial so that both cut files alike. */
  readonly chunkerPolynomial?: bigint | undefined
  readonly username?: string | undefined
  readonly hostname?: string | undefined
  /** Cost of the first key; restic's by default. */
  readonly scrypt?: ScryptParams | undefined
  readonly signal?: AbortSignal | undefined
}

/** A pack's blobs and bytes on their way into the store. */
export interface WriteProgress {
  readonly onStored?: ((bytes: number) => void) | undefined
  /** Told of every pack before it is stored. */
  readonly onPack?: ((pack: FinishedPack) => void) | undefined
  /** Nothing is stored before this resolves; where it rejects, writing has failed. */
  readonly mayBegin?: Promise<void> | undefined
  readonly signal?: AbortSignal | undefined
}

interface Writing {
  readonly blobs: BlobWriter
  readonly packs: PackStore
  readonly onPack: WriteProgress['onPack']
}

/** A blob and the bytes that stand for it. */
export interface SealedBlob {
  readonly blob: PackedBlob
  readonly sealed: Uint8Array
}

export class Repository {
  readonly backend: Backend
  readonly config: Config
  readonly keyId: Id
  readonly settings: RepositorySettings
  readonly codec: Codec
  readonly #crypto: CryptoProvider
  readonly #masterKey: SealKey
  #treeWindows: TreeWindows
  #index = new BlobIndex()
  #indexLoaded = false
  /** Those the index was loaded from. */
  #indexFiles: readonly Id[] = []
  #writer: Writing | undefined

  private constructor(backend: Backend, config: Config, key: OpenedKey, settings: RepositorySettings) {
    this.backend = backend
    this.config = config
    this.keyId = key.id
    this.settings = settings
    this.#crypto = settings.crypto ?? nativeCrypto
    this.#masterKey = key.masterKey
    this.#treeWindows = new TreeWindows(backend)
    this.codec = codecFor(config, key.masterKey, settings)
  }

  /**
   * Makes a new repository. Refuses where a config, a key or a snapshot already stands.
   * @throws RepositoryExistsError, InvalidInputError, BackendError
   */
  static async create(backend: Backend, options: CreateOptions): Promise<Repository> {
    checkSettings(options)
    const crypto = options.crypto ?? nativeCrypto
    await refuseExisting(backend, options.signal)
    await backend.create(options.signal)
    const polynomial = options.chunkerPolynomial ?? randomPolynomial((length) => crypto.randomBytes(length))
    if (!isIrreducible(polynomial)) throw new InvalidInputError('the chunker polynomial is not irreducible')
    const config: Config = {
      version: options.version ?? 2,
      id: idFromBytes(crypto.randomBytes(32)),
      chunkerPolynomial: polynomial,
    }
    const masterKey = generateSealKey(crypto)
    const keyId = await addKey({ backend, crypto }, masterKey, options, options.signal)
    const repository = new Repository(backend, config, { id: keyId, masterKey }, options)
    try {
      await backend.write(CONFIG_HANDLE, repository.codec.seal(encodeConfig(config)), options.signal)
    } catch (error) {
      // A key alone would keep the next attempt from making the repository; a config without it would for ever.
      if (await isMissing(backend, CONFIG_HANDLE))
        await backend.remove({ type: 'key', name: keyId }).catch(() => undefined)
      throw error
    }
    repository.#indexLoaded = true
    return repository
  }

  /** @throws RepositoryNotFoundError, WrongPasswordError, CorruptDataError, UnsupportedError, BackendError */
  static async open(backend: Backend, options: OpenOptions): Promise<Repository> {
    checkSettings(options)
    const crypto = options.crypto ?? nativeCrypto
    const sealed = await readConfig(backend, options.signal)
    const key = await searchKey({ backend, crypto }, options.password, options)
    // The config is sealed alike in both versions, so any codec of this key opens it.
    const config = openConfig(codecFor({ version: 2 }, key.masterKey, options), sealed)
    const store = await options.decorate?.(backend, config.id)
    return new Repository(store ?? backend, config, key, options)
  }

  /** The location as shown to people. */
  get location(): string {
    return this.backend.location
  }

  /** All blobs known; empty until `loadIndex`. */
  get index(): BlobIndex {
    return this.#index
  }

  /** What key management (src/repo/keys.ts) works on. */
  get keyStore(): KeyStore {
    return { backend: this.backend, crypto: this.#crypto }
  }

  /** The key everything is sealed with. Whoever has it can read and write the whole repository. */
  get masterKey(): SealKey {
    return this.#masterKey
  }

  /** What threads need to work for this repository. */
  get threadSetup(): Omit<ThreadSetup, 'provider' | 'threadCount'> {
    const { compression, extraVerify, packSizeBytes } = this.settings
    return {
      key: this.#masterKey,
      version: this.config.version,
      compression: compression ?? 'auto',
      extraVerify: extraVerify ?? true,
      packSizeBytes: packSizeBytes ?? DEFAULT_PACK_SIZE_BYTES,
    }
  }

  // Whole files

  list(
    type: HashedFileType,
    signal?: AbortSignal,
  ): AsyncIterable<{ readonly id: Id; readonly size: number }> {
    return listFiles(this.backend, type, signal)
  }

  /** Stored bytes, checked against the name. @throws FileNotFoundError, CorruptDataError */
  loadRaw(type: HashedFileType, id: Id, signal?: AbortSignal): Promise<Uint8Array> {
    return readHashed(this.keyStore, type, id, signal)
  }

  /** Decoded JSON of an index, snapshot or lock file. @throws FileNotFoundError, CorruptDataError */
  async loadUnpacked(type: 'index' | 'snapshot' | 'lock', id: Id, signal?: AbortSignal): Promise<Uint8Array> {
    return this.codec.decodeUnpacked(await this.loadRaw(type, id, signal), `${type} ${id}`)
  }

  saveUnpacked(type: 'index' | 'snapshot' | 'lock', json: Uint8Array, signal?: AbortSignal): Promise<Id> {
    return writeHashed(this.keyStore, type, this.codec.encodeUnpacked(json), signal)
  }

  remove(type: HashedFileType, id: Id, signal?: AbortSignal): Promise<void> {
    return this.backend.remove({ type, name: id }, signal)
  }

  /** @throws NotFoundError, InvalidInputError where the prefix is not unique */
  resolveId(type: HashedFileType, prefix: string, signal?: AbortSignal): Promise<Id> {
    return resolvePrefix(this.backend, type, prefix, signal)
  }

  async loadSnapshot(id: Id, signal?: AbortSignal): Promise<Snapshot> {
    return parseNamed(`snapshot ${id}`, await this.loadUnpacked('snapshot', id, signal), parseSnapshot)
  }

  saveSnapshot(snapshot: Snapshot, signal?: AbortSignal): Promise<Id> {
    return this.saveUnpacked('snapshot', encodeSnapshot(snapshot), signal)
  }

  // Blobs

  /** Loads all index files, once. @throws CorruptDataError unless `onError` takes it */
  async loadIndex(options: LoadIndexOptions = {}): Promise<void> {
    if (this.#indexLoaded) return
    const index = new BlobIndex()
    this.#indexFiles = await loadIndexFiles(
      {
        backend: this.backend,
        codec: this.codec,
        crypto: this.#crypto,
        threadSetup: this.threadSetup,
        workers: this.settings.workers,
        loadRaw: (type, id, signal) => this.loadRaw(type, id, signal),
      },
      index,
      options,
    )
    this.#index = index
    this.#indexLoaded = true
    await this.backend.forgetCopies?.((name) => isId(name) && index.packNumber(name) >= 0)
  }

  /**
   * Whether all index files that were loaded are still there: where one is not, packs it named may be gone too. Those that
   * came since are of no account.
   */
  async isIndexCurrent(signal?: AbortSignal): Promise<boolean> {
    const present = new Set<Id>()
    for await (const { id } of this.list('index', signal)) present.add(id)
    return this.#indexFiles.every((id) => present.has(id))
  }

  /** Forgets the index and trees read, so that the store is read again. */
  discardIndex(): void {
    this.#index = new BlobIndex()
    this.#treeWindows = new TreeWindows(this.backend)
    this.#indexLoaded = false
  }

  hasBlob(type: BlobType, id: Id): boolean {
    return this.#index.has(type, id)
  }

  /** Plaintext length in bytes. */
  blobSize(type: BlobType, id: Id): number | undefined {
    return this.#index.sizeOf(type, id)
  }

  /**
   * A blob's plaintext, from the first of its copies that is whole.
   * @throws NotFoundError, CorruptDataError, FileNotFoundError (its pack)
   */
  async loadBlob(type: BlobType, id: Id, signal?: AbortSignal): Promise<Uint8Array> {
    const rows = this.#index.rowsOf(type, id)
    if (rows.length === 0) {
      throw new NotFoundError(`${type} blob ${id} is not in the index`, {
        hint: 'run `repair index`, then `check`',
      })
    }
    let failure: unknown
    for (const row of rows) {
      try {
        return await this.#loadCopy(row, signal)
      } catch (error) {
        const isDamage = error instanceof CorruptDataError || error instanceof FileNotFoundError
        if (!isDamage && !(error instanceof BackendError && !error.transient)) throw error
        failure = error
      }
    }
    throw failure instanceof FileNotFoundError ? missingPack(failure) : failure
  }

  /** @throws as `loadBlob`; CorruptDataError where the tree is malformed */
  loadTree(id: Id, signal?: AbortSignal): Promise<Node[]> {
    return this.readTree(id, parseTree, signal)
  }

  /** What `read` makes of a tree's bytes. @throws as `loadTree` */
  async readTree<T>(id: Id, read: (bytes: Uint8Array) => T, signal?: AbortSignal): Promise<T> {
    return parseNamed(`tree ${id}`, await this.loadBlob('tree', id, signal), read)
  }

  /** A tree as it is stored, in a view that must not be changed, unchecked; undefined where no index knows it. */
  async loadSealedTree(id: Id, signal?: AbortSignal): Promise<SealedBlob | undefined> {
    const row = this.#index.rowOf('tree', id)
    if (row < 0) return undefined
    const blob = this.#index.locationAt(row)
    const sealed = await this.#treeWindows.read(blob.packId, blob, this.#index.endOfPackOf(row), signal)
    return { blob, sealed }
  }

  /** Stored bytes of a pack or a part of it, unchecked. */
  readPack(packId: Id, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    return this.backend.read({ type: 'pack', name: packId }, range, signal)
  }

  /** Gives back what `readPack` or `readPackParts` gave, once nobody looks at it any more. */
  reuse(bytes: Uint8Array): void {
    this.backend.reuse?.(bytes)
  }

  /** The blobs a pack's own header names. @throws CorruptDataError, FileNotFoundError */
  readPackHeader(packId: Id, size: number, signal?: AbortSignal): Promise<PackedBlob[]> {
    return readPackHeader(this, packId, size, signal)
  }

  /** As `readPackHeader`, from the bytes of the whole pack. */
  parsePack(packId: Id, bytes: Uint8Array): PackedBlob[] {
    return parsePackFile(this.codec, packId, bytes)
  }

  /** Fetches some blobs of one pack, undecoded, in as few reads as pay. `blobs` must be ordered by offset. */
  readPackParts(packId: Id, blobs: readonly PackedBlob[], signal?: AbortSignal): AsyncIterable<PackPart> {
    return readPackParts(this.backend, packId, blobs, { signal })
  }

  /** Starts a run of `saveBlob` calls that `flush` ends. Packs are stored as they fill up. */
  startWriting(progress: WriteProgress = {}): void {
    if (this.#writer !== undefined) throw new Error('startWriting was called twice without a flush')
    const packs = new PackStore({
      backend: this.backend,
      saveIndexFile: (json) => this.saveUnpacked('index', json, progress.signal),
      ...progress,
    })
    const blobs = new BlobWriter({
      codec: this.codec,
      packSizeBytes: this.settings.packSizeBytes ?? DEFAULT_PACK_SIZE_BYTES,
      isKnown: (type, id) => this.#index.has(type, id),
      onPack: (pack) => void this.storePack(pack),
    })
    this.#writer = { blobs, packs, onPack: progress.onPack }
  }

  /**
   * Takes a pack that is ready, whoever made it. Wait for `storing` before making the next one.
   * @returns resolves when its bytes are not needed any more; what went wrong, `storing` and `flush` tell
   */
  storePack(pack: FinishedPack): Promise<void> {
    const { packs, onPack } = this.#writing()
    onPack?.(pack)
    this.#index.addHeader(pack.id, pack.header)
    return packs.submit(pack)
  }

  /** Resolves when the store can take another pack; undefined where it can at once. @throws as storing did */
  storing(): Promise<void> | undefined {
    const { packs } = this.#writing()
    return packs.isBusy ? packs.ready() : undefined
  }

  /** Saves a blob unless the repository has it, waiting while the store is behind. */
  async saveBlob(type: BlobType, plaintext: Uint8Array, id?: Id): Promise<SavedBlob> {
    const { blobs, packs } = this.#writing()
    const saved = blobs.save(type, plaintext, id)
    if (saved.isNew) await packs.ready()
    return saved
  }

  /** Saves another copy of a blob whose packs are to be removed. */
  async copyBlob(type: BlobType, plaintext: Uint8Array, id: Id): Promise<SavedBlob> {
    const { blobs, packs } = this.#writing()
    const saved = blobs.saveAgain(type, plaintext, id)
    await packs.ready()
    return saved
  }

  /** Ends writing: when this resolves, all blobs saved are stored and indexed. */
  async flush(): Promise<void> {
    const { blobs, packs } = this.#writing()
    blobs.finish()
    await packs.flush()
    this.#writer = undefined
  }

  /**
   * Gives up writing after a failure, once what is on its way has arrived or failed: the lock must not go before. The
   * index in memory names packs that may not be stored, so it is discarded. Does nothing after a `flush`.
   */
  async abandonWriting(): Promise<void> {
    if (this.#writer === undefined) return
    const { packs } = this.#writer
    this.#writer = undefined
    this.discardIndex()
    await packs.settle()
  }

  /**
   * @param settlesLater for who only reads at first: see `Lock.settled`
   * @throws RepositoryLockedError, LockLostError through the lock's signal
   */
  lock(exclusive: boolean, signal?: AbortSignal, settlesLater = false): Promise<Lock> {
    const { onNotice, retryLockMs } = this.settings
    return acquireLock(this.lockStore, {
      exclusive,
      settlesLater,
      signal,
      retryMs: retryLockMs,
      onNotice: (kind, message) => onNotice?.({ kind, message }),
    })
  }

  /** What locking (src/repo/locks.ts) works on. */
  get lockStore(): LockStore {
    return {
      list: (signal) => this.list('lock', signal),
      load: (id, signal) => this.loadUnpacked('lock', id, signal),
      save: (json, signal) => this.saveUnpacked('lock', json, signal),
      remove: (id, signal) => this.remove('lock', id, signal),
    }
  }

  close(): Promise<void> {
    return this.backend.close()
  }

  #writing(): Writing {
    if (this.#writer === undefined) throw new Error('blobs can only be saved between startWriting and flush')
    return this.#writer
  }

  async #loadCopy(row: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const blob = this.#index.locationAt(row)
    const range = { offset: blob.offset, length: blob.length }
    try {
      const sealed =
        blob.type === 'tree'
          ? await this.#treeWindows.read(blob.packId, blob, this.#index.endOfPackOf(row), signal)
          : await this.readPack(blob.packId, range, signal)
      return this.codec.decodeBlob(blob, sealed)
    } catch (error) {
      if (!(error instanceof CorruptDataError)) throw error
    }
    try {
      // Once more: the first answer may have been spoiled on its way.
      return this.codec.decodeBlob(blob, await this.readPack(blob.packId, range, signal))
    } catch (error) {
      throw error instanceof CorruptDataError ? damageInPack(error, blob.packId) : error
    }
  }
}

function codecFor(config: Pick<Config, 'version'>, key: SealKey, settings: RepositorySettings): Codec {
  return new Codec({
    crypto: settings.crypto ?? nativeCrypto,
    key,
    version: config.version,
    compression: settings.compression ?? 'auto',
    extraVerify: settings.extraVerify ?? true,
  })
}

function checkSettings(settings: RepositorySettings): void {
  const { packSizeBytes } = settings
  if (packSizeBytes === undefined) return
  if (packSizeBytes < MIN_PACK_SIZE_BYTES || packSizeBytes > MAX_PACK_SIZE_BYTES) {
    throw new InvalidInputError('the pack size must be between 4 MiB and 128 MiB')
  }
}

/** Whether the store says for certain that there is no such file. */
async function isMissing(backend: Backend, handle: Handle): Promise<boolean> {
  return backend.stat(handle).then(
    () => false,
    (error: unknown) => error instanceof FileNotFoundError,
  )
}

function missingPack({ file, cause }: FileNotFoundError): FileNotFoundError {
  return new FileNotFoundError(file, {
    cause,
    hint: 'run `check` to see what else is missing, then `repair index`',
  })
}

function parseNamed<T>(what: string, bytes: Uint8Array, parse: (bytes: Uint8Array) => T): T {
  try {
    return parse(bytes)
  } catch (error) {
    if (error instanceof CorruptDataError) throw new CorruptDataError(what, error.message, { cause: error })
    throw error
  }
}
