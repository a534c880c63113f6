/** Whole sealed files outside packs: config, keys, locks, snapshots, index files (format spec §1, §5). */
import type { Backend, FileType } from '../backend/backend.ts'
import type { CryptoProvider } from '../crypto/provider.ts'
import { CorruptDataError, InvalidInputError, NotFoundError } from '../errors.ts'
import { idFromHash, isId, type Id } from './format/id.ts'

/** File types whose names are the SHA-256 of their stored bytes. */
export type HashedFileType = Exclude<FileType, 'config'>

/** Stored files of one type whose name is an ID; strays are passed over, as restic does. */
export async function* listFiles(
  backend: Backend,
  type: HashedFileType,
  signal?: AbortSignal,
): AsyncGenerator<{ readonly id: Id; readonly size: number }> {
  for await (const { name, size } of backend.list(type, signal)) if (isId(name)) yield { id: name, size }
}

/**
 * The stored bytes of a file, checked against its name. Read a second time before it is called damaged: the first
 * answer may have been spoiled on its way.
 * @throws FileNotFoundError, CorruptDataError
 */
export async function readHashed(
  store: { readonly backend: Backend; readonly crypto: CryptoProvider },
  type: HashedFileType,
  id: Id,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const handle = { type, name: id }
  const bytes = await store.backend.read(handle, undefined, signal)
  if (idFromHash(store.crypto.sha256Hex(bytes)) === id) return bytes
  const again = await store.backend.read(handle, undefined, signal)
  if (idFromHash(store.crypto.sha256Hex(again)) === id) return again
  throw new CorruptDataError(`${type} ${id}`, 'its content does not match its name', {
    hint: REPAIR_HINTS[type],
  })
}

const REPAIR_HINTS: Record<HashedFileType, string> = {
  key: 'remove the damaged key file from keys/ and open the repository with another key',
  lock: 'run `unlock --remove-all` when no other process uses the repository',
  snapshot: 'this snapshot is lost; `check` tells what else is: remove its file from snapshots/',
  index: 'run `repair index` to rebuild it from the packs',
  pack: 'run `check --read-data` to see what is affected, then `repair packs`',
}

/** Stores bytes under their own hash. */
export async function writeHashed(
  store: { readonly backend: Backend; readonly crypto: CryptoProvider },
  type: HashedFileType,
  bytes: Uint8Array,
  signal?: AbortSignal,
): Promise<Id> {
  const id = idFromHash(store.crypto.sha256Hex(bytes))
  await store.backend.write({ type, name: id }, bytes, signal)
  return id
}

/**
 * The one file of a type whose ID starts with `prefix`; a whole ID is taken without a look at the store.
 * @throws NotFoundError where none does, InvalidInputError where several do
 */
export async function resolvePrefix(
  backend: Backend,
  type: HashedFileType,
  prefix: string,
  signal?: AbortSignal,
): Promise<Id> {
  if (isId(prefix)) return prefix
  const matches: Id[] = []
  if (/^[0-9a-f]+$/.test(prefix)) {
    for await (const { id } of listFiles(backend, type, signal)) if (id.startsWith(prefix)) matches.push(id)
  }
  const [first] = matches
  if (first === undefined) throw new NotFoundError(`no matching ID found for prefix "${prefix}"`)
  if (matches.length > 1) throw new InvalidInputError(`multiple IDs with prefix "${prefix}" found`)
  return first
}
