/** Lock files: who works on the repository, and whether nobody else may (format spec §16). */
import { encodeJsonString } from './json.ts'
import { JsonFields, UINT32_MAX } from './json-fields.ts'
import { formatTime, type Time } from './time.ts'

export interface LockFile {
  readonly time: Time
  readonly exclusive: boolean
  readonly hostname: string
  readonly username: string
  readonly pid: number
  /** 0 where unknown. */
  readonly uid: number
  /** 0 where unknown. */
  readonly gid: number
}

const WHAT = 'lock file'

/**
 * Parses a lock's JSON.
 * @throws CorruptDataError
 */
export function parseLockFile(bytes: Uint8Array): LockFile {
  const fields = JsonFields.parse(bytes, WHAT)
  return {
    time: fields.time('time'),
    exclusive: fields.boolean('exclusive'),
    hostname: fields.string('hostname'),
    username: fields.string('username'),
    pid: fields.integer('pid', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    uid: fields.uint('uid', UINT32_MAX),
    gid: fields.uint('gid', UINT32_MAX),
  }
}

/** A lock's JSON. */
export function encodeLockFile(lock: LockFile): Uint8Array {
  let json = `{"time":"${formatTime(lock.time)}","exclusive":${lock.exclusive}`
  json += `,"hostname":${encodeJsonString(lock.hostname)},"username":${encodeJsonString(lock.username)}`
  json += `,"pid":${lock.pid}`
  if (lock.uid !== 0) json += `,"uid":${lock.uid}`
  if (lock.gid !== 0) json += `,"gid":${lock.gid}`
  return new TextEncoder().encode(`${json}}`)
}
