/** Repository locations as people write them (command spec §1.6), and the backends they stand for. */
import { InvalidInputError, UnsupportedError } from '../errors.ts'
import type { Backend } from './backend.ts'
import { rateLimits, waitingMs, type RateLimits } from './rate-limit.ts'
import type { StoreSettings } from './store-settings.ts'
import type { TlsFiles } from './tls-files.ts'

/** A parsed location. `rest` is what follows the scheme. */
export interface Location {
  readonly scheme: 'local' | 'b2' | 's3' | 'rest' | 'sftp' | 'rclone' | 'azure' | 'gs' | 'swift'
  readonly rest: string
}

export interface OpenBackendOptions {
  /** `-o` options: `local.connections` and so on. Those of other schemes are ignored. */
  readonly options?: Readonly<Record<string, string>> | undefined
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** `--cacert`, `--tls-client-cert`, `--insecure-tls`. */
  readonly tls?: TlsFiles | undefined
  /** `--http-user-agent`. */
  readonly userAgent?: string | undefined
  /** `--stuck-request-timeout`: how long a request may make no progress, in ms. Default: five minutes. */
  readonly idleMs?: number | undefined
  /** `--limit-upload`, `--limit-download`: KiB a second; 0 or undefined for no limit. */
  readonly limitUpload?: number | undefined
  readonly limitDownload?: number | undefined
  /** Called with every line a helper program (ssh, rclone) has to say, and when a call is tried again. */
  readonly onMessage?: ((line: string) => void) | undefined
}

const SCHEMES = ['local', 'b2', 's3', 'rest', 'sftp', 'rclone', 'azure', 'gs', 'swift'] as const
/** Stores that keep to a rate within each transfer. Others wait between files. */
const PACED: ReadonlySet<string> = new Set(['b2', 'rest', 's3'])
const IDLE_MS = 300_000
const DRIVE_LETTER = /^[a-zA-Z]:[\\/]/
const URL_PASSWORD = /(\/\/[^/:@]*):[^/@]*@/
/** A password with a slash in it makes a URL that nobody can take apart: all up to the last @ is hidden. */
const BROKEN_PASSWORD = /(\/\/[^/:@]+):(?!\d*\/)[^/@]*\/.*@/s

/** @throws InvalidInputError for a scheme nobody knows */
export function parseLocation(text: string): Location {
  if (text === '') throw new InvalidInputError('Please specify repository location (-r or --repository-file)')
  const colon = text.indexOf(':')
  const scheme = schemeOf(text)
  if (scheme !== undefined) return { scheme, rest: text.slice(colon + 1) }
  const isPath = colon < 0 || (text.indexOf('/') >= 0 && text.indexOf('/') < colon) || DRIVE_LETTER.test(text)
  if (isPath) return { scheme: 'local', rest: text }
  throw new InvalidInputError(`invalid backend: ${displayLocation(text)}`, {
    hint: 'a local path that contains a colon can be written as local:PATH or ./PATH',
  })
}

function schemeOf(text: string): Location['scheme'] | undefined {
  return SCHEMES.find((name) => text.startsWith(`${name}:`))
}

/** Whether only a network leads to a location. It may be one as shown, which for a local folder is its path. */
export function isRemote(text: string): boolean {
  return (schemeOf(text) ?? 'local') !== 'local'
}

/** A location without the password it may hold. */
export function displayLocation(text: string): string {
  return text.replace(URL_PASSWORD, '$1:***@').replace(BROKEN_PASSWORD, '$1:***@')
}

/**
 * The backend for a location; its code is loaded now. Remote stores are given patience: what may succeed later is tried
 * again for a quarter of an hour.
 * @throws InvalidInputError; UnsupportedError for stores this version does not reach
 */
export async function openBackend(text: string, options: OpenBackendOptions = {}): Promise<Backend> {
  const location = parseLocation(text)
  const limits = rateLimits({ upload: options.limitUpload, download: options.limitDownload })
  const store = await openStore(text, location, { ...options, limits })
  const limited = PACED.has(location.scheme) ? store : await limit(store, limits)
  if (location.scheme === 'local') return limited
  const { RetryBackend } = await import('./retry.ts')
  return new RetryBackend(limited, { onNotice: ({ message }) => options.onMessage?.(message) })
}

async function limit(store: Backend, limits: RateLimits): Promise<Backend> {
  if (limits.upload === undefined && limits.download === undefined) return store
  const { LimitedBackend } = await import('./limited.ts')
  return new LimitedBackend(store, limits)
}

interface OpenStoreOptions extends OpenBackendOptions {
  readonly limits: RateLimits
}

async function openStore(text: string, location: Location, options: OpenStoreOptions): Promise<Backend> {
  const connections = parseConnections(location.scheme, options.options ?? {})
  if (location.scheme === 'local') {
    const { LocalBackend } = await import('./local.ts')
    return new LocalBackend(location.rest, { connections })
  }
  const settings = storeSettings(text, options, connections)
  if (location.scheme === 'b2') {
    const { openB2 } = await import('./b2-open.ts')
    return openB2(location.rest, settings)
  }
  if (location.scheme === 'rest') {
    const { openRest } = await import('./rest-open.ts')
    return openRest(location.rest, settings)
  }
  if (location.scheme === 's3') {
    const { openS3 } = await import('./s3-open.ts')
    return openS3(location.rest, settings)
  }
  if (location.scheme === 'sftp') {
    const { openSftp } = await import('./sftp-open.ts')
    return openSftp(location.rest, settings)
  }
  if (location.scheme === 'rclone') {
    const { openRclone } = await import('./rclone-open.ts')
    return openRclone(location.rest, settings)
  }
  throw new UnsupportedError(`this version cannot reach ${location.scheme}: repositories yet`, {
    hint: `rclone can: set up a remote for it and use rclone:REMOTE:PATH`,
  })
}

function storeSettings(
  text: string,
  { options = {}, env = {}, tls = {}, userAgent, idleMs = IDLE_MS, limits, onMessage }: OpenStoreOptions,
  connections: number | undefined,
): StoreSettings {
  const location = displayLocation(text)
  // What waits for its turn is not stuck.
  const patienceMs = idleMs + waitingMs(limits, connections)
  return { location, connections, options, env, tls, userAgent, idleMs: patienceMs, limits, onMessage }
}

function parseConnections(scheme: string, options: Readonly<Record<string, string>>): number | undefined {
  const text = options[`${scheme}.connections`]
  if (text === undefined) return undefined
  const connections = Number(text)
  if (!/^\d+$/.test(text) || connections < 1) {
    throw new InvalidInputError(`option ${scheme}.connections: "${text}" is not a positive number`)
  }
  return connections
}
