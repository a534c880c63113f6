/**
 * Symlinks, hard links and special files planted in the target: whatever the options, a restore writes, reads, deletes
 * and changes nothing through them.
 */
import { execFileSync } from 'node:child_process'
import {
  chmodSync, copyFileSync, linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync,
  writeFileSync,
} from 'node:fs' // prettier-ignore
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { must, run } from '../support/programs.ts'
import { filesOf, makeRepository, makeWorkFolder } from '../support/repositories.ts'
import { listTree } from '../support/rich-tree.ts'

let work = ''
let repository = ''
let source: string[] = []
let copies = 0

beforeAll(async () => {
  work = makeWorkFolder('planted')
  repository = await makeRepository(join(work, 'repository'))
  const inner = join(work, 'source', 'a', 'b')
  mkdirSync(inner, { recursive: true })
  writeFileSync(join(inner, 'file'), 'content')
  writeFileSync(join(inner, 'empty'), '')
  linkSync(join(inner, 'file'), join(inner, 'second-name'))
  symlinkSync('file', join(inner, 'symlink'))
  execFileSync('mkfifo', [join(inner, 'fifo')])
  for (const name of ['file', 'empty']) utimesSync(join(inner, name), 1_600_000_000, 1_600_000_000)
  source = listTree(join(work, 'source'))
  await must('ours', ['-r', repository, 'backup', 'source'], { cwd: work })
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

/** The same content as in the snapshot, and a file that is not in it; none of it may be touched. */
function makeOutside(around: string): string {
  const outside = join(around, 'outside')
  mkdirSync(join(outside, 'b'), { recursive: true })
  const inner = join(work, 'source', 'a', 'b')
  for (const name of ['file', 'empty', 'second-name']) {
    copyFileSync(join(inner, name), join(outside, 'b', name))
    utimesSync(join(outside, 'b', name), 1_600_000_000, 1_600_000_000)
    chmodSync(join(outside, 'b', name), 0o640)
  }
  writeFileSync(join(outside, 'b', 'other'), 'other')
  writeFileSync(join(outside, 'b', 'symlink'), 'no symlink')
  return outside
}

interface Planted {
  readonly target: string
  readonly outside: string
}

function plant(make: (planted: Planted) => void): Planted {
  const around = join(work, `around-${copies++}`)
  const planted = { target: join(around, 'target'), outside: makeOutside(around) }
  mkdirSync(join(planted.target, 'source'), { recursive: true })
  make(planted)
  return planted
}

/** Restores over what was planted; what is outside stays as it is, down to its access rights and times. */
async function restoreOver(
  { target, outside }: Planted,
  ...flags: readonly string[]
): Promise<{ code: number | null; stderr: string }> {
  const before = listTree(outside)
  const { code, stderr } = await run('ours', [
    '-r',
    repository,
    'restore',
    'latest',
    '--target',
    target,
    ...flags,
  ])
  expect(listTree(outside)).toEqual(before)
  return { code, stderr }
}

const PLANTS: Readonly<Record<string, (planted: Planted) => void>> = {
  'a folder above': ({ target, outside }) => symlinkSync(outside, join(target, 'source', 'a')),
  'a folder, relative': ({ target }) => symlinkSync('../../outside', join(target, 'source', 'a')),
  'the folder itself': ({ target, outside }) => {
    mkdirSync(join(target, 'source', 'a'))
    symlinkSync(join(outside, 'b'), join(target, 'source', 'a', 'b'))
  },
  'the topmost folder': ({ target, outside }) => {
    rmSync(join(target, 'source'), { recursive: true })
    mkdirSync(join(outside, 'a'))
    symlinkSync(outside, join(target, 'source'))
  },
  'all files': ({ target, outside }) => {
    mkdirSync(join(target, 'source', 'a', 'b'), { recursive: true })
    for (const name of ['file', 'empty', 'second-name', 'symlink', 'fifo'])
      symlinkSync(join(outside, 'b', name), join(target, 'source', 'a', 'b', name))
  },
  'all files, leading nowhere': ({ target, outside }) => {
    mkdirSync(join(target, 'source', 'a', 'b'), { recursive: true })
    for (const name of ['file', 'empty', 'second-name', 'symlink', 'fifo'])
      symlinkSync(join(outside, `new-${name}`), join(target, 'source', 'a', 'b', name))
  },
  'all files, as hard links': ({ target, outside }) => {
    mkdirSync(join(target, 'source', 'a', 'b'), { recursive: true })
    for (const name of ['file', 'empty', 'second-name', 'symlink'])
      linkSync(join(outside, 'b', name), join(target, 'source', 'a', 'b', name))
  },
}

/** Options that decide what is looked at and what is trusted. */
const FLAGS: readonly (readonly string[])[] = [
  [],
  ['--overwrite', 'if-changed'],
  ['--delete'],
  ['--sparse', '--verify'],
]

describe.each(Object.entries(PLANTS))('a link in place of %s', (_name, make) => {
  it.each(FLAGS.map((flags) => [flags.join(' '), flags] as const))('is replaced: %s', async (_, flags) => {
    const planted = plant(make)
    expect(await restoreOver(planted, ...flags)).toEqual({ code: 0, stderr: '' })
    expect(listTree(join(planted.target, 'source'))).toEqual(source)
  })

  it.each([
    // Only what is in the folder is asked for, so that no folder is made for its own sake.
    ['--include', '/source/a/b/*'],
    ['--include', '/source/a/b/*', '--overwrite', 'if-changed'],
    ['--include', '/source/a/b/*', '--overwrite', 'if-newer', '--delete'],
    ['--include', '/source/a/b/*', '--overwrite', 'never', '--delete'],
    [
      '--include',
      '/source/a/b/file',
      '--include',
      '/source/a/b/empty',
      '--overwrite',
      'if-changed',
      '--verify',
    ],
    ['--exclude', '/source/a/b/file', '--delete'],
    ['--dry-run', '--delete', '--overwrite', 'if-changed'],
  ])('is not followed with %s %s %s %s %s %s', async (...flags) => {
    const planted = plant(make)
    const { code } = await restoreOver(planted, ...flags)
    expect(code).toBe(0)
    if (flags.includes('--dry-run') || flags.includes('--exclude')) return
    const inner = join(planted.target, 'source', 'a', 'b')
    // What --overwrite leaves alone is what stands in the target itself.
    if (!flags.includes('never') && !flags.includes('if-newer'))
      expect(readFileSync(join(inner, 'file'), 'utf8')).toBe('content')
  })
})

describe('in the way of a file', () => {
  it.each([
    ['a fifo', (path: string) => execFileSync('mkfifo', [path])],
    ['an empty folder', (path: string) => mkdirSync(path)],
  ])('%s is replaced', async (_what, make) => {
    const planted = plant(({ target }) => {
      mkdirSync(join(target, 'source', 'a', 'b'), { recursive: true })
      for (const name of ['file', 'empty', 'second-name', 'symlink'])
        make(join(target, 'source', 'a', 'b', name))
    })
    expect(await restoreOver(planted)).toEqual({ code: 0, stderr: '' })
    expect(listTree(join(planted.target, 'source'))).toEqual(source)
  })

  it('a folder with something in it is an error, and is replaced with --delete', async () => {
    const planted = plant(({ target }) => {
      for (const name of ['file', 'empty', 'second-name', 'symlink'])
        mkdirSync(join(target, 'source', 'a', 'b', name, 'full'), { recursive: true })
    })
    const { code, stderr } = await restoreOver(planted)
    expect(code).toBe(1)
    for (const name of ['file', 'empty', 'symlink'])
      expect(stderr).toContain(
        `ignoring error for /source/a/b/${name}: remove ${planted.target}/source/a/b/${name}: directory not empty\n`,
      )
    expect(readdirSync(join(planted.target, 'source', 'a', 'b', 'file'))).toEqual(['full'])
    expect(await restoreOver(planted, '--delete')).toEqual({ code: 0, stderr: '' })
    expect(listTree(join(planted.target, 'source'))).toEqual(source)
  })
})

it('a file in the way of a folder is replaced', async () => {
  const planted = plant(({ target }) => writeFileSync(join(target, 'source', 'a'), 'in the way'))
  expect(await restoreOver(planted)).toEqual({ code: 0, stderr: '' })
  expect(listTree(join(planted.target, 'source'))).toEqual(source)
})

it('a target that is a symlink itself is what the user named', async () => {
  const around = join(work, `around-${copies++}`)
  mkdirSync(join(around, 'real'), { recursive: true })
  writeFileSync(join(around, 'real', 'other'), '')
  symlinkSync('real', join(around, 'target'))
  await must('ours', ['-r', repository, 'restore', 'latest', '--target', join(around, 'target'), '--delete'])
  expect(readdirSync(join(around, 'real'))).toEqual(['source'])
  expect(lstatSync(join(around, 'target')).isSymbolicLink()).toBe(true)
  expect(filesOf(repository, 'locks')).toEqual([])
})
