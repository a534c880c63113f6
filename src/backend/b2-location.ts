/** `b2:BUCKET[:PREFIX]` and the variables that go with it (B2 spec §1.1, §2). */
import { posix } from 'node:path'
import { InvalidInputError } from '../errors.ts'

/** Where in Backblaze B2 a repository lies. `prefix` has no slash at either end; empty: the bucket itself. */
export interface B2Location {
  readonly bucket: string
  readonly prefix: string
}

/** What is needed to open a repository in B2. Holds the application key: never show it. */
export interface B2Settings extends B2Location {
  readonly keyId: string
  readonly key: string
  /** Transfers at once. */
  readonly connections: number
  /** Another server instead of Backblaze's, for tests. */
  readonly endpoint: string
}

export interface B2Environment {
  readonly env: Readonly<Record<string, string | undefined>>
  /** `-o b2.connections`, parsed. */
  readonly connections: number | undefined
}

const DEFAULT_CONNECTIONS = 5
const DEFAULT_ENDPOINT = 'https://api.backblazeb2.com'
const BUCKET_LENGTH_MIN = 6
const BUCKET_LENGTH_MAX = 63
/** B2 allows 1024 bytes for a name; this leaves room for `/data/ab/` and 64 digits. */
const PREFIX_BYTES_MAX = 900
const SEGMENT_BYTES_MAX = 250
const FORM = 'write b2:BUCKET or b2:BUCKET:PREFIX'

/** @param rest what follows `b2:`. @throws InvalidInputError for names B2 does not have */
export function parseB2Location(rest: string): B2Location {
  const colon = rest.indexOf(':')
  const bucket = colon < 0 ? rest : rest.slice(0, colon)
  checkBucket(bucket)
  const prefix = colon < 0 ? '' : posix.normalize(rest.slice(colon + 1)).replace(/^\/|\/$/g, '')
  if (prefix === '' || prefix === '.') return { bucket, prefix: '' }
  checkPrefix(prefix)
  return { bucket, prefix }
}

/** @throws InvalidInputError where a variable is missing, or the location cannot be used */
export function parseB2Settings(rest: string, { env, connections }: B2Environment): B2Settings {
  return {
    ...parseB2Location(rest),
    keyId: variable(env, 'B2_ACCOUNT_ID', 'the ID of an application key'),
    key: variable(env, 'B2_ACCOUNT_KEY', 'an application key'),
    connections: connections ?? DEFAULT_CONNECTIONS,
    endpoint: endpointOf(env['B2_TEST_ENDPOINT']),
  }
}

/**
 * Whether requests with tokens in them may go to this URL: nothing is sent in the clear but to this machine.
 * @param text as B2 gave it
 */
export function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  const isLoopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)
  return protocol === 'https:' || (protocol === 'http:' && isLoopback)
}

function checkBucket(bucket: string): void {
  if (bucket === '') refuse('the bucket name is missing', FORM)
  if (bucket.includes('/')) {
    const [name = '', ...prefix] = bucket.split('/')
    refuse(
      'a bucket name has no slash',
      `write b2:${name}:${prefix.join('/')} for a folder in bucket ${name}`,
    )
  }
  if (!/^[a-zA-Z0-9-]+$/.test(bucket))
    refuse('a bucket name has only the letters a-z, digits and dashes', FORM)
  if (bucket.length < BUCKET_LENGTH_MIN || bucket.length > BUCKET_LENGTH_MAX) {
    const limits = `${BUCKET_LENGTH_MIN} to ${BUCKET_LENGTH_MAX}`
    refuse(`a bucket name has ${limits} characters, not ${bucket.length}`, FORM)
  }
}

function checkPrefix(prefix: string): void {
  const segments = prefix.split('/')
  if (segments.includes('..')) refusePrefix('leads out of the bucket')
  if (/[\p{Cc}\p{Cs}\\]/u.test(prefix)) refusePrefix('has a character that B2 does not allow in names')
  if (Buffer.byteLength(prefix) > PREFIX_BYTES_MAX) refusePrefix(`is longer than ${PREFIX_BYTES_MAX} bytes`)
  if (segments.some((segment) => Buffer.byteLength(segment) > SEGMENT_BYTES_MAX))
    refusePrefix(`has a part longer than ${SEGMENT_BYTES_MAX} bytes`)
}

function refuse(problem: string, hint: string): never {
  throw new InvalidInputError(`b2: location: ${problem}`, { hint })
}

function refusePrefix(problem: string): never {
  refuse(`the prefix ${problem}`, 'choose another prefix')
}

function variable(env: B2Environment['env'], name: string, meaning: string): string {
  const value = env[name]
  if (value === undefined || value === '')
    throw new InvalidInputError(`${name} is not set`, { hint: `set it to ${meaning} of Backblaze B2` })
  return value
}

function endpointOf(text: string | undefined): string {
  if (text === undefined || text === '') return DEFAULT_ENDPOINT
  if (!isSafeUrl(text))
    throw new InvalidInputError('B2_TEST_ENDPOINT must be an https URL, or http to this machine itself')
  return text.replace(/\/+$/, '')
}
