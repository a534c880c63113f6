/**
 * What can go wrong with a call to Backblaze B2, sorted by what is to be done about it (B2 spec §4). No text here ever
 * holds a key or a token: B2 itself quotes tokens in some of its messages.
 */
import { BackendError } from '../errors.ts'

/**
 * - `auth`: the token (of the account, or of one upload URL) is used up; a new one helps.
 * - `denied`, `cap`, `range`, `bad-request`, `untrusted`: permanent.
 * - `too-many`, `server`, `network`: pass by themselves.
 */
export type B2ErrorKind =
  | 'auth'
  | 'denied'
  | 'cap'
  | 'not-found'
  | 'range'
  | 'bad-request'
  | 'untrusted'
  | 'too-many'
  | 'server'
  | 'network'

export interface B2ErrorFacts {
  /** B2's name of the call, `b2_upload_file`. */
  readonly operation: string
  /** HTTP status, undefined where there was no answer. */
  readonly status?: number | undefined
  /** B2's or the system's word for it. */
  readonly code?: string | undefined
  readonly message: string
  readonly retryAfterMs?: number | undefined
}

/** One failed call. Internal to the B2 backend: `toBackendError` makes it everybody's. */
export class B2Error extends Error {
  readonly kind: B2ErrorKind
  readonly operation: string
  readonly status: number | undefined
  readonly code: string | undefined
  readonly retryAfterMs: number | undefined

  constructor(kind: B2ErrorKind, facts: B2ErrorFacts) {
    super(facts.message)
    this.name = 'B2Error'
    this.kind = kind
    this.operation = facts.operation
    this.status = facts.status
    this.code = facts.code
    this.retryAfterMs = facts.retryAfterMs
  }
}

const EXPIRED_CODES = new Set(['expired_auth_token', 'bad_auth_token'])
const CAP_CODE = /^((storage|transaction|download)_)?cap_exceeded$/
const GONE_CODES = new Set(['no_such_file', 'file_not_present', 'already_hidden'])
const FILE_OPERATIONS = new Set(['b2_delete_file_version', 'b2_download_file_by_name', 'b2_hide_file'])
const MESSAGE_LENGTH_MAX = 200
/** Everything as long as a token or a key, and made as they are. */
const TOKEN_LIKE = /(?=[a-z_+/=-]*[\dA-Z])[\w+/=-]{24,}/g
const CODE = /^[a-z][a-z0-9_]{0,63}$/

/** What B2 refused, from the answer's status and its error body. */
export function kindOfAnswer({ operation, status, code, message }: B2ErrorFacts): B2ErrorKind {
  const isUpload = operation === 'b2_upload_file'
  switch (status) {
    case undefined:
      return 'network'
    case 400:
      if (code !== undefined && GONE_CODES.has(code)) return 'not-found'
      if (isUpload && (code === 'auth_token_limit' || message.startsWith('more than one upload')))
        return 'auth'
      return isUpload && /sha-?1|checksum/i.test(message) ? 'server' : 'bad-request'
    case 401: {
      // HEAD has no body, so there the code is not known: worth one new token.
      const mayBeExpired = code === undefined || EXPIRED_CODES.has(code)
      return mayBeExpired && operation !== 'b2_authorize_account' ? 'auth' : 'denied'
    }
    case 403:
      return code !== undefined && CAP_CODE.test(code) ? 'cap' : 'denied'
    case 404:
      // Only of files: nothing else may pass for missing, least of all a listing.
      return FILE_OPERATIONS.has(operation) ? 'not-found' : 'bad-request'
    case 408:
      return 'server'
    case 416:
      return 'range'
    case 429:
      return 'too-many'
    default:
      return status >= 500 ? 'server' : 'bad-request'
  }
}

const UNTRUSTED_CODES = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

/** What kept an answer from coming, from the system's error code. */
export function kindOfBreak(code: string | undefined): B2ErrorKind {
  return code !== undefined && UNTRUSTED_CODES.has(code) ? 'untrusted' : 'network'
}

/** Text of a server or of the system made fit to be shown: short, one line, no secrets. */
export function safeMessage(text: string, secrets: readonly string[]): string {
  const hidden = secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), text)
  const printable = hidden.replace(TOKEN_LIKE, '***').replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
  return printable.trim().slice(0, MESSAGE_LENGTH_MAX)
}

/** B2's word for what is wrong, where it is one. */
export function codeOf(value: unknown): string | undefined {
  return typeof value === 'string' && CODE.test(value) ? value : undefined
}

/** `Retry-After` in seconds, as B2 gives it. */
export function retryAfterMsOf(header: unknown): number | undefined {
  return typeof header === 'string' && /^\d{1,6}$/.test(header) ? Number(header) * 1000 : undefined
}

/** The capability each call needs. */
const CAPABILITIES: Readonly<Record<string, string>> = {
  b2_create_bucket: 'writeBuckets',
  b2_delete_file_version: 'deleteFiles',
  b2_download_file_by_name: 'readFiles',
  b2_get_upload_url: 'writeFiles',
  b2_hide_file: 'writeFiles',
  b2_list_buckets: 'listBuckets',
  b2_list_file_names: 'listFiles',
  b2_list_file_versions: 'listFiles',
  b2_upload_file: 'writeFiles',
}

const TRANSIENT_KINDS: ReadonlySet<B2ErrorKind> = new Set(['too-many', 'server', 'network'])

/** @param what what was being done, `read b2:bucket:config` */
export function toBackendError(error: B2Error, what: string): BackendError {
  const { kind, status, code, retryAfterMs } = error
  const hint = hintFor(error)
  const isSaid = code !== undefined && error.message.includes(code)
  const answer = [status, isSaid ? undefined : code].filter((part) => part !== undefined).join(' ')
  const reason = [answer, error.message].filter((part) => part !== '').join(': ')
  return new BackendError(`${what}: ${PREFIXES[kind] ?? ''}${reason}`, {
    cause: error,
    transient: TRANSIENT_KINDS.has(kind),
    retryAfterMs,
    ...(hint === undefined ? {} : { hint }),
  })
}

const PREFIXES: Partial<Record<B2ErrorKind, string>> = {
  auth: 'Backblaze B2 does not accept its own tokens: ',
  denied: 'Backblaze B2 refuses: ',
  cap: 'a cap of the Backblaze account is reached: ',
  range: 'the file is too short: ',
  untrusted: 'the certificate of Backblaze B2 cannot be verified: ',
}

function hintFor({ kind, operation, code }: B2Error): string | undefined {
  switch (kind) {
    case 'cap':
      return 'raise the cap under "Caps & Alerts" of your Backblaze account, or wait until it is reset'
    case 'untrusted':
      return 'if a proxy of your own stands between, trust its CA with --cacert FILE'
    case 'auth':
    case 'denied': {
      if (operation === 'b2_authorize_account') return 'check B2_ACCOUNT_ID (the key ID) and B2_ACCOUNT_KEY'
      if (code === 'access_denied' && operation === 'b2_delete_file_version')
        return 'the file is protected by Object Lock until its retention ends'
      const capability = CAPABILITIES[operation]
      return capability === undefined ? undefined : `use an application key with the capability ${capability}`
    }
    case 'range':
      return 'run `check` to see what is affected'
    case 'bad-request':
    case 'network':
    case 'not-found':
    case 'server':
    case 'too-many':
      return undefined
    default:
      return kind satisfies never
  }
}
