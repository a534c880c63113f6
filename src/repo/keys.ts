/** Key files: opening a repository with a password, and managing who can (format spec §3). */
import { hostname, userInfo } from 'node:os'
import type { Backend } from '../backend/backend.ts'
import { checkScryptParams, DEFAULT_SCRYPT, deriveKey } from '../crypto/key-derivation.ts'
import type { CryptoProvider, ScryptParams } from '../crypto/provider.ts'
import { open, seal, validateSealKey, type SealKey } from '../crypto/seal.ts'
import {
  CorruptDataError,
  InvalidInputError,
  NotFoundError,
  ResticError,
  UnsupportedError,
  WrongPasswordError,
} from '../errors.ts'
import type { Id } from './format/id.ts'
import {
  encodeKeyFile,
  encodeMasterKey,
  parseKeyFile,
  parseMasterKey,
  type KeyFile,
} from './format/key-file.ts'
import { timeFromDate } from './format/time.ts'
import { listFiles, readHashed, resolvePrefix, writeHashed } from './unpacked.ts'

/** As restic: a store with more keys than this is searched no further. */
const MAX_KEYS_TRIED = 20
const SALT_BYTES = 64

/** What key handling needs of a repository. */
export interface KeyStore {
  readonly backend: Backend
  readonly crypto: CryptoProvider
}

/** A key that opened. */
export interface OpenedKey {
  readonly id: Id
  readonly masterKey: SealKey
}

/** A key file as `key list` shows it. */
export interface KeyInfo {
  readonly id: Id
  readonly file: KeyFile
}

export interface NewKey {
  readonly password: string
  readonly username?: string | undefined
  readonly hostname?: string | undefined
  /** Cost parameters; restic's by default. */
  readonly scrypt?: ScryptParams | undefined
}

/**
 * Tries the password on every key file, the hinted one first.
 * A damaged key file does not keep others from opening; only where no other opens it is the error.
 * @throws WrongPasswordError, CorruptDataError, UnsupportedError
 */
export async function searchKey(
  store: KeyStore,
  password: string,
  options: { readonly keyHint?: string | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<OpenedKey> {
  const { keyHint, signal } = options
  let damage: ResticError | undefined
  const tried = new Set<Id>()
  const attempt = async (id: Id): Promise<OpenedKey | undefined> => {
    tried.add(id)
    try {
      return await openKey(store, id, password, signal)
    } catch (error) {
      if (!(error instanceof CorruptDataError || error instanceof UnsupportedError)) throw error
      damage ??= error
      return undefined
    }
  }
  if (keyHint !== undefined && keyHint !== '') {
    const id = await findHinted(store, keyHint, signal)
    const opened = id === undefined ? undefined : await attempt(id)
    if (opened !== undefined) return opened
  }
  for await (const { id } of listFiles(store.backend, 'key', signal)) {
    if (tried.size >= MAX_KEYS_TRIED) break
    const opened = tried.has(id) ? undefined : await attempt(id)
    if (opened !== undefined) return opened
  }
  throw damage ?? new WrongPasswordError()
}

/** A hint that fits no key or several is no error: all keys are tried anyway. */
async function findHinted(
  store: KeyStore,
  hint: string,
  signal: AbortSignal | undefined,
): Promise<Id | undefined> {
  try {
    return await resolvePrefix(store.backend, 'key', hint, signal)
  } catch (error) {
    if (error instanceof NotFoundError || error instanceof InvalidInputError) return undefined
    throw error
  }
}

/**
 * Opens one key file; undefined where the password is not its.
 * @throws CorruptDataError, UnsupportedError
 */
export async function openKey(
  store: KeyStore,
  id: Id,
  password: string,
  signal?: AbortSignal,
): Promise<OpenedKey | undefined> {
  const file = await loadKeyFile(store, id, signal)
  if (file.kdf !== 'scrypt') {
    throw new UnsupportedError(`key ${id} uses the unknown key derivation function "${file.kdf}"`)
  }
  checkScryptParams(file)
  const userKey = await deriveKey(store.crypto, new TextEncoder().encode(password), file.salt, file)
  let json: Uint8Array
  try {
    json = open(store.crypto, userKey, file.data)
  } catch (error) {
    if (error instanceof CorruptDataError) return undefined // the MAC of the master key says: other password
    throw error
  }
  const masterKey = parseMasterKey(json)
  validateSealKey(masterKey)
  return { id, masterKey }
}

/** Stores the master key under a new password. */
export async function addKey(
  store: KeyStore,
  masterKey: SealKey,
  newKey: NewKey,
  signal?: AbortSignal,
): Promise<Id> {
  const params = newKey.scrypt ?? DEFAULT_SCRYPT
  const salt = store.crypto.randomBytes(SALT_BYTES)
  const userKey = await deriveKey(store.crypto, new TextEncoder().encode(newKey.password), salt, params)
  const file: KeyFile = {
    created: timeFromDate(new Date()),
    username: newKey.username ?? currentUser().username,
    hostname: newKey.hostname ?? hostname(),
    kdf: 'scrypt',
    ...params,
    salt,
    data: seal(store.crypto, userKey, encodeMasterKey(masterKey)),
  }
  return writeHashed(store, 'key', encodeKeyFile(file), signal)
}

/** All key files that can be read; the others are reported to `onError`. */
export async function listKeys(
  store: KeyStore,
  options: {
    readonly signal?: AbortSignal | undefined
    readonly onError?: ((id: Id, error: Error) => void) | undefined
  } = {},
): Promise<KeyInfo[]> {
  const keys: KeyInfo[] = []
  for await (const { id } of listFiles(store.backend, 'key', options.signal)) {
    try {
      keys.push({ id, file: await loadKeyFile(store, id, options.signal) })
    } catch (error) {
      if (!(error instanceof ResticError) || options.onError === undefined) throw error
      options.onError(id, error)
    }
  }
  return keys.toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

/** @throws InvalidInputError where `id` is the key in use */
export async function removeKey(store: KeyStore, id: Id, inUse: Id, signal?: AbortSignal): Promise<void> {
  if (id === inUse) throw new InvalidInputError('refusing to remove key currently used to access repository')
  await store.backend.remove({ type: 'key', name: id }, signal)
}

async function loadKeyFile(store: KeyStore, id: Id, signal?: AbortSignal): Promise<KeyFile> {
  const bytes = await readHashed(store, 'key', id, signal)
  try {
    return parseKeyFile(bytes)
  } catch (error) {
    if (error instanceof CorruptDataError)
      throw new CorruptDataError(`key ${id}`, error.message, { cause: error })
    throw error
  }
}

/** Name and numbers of whoever runs this process; the name is empty where the system does not know it. */
export function currentUser(): { readonly username: string; readonly uid: number; readonly gid: number } {
  try {
    const { username, uid, gid } = userInfo()
    return { username, uid: Math.max(0, uid), gid: Math.max(0, gid) } // −1 on Windows
  } catch {
    return { username: '', uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
  }
}
