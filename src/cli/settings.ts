/** What the global flags and variables mean (command spec §1.2–1.4). */
import { InvalidInputError, type CompressionMode, type OpenBackendOptions } from '../index.ts'
import type { GlobalOptions } from './global-options.ts'
import type { CliIo } from './io.ts'
import type { Verbosity } from './output.ts'

const COMPRESSION_MODES = ['auto', 'off', 'fastest', 'better', 'max'] as const

/** @throws InvalidInputError where --quiet and --verbose meet */
export function verbosityOf(options: GlobalOptions): Verbosity {
  const { quiet = false, verbose = 0 } = options
  if (quiet && verbose > 0) {
    throw new InvalidInputError('--quiet and --verbose cannot be specified at the same time')
  }
  if (quiet) return 0
  return verbose === 0 ? 1 : verbose === 1 ? 2 : 3
}

/** @throws InvalidInputError */
export function compressionOf(options: GlobalOptions, env: CliIo['env']): CompressionMode {
  const { name, text } = flagOrVariable(['--compression', options.compression], 'RESTIC_COMPRESSION', env)
  const mode = COMPRESSION_MODES.find((known) => known === (text === '' ? 'auto' : text))
  if (mode !== undefined) return mode
  throw new InvalidInputError(
    `invalid value for ${name} "${text}": must be one of (${COMPRESSION_MODES.join('|')})`,
  )
}

/** More than any machine has use for: a slip of the finger must not exhaust it. */
const MAX_THREADS = 256

/** Bytes, or undefined for the default; the engine checks the limits. @throws InvalidInputError */
export function packSizeBytesOf(options: GlobalOptions, env: CliIo['env']): number | undefined {
  const { name, text } = flagOrVariable(['--pack-size', options.packSize], 'RESTIC_PACK_SIZE', env)
  if (text === '' || text === '0') return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1024 * 1024
  throw new InvalidInputError(`invalid value for ${name} "${text}": give a whole number of MiB`)
}

/** Files read at once; undefined where that is left to the number of threads. @throws InvalidInputError */
export function readConcurrencyOf(flag: string | undefined, env: CliIo['env']): number | undefined {
  const number = numberOf(flagOrVariable(['--read-concurrency', flag], 'RESTIC_READ_CONCURRENCY', env))
  return number === 0 ? undefined : number
}

/** Worker threads an operation may start. @throws InvalidInputError */
export function workersOf(options: GlobalOptions, env: CliIo['env']): number | undefined {
  return numberOf(flagOrVariable(['--workers', options.workers], 'RESTIC_TS_WORKERS', env))
}

function numberOf({ name, text }: { readonly name: string; readonly text: string }): number | undefined {
  if (text === '') return undefined
  const number = Number(text)
  if (/^\d{1,9}$/.test(text) && number <= MAX_THREADS) return number
  throw new InvalidInputError(`invalid value for ${name} "${text}": not a number from 0 to ${MAX_THREADS}`)
}

/** `key=value` pairs, several in one flag where commas part them. @throws InvalidInputError */
function extendedOptionsOf(options: GlobalOptions): Record<string, string> {
  const values = new Map<string, string>()
  for (const pair of (options.option ?? []).flatMap((text) => text.split(PAIR_SEPARATOR))) {
    const equals = pair.indexOf('=')
    const key = (equals < 0 ? pair : pair.slice(0, equals)).trim().toLowerCase()
    const value = equals < 0 ? '' : pair.slice(equals + 1).trim()
    if (key === '') throw new InvalidInputError('empty key is not a valid option')
    if ((values.get(key) ?? value) !== value)
      throw new InvalidInputError(`key "${key}" present more than once`)
    values.set(key, value)
  }
  return Object.fromEntries(values)
}

/** A comma before something like `s3.region=`; others belong to a value. */
const PAIR_SEPARATOR = /,(?=[a-z0-9]+\.[a-z0-9-]+=)/i

/** How stores are reached: extended options, certificates, requests. @throws InvalidInputError */
export function storeOptionsOf(options: GlobalOptions, env: CliIo['env']): OpenBackendOptions {
  const { cacert = [env['RESTIC_CACERT'] ?? ''], stuckRequestTimeout } = options
  return {
    env,
    options: extendedOptionsOf(options),
    tls: {
      caCertFiles: cacert.flatMap((files) => files.split(',')).filter((file) => file !== ''),
      clientCertFile: (options.tlsClientCert ?? env['RESTIC_TLS_CLIENT_CERT'] ?? '') || undefined,
      insecure: options.insecureTls,
    },
    userAgent: (options.httpUserAgent ?? env['RESTIC_HTTP_USER_AGENT'] ?? '') || undefined,
    limitUpload: rateOf('--limit-upload', options.limitUpload),
    limitDownload: rateOf('--limit-download', options.limitDownload),
    idleMs: stuckRequestTimeout === undefined ? undefined : parseGoDuration(stuckRequestTimeout),
  }
}

/** KiB a second, 0 for no limit. */
function rateOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined || /^\d{1,9}$/.test(text)) return text === undefined ? undefined : Number(text)
  throw new InvalidInputError(`invalid value for ${name} "${text}": give a whole number of KiB a second`)
}

/** restic's feature flags and whether they still change anything there. None does here. */
const FEATURES: ReadonlyMap<string, 'beta' | 'alpha' | 'stable'> = new Map([
  ['backend-error-redesign', 'beta'],
  ['device-id-for-hardlinks', 'alpha'],
  ['s3-restore', 'alpha'],
  ['deprecate-legacy-index', 'stable'],
  ['deprecate-s3-legacy-layout', 'stable'],
  ['explicit-s3-anonymous-auth', 'stable'],
  ['safe-forget-keep-tags', 'stable'],
])

/**
 * Checks RESTIC_FEATURES, which restic does before any command.
 * @returns warnings
 * @throws InvalidInputError for names and values restic does not know
 */
export function checkFeatures(env: CliIo['env']): string[] {
  const warnings: string[] = []
  for (const flag of (env['RESTIC_FEATURES'] ?? '').split(',').filter((part) => part !== '')) {
    const [name = '', value = 'true'] = flag.split(/=(.*)/s)
    if (!/^(1|t|true|0|f|false)$/i.test(value))
      throw new InvalidInputError(`failed to parse value "${value}" for feature flag ${name}`)
    const kind = FEATURES.get(name)
    if (kind === undefined) throw new InvalidInputError(`unknown feature flag "${name}"`)
    if (kind === 'stable')
      warnings.push(`feature flag "${name}" is always enabled and will be removed in a future release`)
  }
  return warnings
}

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/** A Go duration such as `5m` or `1h30m`, in ms. @throws InvalidInputError */
export function parseGoDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/g)]
  const isWhole = parts.length > 0 && parts.map(([part]) => part).join('') === text.replace(/^\+/, '')
  if (text !== '0' && !isWhole) {
    throw new InvalidInputError(`invalid duration "${text}": give something like 5m or 1h30m`)
  }
  return parts.reduce((sum, [, value, unit]) => sum + Number(value) * (DURATION_UNITS[unit ?? ''] ?? 0), 0)
}

function flagOrVariable(
  [flag, given]: readonly [string, string | undefined],
  variable: string,
  env: CliIo['env'],
): { readonly name: string; readonly text: string } {
  return given === undefined ? { name: variable, text: env[variable] ?? '' } : { name: flag, text: given }
}
