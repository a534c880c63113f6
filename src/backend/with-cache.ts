/** The way to a cache: its settings, and the decorator that loads its code when it is used. */
import type { Backend } from './backend.ts'

export interface CacheOptions {
  /** Called once for each kind of trouble with the cache. */
  readonly onWarning?: ((message: string) => void) | undefined
}

/** The cache that is in use. */
export interface OpenedCache {
  /** The folder all caches are in. */
  readonly base: string
  readonly isNew: boolean
}

export interface CacheSettings extends CacheOptions {
  /** Base folder, as `cacheBase` finds it. Of a temporary cache where it is made: the system's folder for such by default. */
  readonly base: string | undefined
  /** One that holds nothing of before and is removed by `close`: a check should see the store as it is. */
  readonly temporary?: boolean | undefined
  readonly onOpened?: ((cache: OpenedCache) => void) | undefined
}

/** For `Repository.open`: index files, snapshots and trees are kept in a cache that real restic may share. */
export function withCache(
  settings: CacheSettings,
): (backend: Backend, repositoryId: string) => Promise<Backend> {
  return async (backend, repositoryId) => {
    const { base = '', temporary = false, onOpened } = settings
    // Most programs that embed this library never use one.
    const { CacheBackend } = await import('./cache.ts')
    const cached = new CacheBackend(backend, settings)
    const opened = temporary
      ? await cached.useTemporary(repositoryId, settings.base)
      : await cached.useFor(repositoryId, base)
    if (opened !== undefined) onOpened?.(opened)
    return cached
  }
}
