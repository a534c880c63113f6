/** Flags every command takes, and the environment variables that stand in for them (command spec §1.3–1.4). */
import { Option, type Command } from 'commander'
import { InvalidInputError, type CompressionMode } from '../index.ts'
import type { CliIo } from './io.ts'

export interface GlobalOptions {
  readonly repo?: string
  readonly repositoryFile?: string
  readonly passwordFile?: string
  readonly passwordCommand?: string
  readonly keyHint?: string
  readonly insecureNoPassword?: boolean
  readonly quiet?: boolean
  readonly verbose: number
  readonly json?: boolean
  readonly lock: boolean
  readonly retryLock?: string
  readonly compression?: CompressionMode
  readonly packSize?: string
  readonly extraVerify: boolean
  readonly option: readonly string[]
}

const COMPRESSION_MODES = ['auto', 'off', 'fastest', 'better', 'max'] as const

export function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value]
}

/** Adds the global flags to the program. Those that only matter to remote stores are accepted and do nothing yet. */
export function addGlobalOptions(program: Command): Command {
  return program
    .option('-r, --repo <location>', 'repository to use (default: $RESTIC_REPOSITORY)')
    .option(
      '--repository-file <file>',
      'file to read the repository location from (default: $RESTIC_REPOSITORY_FILE)',
    )
    .option('-p, --password-file <file>', 'file to read the password from (default: $RESTIC_PASSWORD_FILE)')
    .option(
      '--password-command <command>',
      'command that prints the password (default: $RESTIC_PASSWORD_COMMAND)',
    )
    .option('--key-hint <id>', 'key to try first (default: $RESTIC_KEY_HINT)')
    .option('--insecure-no-password', 'use an empty password')
    .option('-q, --quiet', 'print nothing but errors')
    .option(
      '-v, --verbose',
      'say more (twice: even more)',
      (_value: unknown, previous: number) => previous + 1,
      0,
    )
    .option('--json', 'print JSON')
    .option('--no-lock', 'take no lock, for repositories that cannot be written to')
    .option('--retry-lock <duration>', 'keep trying to lock for so long, for example 5m')
    .addOption(
      new Option('--compression <mode>', 'compression (default: $RESTIC_COMPRESSION or auto)').choices(
        COMPRESSION_MODES,
      ),
    )
    .option('--pack-size <MiB>', 'size of packs, 4 to 128 (default: $RESTIC_PACK_SIZE or 16)')
    .option('--no-extra-verify', 'do not decode again what was encoded before it is stored')
    .option('-o, --option <key=value>', 'extended option, may be given more than once', collect, [])
    .addOption(new Option('--no-cache', 'accepted for compatibility: there is no cache').hideHelp())
    .addOption(new Option('--cache-dir <dir>', 'accepted for compatibility').hideHelp())
    .addOption(new Option('--cleanup-cache', 'accepted for compatibility').hideHelp())
    .addOption(new Option('--limit-upload <rate>', 'accepted for compatibility').hideHelp())
    .addOption(new Option('--limit-download <rate>', 'accepted for compatibility').hideHelp())
    .addOption(new Option('--cacert <file>', 'accepted for compatibility').hideHelp())
    .addOption(new Option('--tls-client-cert <file>', 'accepted for compatibility').hideHelp())
    .addOption(new Option('--insecure-tls', 'accepted for compatibility').hideHelp())
    .addOption(new Option('--http-user-agent <name>', 'accepted for compatibility').hideHelp())
    .addOption(new Option('--stuck-request-timeout <duration>', 'accepted for compatibility').hideHelp())
}

/** 0 quiet, 1 as usual, 2 and 3 with -v and -vv. JSON takes the place of text. */
export function verbosityOf(options: GlobalOptions): number {
  if (options.quiet === true && options.verbose > 0) {
    throw new InvalidInputError('--quiet and --verbose cannot be specified at the same time')
  }
  return options.quiet === true ? 0 : Math.min(3, 1 + options.verbose)
}

export function compressionOf(options: GlobalOptions, env: CliIo['env']): CompressionMode {
  const text = options.compression ?? env['RESTIC_COMPRESSION'] ?? 'auto'
  const mode = COMPRESSION_MODES.find((known) => known === (text === '' ? 'auto' : text))
  if (mode === undefined)
    throw new InvalidInputError(
      `invalid compression mode "${text}", must be one of (auto|off|fastest|better|max)`,
    )
  return mode
}

export function packSizeBytesOf(options: GlobalOptions, env: CliIo['env']): number | undefined {
  const text = options.packSize ?? env['RESTIC_PACK_SIZE'] ?? ''
  if (text === '' || text === '0') return undefined
  if (!/^\d+$/.test(text)) throw new InvalidInputError(`invalid pack size "${text}": give a number of MiB`)
  return Number(text) * 1024 * 1024
}

/** `key=value` pairs as a record. */
export function extendedOptionsOf(options: GlobalOptions): Record<string, string> {
  const pairs = options.option.map((text): [string, string] => {
    const equals = text.indexOf('=')
    const key = (equals < 0 ? text : text.slice(0, equals)).trim().toLowerCase()
    if (key === '') throw new InvalidInputError(`invalid extended option "${text}": empty key`)
    return [key, equals < 0 ? '' : text.slice(equals + 1).trim()]
  })
  return Object.fromEntries(pairs)
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
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)]
  if (text !== '0' && (parts.length === 0 || parts.map(([whole]) => whole).join('') !== text)) {
    throw new InvalidInputError(`invalid duration "${text}": give something like 5m or 1h30m`)
  }
  return parts.reduce((sum, [, value, unit]) => sum + Number(value) * (DURATION_UNITS[unit ?? ''] ?? 0), 0)
}
