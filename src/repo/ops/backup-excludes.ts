/** What a backup leaves out (format spec §12.4), decided in two steps: by path alone, then with the entry's facts. */
import { basename, dirname, join } from 'node:path'
import { InvalidInputError } from '../../errors.ts'
import type { BackupSource, SourceStat } from './backup-source.ts'
import { excludeMatcher, parsePatterns } from './patterns.ts'

export interface ExcludeOptions {
  /** Patterns; those of one list may re-include with `!`. */
  readonly excludes?: readonly string[] | undefined
  /** As `excludes`, matched without regard to case. */
  readonly insensitiveExcludes?: readonly string[] | undefined
  /** `NAME` or `NAME:HEADER`: a folder that holds such a file is stored with nothing else in it. */
  readonly excludeIfPresent?: readonly string[] | undefined
  /** Leave out folders that a CACHEDIR.TAG marks as caches. */
  readonly excludeCaches?: boolean | undefined
  readonly excludeLargerThanBytes?: number | undefined
  readonly oneFileSystem?: boolean | undefined
  /** Absolute paths left out with all below them: caches of our own. */
  readonly excludeFolders?: readonly string[] | undefined
}

/** Both take absolute paths; false keeps the entry out. */
export interface BackupFilter {
  /** Nothing is kept out: it need not be asked, nor paths be made for it. */
  readonly selectsAll: boolean
  selectByName(path: string): boolean
  select(path: string, stat: SourceStat): boolean
}

const CACHE_TAG = 'CACHEDIR.TAG:Signature: 8a477f597d28d172789f06886806bc55'

/**
 * @param targets absolute paths of the targets, for `oneFileSystem`
 * @throws InvalidInputError for malformed patterns or tag files
 */
export function createBackupFilter(
  source: BackupSource,
  targets: readonly string[],
  options: ExcludeOptions,
  onWarning: (message: string) => void,
): BackupFilter {
  const excluded = excludeMatcher(
    parsePatterns(options.excludes ?? []),
    parsePatterns(options.insensitiveExcludes ?? [], { caseInsensitive: true }),
  )
  const tags = [...(options.excludeIfPresent ?? []), ...(options.excludeCaches === true ? [CACHE_TAG] : [])]
  const rejects = tags.map((spec) => rejectIfPresent(source, spec, onWarning))
  const { excludeLargerThanBytes: limit } = options
  if (limit !== undefined) rejects.push((_path, stat) => stat.kind !== 'dir' && stat.size > limit)
  if (options.oneFileSystem === true) rejects.push(rejectOtherDevices(source, targets))
  const { excludes = [], insensitiveExcludes = [], excludeFolders = [] } = options
  const hasPatterns = excludes.length + insensitiveExcludes.length + excludeFolders.length > 0
  const isInFolder = (path: string): boolean =>
    excludeFolders.some((folder) => path === folder || path.startsWith(`${folder}/`))
  return {
    selectsAll: !hasPatterns && rejects.length === 0,
    selectByName: hasPatterns ? (path) => !isInFolder(path) && !excluded(path).excluded : () => true,
    select: (path, stat) => !rejects.some((reject) => reject(path, stat)),
  }
}

type Reject = (path: string, stat: SourceStat) => boolean

function rejectIfPresent(source: BackupSource, spec: string, onWarning: (message: string) => void): Reject {
  const colon = spec.indexOf(':')
  const name = colon < 0 ? spec : spec.slice(0, colon)
  const header = colon < 0 ? '' : spec.slice(colon + 1)
  if (name === '') throw new InvalidInputError('no name for exclusion tagfile provided')
  // Entries of one folder come one after another, so the last answer serves nearly all.
  let lastDir: string | undefined
  let lastAnswer = false
  return (path) => {
    if (basename(path) === name) return false
    const dir = dirname(path)
    if (dir !== lastDir) {
      lastDir = dir
      lastAnswer = holdsTag(source, join(dir, name), header, onWarning)
    }
    return lastAnswer
  }
}

function holdsTag(
  source: BackupSource,
  tagPath: string,
  header: string,
  onWarning: (message: string) => void,
): boolean {
  try {
    source.lstat(tagPath)
  } catch (error) {
    if (!source.isMissing(error)) onWarning(`could not access exclusion tagfile: ${messageOf(error)}`)
    return false
  }
  if (header === '') return true
  const expected = Buffer.from(header)
  const found = Buffer.alloc(expected.length)
  try {
    const file = source.open(tagPath)
    try {
      if (file.read(found) === expected.length && found.equals(expected)) return true
    } finally {
      file.close()
    }
    onWarning(`invalid signature in exclusion tagfile "${tagPath}"`)
  } catch (error) {
    onWarning(`could not read signature from exclusion tagfile "${tagPath}": ${messageOf(error)}`)
  }
  return false
}

function rejectOtherDevices(source: BackupSource, targets: readonly string[]): Reject {
  const devices = new Map(targets.map((target) => [target, source.lstat(target).deviceId]))
  const isAllowed = (path: string, device: bigint): boolean => {
    for (let dir = path; ; dir = dirname(dir)) {
      const allowed = devices.get(dir)
      if (allowed !== undefined) return allowed === device
      if (dir === dirname(dir)) return true // above all targets: taken for its metadata only
    }
  }
  return (path, stat) => {
    if (isAllowed(path, stat.deviceId)) return false
    if (stat.kind !== 'dir') return true
    // A mount point itself is kept (empty): its parent is on an allowed device.
    const parent = dirname(path)
    try {
      return !isAllowed(parent, source.lstat(parent).deviceId)
    } catch {
      return true
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
