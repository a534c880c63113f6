/**
 * How a snapshot's top looks (format spec §12.2): the targets' paths become the upper levels of the tree; where a
 * target begins, the file system takes over.
 */
import { isAbsolute, join, normalize } from 'node:path'
import { InvalidInputError } from '../../errors.ts'
import { compareRawNames } from '../format/raw-name.ts'

/** A backup target, cleaned. Explicit ones were named by the user and are never excluded themselves. */
export interface BackupTarget {
  readonly path: string
  readonly explicit: boolean
}

/**
 * One level of the snapshot's top. With `path` set it is a leaf: the file or folder there goes in whole. Otherwise
 * `metadataPath` is the folder whose metadata it has and `children` are its only entries.
 */
export interface TargetTree {
  readonly children: Map<string, TargetTree>
  path: string | undefined
  metadataPath: string | undefined
  /** The folder the first component was taken from: equal names below different ones are kept apart. */
  root: string
  explicit: boolean
}

/** Lists the names in a folder. */
export type ListNames = (path: string) => string[]

/** Cleans the targets; those without a name of their own (`.`, `/`, `..`) become their entries. */
export function resolveTargets(targets: readonly string[], listNames: ListNames): BackupTarget[] {
  return targets.flatMap((target): BackupTarget[] => {
    const path = cleanPath(target)
    if (components(path).length > 0) return [{ path, explicit: true }]
    return listNames(path).map((name) => ({ path: join(path, name), explicit: false }))
  })
}

/** @throws InvalidInputError where two targets collide */
export function buildTargetTree(targets: readonly BackupTarget[], listNames: ListNames): TargetTree {
  const top = emptyTree('')
  const seen = new Set<string>()
  for (const target of targets) {
    if (seen.has(target.path)) continue
    seen.add(target.path)
    addTarget(top, target)
  }
  unroll(top, listNames)
  return top
}

/** Names of a level in the order they are stored in. */
export function sortedChildren(tree: TargetTree): [string, TargetTree][] {
  return [...tree.children].toSorted(([a], [b]) => compareRawNames(a, b))
}

/** `path` without `.`, `..` where they can be resolved, double or trailing slashes. */
export function cleanPath(path: string): string {
  const clean = normalize(path)
  return clean.length > 1 && clean.endsWith('/') ? clean.slice(0, -1) : clean
}

function emptyTree(root: string): TargetTree {
  return { children: new Map(), path: undefined, metadataPath: undefined, root, explicit: false }
}

/** Path components as they name tree levels: `..` and the root have none. */
function components(path: string): string[] {
  return cleanPath(join('/', path))
    .split('/')
    .filter((part) => part !== '')
}

/** The folder that holds the first component of a target: `/`, `.`, `..`, `../..` … */
function rootDirectory(path: string): string {
  if (isAbsolute(path)) return '/'
  const ups = path.split('/').filter((part) => part === '..')
  return ups.length === 0 ? '.' : ups.join('/')
}

function addTarget(top: TargetTree, target: BackupTarget): void {
  const [first, ...rest] = components(target.path)
  if (first === undefined) throw new InvalidInputError(`invalid backup target "${target.path}"`)
  const root = rootDirectory(target.path)
  const level = topLevel(top, first, root)
  if (rest.length === 0) {
    level.path = target.path
    level.explicit = target.explicit
    return
  }
  level.metadataPath = join(root, first)
  addBelow(level, target, level.metadataPath, rest)
}

/** The child of that name and root; a name taken by another root gets a number. */
function topLevel(top: TargetTree, name: string, root: string): TargetTree {
  for (let suffix = 0; ; suffix++) {
    const candidate = suffix === 0 ? name : `${name}-${suffix}`
    const other = top.children.get(candidate)
    if (other?.root === root) return other
    if (other === undefined) {
      const level = emptyTree(root)
      top.children.set(candidate, level)
      return level
    }
  }
}

function addBelow(
  parent: TargetTree,
  target: BackupTarget,
  parentPath: string,
  parts: readonly string[],
): void {
  const [name, ...rest] = parts
  if (name === undefined) return
  let level = parent.children.get(name)
  if (level === undefined) {
    level = emptyTree('')
    parent.children.set(name, level)
  }
  if (rest.length === 0) {
    if (level.path !== undefined) throw new InvalidInputError(`path is already set for target ${target.path}`)
    level.path = target.path
    level.explicit = target.explicit
    return
  }
  level.metadataPath = join(parentPath, name)
  addBelow(level, target, level.metadataPath, rest)
}

/** Where one target lies inside another, the outer one is replaced by its entries, so that only leaves have a path. */
function unroll(tree: TargetTree, listNames: ListNames): void {
  if (tree.path !== undefined && tree.children.size > 0) {
    for (const name of listNames(tree.path)) {
      const path = join(tree.path, name)
      const child = tree.children.get(name)
      if (child === undefined) tree.children.set(name, { ...emptyTree(''), path })
      else child.path ??= path
    }
    tree.path = undefined
    tree.explicit = false
  }
  for (const child of tree.children.values()) unroll(child, listNames)
}
