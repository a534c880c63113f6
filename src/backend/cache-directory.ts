/**
 * Where caches lie, and which there are (format spec §14, command spec §1.9): below a base folder one folder for each
 * repository, shared with every restic on this machine.
 */
import { randomInt } from 'node:crypto'
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { InvalidInputError, UnsupportedError } from '../errors.ts'
import { folderOf } from './layout.ts'

/** What a cache holds; of packs, only those with trees. */
export const CACHED_TYPES = ['pack', 'index', 'snapshot'] as const
export type CachedType = (typeof CACHED_TYPES)[number]

/** A repository's cache, or one that a check did not remove. */
export interface CacheInfo {
  /** The repository's ID, or `restic-check-cache-` and digits. */
  readonly name: string
  readonly path: string
  readonly lastUsed: Date
}

const FOLDER_MODE = 0o700
const FILE_MODE = 0o644
const VERSION = 1
/** Tells other backup programs to pass over all that lies beside it (bford.info/cachedir). */
const TAG = 'Signature: 8a477f597d28d172789f06886806bc55\n'
const CACHE_NAME = /^(?:[a-fA-F0-9]{64}|restic-check-cache-[0-9]+)$/
const DAY_MS = 24 * 60 * 60_000

/**
 * The base folder as restic finds it: what the flag says, else $RESTIC_CACHE_DIR, else `restic` in the user's folder
 * for caches.
 * @param flag value of --cache-dir
 * @throws InvalidInputError where the environment names none
 */
export function cacheBase(
  flag: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform = process.platform,
): string {
  const chosen = flag || env['RESTIC_CACHE_DIR']
  return chosen === undefined || chosen === '' ? join(userCacheFolder(env, platform), 'restic') : chosen
}

function userCacheFolder(
  env: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform,
): string {
  const home = env['HOME'] ?? ''
  if (platform === 'win32')
    return env['LocalAppData'] || env['LOCALAPPDATA'] || fail('%LocalAppData% is not defined')
  if (platform === 'darwin')
    return home === '' ? fail('$HOME is not defined') : join(home, 'Library', 'Caches')
  const folder = env['XDG_CACHE_HOME'] ?? ''
  if (folder === '')
    return home === '' ? fail('neither $XDG_CACHE_HOME nor $HOME are defined') : join(home, '.cache')
  return isAbsolute(folder) ? folder : fail('path in $XDG_CACHE_HOME is relative')
}

function fail(problem: string): never {
  throw new InvalidInputError(`unable to locate cache directory: ${problem}`, {
    hint: 'name one with --cache-dir or RESTIC_CACHE_DIR, or go without with --no-cache',
  })
}

/**
 * Makes the folder of a repository's cache where it is not there, and marks it as used now.
 * @throws UnsupportedError for one that a newer restic has made; errors of the file system
 */
export async function openCacheFolder(
  base: string,
  repositoryId: string,
): Promise<{ readonly path: string; readonly isNew: boolean }> {
  await mkdir(base, { recursive: true, mode: FOLDER_MODE })
  await writeNew(join(base, 'CACHEDIR.TAG'), TAG)
  const path = join(base, repositoryId)
  const version = await readVersion(path)
  if (version !== undefined && version > VERSION)
    throw new UnsupportedError(
      `the cache ${path} is of version ${version}, this program knows version ${VERSION}`,
    )
  const isNew = (await mkdir(path, { recursive: true, mode: FOLDER_MODE })) !== undefined
  if (version !== VERSION) await writeFile(join(path, 'version'), String(VERSION), { mode: FILE_MODE })
  for (const type of CACHED_TYPES)
    await mkdir(join(path, folderOf(type)), { recursive: true, mode: FOLDER_MODE })
  const now = new Date()
  await utimes(path, now, now)
  return { path, isNew }
}

/** An empty base folder that nobody else uses, named as restic names those of its `check`. */
export async function makeTemporaryCacheBase(parent: string = tmpdir()): Promise<string> {
  const path = join(parent, `restic-check-cache-${randomInt(1, 2 ** 32)}`)
  await mkdir(parent, { recursive: true, mode: FOLDER_MODE })
  await mkdir(path, { mode: FOLDER_MODE })
  return path
}

/** The caches below a base folder, the one used last coming last. None where there is no such folder. */
export async function listCaches(base: string): Promise<CacheInfo[]> {
  const caches: CacheInfo[] = []
  for (const name of await namesIn(base)) {
    if (!CACHE_NAME.test(name)) continue
    const path = join(base, name)
    const info = await stat(path)
    if (info.isDirectory()) caches.push({ name, path, lastUsed: info.mtime })
  }
  return caches.toSorted((a, b) => a.lastUsed.getTime() - b.lastUsed.getTime())
}

/** Whether a cache was not used for so many days. */
export function isOldCache(cache: CacheInfo, maxAgeDays = 30, now: Date = new Date()): boolean {
  return cache.lastUsed.getTime() < now.getTime() - maxAgeDays * DAY_MS
}

export async function removeCache(cache: CacheInfo): Promise<void> {
  await rm(cache.path, { recursive: true, force: true })
}

/** Bytes of all files of a cache. */
export async function cacheSize(cache: CacheInfo): Promise<number> {
  let size = 0
  for (const entry of await readdir(cache.path, { recursive: true, withFileTypes: true })) {
    if (!entry.isDirectory()) size += (await stat(join(entry.parentPath, entry.name))).size
  }
  return size
}

async function readVersion(path: string): Promise<number | undefined> {
  let text: string
  try {
    text = await readFile(join(path, 'version'), 'utf8')
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new UnsupportedError(`${join(path, 'version')} does not hold the version of a cache`)
}

async function writeNew(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { flag: 'wx', mode: FILE_MODE })
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isCode(error, 'ENOENT')) return []
    throw error
  }
}

export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
