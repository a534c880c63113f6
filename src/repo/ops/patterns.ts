/**
 * restic's exclude and include patterns (format spec §12.4). A pattern is cleaned and split at its slashes; each
 * component is matched as Go's filepath.Match does, `**` stands for any run of components. A leading slash ties it to
 * the root, otherwise it matches any run of components, and with them everything below. `!` takes back what earlier
 * patterns of the same list matched.
 */

import { posix } from 'node:path'
import { InvalidInputError } from '../../errors.ts'
import { compileGlob, globMatches, toByteString, type Glob } from './patterns-glob.ts'

/** One component of a pattern: text to compare, a glob to match, or any run of components. */
type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'glob'; readonly glob: Glob }
  | { readonly kind: 'run' }

interface Pattern {
  readonly parts: readonly Part[]
  readonly isNegated: boolean
  readonly isAnchored: boolean
  readonly runCount: number
}

/** Patterns taken apart once, for any number of paths. Order counts where some are negated. */
export interface PatternList {
  readonly patterns: readonly Pattern[]
  readonly caseInsensitive: boolean
  readonly hasNegated: boolean
}

/** What a list of patterns says of one path. */
export interface PatternMatch {
  /** Whether the path itself matches. */
  readonly matches: boolean
  /** Whether something below the path may match. */
  readonly childMayMatch: boolean
}

/** The first component of an absolute path, so that `/a` splits into two components and `a` into one. */
const ROOT = '/'

const RUN: Part = { kind: 'run' }

const NOTHING: PatternMatch = { matches: false, childMayMatch: false }

/**
 * Takes patterns apart (format spec §12.4). Empty ones are ignored. Every malformed one is refused, also where restic
 * overlooks the mistake and then ignores the whole list for paths that come as far as it (`[a]*[`).
 * @throws InvalidInputError that names every malformed pattern
 */
export function parsePatterns(
  patterns: readonly string[],
  options: { readonly caseInsensitive?: boolean } = {},
): PatternList {
  const caseInsensitive = options.caseInsensitive ?? false
  const parsed: Pattern[] = []
  const malformed: string[] = []
  for (const original of patterns) {
    if (original === '') continue
    const pattern = parsePattern(caseInsensitive ? toLowerCase(original) : original)
    if (pattern === undefined) malformed.push(original)
    else parsed.push(pattern)
  }
  if (malformed.length > 0) {
    throw new InvalidInputError(`invalid pattern(s) provided:\n${malformed.join('\n')}`)
  }
  return { patterns: parsed, caseInsensitive, hasNegated: parsed.some((pattern) => pattern.isNegated) }
}

/**
 * Whether `path` matches the list, and whether anything below it may (format spec §12.4).
 * @throws InvalidInputError for the empty path
 */
export function matchPatterns(list: PatternList, path: string): PatternMatch {
  if (list.patterns.length === 0) return NOTHING
  if (path === '') throw new InvalidInputError('cannot match patterns against an empty path')
  const names = splitPath(toByteString(list.caseInsensitive ? toLowerCase(path) : path))
  let matches = false
  let childMayMatch = false
  for (const pattern of list.patterns) {
    const isMatch = matchesPattern(pattern, names)
    if (pattern.isNegated) {
      matches = matches && !isMatch
      childMayMatch = childMayMatch && !isMatch
      continue
    }
    matches = matches || isMatch
    childMayMatch = childMayMatch || childMatchesPattern(pattern, names)
    if (matches && childMayMatch && !list.hasNegated) break
  }
  return { matches, childMayMatch }
}

/**
 * Decides what a backup or restore leaves out: what any of the lists matches (restic's --exclude and --iexclude are
 * a list each). Nothing below an excluded directory is looked at, so `childMayMatch` is only `!excluded`.
 */
export function excludeMatcher(
  ...lists: readonly PatternList[]
): (path: string) => { readonly excluded: boolean; readonly childMayMatch: boolean } {
  return (path) => {
    const excluded = lists.some((list) => matchPatterns(list, path).matches)
    return { excluded, childMayMatch: !excluded }
  }
}

/** Decides what a restore takes: what any of the lists matches, and which directories may hold such a thing. */
export function includeMatcher(
  ...lists: readonly PatternList[]
): (path: string) => { readonly included: boolean; readonly childMayMatch: boolean } {
  return (path) => {
    let included = false
    let childMayMatch = false
    for (const list of lists) {
      const match = matchPatterns(list, path)
      included = included || match.matches
      childMayMatch = childMayMatch || match.childMayMatch
      if (included && childMayMatch) break
    }
    return { included, childMayMatch }
  }
}

