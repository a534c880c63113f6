/** cache: list the caches on this machine, remove old ones (command spec, "cache"). */
import type { Command } from 'commander'
import {
  cacheBase,
  cacheSize,
  InvalidInputError,
  isOldCache,
  listCaches,
  removeCache,
  type CacheInfo,
} from '../index.ts'
import type { CommandRunner } from './command.ts'
import type { CommandContext } from './context.ts'
import { describeError } from './describe-error.ts'
import { EXIT_OK } from './exit-codes.ts'
import { formatBytes } from './format.ts'
import { formatTable, type Column } from './table.ts'

interface Flags {
  readonly cleanup?: boolean
  readonly maxAge: string
  readonly size: boolean
}

interface Row {
  readonly cache: CacheInfo
  readonly size: number
}

const DAY_MS = 24 * 60 * 60_000
/** As much of a repository's ID as is shown. */
const SHOWN_ID = 10
const SIZE_WIDTH = 11

export function define(command: Command, run: CommandRunner): void {
  command
    .option('--cleanup', 'remove old caches')
    .option('--max-age <days>', 'what was not used for so many days is old', '30')
    .option('--no-size', 'do not show how large they are')
    .action((flags: Flags) => run.withContext((context) => runCache(context, flags)))
}

async function runCache(context: CommandContext, flags: Flags): Promise<number> {
  const { cache, cacheDir, cleanupCache } = context.options
  if (cache === false) throw new InvalidInputError('Refusing to do anything, the cache is disabled')
  if (!/^\d{1,6}$/.test(flags.maxAge))
    throw new InvalidInputError(`invalid value for --max-age "${flags.maxAge}": give a number of days`)
  const maxAge = Number(flags.maxAge)
  const base = cacheBase(cacheDir, context.io.env)
  if (flags.cleanup === true || cleanupCache === true) await cleanUp(context, base, maxAge)
  else await show(context, base, { maxAge, withSize: flags.size })
  return EXIT_OK
}

async function cleanUp(context: CommandContext, base: string, maxAge: number): Promise<void> {
  const old = (await listCaches(base)).filter((cache) => isOldCache(cache, maxAge))
  if (old.length === 0) {
    context.print('no old cache dirs found')
    return
  }
  context.print(`remove ${old.length} old cache directories`)
  for (const cache of old) {
    try {
      await removeCache(cache)
    } catch (error) {
      context.warn(`unable to remove ${cache.path}: ${describeError(error)}`)
    }
  }
}

async function show(
  context: CommandContext,
  base: string,
  { maxAge, withSize }: { readonly maxAge: number; readonly withSize: boolean },
): Promise<void> {
  const caches = await listCaches(base)
  if (caches.length === 0) {
    context.print(`no cache dirs found, basedir is ${base}`)
    return
  }
  const now = new Date()
  const columns: Column<Row>[] = [
    { title: 'Repo ID', cell: ({ cache }) => [shownName(cache)] },
    { title: 'Last Used', cell: ({ cache }) => [`${daysSince(cache.lastUsed, now)} days ago`] },
    { title: 'Old', cell: ({ cache }) => [isOldCache(cache, maxAge, now) ? 'yes' : ''] },
  ]
  if (withSize) columns.push({ title: 'Size', cell: ({ size }) => [formatBytes(size).padStart(SIZE_WIDTH)] })
  const rows: Row[] = []
  for (const cache of caches) rows.push({ cache, size: withSize ? await cacheSize(cache) : 0 })
  context.print(formatTable(columns, rows).trimEnd())
  context.print(`${caches.length} cache dirs in ${base}`)
}

function shownName({ name }: CacheInfo): string {
  return name.startsWith('restic-check-cache-') ? name : name.slice(0, SHOWN_ID)
}

function daysSince(time: Date, now: Date): number {
  return Math.max(0, Math.floor((now.getTime() - time.getTime()) / DAY_MS))
}
