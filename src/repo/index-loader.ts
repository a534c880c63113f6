/** Reads all index files of a repository into the blob index, several at once. */
import type { Backend } from '../backend/backend.ts'
import { CorruptDataError, ResticError, throwIfAborted } from '../errors.ts'
import type { BlobIndex } from './blob-index.ts'
import type { Codec } from './codec.ts'
import type { Id } from './format/id.ts'
import { decodeIndexFile } from './index-decoding.ts'
import { PackColumns } from './pack-columns.ts'
import { forEachParallel } from './parallel.ts'
import { listFiles } from './unpacked.ts'

export interface LoadIndexOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((done: number, total: number) => void) | undefined
  /** Takes over index files that cannot be used; without it the first one is thrown. */
  readonly onError?: ((id: Id, error: Error) => void) | undefined
  /** Packs that more than one index file lists, alike (`same`) or with different blobs (`conflicting`). */
  readonly onRepeated?: ((pack: Id, kind: 'same' | 'conflicting') => void) | undefined
}

/** What loading needs of a repository. */
export interface IndexSource {
  readonly backend: Backend
  readonly codec: Codec
  loadRaw(type: 'index', id: Id, signal?: AbortSignal): Promise<Uint8Array>
}

/** Each index file counts whole or not at all. @throws CorruptDataError for an unusable index file unless `onError` takes it */
export async function loadIndexFiles(
  source: IndexSource,
  index: BlobIndex,
  options: LoadIndexOptions = {},
): Promise<void> {
  const { signal } = options
  const ids: Id[] = []
  for await (const { id } of listFiles(source.backend, 'index', signal)) ids.push(id)
  const columns = new PackColumns()
  let done = 0
  options.onProgress?.(0, ids.length)
  await forEachParallel(ids, source.backend.connections, async (id) => {
    throwIfAborted(signal)
    await loadOne(source, { index, columns }, id, options)
    done += 1
    options.onProgress?.(done, ids.length)
  })
}

// oxlint-disable-next-line max-params -- which file of what goes where
async function loadOne(
  source: IndexSource,
  { index, columns }: { readonly index: BlobIndex; readonly columns: PackColumns },
  id: Id,
  options: LoadIndexOptions,
): Promise<void> {
  try {
    const sealed = await source.loadRaw('index', id, options.signal)
    const { repeated, conflicting } = index.addColumns(
      decodeIndexFile(source.codec, sealed, `index ${id}`, columns),
    )
    for (const pack of repeated) options.onRepeated?.(pack, 'same')
    for (const pack of conflicting) options.onRepeated?.(pack, 'conflicting')
  } catch (error) {
    if (!(error instanceof ResticError) || error.code === 'ABORTED') throw error
    const named = error instanceof CorruptDataError ? damagedIndex(id, error) : error
    if (options.onError === undefined) throw named
    options.onError(id, named)
  }
}

function damagedIndex(id: Id, error: CorruptDataError): CorruptDataError {
  const what = `index ${id}`
  return new CorruptDataError(what, error.message.replace(`${what} is damaged: `, ''), {
    cause: error,
    hint: 'run `repair index` to rebuild the index from the packs',
  })
}
