import { describe, expect, it } from 'vitest'
import {
  buildTargetTree,
  cleanPath,
  resolveTargets,
  sortedChildren,
  type TargetTree,
} from '../../../src/repo/ops/backup-targets.ts'

/** A tree as nested records: leaves are their paths, other levels start with the folder their metadata is from. */
function shape(tree: TargetTree): unknown {
  const children = sortedChildren(tree).map(([name, child]) => [
    name,
    child.path ?? [child.metadataPath, shape(child)],
  ])
  return Object.fromEntries(children)
}

function build(paths: readonly string[], folders: Record<string, string[]> = {}): unknown {
  const list = (path: string): string[] => folders[path] ?? []
  return shape(buildTargetTree(resolveTargets(paths, list), list))
}

describe('targets', () => {
  it.each([
    [['foo.txt'], { 'foo.txt': 'foo.txt' }],
    [['./foo'], { foo: 'foo' }],
    [['foo/', 'foo'], { foo: 'foo' }],
    [['../x/y'], { x: ['../x', { y: '../x/y' }] }],
    [['../../work'], { work: '../../work' }],
    [['/a/b'], { a: ['/a', { b: '/a/b' }] }],
    [['/a/b', '/a/c/d'], { a: ['/a', { b: '/a/b', c: ['/a/c', { d: '/a/c/d' }] }] }],
    [['a/b', '/a/c'], { a: ['a', { b: 'a/b' }], 'a-1': ['/a', { c: '/a/c' }] }],
    [['foo', '../foo', '../../foo'], { foo: 'foo', 'foo-1': '../foo', 'foo-2': '../../foo' }],
    [
      ['foo/user1', '../foo/other'],
      { foo: ['foo', { user1: 'foo/user1' }], 'foo-1': ['../foo', { other: '../foo/other' }] },
    ],
  ])('%j become the upper levels of the tree', (paths, expected) => {
    expect(build(paths)).toEqual(expected)
  })

  it('without a name of their own are replaced by their entries', () => {
    expect(build(['.'], { '.': ['b', 'a'] })).toEqual({ a: 'a', b: 'b' })
    expect(build(['/'], { '/': ['etc'] })).toEqual({ etc: '/etc' })
    expect(build(['..'], { '..': ['x'] })).toEqual({ x: '../x' })
    expect(resolveTargets(['.'], () => ['a'])).toEqual([{ path: 'a', explicit: false }])
    expect(resolveTargets(['a'], () => [])).toEqual([{ path: 'a', explicit: true }])
  })

  it('inside one another are unrolled, whichever came first', () => {
    const folders = { '/a': ['b', 'x'], '/a/b': ['c', 'y'] }
    const expected = { a: ['/a', { b: ['/a/b', { c: '/a/b/c', y: '/a/b/y' }], x: '/a/x' }] }
    expect(build(['/a', '/a/b/c'], folders)).toEqual(expected)
    expect(build(['/a/b/c', '/a'], folders)).toEqual(expected)
  })

  it('come in byte order', () => {
    const tree = buildTargetTree(
      resolveTargets(['b', 'a-b', 'a', 'a.b', 'B'], () => []),
      () => [],
    )
    expect(sortedChildren(tree).map(([name]) => name)).toEqual(['B', 'a', 'a-b', 'a.b', 'b'])
  })

  it('are cleaned', () => {
    expect(['a//b/', './a/../b', '/', '.', 'a/.', '/a/b/..'].map(cleanPath)).toEqual([
      'a/b',
      'b',
      '/',
      '.',
      'a',
      '/a',
    ])
  })
})
