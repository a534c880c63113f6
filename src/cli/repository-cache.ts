/** The cache of a repository that is opened: which flags and variables name it, and what is said of it. */
import {
  cacheBase,
  isOldCache,
  listCaches,
  removeCache,
  type CacheSettings,
  type OpenedCache,
} from '../index.ts'
import { describeError } from './describe-error.ts'
import type { GlobalOptions } from './global-options.ts'
import type { Output } from './output.ts'

/** Undefined where there is to be none, or nobody knows where: that is a warning. */
export function cacheSettingsOf(options: GlobalOptions, output: Output): CacheSettings | undefined {
  if (options.cache === false) return undefined
  try {
    return { base: cacheBase(options.cacheDir, output.io.env) }
  } catch (error) {
    output.warn(describeError(error))
    return undefined
  }
}

/** A cache for a check: among the others where a folder for them was named, else where temporary files are. */
export function temporaryCacheOf(options: GlobalOptions, output: Output): CacheSettings | undefined {
  if (options.cache === false) return undefined
  const named = options.cacheDir || output.io.env['RESTIC_CACHE_DIR'] || undefined
  return { base: named, temporary: true }
}

/** Tells people on a terminal of caches that are new or old, and removes old ones where --cleanup-cache says so. */
export async function lookAfterCaches(
  { base, isNew }: OpenedCache,
  { cleanupCache }: GlobalOptions,
  output: Output,
): Promise<void> {
  if (isNew && output.isTerminal) output.print(`created new cache in ${base}`)
  try {
    const old = (await listCaches(base)).filter((cache) => isOldCache(cache))
    if (old.length === 0) return
    if (cleanupCache !== true) {
      if (output.isTerminal)
        output.print(
          `found ${old.length} old cache directories in ${base}, run \`restic-ts cache --cleanup\` to remove them`,
        )
      return
    }
    output.print(`removing ${old.length} old cache dirs from ${base}`)
    for (const cache of old) await removeCache(cache)
  } catch (error) {
    output.warn(`unable to look after old caches: ${describeError(error)}`)
  }
}
