/** Finding snapshots: by ID, by prefix, by `latest`, or by what is recorded in them (command spec §1.7). */

import {
  FileNotFoundError,
  InvalidInputError,
  NotFoundError,
  SnapshotNotFoundError,
  throwIfAborted,
} from '../../errors.ts'
import { isId, type Id } from '../format/id.ts'
import type { Snapshot } from '../format/snapshot.ts'
import { compareTimes, type Time } from '../format/time.ts'
import { forEachParallel } from '../parallel.ts'
import type { Repository } from '../repository.ts'
import type { ItemError } from './operation.ts'

/** A snapshot with the ID of the file it is stored in. */
export interface SnapshotRecord {
  readonly id: Id
  readonly snapshot: Snapshot
}

/** Which snapshots are meant. Conditions left out or empty let all through. */
export interface SnapshotFilter {
  /** Made on one of these hosts. */
  readonly hosts?: readonly string[]
  /** Having all tags of one of these lists; the empty tag stands for "has no tags". */
  readonly tags?: readonly (readonly string[])[]
  /** Of all these paths, absolute and exactly as stored. */
  readonly paths?: readonly string[]
}

/** What loading snapshots can be given. */
export interface LoadSnapshotsOptions {
  readonly signal?: AbortSignal | undefined
  /** Told of snapshots that cannot be read and queries nothing answers to. Without it the first of them is thrown. */
  readonly onError?: ((error: ItemError) => void) | undefined
}

/** Whether a snapshot has all of `tags`; the empty tag is had by snapshots without any. */
export function hasTags(snapshot: Snapshot, tags: readonly string[]): boolean {
  for (const tag of tags) {
    // restic stops at the empty tag: what follows it is not asked for.
    if (tag === '' && snapshot.tags.length === 0) return true
    if (!snapshot.tags.includes(tag)) return false
  }
  return true
}

/** Whether a snapshot meets every condition of a filter (command spec §1.7). */
export function matchesFilter(snapshot: Snapshot, filter: SnapshotFilter): boolean {
  const { hosts = [], tags = [], paths = [] } = filter
  return (
    (hosts.length === 0 || hosts.includes(snapshot.hostname)) &&
    (tags.length === 0 || tags.some((list) => hasTags(snapshot, list))) &&
    paths.every((path) => snapshot.paths.includes(path))
  )
}

/** Whether a filter lets everything through. */
export function isEmptyFilter(filter: SnapshotFilter): boolean {
  return [filter.hosts, filter.tags, filter.paths].every((conditions) => (conditions ?? []).length === 0)
}

/** Reads a list of tags as one --tag or --keep-tag names it: separated by commas, spaces around them taken off. */
export function parseTagList(text: string): string[] {
  return text.split(',').map((tag) => tag.trim())
}

/**
 * Loads all snapshots, oldest first, those of the same instant by ID.
 * @throws ResticError for the first that cannot be read, unless there is an `onError` to be told
 */
export async function loadSnapshots(
  repo: Repository,
  options: LoadSnapshotsOptions & { readonly except?: ReadonlySet<Id> } = {},
): Promise<SnapshotRecord[]> {
  const ids: Id[] = []
  for await (const { id } of repo.list('snapshot', options.signal)) {
    if (options.except?.has(id) !== true) ids.push(id)
  }
  const records: SnapshotRecord[] = []
  await forEachParallel(ids, repo.backend.connections, async (id) => {
    throwIfAborted(options.signal)
    const record = await loadRecord(repo, id, options)
    if (record !== undefined) records.push(record)
  })
  return records.toSorted(compareRecords)
}

/**
 * Finds the snapshots an operation on many is about: those named by `ids` (unique prefixes, or `latest` for the
 * newest that meets the filter), or without any ID all that meet the filter. Each is returned once.
 * An unknown ID, a `snapshot:subfolder`, or a filter that explicit IDs leave without effect goes to `onError`.
 */
