/** Snapshots: one backup, when and of what it was made, and its root tree (format spec §13). */
import type { Id } from './id.ts'
import { encodeJsonString } from './json.ts'
import { JsonFields, UINT32_MAX } from './json-fields.ts'
import { formatTime, type Time } from './time.ts'

export interface Snapshot {
  readonly time: Time
  readonly parent?: Id | undefined
  readonly tree: Id
  readonly paths: string[]
  readonly hostname: string
  readonly username: string
  readonly uid: number
  readonly gid: number
  readonly excludes: string[]
  readonly tags: string[]
  /** The snapshot this one was first made from by rewriting, tagging or copying. */
  readonly original?: Id | undefined
  readonly programVersion: string
  readonly summary?: SnapshotSummary | undefined
}

/** What the backup came to. Sizes in bytes; `dataAdded` as plaintext, `dataAddedPacked` as stored. */
export interface SnapshotSummary {
  readonly backupStart: Time
  readonly backupEnd: Time
  readonly filesNew: number
  readonly filesChanged: number
  readonly filesUnmodified: number
  readonly dirsNew: number
  readonly dirsChanged: number
  readonly dirsUnmodified: number
  readonly dataBlobs: number
  readonly treeBlobs: number
  readonly dataAdded: number
  readonly dataAddedPacked: number
  readonly totalFilesProcessed: number
  readonly totalBytesProcessed: number
}

const WHAT = 'snapshot'

/**
 * Parses a snapshot's JSON.
 * @throws CorruptDataError
 */
export function parseSnapshot(bytes: Uint8Array): Snapshot {
  const fields = JsonFields.parse(bytes, WHAT)
  const parent = fields.id('parent')
  const original = fields.id('original')
  const summary = fields.object('summary')
  return {
    time: fields.time('time'),
    ...(parent && { parent }),
    tree: fields.id('tree') ?? fields.fail('tree', 'is missing'),
    paths: fields.strings('paths'),
    hostname: fields.string('hostname'),
    username: fields.string('username'),
    uid: fields.uint('uid', UINT32_MAX),
    gid: fields.uint('gid', UINT32_MAX),
    excludes: fields.strings('excludes'),
    tags: fields.strings('tags'),
    ...(original && { original }),
    programVersion: fields.string('program_version'),
    ...(summary && { summary: parseSummary(summary) }),
  }
}

/** A snapshot's JSON: empty members are left out as restic leaves them out. */
export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  let json = `{"time":"${formatTime(snapshot.time)}"`
  if (snapshot.parent !== undefined) json += `,"parent":"${snapshot.parent}"`
  json += `,"tree":"${snapshot.tree}","paths":${encodeStrings(snapshot.paths)}`
  if (snapshot.hostname !== '') json += `,"hostname":${encodeJsonString(snapshot.hostname)}`
  if (snapshot.username !== '') json += `,"username":${encodeJsonString(snapshot.username)}`
  if (snapshot.uid !== 0) json += `,"uid":${snapshot.uid}`
  if (snapshot.gid !== 0) json += `,"gid":${snapshot.gid}`
  if (snapshot.excludes.length > 0) json += `,"excludes":${encodeStrings(snapshot.excludes)}`
  if (snapshot.tags.length > 0) json += `,"tags":${encodeStrings(snapshot.tags)}`
  if (snapshot.original !== undefined) json += `,"original":"${snapshot.original}"`
  if (snapshot.programVersion !== '')
    json += `,"program_version":${encodeJsonString(snapshot.programVersion)}`
  if (snapshot.summary !== undefined) json += `,"summary":${encodeSummary(snapshot.summary)}`
  return new TextEncoder().encode(`${json}}`)
}

function parseSummary(fields: JsonFields): SnapshotSummary {
  return {
    backupStart: fields.time('backup_start'),
    backupEnd: fields.time('backup_end'),
    filesNew: fields.uint('files_new'),
    filesChanged: fields.uint('files_changed'),
    filesUnmodified: fields.uint('files_unmodified'),
    dirsNew: fields.uint('dirs_new'),
    dirsChanged: fields.uint('dirs_changed'),
    dirsUnmodified: fields.uint('dirs_unmodified'),
    dataBlobs: fields.uint('data_blobs'),
    treeBlobs: fields.uint('tree_blobs'),
    dataAdded: fields.uint('data_added'),
    dataAddedPacked: fields.uint('data_added_packed'),
    totalFilesProcessed: fields.uint('total_files_processed'),
    totalBytesProcessed: fields.uint('total_bytes_processed'),
  }
}

function encodeSummary(summary: SnapshotSummary): string {
  return (
    `{"backup_start":"${formatTime(summary.backupStart)}","backup_end":"${formatTime(summary.backupEnd)}"` +
    `,"files_new":${summary.filesNew},"files_changed":${summary.filesChanged}` +
    `,"files_unmodified":${summary.filesUnmodified},"dirs_new":${summary.dirsNew}` +
    `,"dirs_changed":${summary.dirsChanged},"dirs_unmodified":${summary.dirsUnmodified}` +
    `,"data_blobs":${summary.dataBlobs},"tree_blobs":${summary.treeBlobs}` +
    `,"data_added":${summary.dataAdded},"data_added_packed":${summary.dataAddedPacked}` +
    `,"total_files_processed":${summary.totalFilesProcessed},"total_bytes_processed":${summary.totalBytesProcessed}}`
  )
}

function encodeStrings(strings: readonly string[]): string {
  return `[${strings.map(encodeJsonString).join(',')}]`
}
