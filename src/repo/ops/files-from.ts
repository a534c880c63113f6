/** Lists of backup targets in files: `--files-from` and its kin (command spec, "backup"). */
import { lstatSync, readdirSync } from 'node:fs'
import { posix } from 'node:path'
import { InvalidInputError } from '../../errors.ts'
import { compareRawNames, decodeRawName } from '../format/raw-name.ts'
import { nativePath } from './native-path.ts'
import { compileGlob, globMatches, toByteString } from './patterns-glob.ts'

const NUL = 0

/** Patterns, one a line: trimmed, without empty lines and `#` comments. Expand them with `expandGlob`. */
export function parseTargetPatterns(bytes: Uint8Array): string[] {
  return lines(bytes)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
}

/** Paths, one a line, just as they are. */
export function parseTargetLines(bytes: Uint8Array): string[] {
  return lines(bytes).filter((line) => line !== '')
}

/**
 * Paths, each ended by a NUL byte.
 * @throws InvalidInputError where one is empty or the last is not ended
 */
export function parseTargetsRaw(bytes: Uint8Array): string[] {
  if (bytes.length === 0) return []
  if (bytes.at(-1) !== NUL) throw new InvalidInputError('the list of files does not end with a zero byte')
  const paths: string[] = []
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(NUL, start)
    if (end === start) throw new InvalidInputError('the list of files has an empty name')
    paths.push(decodeRawName(bytes.subarray(start, end)))
    start = end + 1
  }
  return paths
}

/**
 * The paths a pattern stands for, sorted; none where nothing matches.
 * @throws InvalidInputError for a malformed pattern
 */
export function expandGlob(pattern: string): string[] {
  if (!/[*?[\\]/.test(pattern)) return exists(pattern) ? [pattern] : []
  const dir = posix.dirname(pattern)
  const glob = compileGlob(toByteString(posix.basename(pattern)))
  if (glob === undefined) throw new InvalidInputError(`invalid pattern: ${pattern}`)
  const dirs = dir === '.' && !pattern.startsWith('./') ? ['.'] : dir === '/' ? ['/'] : expandGlob(dir)
  return dirs.flatMap((parent) =>
    namesIn(parent)
      .filter((name) => globMatches(glob, toByteString(name)))
      .map((name) => (parent === '.' && !pattern.startsWith('./') ? name : posix.join(parent, name))),
  )
}

function lines(bytes: Uint8Array): string[] {
  const text = decodeRawName(bytes)
  return text.split('\n').map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line))
}

function exists(path: string): boolean {
  return lstatSync(nativePath(path), { throwIfNoEntry: false }) !== undefined
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(nativePath(path), 'buffer')
      .map((name) => decodeRawName(name))
      .toSorted(compareRawNames)
  } catch {
    return [] // not a folder or not readable: nothing matches there
  }
}
