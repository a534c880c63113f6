/**
 * What Backblaze B2 remembers, in memory: buckets, versions of files, application keys and tokens (B2 spec §1.3, §2, §7).
 * Nothing of HTTP here; refusals are thrown as `B2Problem`.
 */
import { createHash, randomBytes } from 'node:crypto'

/** A refusal as B2 words it: every error body is these three. */
export class B2Problem extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message = '') {
    super(message)
    this.status = status
    this.code = code
  }
}

export interface EmulatedKey {
  readonly id: string
  readonly secret: string
  readonly capabilities: readonly string[]
  /** Names of the buckets the key is limited to; none: all. */
  readonly buckets?: readonly string[]
  readonly namePrefix?: string
}

export const ALL_CAPABILITIES: readonly string[] = [
  'listKeys',
  'writeKeys',
  'deleteKeys',
  'listBuckets',
  'writeBuckets',
  'deleteBuckets',
  'listFiles',
  'readFiles',
  'shareFiles',
  'writeFiles',
  'deleteFiles',
]

export interface Version {
  readonly id: string
  readonly name: string
  readonly action: 'upload' | 'hide' | 'start'
  readonly bytes: Buffer
  /** 40 hex digits, `unverified:` and 40, or `none` for large files. */
  readonly sha1: string
  readonly contentType: string
  readonly info: Readonly<Record<string, string>>
  readonly timestamp: number
}

export interface Bucket {
  readonly id: string
  readonly name: string
  type: string
  /** Newest version first. */
  readonly files: Map<string, Version[]>
}

interface Token {
  readonly key: EmulatedKey
  readonly expires: number
}

/** One upload URL and the only token it takes. */
export interface UploadTarget {
  readonly token: string
  readonly path: string
  readonly bucket: Bucket
  /** The large file this URL takes parts of; none for b2_upload_file. */
  readonly largeFile: LargeFile | undefined
  readonly expires: number
  busy: boolean
  dead: boolean
  /** An upload to it went wrong: no client should come back. */
  failed: boolean
}

export interface LargeFile {
  readonly id: string
  readonly name: string
  readonly bucket: Bucket
  readonly contentType: string
  readonly info: Readonly<Record<string, string>>
  readonly parts: Map<number, Buffer>
}

const DAY_MS = 24 * 60 * 60 * 1000
const NAME_BYTES_MAX = 1024
const SEGMENT_BYTES_MAX = 250

export function sha1Of(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('hex')
}

