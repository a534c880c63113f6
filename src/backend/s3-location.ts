/** `s3:HOST/BUCKET[/PREFIX]` and `s3:http(s)://HOST[:PORT]/BUCKET[/PREFIX]`, with their `-o s3.…` options (command spec §1.6). */
import { posix } from 'node:path'
import { InvalidInputError, UnsupportedError } from '../errors.ts'
import type { Handle } from './backend.ts'
import { checkOptions } from './store-settings.ts'

/** Where in an S3 store a repository lies. `prefix` ends without a slash; empty: the bucket itself. */
export interface S3Location {
  /** Without a region where the store has one endpoint for all: then it is made from the region. */
  readonly endpoint: URL
  readonly bucket: string
  readonly prefix: string
}

/** What a location and its options come to. Holds keys: never show it. */
export interface S3Settings extends S3Location {
  readonly region: string
  /** Whether the bucket stands in the path of a URL, and not in its host name. */
  readonly isPathStyle: boolean
  /** Undefined: whatever the environment, the profiles and the machine have to offer. */
  readonly credentials: S3Credentials | 'anonymous' | undefined
  readonly profile: string | undefined
  readonly storageClass: string | undefined
  readonly usesListV1: boolean
  /** Tries of the client itself, beyond those of the retry decorator. */
  readonly attempts: number
}

export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

type Options = Readonly<Record<string, string>>
type Values = Readonly<Record<string, string | undefined>>

const OPTIONS = [
  'bucket-lookup',
  'connections',
  'layout',
  'list-objects-v1',
  'region',
  'retries',
  'storage-class',
  'unsafe-anonymous-auth',
]
const COLD_OPTIONS = ['enable-restore', 'restore-days', 'restore-timeout', 'restore-tier']
/** Where nothing can be read before hours have passed. */
const COLD_CLASSES = new Set(['GLACIER', 'DEEP_ARCHIVE'])
const DEFAULT_REGION = 'us-east-1'
/** One more, because a kept connection may be closed under our hands. */
const DEFAULT_ATTEMPTS = 2
const AMAZON = /(^|\.)amazonaws\.com(\.cn)?$/
const REGION = /^[a-z]{2}(-[a-z]+)+-\d$/
/** `s3.REGION.…`, as nearly all stores name their endpoints; Amazon had s3-REGION and has s3.dualstack.REGION. */
const HOST_REGION = /^(?:[^.]+\.)*s3(?:[.-](?:dualstack|fips))*[.-]([a-z]+(?:-[a-z]+)*-\d+)\.[^.]+\..+$/
const FORM = 'write s3:HOST/BUCKET/PREFIX or s3:https://HOST:PORT/BUCKET/PREFIX'