export async function findSnapshots(
  repo: Repository,
  selection: { readonly ids?: readonly string[]; readonly filter?: SnapshotFilter },
  options: LoadSnapshotsOptions = {},
): Promise<SnapshotRecord[]> {
  const { ids = [], filter = {} } = selection
  if (ids.length === 0) {
    return (await loadSnapshots(repo, options)).filter((record) => matchesFilter(record.snapshot, filter))
  }
  const found = new Map<Id, SnapshotRecord>()
  for (const query of new Set(ids)) {
    throwIfAborted(options.signal)
    try {
      const { record, subfolder } = await findSnapshot(repo, query, { filter, signal: options.signal })
      if (subfolder !== undefined) {
        throw new InvalidInputError('<snapshot>:<subfolder> syntax not allowed')
      }
      found.set(record.id, record)
    } catch (error) {
      report(query, error, options)
    }
  }
  if (!ids.includes('latest') && !isEmptyFilter(filter)) {
    options.onError?.({
      item: 'filters',
      during: 'find',
      error: new InvalidInputError('explicit snapshot ids are given'),
    })
  }
  return [...found.values()]
}

/** What may narrow the search for one snapshot; it only counts for `latest`. */
export interface FindSnapshotOptions {
  readonly filter?: SnapshotFilter
  /** For `latest`: no snapshot younger than this. */
  readonly notAfter?: Time
  readonly signal?: AbortSignal | undefined
}

/**
 * Finds one snapshot by `latest` or a unique prefix of its ID, either followed by `:subfolder` where a part of it
 * is meant. An empty subfolder is none.
 * @throws SnapshotNotFoundError; InvalidInputError for a prefix of several
 */
export async function findSnapshot(
  repo: Repository,
  query: string,
  options: FindSnapshotOptions = {},
): Promise<{ readonly record: SnapshotRecord; readonly subfolder?: string }> {
  const colon = query.indexOf(':')
  const name = colon < 0 ? query : query.slice(0, colon)
  const subfolder = colon < 0 ? '' : query.slice(colon + 1)
  const record = name === 'latest' ? await findLatest(repo, options) : await findById(repo, name, options)
  return subfolder === '' ? { record } : { record, subfolder }
}

async function findLatest(repo: Repository, options: FindSnapshotOptions): Promise<SnapshotRecord> {
  const { filter = {}, notAfter, signal } = options
  const records = await loadSnapshots(repo, { signal })
  const latest = records.findLast(
    ({ snapshot }) =>
      matchesFilter(snapshot, filter) &&
      (notAfter === undefined || compareTimes(snapshot.time, notAfter) <= 0),
  )
  if (latest === undefined) {
    throw new SnapshotNotFoundError(`snapshot filter (${describeFilter(filter)}): no snapshot found`)
  }
  return latest
}

async function findById(
  repo: Repository,
  prefix: string,
  options: FindSnapshotOptions,
): Promise<SnapshotRecord> {
  try {
    const id = isId(prefix) ? prefix : await repo.resolveId('snapshot', prefix, options.signal)
    return { id, snapshot: await repo.loadSnapshot(id, options.signal) }
  } catch (error) {
    if (error instanceof NotFoundError) throw new SnapshotNotFoundError(error.message, { cause: error })
    if (error instanceof FileNotFoundError) {
      throw new SnapshotNotFoundError(`there is no snapshot ${prefix}`, { cause: error })
    }
    throw error
  }
}

/** A filter as restic words it when nothing meets it. */
function describeFilter(filter: SnapshotFilter): string {
  const { hosts = [], tags = [], paths = [] } = filter
  const tagLists = tags.map((list) => `[${list.join(', ')}]`)
  return `Paths:[${paths.join(' ')}] Tags:[${tagLists.join(' ')}] Hosts:[${hosts.join(' ')}]`
}

async function loadRecord(
  repo: Repository,
  id: Id,
  options: LoadSnapshotsOptions,
): Promise<SnapshotRecord | undefined> {
  try {
    return { id, snapshot: await repo.loadSnapshot(id, options.signal) }
  } catch (error) {
    report(id, error, options)
    return undefined
  }
}

function report(item: string, error: unknown, options: LoadSnapshotsOptions): void {
  throwIfAborted(options.signal)
  if (options.onError === undefined || !(error instanceof Error)) throw error
  options.onError({ item, during: 'find', error })
}

function compareRecords(a: SnapshotRecord, b: SnapshotRecord): number {
  const byTime = compareTimes(a.snapshot.time, b.snapshot.time)
  if (byTime !== 0) return byTime
  return a.id < b.id ? -1 : 1
}