/** UTF-8 byte order, which is not that of JavaScript strings. */
export function compareNames(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** Segments are counted in bytes; `/` may not lead, trail or repeat. */
export function checkFileName(name: string): void {
  const refuse = (why: string): never => {
    throw new B2Problem(400, 'bad_request', `File name ${why}`)
  }
  const bytes = Buffer.byteLength(name)
  if (bytes === 0) refuse('must not be empty')
  if (bytes > NAME_BYTES_MAX) refuse('is too long')
  // oxlint-disable-next-line no-control-regex -- control characters are what B2 refuses
  if (/[\u0000-\u001f\u007f\\]/.test(name)) refuse('contains an illegal character')
  if (name.startsWith('/') || name.endsWith('/') || name.includes('//')) refuse('has an empty segment')
  if (name.split('/').some((segment) => Buffer.byteLength(segment) > SEGMENT_BYTES_MAX))
    refuse('has a segment that is too long')
}

export class B2Store {
  readonly accountId: string = 'a1b2c3d4e5f6'
  readonly keys: Map<string, EmulatedKey> = new Map()
  readonly buckets: Map<string, Bucket> = new Map()
  readonly uploads: Map<string, UploadTarget> = new Map()
  readonly largeFiles: Map<string, LargeFile> = new Map()
  /** Smallest part but the last; a test may lower it. */
  minimumPartSize: number = 5_000_000
  readonly #tokens = new Map<string, Token>()
  readonly #now: () => number
  #counter = 0

  constructor(now: () => number) {
    this.#now = now
  }

  // Keys and tokens

  authorize(keyId: string, secret: string): { readonly token: string; readonly key: EmulatedKey } {
    const key = this.keys.get(keyId)
    if (key === undefined || key.secret !== secret)
      throw new B2Problem(401, 'unauthorized', 'The applicationKeyId and/or the applicationKey are wrong.')
    const token = `4_${keyId}_${randomBytes(18).toString('base64url')}_acct_${this.#next()}`
    this.#tokens.set(token, { key, expires: this.#now() + DAY_MS })
    return { token, key }
  }

  keyOf(token: string): EmulatedKey {
    const known = this.#tokens.get(token)
    if (known === undefined)
      throw new B2Problem(401, 'bad_auth_token', `Invalid authorization token ${token}`)
    if (known.expires <= this.#now())
      throw new B2Problem(401, 'expired_auth_token', 'Authorization token has expired')
    return known.key
  }

  expireAccountTokens(): void {
    for (const [token, { key }] of this.#tokens) this.#tokens.set(token, { key, expires: 0 })
  }

  /** Whether the text is one of the account or upload tokens given out. */
  isToken(text: string): boolean {
    return this.#tokens.has(text) || Array.from(this.uploads.values()).some(({ token }) => token === text)
  }

  tokens(): string[] {
    return [...this.#tokens.keys(), ...Array.from(this.uploads.values(), ({ token }) => token)]
  }

  // Buckets

  createBucket(name: string, type: string): Bucket {
    if (this.buckets.has(name))
      throw new B2Problem(400, 'duplicate_bucket_name', 'Bucket name is already in use.')
    if (!/^[a-zA-Z0-9-]{6,63}$/.test(name))
      throw new B2Problem(400, 'bad_request', `Invalid bucketName: ${name}`)
    const id = this.#hex(24)
    const bucket: Bucket = { id, name, type, files: new Map() }
    this.buckets.set(name, bucket)
    return bucket
  }

  bucketById(id: unknown): Bucket {
    const bucket = Array.from(this.buckets.values()).find((known) => known.id === id)
    if (bucket === undefined) throw new B2Problem(400, 'bad_bucket_id', `Bucket ${String(id)} does not exist`)
    return bucket
  }

  // Uploads

  makeUploadTarget(bucket: Bucket, largeFile?: LargeFile): UploadTarget {
    const number = this.#next()
    const op = largeFile === undefined ? 'b2_upload_file' : 'b2_upload_part'
    const target: UploadTarget = {
      token: `4_up${randomBytes(18).toString('base64url')}_upload_${number}`,
      path: `${op}/${largeFile?.id ?? bucket.id}/c001_v0001_t${number}`,
      bucket,
      largeFile,
      expires: this.#now() + DAY_MS,
      busy: false,
      dead: false,
      failed: false,
    }
    this.uploads.set(target.path, target)
    return target
  }

  /** @param isSecond another upload with this token is still under way */
  uploadTarget(path: string, token: string, isSecond: boolean): UploadTarget {
    const target = this.uploads.get(path)
    if (target === undefined || target.token !== token)
      throw new B2Problem(401, 'bad_auth_token', `Invalid authorization token ${token}`)
    if (target.dead || target.expires <= this.#now())
      throw new B2Problem(401, 'expired_auth_token', 'Upload authorization token has expired')
    if (isSecond) {
      const message = `more than one upload using auth token ${token}`
      throw new B2Problem(400, 'auth_token_limit', message)
    }
    return target
  }

  expireUploadTokens(): void {
    for (const target of this.uploads.values()) target.dead = true
  }

  addVersion(bucket: Bucket, version: Omit<Version, 'id' | 'timestamp'> & { readonly id?: string }): Version {
    const number = this.#next()
    const id = version.id ?? `4_z${bucket.id}_f${this.#hex(8)}_${number}`
    const whole: Version = { ...version, id, timestamp: this.#now() + number }
    const versions = bucket.files.get(version.name) ?? []
    bucket.files.set(version.name, [whole, ...versions.filter((known) => known.id !== id)])
    return whole
  }

  // Files

  /** The version a download by name gives. */
  visible(bucket: Bucket, name: string): Version | undefined {
    const newest = bucket.files.get(name)?.find(({ action }) => action !== 'start')
    return newest?.action === 'upload' ? newest : undefined
  }

  versionById(id: unknown): { readonly bucket: Bucket; readonly version: Version } {
    for (const bucket of this.buckets.values()) {
      for (const versions of bucket.files.values()) {
        const version = versions.find((known) => known.id === id)
        if (version !== undefined) return { bucket, version }
      }
    }
    throw new B2Problem(404, 'not_found', `File not found: ${String(id)}`)
  }

  hide(bucket: Bucket, name: string): Version {
    const newest = bucket.files.get(name)?.find(({ action }) => action !== 'start')
    if (newest === undefined) throw new B2Problem(400, 'no_such_file', `File not present: ${name}`)
    if (newest.action === 'hide') throw new B2Problem(400, 'already_hidden', `File already hidden: ${name}`)
    const [bytes, sha1, contentType, info] = [Buffer.alloc(0), 'none', 'application/x-bz-hide-marker', {}]
    return this.addVersion(bucket, { name, action: 'hide', bytes, sha1, contentType, info })
  }

  deleteVersion(name: string, id: string): void {
    for (const bucket of this.buckets.values()) {
      const versions = bucket.files.get(name)
      const rest = versions?.filter((version) => version.id !== id)
      if (versions === undefined || rest === undefined || rest.length === versions.length) continue
      if (rest.length === 0) bucket.files.delete(name)
      else bucket.files.set(name, rest)
      return
    }
    throw new B2Problem(400, 'file_not_present', `File not present: ${name} ${id}`)
  }

  // Large files

  startLargeFile(bucket: Bucket, name: string, fields: Pick<Version, 'contentType' | 'info'>): Version {
    checkFileName(name)
    const sha1 = 'none'
    const started = this.addVersion(bucket, {
      name,
      action: 'start',
      bytes: Buffer.alloc(0),
      sha1,
      ...fields,
    })
    this.largeFiles.set(started.id, { id: started.id, name, bucket, ...fields, parts: new Map() })
    return started
  }

  largeFile(id: unknown): LargeFile {
    const file = this.largeFiles.get(String(id))
    if (file === undefined) throw new B2Problem(400, 'bad_request', `No active upload for: ${String(id)}`)
    return file
  }

  finishLargeFile(file: LargeFile, sha1s: readonly string[]): Version {
    const parts = Array.from(file.parts).toSorted(([a], [b]) => a - b)
    if (parts.length !== sha1s.length || parts.some(([number], i) => number !== i + 1))
      throw new B2Problem(400, 'bad_request', 'part numbers must be consecutive and start at 1')
    if (parts.some(([, bytes], i) => sha1Of(bytes) !== sha1s[i]))
      throw new B2Problem(400, 'bad_request', 'part sha1 does not match')
    if (parts.slice(0, -1).some(([, bytes]) => bytes.length < this.minimumPartSize))
      throw new B2Problem(400, 'bad_request', 'Part is too small')
    this.largeFiles.delete(file.id)
    const { id, name, contentType, info } = file
    const bytes = Buffer.concat(parts.map(([, part]) => part))
    return this.addVersion(file.bucket, {
      id,
      name,
      action: 'upload',
      bytes,
      sha1: 'none',
      contentType,
      info,
    })
  }

  #next(): number {
    return ++this.#counter
  }

  #hex(length: number): string {
    return randomBytes(length / 2).toString('hex')
  }
}
