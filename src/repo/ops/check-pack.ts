/** Reads a pack whole and has a thread check it, a second time where something is wrong. */
import { AbortedError, throwIfAborted } from '../../errors.ts'
import type { Id } from '../format/id.ts'
import type { Repository } from '../repository.ts'
import type { WorkerPool } from '../worker-pool.ts'
import { messageOf } from './check-report.ts'
import type { Tasks } from './threads.ts'

/** What reading a pack came to: undefined where all is well. */
export interface PackProblem {
  readonly message: string
  /** Whether the pack itself is bad; otherwise it could not be read, or was bad only at first. */
  readonly isBroken: boolean
}

export interface CheckPackOptions {
  readonly threads: WorkerPool<Tasks>
  readonly signal?: AbortSignal | undefined
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
  options: CheckPackOptions,
): Promise<PackProblem | undefined> {
  const first = await checkOnce(repo, pack, options)
  if (first.kind === 'good') return undefined
  const second = await checkOnce(repo, pack, options)
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
  { threads, signal }: CheckPackOptions,
): Promise<PackCheck> {
  const indexed = repo.index.packHeaderAt(pack) ?? repo.index.blobsAt(pack)
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
  await threads.ready()
  const takeBack = (memory: Uint8Array): void => repo.reuse(memory)
  const problems = await threads.run('checkPackBytes', { id, bytes, indexed }, bytes, takeBack)
  return problems.length === 0 ? { kind: 'good' } : { kind: 'broken', problems }
}
