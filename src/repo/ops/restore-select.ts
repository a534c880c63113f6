/** What of a snapshot is restored: items by path, extended attributes by name. */
import { excludeMatcher, includeMatcher, matchPatterns, parsePatterns } from './patterns.ts'
import type { RestoreSelector } from './restore-walk.ts'

/** Patterns; includes and excludes of one kind rule each other out. */
export interface SelectOptions {
  readonly includes?: readonly string[] | undefined
  readonly insensitiveIncludes?: readonly string[] | undefined
  readonly excludes?: readonly string[] | undefined
  readonly insensitiveExcludes?: readonly string[] | undefined
  readonly includeXattrs?: readonly string[] | undefined
  readonly excludeXattrs?: readonly string[] | undefined
}

/** @throws InvalidInputError for malformed patterns */
export function createSelector(options: SelectOptions): RestoreSelector {
  const { includes = [], insensitiveIncludes = [], excludes = [], insensitiveExcludes = [] } = options
  if (includes.length + insensitiveIncludes.length > 0) {
    const match = includeMatcher(
      parsePatterns(includes),
      parsePatterns(insensitiveIncludes, { caseInsensitive: true }),
    )
    return (location, isFolder) => {
      const { included, childMayMatch } = match(location)
      return { selected: included, childMayBeSelected: childMayMatch && isFolder }
    }
  }
  if (excludes.length + insensitiveExcludes.length > 0) {
    const match = excludeMatcher(
      parsePatterns(excludes),
      parsePatterns(insensitiveExcludes, { caseInsensitive: true }),
    )
    return (location, isFolder) => {
      const { excluded } = match(location)
      return { selected: !excluded, childMayBeSelected: !excluded && isFolder }
    }
  }
  return (_location, isFolder) => ({ selected: true, childMayBeSelected: isFolder })
}

/** @throws InvalidInputError for malformed patterns */
export function createXattrSelector(options: SelectOptions): (name: string) => boolean {
  const { includeXattrs = [], excludeXattrs = [] } = options
  if (includeXattrs.length > 0) {
    const list = parsePatterns(includeXattrs)
    return (name) => matchPatterns(list, name.toLowerCase()).matches
  }
  if (excludeXattrs.length > 0) {
    const list = parsePatterns(excludeXattrs)
    return (name) => !matchPatterns(list, name.toLowerCase()).matches
  }
  return () => true
}