function parsePattern(original: string): Pattern | undefined {
  const isNegated = original.startsWith('!')
  const parts: Part[] = []
  for (const component of splitPath(toByteString(cleanPath(isNegated ? original.slice(1) : original)))) {
    const part = parsePart(component)
    if (part === undefined) return undefined
    parts.push(part)
  }
  const first = parts[0]
  const isAnchored = first?.kind === 'text' && first.text === ROOT
  return { parts, isNegated, isAnchored, runCount: parts.filter((part) => part.kind === 'run').length }
}

function parsePart(component: string): Part | undefined {
  // An empty component only comes from the pattern `/`, which restic reads as `/**`.
  if (component === '**' || component === '') return RUN
  if (!/[\\[\]*?]/.test(component)) return { kind: 'text', text: component }
  const glob = compileGlob(component)
  return glob === undefined ? undefined : { kind: 'glob', glob }
}

/** Go's filepath.Clean: no empty, `.` or avoidable `..` component and no slash at the end. */
function cleanPath(path: string): string {
  const normal = posix.normalize(path)
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal
}

function splitPath(path: string): string[] {
  const names = path.split('/')
  if (names[0] === '') names[0] = ROOT
  return names
}

function matchesPattern(pattern: Pattern, names: readonly string[]): boolean {
  const staticCount = pattern.parts.length - pattern.runCount
  const last = names.length - staticCount
  if (pattern.isAnchored) return last >= 0 && matchesAt({ pattern, names, taken: 0, runsSeen: 0 }, 0, 0)
  // A pattern without a leading slash never matches the root itself.
  for (let offset = names[0] === ROOT ? 1 : 0; offset <= last; offset++) {
    if (matchesAt({ pattern, names, taken: 0, runsSeen: 0 }, 0, offset)) return true
  }
  return false
}

/** How far a match has come: how many names the runs before have taken, and how many runs there were. */
interface MatchState {
  readonly pattern: Pattern
  readonly names: readonly string[]
  readonly taken: number
  readonly runsSeen: number
}

/** Whether the parts from `partIndex` on match the names from `nameIndex` on. What is left of the names is free. */
function matchesAt(state: MatchState, partIndex: number, nameIndex: number): boolean {
  const { pattern, names } = state
  let at = nameIndex
  for (let index = partIndex; index < pattern.parts.length; index++) {
    const part = pattern.parts[index]
    if (part === undefined) break
    if (part.kind === 'run') return runMatches(state, index, at)
    const name = names[at]
    if (name === undefined || !matchesPart(part, name)) return false
    at++
  }
  // Runs alone match nothing where they took nothing: a match has at least one component.
  return at > 0 || pattern.parts.length === 0
}

/** Tries every length of the run at `partIndex`, shortest first. */
function runMatches(state: MatchState, partIndex: number, nameIndex: number): boolean {
  const { pattern, names, taken, runsSeen } = state
  // restic counts every `**` still to come as one component when it works out how long this one may be, so that
  // `/a/**/b/**/c` does not match /a/b/c. What it would not exclude must not be excluded here either.
  const runsToCome = pattern.runCount - runsSeen - 1
  const spare = names.length - (pattern.parts.length - pattern.runCount) - runsToCome - taken
  for (let length = 0; length <= spare && nameIndex + length <= names.length; length++) {
    const next: MatchState = { pattern, names, taken: taken + length, runsSeen: runsSeen + 1 }
    if (matchesAt(next, partIndex + 1, nameIndex + length)) return true
  }
  return false
}

/** Whether something below `names` may match: anything may where the pattern is not tied to the root. */
function childMatchesPattern(pattern: Pattern, names: readonly string[]): boolean {
  if (!pattern.isAnchored) return true
  const count = Math.min(names.length, pattern.parts.length)
  for (let index = 0; index < count; index++) {
    const part = pattern.parts[index]
    const name = names[index]
    if (part === undefined || name === undefined || part.kind === 'run') return true
    if (!matchesPart(part, name)) return false
  }
  return true
}

function matchesPart(part: Exclude<Part, { kind: 'run' }>, name: string): boolean {
  return part.kind === 'text' ? part.text === name : globMatches(part.glob, name)
}

/**
 * Go's strings.ToLower: character by character, so that neither a word's end nor a language changes the outcome, and
 * with U+FFFD for bytes that are not UTF-8.
 */
function toLowerCase(text: string): string {
  let lower = ''
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    if (code >= 0xd800 && code <= 0xdfff) lower += '\ufffd'
    else lower += code === 0x130 ? 'i' : character.toLowerCase()
  }
  return lower
}
