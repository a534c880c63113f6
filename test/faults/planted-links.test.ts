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
import { MemoryBackend } from '../../src/backend/memory.ts'
import { backup } from '../../src/repo/ops/backup.ts'
import type { ItemError } from '../../src/repo/ops/operation.ts'
import { restore } from '../../src/repo/ops/restore.ts'
import type { RestoreOptions } from '../../src/repo/ops/restore-options.ts'
import type { Repository } from '../../src/repo/repository.ts'
import { makeWorkFolder } from '../support/repositories.ts'
import { listTree } from '../support/rich-tree.ts'
import { createTestRepositoryIn } from '../support/test-repository.ts'

let work = ''
let repository: Repository
let source: string[] = []
let copies = 0

beforeAll(async () => {
  work = makeWorkFolder('planted')
  repository = await createTestRepositoryIn(new MemoryBackend(), { noLock: true })
  const inner = join(work, 'source', 'a', 'b')
  mkdirSync(inner, { recursive: true })
  writeFileSync(join(inner, 'file'), 'content')
  writeFileSync(join(inner, 'empty'), '')
  linkSync(join(inner, 'file'), join(inner, 'second-name'))
  symlinkSync('file', join(inner, 'symlink'))
  execFileSync('mkfifo', [join(inner, 'fifo')])
  for (const name of ['file', 'empty']) utimesSync(join(inner, name), 1_600_000_000, 1_600_000_000)
  source = listTree(join(work, 'source'))
  await backup(repository, { paths: [join(work, 'source')] })
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

type Options = Partial<RestoreOptions>

/** Restores over what was planted; what is outside stays as it is, down to its access rights and times. */
async function restoreOver({ target, outside }: Planted, options: Options = {}): Promise<ItemError[]> {
  const before = contentOf(outside)
  const errors: ItemError[] = []
  await restore(repository, {
    snapshot: `latest:${work}`,
    target,
    onError: (error) => errors.push(error),
    ...options,
  })
  expect(contentOf(outside)).toEqual(before)
  return errors
}

/** Everything but how many names a file has: another one of it may well go from the target. */
function contentOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .toSorted()
    .map((name) => {
      const { mode, uid, gid, mtimeNs } = lstatSync(join(folder, name), { bigint: true })
      const content = (Number(mode) & 0o170000) === 0o100000 ? readFileSync(join(folder, name), 'utf8') : ''
      return `${name} ${mode.toString(8)} ${uid}:${gid} ${mtimeNs} ${content}`
    })
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
const WHOLE: readonly Options[] = [
  {},
  { overwrite: 'if-changed' },
  { delete: true },
  { sparse: true, verify: true },
]

const PARTIAL: readonly Options[] = [
  // Only what is in the folder is asked for, so that no folder is made for its own sake.
  { includes: ['/source/a/b/*'] },
  { includes: ['/source/a/b/*'], overwrite: 'if-changed' },
  { includes: ['/source/a/b/file', '/source/a/b/empty'], overwrite: 'if-changed', verify: true },
  { includes: ['/source/a/b/*'], overwrite: 'if-newer', delete: true },
  { includes: ['/source/a/b/*'], overwrite: 'never', delete: true },
  { excludes: ['/source/a/b/file'], delete: true },
  { dryRun: true, delete: true, overwrite: 'if-changed' },
]

describe.each(Object.entries(PLANTS))('a link in place of %s', (_name, make) => {
  it.each(WHOLE)('is replaced with %j', async (options) => {
    const planted = plant(make)
    expect(await restoreOver(planted, options)).toEqual([])
    expect(listTree(join(planted.target, 'source'))).toEqual(source)
  })

  it.each(PARTIAL)('is not followed with %j', async (options) => {
    const planted = plant(make)
    expect(await restoreOver(planted, options)).toEqual([])
    const { includes, overwrite } = options
    if (includes === undefined || overwrite === 'never' || overwrite === 'if-newer') return
    expect(readFileSync(join(planted.target, 'source', 'a', 'b', 'file'), 'utf8')).toBe('content')
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
    expect(await restoreOver(planted)).toEqual([])
    expect(listTree(join(planted.target, 'source'))).toEqual(source)
  })

  it('a folder with something in it is an error, and is replaced with --delete', async () => {
    const planted = plant(({ target }) => {
      for (const name of ['file', 'empty', 'second-name', 'symlink'])
        mkdirSync(join(target, 'source', 'a', 'b', name, 'full'), { recursive: true })
    })
    const errors = await restoreOver(planted)
    expect(errors.map(({ item }) => item).toSorted()).toEqual(
      ['empty', 'file', 'second-name', 'symlink'].map((name) => `/source/a/b/${name}`).toSorted(),
    )
    expect(errors[0]!.error.message).toContain('not empty')
    expect(readdirSync(join(planted.target, 'source', 'a', 'b', 'file'))).toEqual(['full'])
    expect(await restoreOver(planted, { delete: true })).toEqual([])
    expect(listTree(join(planted.target, 'source'))).toEqual(source)
  })
})

it('a file in the way of a folder is replaced', async () => {
  const planted = plant(({ target }) => writeFileSync(join(target, 'source', 'a'), 'in the way'))
  expect(await restoreOver(planted)).toEqual([])
  expect(listTree(join(planted.target, 'source'))).toEqual(source)
})

it('a target that is a symlink itself is what the user named', async () => {
  const around = join(work, `around-${copies++}`)
  mkdirSync(join(around, 'real'), { recursive: true })
  writeFileSync(join(around, 'real', 'other'), '')
  symlinkSync('real', join(around, 'target'))
  await restore(repository, { snapshot: `latest:${work}`, target: join(around, 'target'), delete: true })
  expect(readdirSync(join(around, 'real'))).toEqual(['source'])
  expect(lstatSync(join(around, 'target')).isSymbolicLink()).toBe(true)
})
