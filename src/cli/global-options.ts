/** Flags every command takes (command spec §1.3). They may stand before and after the command's name. */
import type { Command } from 'commander'

export interface GlobalOptions {
  /** Several for `backup`; other commands take the last. */
  readonly repo?: readonly string[]
  readonly repositoryFile?: string
  readonly passwordFile?: readonly string[]
  readonly passwordCommand?: readonly string[]
  readonly keyHint?: string
  readonly insecureNoPassword?: boolean
  readonly quiet?: boolean
  readonly verbose?: number
  readonly json?: boolean
  readonly lock?: boolean
  readonly cache?: boolean
  readonly cacheDir?: string
  readonly cleanupCache?: boolean
  readonly retryLock?: string
  readonly compression?: string
  readonly packSize?: string
  readonly extraVerify?: boolean
  readonly option?: readonly string[]
  readonly workers?: string
  readonly limitUpload?: string
  readonly limitDownload?: string
  readonly cacert?: readonly string[]
  readonly tlsClientCert?: string
  readonly insecureTls?: boolean
  readonly httpUserAgent?: string
  readonly stuckRequestTimeout?: string
}

export function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value]
}

/** Adds the global flags. */
export function addGlobalOptions(command: Command): Command {
  return command
    .optionsGroup('Global options:')
    .option('-r, --repo <location>', 'repository, several for backup (default: $RESTIC_REPOSITORY)', collect)
    .option(
      '--repository-file <file>',
      'file to read the repository location from (default: $RESTIC_REPOSITORY_FILE)',
    )
    .option(
      '-p, --password-file <file>',
      'file to read the password from (default: $RESTIC_PASSWORD_FILE)',
      collect,
    )
    .option(
      '--password-command <command>',
      'command that prints the password (default: $RESTIC_PASSWORD_COMMAND)',
      collect,
    )
    .option('--key-hint <id>', 'key to try first (default: $RESTIC_KEY_HINT)')
    .option('--insecure-no-password', 'use an empty password')
    .option('-q, --quiet', 'print nothing but errors')
    .option(
      '-v, --verbose',
      'say more (twice, or --verbose=2: even more)',
      (_value: unknown, previous: number | undefined) => (previous ?? 0) + 1,
    )
    .option('--json', 'print JSON')
    .option('--no-lock', 'take no lock, for repositories that cannot be written to')
    .option('--retry-lock <duration>', 'keep trying to lock for so long, for example 5m')
    .option(
      '--compression <mode>',
      'auto, off, fastest, better or max (default: $RESTIC_COMPRESSION or auto)',
    )
    .option('--pack-size <MiB>', 'size of packs, 4 to 128 (default: $RESTIC_PACK_SIZE or 16)')
    .option('--no-extra-verify', 'do not decode again what was encoded before it is stored')
    .option(
      '--workers <n>',
      'worker threads, 0 for none (default: $RESTIC_TS_WORKERS or the number of processors)',
    )
    .option('--no-cache', 'keep no copies of index files, snapshots and trees on this machine')
    .option('--cache-dir <folder>', 'folder for those copies (default: $RESTIC_CACHE_DIR)')
    .option('--cleanup-cache', 'remove caches that were not used for 30 days')
    .option('--limit-upload <rate>', 'KiB a second at most to be sent')
    .option('--limit-download <rate>', 'KiB a second at most to be fetched')
    .option('-o, --option <key=value>', 'extended option, may be given more than once', collect)
    .option(
      '--cacert <file>',
      'PEM file of certificates to trust, may be repeated (default: $RESTIC_CACERT)',
      collect,
    )
    .option(
      '--tls-client-cert <file>',
      'PEM file of a client certificate and its key (default: $RESTIC_TLS_CLIENT_CERT)',
    )
    .option('--insecure-tls', 'trust any certificate (insecure)')
    .option(
      '--http-user-agent <name>',
      'name for us in requests to remote stores (default: $RESTIC_HTTP_USER_AGENT)',
    )
    .option(
      '--stuck-request-timeout <duration>',
      'repeat a request to a remote store that makes no progress for so long (default: 5m)',
    )
}

const REPEATED = ['option', 'repo', 'passwordFile', 'passwordCommand'] as const

/** What was given, whether before or after the command's name: the later wins, what may be repeated adds up. */
export function globalOptionsOf(command: Command): GlobalOptions {
  let merged: GlobalOptions = {}
  for (let level: Command | null = command; level !== null; level = level.parent) {
    const outer = givenOptions(level)
    const verbose = (outer.verbose ?? 0) + (merged.verbose ?? 0)
    const lists = Object.fromEntries(
      REPEATED.map((key) => [key, [...(outer[key] ?? []), ...(merged[key] ?? [])]]),
    )
    merged = { ...outer, ...merged, verbose, ...lists }
  }
  return merged
}

/** Only what the user typed: defaults of an inner command must not hide what was given to an outer one. */
function givenOptions(command: Command): GlobalOptions {
  const given = Object.entries(command.opts()).filter(([key]) => command.getOptionValueSource(key) === 'cli')
  return Object.fromEntries(given)
}
