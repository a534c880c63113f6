/** Checks the index files against each other and against the packs there are (format spec §17.3). */

import { throwIfAborted } from '../../errors.ts'
import { Bitmap } from '../bitmap.ts'
import type { BlobIndex } from '../blob-index.ts'
import { idFromBytes, shortId, type Id } from '../format/id.ts'
import { scanIndexFile } from '../format/index-file.ts'
import { COMPRESSED_ENTRY_BYTES, PACK_FIXED_BYTES, PLAIN_ENTRY_BYTES } from '../format/pack-header.ts'
import type { Repository } from '../repository.ts'
import { messageOf, type CheckReport } from './check-report.ts'

export interface CheckIndexOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((done: number, total: number) => void) | undefined
}

/**
 * Loads all index files anew and reports those that cannot be used, packs listed more than once, and packs of mixed
 * blobs. Whether all could be used: otherwise nothing can be said of packs and trees.
 */
export async function checkIndex(
  repo: Repository,
  report: CheckReport,
  options: CheckIndexOptions,
): Promise<boolean> {
  const repeated = new Map<Id, 'same' | 'conflicting'>()
  const errorsBefore = report.errorCount
  repo.discardIndex()
  await repo.loadIndex({
    ...options,
    onError: (id, error) => report.error('index', id, `error loading index ${id}: ${error.message}`),
    onRepeated: (pack, kind) => {
      if (repeated.get(pack) !== 'conflicting') repeated.set(pack, kind)
    },
  })
  const isUsable = report.errorCount === errorsBefore && checkVersion(repo, report)
  if (repeated.size > 0) await reportRepeated(repo, report, repeated, options.signal)
  reportMixed(repo.index, report)
  if (!isUsable) report.suggestRepairIndex = true
  return isUsable
}

/** Compares the listing of packs with what the index knows of them. Resolves to the size of each pack by number. */
export async function checkPacks(
  repo: Repository,
  report: CheckReport,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<Float64Array> {
  const { index } = repo
  const sizes = expectedSizes(index)
  const seen = new Bitmap(index.packCount)
  for await (const { id, size } of repo.list('pack', options.signal)) {
    const pack = index.packNumber(id)
    if (pack < 0) {
      report.hint('orphaned-pack', id, `pack ${id}: not referenced in any index`)
      continue
    }
    const expected = sizes[pack] ?? 0
    if (!seen.add(pack) || size === expected) continue
    report.brokenPack('pack', id, `pack ${id}: unexpected file size: got ${size}, expected ${expected}`)
  }
  for (let pack = 0; pack < index.packCount; pack++) {
    const id = index.packIdAt(pack)
    if (seen.has(pack) || index.packNumber(id) !== pack) continue
    report.error('pack', id, `pack ${id}: does not exist`)
  }
  return sizes
}

/**
 * Size of each pack as its entries in the index add up, at its number. A pack listed several times is added up under
 * its first number, the others stay 0.
 */
function expectedSizes(index: BlobIndex): Float64Array {
  const sizes = new Float64Array(index.packCount)
  for (let listed = 0; listed < index.packCount; listed++) {
    const pack = index.packNumber(index.packIdAt(listed))
    const { start, end } = index.rowsOfPack(listed)
    let size = listed === pack ? PACK_FIXED_BYTES : 0
    for (let row = start; row < end; row++) {
      const isPlain = index.uncompressedLengthAt(row) === 0
      size += index.lengthAt(row) + (isPlain ? PLAIN_ENTRY_BYTES : COMPRESSED_ENTRY_BYTES)
    }
    sizes[pack] = (sizes[pack] ?? 0) + size
  }
  return sizes
}

function checkVersion(repo: Repository, report: CheckReport): boolean {
  if (repo.config.version >= 2) return true
  const { index } = repo
  for (let row = 0; row < index.blobCount; row++) {
    if (index.uncompressedLengthAt(row) === 0) continue
    report.error('index', undefined, 'index uses feature not supported by repository version 1')
    return false
  }
  return true
}

/** Names the index files that list a pack more than once: they are read again, for this is rare. */
async function reportRepeated(
  repo: Repository,
  report: CheckReport,
  repeated: ReadonlyMap<Id, 'same' | 'conflicting'>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const holders = new Map<Id, Set<Id>>()
  for await (const { id: indexId } of repo.list('index', signal)) {
    for (const pack of await packsOf(repo, indexId, signal)) {
      if (!repeated.has(pack)) continue
      const found = holders.get(pack)
      if (found === undefined) holders.set(pack, new Set([indexId]))
      else found.add(indexId)
    }
  }
  for (const [pack, kind] of repeated) {
    const indexes = [...(holders.get(pack) ?? [])].toSorted()
    if (kind === 'conflicting') {
      report.brokenPack('pack', pack, `pack ${pack} has different data in indexes: ${indexes.join(', ')}`)
    } else if (indexes.length > 1) {
      report.hint('duplicate-pack', pack, `pack ${pack} contained in several indexes: ${indexes.join(', ')}`)
    }
  }
}

async function packsOf(repo: Repository, indexId: Id, signal: AbortSignal | undefined): Promise<Set<Id>> {
  const packs = new Set<Id>()
  try {
    scanIndexFile(await repo.loadUnpacked('index', indexId, signal), {
      pack: (id) => packs.add(idFromBytes(id)),
      blob: () => {},
    })
  } catch (error) {
    // An index file that cannot be read has been reported already.
    throwIfAborted(signal)
    if (!(error instanceof Error)) throw new Error(messageOf(error), { cause: error })
  }
  return packs
}

function reportMixed(index: BlobIndex, report: CheckReport): void {
  for (let pack = 0; pack < index.packCount; pack++) {
    const { start, end } = index.rowsOfPack(pack)
    const type = start < end ? index.typeAt(start) : 'data'
    for (let row = start + 1; row < end; row++) {
      if (index.typeAt(row) === type) continue
      const id = index.packIdAt(pack)
      report.hint('mixed-pack', id, `pack ${shortId(id)} contains a mix of tree and data blobs`)
      break
    }
  }
}
