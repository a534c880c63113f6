/** What S3 stores and their client say when something fails, sorted and made fit to be shown. */
import { S3ServiceException } from '@aws-sdk/client-s3'
import { BackendError, FileNotFoundError, InvalidInputError } from '../errors.ts'
import { exchangeErrorOf, oneLine } from './http-breaks.ts'

export interface S3Failure {
  /** What was being done, `read data/ab/…`. */
  readonly what: string
  readonly bucket: string
  /** Path of the file that was looked for. */
  readonly file?: string | undefined
}

const TRANSIENT_STATUSES = new Set([408, 425, 429])
const PERMANENT_STATUSES = new Set([501, 505, 507])
/** Told apart by name, because stores say them with various statuses, 400 among them. */
const TRANSIENT_NAMES = new Set([
  'BadDigest',
  'InternalError',
  'OperationAborted',
  'RequestTimeout',
  'ServiceUnavailable',
  'SlowDown',
  'Throttling',
  'TimeoutError',
])
const KEY_HINT = 'check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile that AWS_PROFILE names'
const HINTS: Readonly<Record<string, string>> = {
  AccessDenied: 'check what the key is allowed to do with this bucket, and the name of the bucket',
  ExpiredToken: 'get a new session token and set AWS_SESSION_TOKEN',
  InvalidAccessKeyId: KEY_HINT,
  InvalidObjectState: 'the object lies in cold storage: bring it back with a tool of your store first',
  InvalidSecurity: KEY_HINT,
  InvalidStorageClass: 'check -o s3.storage-class',
  RequestTimeTooSkewed: 'set the clock of this computer',
  SignatureDoesNotMatch: KEY_HINT,
  Unauthorized: KEY_HINT,
}

/** There is less of an object than was asked for. */
export class ShortObject extends Error {}

/** The error everybody knows. Never with the client's own as its cause: that one carries the whole exchange. */
export function s3ErrorOf(error: unknown, failure: S3Failure): Error {
  const { what, bucket, file } = failure
  if (error instanceof ShortObject) return tooShort(what)
  const status = statusOf(error)
  const name = nameOf(error)
  if (error instanceof S3ServiceException || status !== undefined) {
    // A bucket that is not there has no files either.
    if (status === 404 && file !== undefined) return new FileNotFoundError(file)
    if (name === 'NoSuchBucket') return new BackendError(`${what}: there is no bucket "${bucket}"`)
    if (status === 416) return tooShort(what)
    return refusal(what, { status: status ?? 0, name, message: messageOf(error) })
  }
  if (name === 'CredentialsProviderError') {
    return new InvalidInputError(`no keys for S3 were found: ${messageOf(error)}`, {
      hint: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; -o s3.unsafe-anonymous-auth=true goes without',
    })
  }
  if (name === 'TimeoutError')
    return new BackendError(`${what}: the store does not answer`, { transient: true })
  const broken = exchangeErrorOf(error)
  return new BackendError(`${what}: ${broken.message}`, {
    transient: !broken.isPermanent,
    ...(broken.hint === undefined ? {} : { hint: broken.hint }),
  })
}

/** A file that ends before what was asked for. */
export function tooShort(what: string): BackendError {
  return new BackendError(`${what}: the file is too short`, { hint: 'run `check` to see what is affected' })
}

/** The region that the store says the bucket is in, where the one we signed for was wrong. */
export function regionFrom(error: unknown): string | undefined {
  const status = statusOf(error)
  if (status !== 301 && status !== 307 && status !== 400 && status !== 403) return undefined
  const isRedirect = status === 301 || status === 307
  const isWrongRegion = isRedirect || nameOf(error) === 'AuthorizationHeaderMalformed' || status === 400
  if (!isWrongRegion) return undefined
  const headers = property(property(error, '$response'), 'headers')
  const region = property(error, 'Region') ?? property(headers, 'x-amz-bucket-region')
  return typeof region === 'string' && /^[a-z0-9-]{1,40}$/.test(region) ? region : undefined
}

export function isNoBucket(error: unknown): boolean {
  return nameOf(error) === 'NoSuchBucket'
}

export function isNotFound(error: unknown): boolean {
  return statusOf(error) === 404
}

/** Whether a bucket that could not be made is there already. */
export function isBucketThere(error: unknown): boolean {
  return nameOf(error) === 'BucketAlreadyOwnedByYou'
}

export function statusOf(error: unknown): number | undefined {
  const status = property(property(error, '$metadata'), 'httpStatusCode')
  return typeof status === 'number' ? status : undefined
}

function refusal(
  what: string,
  { status, name, message }: { readonly status: number; readonly name: string; readonly message: string },
): BackendError {
  const hint = HINTS[name] ?? (status === 401 || status === 403 ? HINTS['AccessDenied'] : undefined)
  // A HEAD has no body, so the client has no name for what went wrong.
  const words = [name, message].filter((text) => text !== '' && !/^Unknown(Error)?$/.test(text))
  return new BackendError(`${what}: the store answers ${[status, ...new Set(words)].join(' ')}`, {
    transient: isTransient(status, name),
    ...(hint === undefined ? {} : { hint }),
  })
}

function isTransient(status: number, name: string): boolean {
  if (TRANSIENT_NAMES.has(name) || TRANSIENT_STATUSES.has(status)) return true
  return status >= 500 && !PERMANENT_STATUSES.has(status)
}

function nameOf(error: unknown): string {
  return error instanceof Error ? oneLine(error.name) : ''
}

function messageOf(error: unknown): string {
  return error instanceof Error ? oneLine(error.message) : ''
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}