/** @param rest what follows `s3:`. @throws InvalidInputError */
export function parseS3Location(rest: string): S3Location {
  const isUrl = /^https?:/.test(rest)
  if (isUrl && !/^https?:\/\/[^/]/.test(rest)) throw malformed('the host is missing')
  const [scheme, path] = isUrl ? cut(rest, '://') : ['https', rest.replace(/^\/\//, '')]
  const [host, inStore] = cut(path, '/')
  if (host === '') throw malformed('the host is missing')
  const [bucket, prefix] = cut(inStore, '/')
  if (bucket === '') throw malformed('the bucket is missing')
  checkBucket(bucket)
  return { endpoint: endpointOf(scheme, host), bucket, prefix: cleanPrefix(prefix) }
}

/** @throws InvalidInputError; UnsupportedError for what restic can and we cannot yet */
export function parseS3Settings(rest: string, given: { options: Options; env: Values }): S3Settings {
  const { env } = given
  const options = withoutPrefix(given.options)
  const location = parseS3Location(rest)
  const { hostname } = location.endpoint
  const region =
    options['region'] ||
    HOST_REGION.exec(hostname)?.[1] ||
    env['AWS_DEFAULT_REGION'] ||
    env['AWS_REGION'] ||
    DEFAULT_REGION
  return {
    ...location,
    region,
    isPathStyle: isPathStyle(options['bucket-lookup'], location),
    credentials: isSet(options, 'unsafe-anonymous-auth') ? 'anonymous' : credentialsOf(env),
    profile: env['AWS_PROFILE'] || undefined,
    storageClass: options['storage-class'] || undefined,
    usesListV1: isSet(options, 'list-objects-v1'),
    attempts: attemptsOf(options['retries']),
  }
}

/** The storage class for a file: what is needed to find one's way must not be put on ice with the data. */
export function storageClassFor(
  { storageClass }: S3Settings,
  { type, isMetadata }: Handle,
): string | undefined {
  const isData = type === 'pack' && isMetadata !== true
  return isData || !COLD_CLASSES.has(storageClass ?? '') ? storageClass : undefined
}

/** The endpoint of a region: for Amazon each has its own. */
export function endpointIn({ endpoint }: S3Location, region: string): URL {
  if (!AMAZON.test(endpoint.hostname)) return endpoint
  const inRegion = new URL(endpoint)
  const found = HOST_REGION.exec(endpoint.hostname)?.[1]
  if (found !== undefined) inRegion.hostname = endpoint.hostname.replace(found, region)
  else if (endpoint.hostname === 's3.amazonaws.com') inRegion.hostname = `s3.${region}.amazonaws.com`
  return inRegion
}

function withoutPrefix(options: Options): Values {
  const cold = COLD_OPTIONS.find((name) => options[`s3.${name}`] !== undefined)
  if (cold !== undefined) {
    throw new UnsupportedError(`option s3.${cold}: this version cannot bring files back from cold storage`, {
      hint: 'restore the objects with a tool of your store first, then run the command without the option',
    })
  }
  checkOptions('s3', options, OPTIONS)
  const layout = options['s3.layout']
  if (layout !== undefined && layout !== 'default' && layout !== '')
    throw new UnsupportedError('option s3.layout: this version knows the layout "default" only')
  const ours = Object.entries(options).filter(([key]) => key.startsWith('s3.'))
  return Object.fromEntries(ours.map(([key, value]) => [key.slice('s3.'.length), value]))
}

function isPathStyle(lookup: string | undefined, { endpoint, bucket }: S3Location): boolean {
  switch (lookup?.toLowerCase()) {
    case 'path':
      return true
    case 'dns':
      return false
    case undefined:
    case '':
    case 'auto':
      // A certificate for *.HOST does not cover a bucket whose name has dots.
      return !AMAZON.test(endpoint.hostname) || bucket.includes('.')
    default:
      throw new InvalidInputError(`option s3.bucket-lookup: "${lookup}" is not one of auto, dns and path`)
  }
}

function isSet(options: Values, name: string): boolean {
  switch (options[name]?.toLowerCase()) {
    case undefined:
    case '0':
    case 'f':
    case 'false':
      return false
    case '':
    case '1':
    case 't':
    case 'true':
      return true
    default:
      throw new InvalidInputError(`option s3.${name}: "${options[name]}" is neither true nor false`)
  }
}

function attemptsOf(text: string | undefined): number {
  if (text === undefined || text === '0') return DEFAULT_ATTEMPTS
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text)
  throw new InvalidInputError(`option s3.retries: "${text}" is not a number`)
}

function credentialsOf(env: Values): S3Credentials | undefined {
  const keyId = env['AWS_ACCESS_KEY_ID'] || env['AWS_ACCESS_KEY']
  const secret = env['AWS_SECRET_ACCESS_KEY'] || env['AWS_SECRET_KEY']
  const token = env['AWS_SESSION_TOKEN']
  if (env['RESTIC_AWS_ASSUME_ROLE_ARN']) {
    throw new UnsupportedError('RESTIC_AWS_ASSUME_ROLE_ARN: this version cannot assume a role on its own', {
      hint: 'put role_arn and source_profile into a profile of ~/.aws/config and set AWS_PROFILE',
    })
  }
  if (keyId && secret) {
    const session = token ? { sessionToken: token } : {}
    return { accessKeyId: keyId, secretAccessKey: secret, ...session }
  }
  if (secret) throw new InvalidInputError('AWS_SECRET_ACCESS_KEY is set but AWS_ACCESS_KEY_ID is not')
  if (keyId) throw new InvalidInputError('AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY is not')
  const [minioId, minioSecret] = [env['MINIO_ACCESS_KEY'], env['MINIO_SECRET_KEY']]
  return minioId && minioSecret ? { accessKeyId: minioId, secretAccessKey: minioSecret } : undefined
}

function endpointOf(scheme: string, host: string): URL {
  // Whatever stands before an @ would be sent to nobody and shown to everybody.
  if (host.includes('@')) {
    throw malformed(
      'it has an "@"',
      'keys do not belong into the location: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
    )
  }
  const name = REGION.test(host) ? `s3.${host}.amazonaws.com` : host
  const text = `${scheme}://${name}`
  if (!URL.canParse(text)) throw malformed(`"${host}" is no host`)
  const endpoint = new URL(text)
  if (endpoint.pathname !== '/' || endpoint.search !== '' || endpoint.hash !== '')
    throw malformed(`"${host}" is no host`)
  return endpoint
}

/** What no store has: everything else the store itself judges better. */
function checkBucket(bucket: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,253}$/.test(bucket))
    throw malformed('a bucket name has letters, digits, dots and dashes only')
}

function cleanPrefix(prefix: string): string {
  if (prefix === '') return ''
  const clean = posix.normalize(prefix).replace(/\/$/, '')
  if (/^\.\.(\/|$)/.test(clean)) throw malformed('the prefix leads out of the bucket')
  if (/[\p{Cc}\p{Cs}]/u.test(clean))
    throw malformed('the prefix has a character that is not allowed in names')
  return clean === '.' ? '' : clean
}

function cut(text: string, separator: string): [before: string, after: string] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)]
}

function malformed(problem: string, hint: string = FORM): InvalidInputError {
  return new InvalidInputError(`s3: location: ${problem}`, { hint })
}
