/** Reads a pack whole and checks every byte of it (format spec §17.3): hash, blobs, header, and the index's view. */

import { AbortedError, throwIfAborted } from '../../errors.ts'
import type { Id } from '../format/id.ts'
import { headerEntrySize, type PackedBlob } from '../format/pack-header.ts'
import type { Repository } from '../repository.ts'
import { messageOf } from './check-report.ts'

/** What reading a pack came to: undefined where all is well. */
export interface PackProblem {
  readonly message: string
  /** Whether the pack itself is bad; otherwise it could not be read, or was bad only at first. */
  readonly isBroken: boolean
}

type PackCheck =
  | { readonly kind: 'good' }
  | { readonly kind: 'unreadable'; readonly message: string }
  | { readonly kind: 'broken'; readonly problems: readonly string[] }

/**
 * Checks one pack, twice if the first time something is wrong: the store's first answer may have been spoiled on its
 * way, which is worth an error but not the loss of the pack.
 * @throws AbortedError
 */
export async function checkPack(
  repo: Repository,
  pack: number,
  signal?: AbortSignal,
): Promise<PackProblem | undefined> {
  const first = await checkOnce(repo, pack, signal)
  if (first.kind === 'good') return undefined
  const second = await checkOnce(repo, pack, signal)
  const id = repo.index.packIdAt(pack)
  if (second.kind === 'good') {
    const original = messageFor(id, first)
    return {
      message: `pack ${id}: check successful on second attempt, original error ${original}`,
      isBroken: false,
    }
  }
  return { message: messageFor(id, second), isBroken: second.kind === 'broken' }
}

function messageFor(id: Id, check: Exclude<PackCheck, { kind: 'good' }>): string {
  if (check.kind === 'unreadable') return `pack ${id}: download error: ${check.message}`
  return `pack ${id} contains ${check.problems.length} errors: [${check.problems.join(' ')}]`
}

async function checkOnce(
  repo: Repository,
  pack: number,
  signal: AbortSignal | undefined,
): Promise<PackCheck> {
  const indexed = repo.index.blobsAt(pack)
  if (indexed.length === 0) return { kind: 'broken', problems: ['pack is empty or not indexed'] }
  const id = repo.index.packIdAt(pack)
  let bytes: Uint8Array
  try {
    bytes = await repo.readPack(id, undefined, signal)
  } catch (error) {
    if (error instanceof AbortedError) throw error
    throwIfAborted(signal)
    return { kind: 'unreadable', message: messageOf(error) }
  }
  const problems = problemsOf(repo, id, bytes, indexed)
  return problems.length === 0 ? { kind: 'good' } : { kind: 'broken', problems }
}

function problemsOf(repo: Repository, id: Id, bytes: Uint8Array, indexed: readonly PackedBlob[]): string[] {
  const problems: string[] = []
  if (!isContiguous(indexed)) problems.push('index for pack contains gaps / overlapping blobs')
  for (const blob of indexed) {
    const problem = problemOfBlob(repo, bytes, blob)
    if (problem !== undefined) problems.push(`blob ${blob.id}: ${problem}`)
  }
  const hash = repo.codec.idOf(bytes)
  if (hash !== id) return [...problems, `unexpected pack id ${hash}`]
  return [...problems, ...problemsOfHeader(repo, id, bytes, indexed)]
}

function problemOfBlob(repo: Repository, bytes: Uint8Array, blob: PackedBlob): string | undefined {
  const end = blob.offset + blob.length
  if (end > bytes.length) return `it ends at byte ${end} of a pack of ${bytes.length}`
  try {
    repo.codec.decodeBlob(blob, bytes.subarray(blob.offset, end))
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

function problemsOfHeader(
  repo: Repository,
  id: Id,
  bytes: Uint8Array,
  indexed: readonly PackedBlob[],
): string[] {
  let headerBlobs: PackedBlob[]
  try {
    headerBlobs = repo.parsePack(id, bytes)
  } catch (error) {
    return [messageOf(error)]
  }
  const problems: string[] = []
  const wanted = headerSize(indexed)
  const found = headerSize(headerBlobs)
  if (wanted !== found) problems.push(`pack header size does not match, want ${wanted}, got ${found}`)
  const known = new Set(indexed.map(fingerprint))
  for (const blob of headerBlobs) {
    if (known.has(fingerprint(blob))) continue
    problems.push(`blob ${blob.id} is not contained in index or position is incorrect`)
  }
  return problems
}

function isContiguous(blobs: readonly PackedBlob[]): boolean {
  let offset = 0
  for (const blob of blobs) {
    if (blob.offset !== offset) return false
    offset += blob.length
  }
  return true
}

function headerSize(blobs: readonly PackedBlob[]): number {
  return blobs.reduce((sum, blob) => sum + headerEntrySize(blob), 0)
}

function fingerprint(blob: PackedBlob): string {
  return `${blob.type} ${blob.id} ${blob.offset} ${blob.length} ${blob.uncompressedLength}`
}
