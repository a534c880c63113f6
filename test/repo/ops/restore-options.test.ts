/** What a restore does with what stands in its target already, and what it never does. */
import {
  existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync,
  utimesSync, writeFileSync,
} from 'node:fs' // prettier-ignore
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Id } from '../../../src/repo/format/id.ts'
import { timeFromDate } from '../../../src/repo/format/time.ts'
import { backup } from '../../../src/repo/ops/backup.ts'
import type { ItemError } from '../../../src/repo/ops/operation.ts'
import { restore } from '../../../src/repo/ops/restore.ts'
import type { RestoredItem, RestoreOptions } from '../../../src/repo/ops/restore-options.ts'
import type { Repository } from '../../../src/repo/repository.ts'
import { randomBytes } from '../../support/many-files.ts'
import { createTestRepository } from '../../support/test-repository.ts'

const OLD = new Date('2020-02-03T04:05:06Z')

let work: string
let source: string
let target: string
let repository: Repository
let errors: ItemError[]
let items: RestoredItem[]

beforeEach(async () => {
  work = mkdtempSync(join(tmpdir(), 'restic-ts-restore-'))
  source = join(work, 'source')
  target = join(work, 'target')
  mkdirSync(join(source, 'folder', 'inner'), { recursive: true })
  for (const [name, content] of Object.entries({
    a: 'alpha',
    b: 'beta',
    'folder/c': 'gamma',
    'folder/inner/d': 'delta',
  })) {
    writeFileSync(join(source, name), content)
    utimesSync(join(source, name), OLD, OLD)
  }
  ;({ repository } = await createTestRepository())
  errors = []
  items = []
})

afterEach(() => rmSync(work, { recursive: true }))

async function save(): Promise<void> {
  const before = process.cwd()
  process.chdir(source)
  await backup(repository, { paths: ['.'] })
  process.chdir(before)
}

function run(options: Partial<RestoreOptions> = {}): ReturnType<typeof restore> {
  return restore(repository, {
    snapshot: 'latest',
    target,
    onError: (error) => errors.push(error),
    onItem: (item) => items.push(item),
    ...options,
  })
}

function read(path: string): string {
  return readFileSync(join(target, path), 'utf8')
}

function put(path: string, content: string, time?: Date): void {
  mkdirSync(dirname(join(target, path)), { recursive: true })
  writeFileSync(join(target, path), content)
  if (time !== undefined) utimesSync(join(target, path), time, time)
}

function actionOf(path: string): string | undefined {
  return items.find((item) => item.path === path)?.action
}

/** Saves a snapshot whose root tree is this JSON, as a hostile writer could. */
async function saveTree(json: string): Promise<Id> {
  repository.startWriting()
  const { id } = await repository.saveBlob('tree', new TextEncoder().encode(json))
  await repository.flush()
  return repository.saveSnapshot({
    time: timeFromDate(OLD), tree: id, paths: ['/x'], hostname: 'h', username: 'u', uid: 0, gid: 0, excludes: [], tags: [],
    programVersion: 'test',
  }) // prettier-ignore
}

describe('overwriting', () => {
  beforeEach(save)

  it('always brings back what differs and leaves the rest', async () => {
    put('a', 'ALPHA')
    put('b', 'beta')
    put('folder', 'a file where a folder belongs')
    await run({ overwrite: 'always' })
    expect([read('a'), read('b'), read('folder/c')]).toEqual(['alpha', 'beta', 'gamma'])
    expect([actionOf('/a'), actionOf('/b'), actionOf('/folder/c')]).toEqual([
      'updated',
      'unchanged',
      'restored',
    ])
    expect(statSync(join(target, 'b')).mtime).toEqual(OLD)
    expect(errors).toEqual([])
  })

  it('if-changed trusts size and time', async () => {
    put('a', 'ALPHA', OLD)
    put('b', 'BETA', new Date())
    await run({ overwrite: 'if-changed' })
    expect([read('a'), read('b')]).toEqual(['ALPHA', 'beta'])
  })

  it('if-newer leaves what is not older', async () => {
    put('a', 'newer', new Date())
    put('b', 'older', new Date('2019-01-01'))
    await run({ overwrite: 'if-newer' })
    expect([read('a'), read('b')]).toEqual(['newer', 'beta'])
  })

  it('never leaves whatever there is, and restores the rest', async () => {
    put('a', 'mine', new Date('2001-01-01'))
    await run({ overwrite: 'never' })
    expect([read('a'), read('b')]).toEqual(['mine', 'beta'])
    expect(statSync(join(target, 'a')).mtime).toEqual(new Date('2001-01-01'))
  })

  it('cuts a file that is too long and fills one that is too short', async () => {
    put('a', 'alpha and more')
    put('b', 'be')
    await run()
    expect([read('a'), read('b')]).toEqual(['alpha', 'beta'])
  })
})

describe('deleting', () => {
  beforeEach(save)

  it('removes what the snapshot does not have, from restored folders only', async () => {
    for (const path of ['extra', 'folder/extra/deep', 'folder/inner/extra']) put(path, 'x')
    const result = await run({ delete: true })
    expect(existsSync(join(target, 'extra'))).toBe(false)
    expect(readdirSync(join(target, 'folder'))).toEqual(['c', 'inner'])
    expect(readdirSync(join(target, 'folder', 'inner'))).toEqual(['d'])
    expect(result.filesDeleted).toBe(4)
  })

  it('keeps what is not selected', async () => {
    for (const path of ['extra', 'folder/inner/extra']) put(path, 'x')
    await run({ delete: true, includes: ['/folder/inner'] })
    expect(existsSync(join(target, 'extra'))).toBe(true)
    expect(readdirSync(join(target, 'folder', 'inner'))).toEqual(['d'])
    expect(existsSync(join(target, 'a'))).toBe(false)
  })

  it('removes nothing unasked, and nothing in a dry run', async () => {
    put('extra', 'x')
    await run()
    expect((await run({ delete: true, dryRun: true })).filesDeleted).toBe(1)
    expect(existsSync(join(target, 'extra'))).toBe(true)
  })
})

describe('selecting', () => {
  beforeEach(save)

  it('restores what is included, with the folders that lead there', async () => {
    await run({ includes: ['d'] })
    expect(read('folder/inner/d')).toBe('delta')
    expect(readdirSync(target)).toEqual(['folder'])
    expect(readdirSync(join(target, 'folder'))).toEqual(['inner'])
  })

  it('leaves out what is excluded, whatever its case where that is asked for', async () => {
    await run({ excludes: ['/folder/inner'], insensitiveExcludes: ['A'] })
    expect(readdirSync(target)).toEqual(['b', 'folder'])
    expect(readdirSync(join(target, 'folder'))).toEqual(['c'])
  })

  it('restores a subfolder as the root', async () => {
    await run({ snapshot: 'latest:folder/inner' })
    expect(readdirSync(target)).toEqual(['d'])
  })

  it('changes nothing in a dry run, but counts', async () => {
    const result = await run({ dryRun: true })
    expect(existsSync(target)).toBe(false)
    expect(result).toMatchObject({ filesRestored: 6, bytesRestored: 19 })
  })
})

describe('sparse files', () => {
  it('have holes where zeros are, with the same content', async () => {
    const path = join(source, 'sparse')
    writeFileSync(path, randomBytes(1, 2_000_000))
    truncateSync(path, 40_000_000)
    await save()
    await run({ sparse: true })
    const restored = join(target, 'sparse')
    expect(Buffer.compare(readFileSync(restored), readFileSync(path))).toBe(0)
    expect(statSync(restored).blocks * 512).toBeLessThan(12_000_000)
    await run({ target: join(work, 'dense') })
    expect(statSync(join(work, 'dense', 'sparse')).blocks * 512).toBeGreaterThanOrEqual(40_000_000)
  })

  it('are written full where old content stands in the way', async () => {
    const path = join(source, 'sparse')
    writeFileSync(path, '')
    truncateSync(path, 5_000_000)
    await save()
    put('sparse', 'x'.repeat(5_000_000))
    await run({ sparse: true })
    expect(Buffer.compare(readFileSync(join(target, 'sparse')), Buffer.alloc(5_000_000))).toBe(0)
  })
})

describe('verifying', () => {
  beforeEach(save)

  it('finds nothing wrong with what was just restored', async () => {
    expect(await run({ verify: true })).toMatchObject({ filesVerified: 4, errorCount: 0 })
  })

  it.each([
    ['content', () => writeFileSync(join(target, 'a'), 'ALPHA')],
    ['size', () => writeFileSync(join(target, 'a'), 'alphabet')],
    ['a missing file', () => rmSync(join(target, 'a'))],
  ])('finds another %s', async (_what, tamper) => {
    const result = await run({ verify: true, onVerifyStart: tamper })
    expect(result.errorCount).toBe(1)
    expect(errors.map(({ item }) => item)).toEqual(['/a'])
  })
})

describe('the outside', () => {
  let outside: string

  beforeEach(async () => {
    outside = join(work, 'outside')
    mkdirSync(outside)
    writeFileSync(join(outside, 'c'), 'untouched')
    await save()
  })

  it.each([
    ['a folder', 'folder', ''],
    ['a file', 'a', 'c'],
    ['a folder deep down', 'folder/inner', ''],
  ])('is not reached through a planted symlink in place of %s', async (_what, planted, to) => {
    mkdirSync(dirname(join(target, planted)), { recursive: true })
    symlinkSync(join(outside, to), join(target, planted))
    await run()
    expect(lstatSync(join(target, planted)).isSymbolicLink()).toBe(false)
    expect(readdirSync(outside)).toEqual(['c'])
    expect(readFileSync(join(outside, 'c'), 'utf8')).toBe('untouched')
    expect([read('a'), read('folder/c'), read('folder/inner/d')]).toEqual(['alpha', 'gamma', 'delta'])
  })

  function nodeNamed(name: string): string {
    const times = ['mtime', 'atime', 'ctime'].map((time) => `"${time}":"2020-01-01T00:00:00Z"`).join(',')
    return `{"name":"${name}","type":"file","mode":420,${times},"uid":0,"gid":0,"size":0,"content":[]}`
  }

  it.each(['..', '.', '', '/', 'a/b', '../outside/c', '/outside', 'nul\\u0000byte'])(
    'is not reached by the name "%s" in a hostile tree',
    async (name) => {
      const snapshot = await saveTree(`{"nodes":[${nodeNamed(name)}]}\n`)
      const outcome = await run({ snapshot }).catch((error: unknown) => error)
      expect(outcome instanceof Error || errors.length > 0).toBe(true)
      expect(readdirSync(work).filter((entry) => entry !== 'target')).toEqual(['outside', 'source'])
      expect(existsSync(target) ? readdirSync(target) : []).toEqual([])
      expect(readFileSync(join(outside, 'c'), 'utf8')).toBe('untouched')
    },
  )

  it('is what such a tree would reach with another name', async () => {
    await run({ snapshot: await saveTree(`{"nodes":[${nodeNamed('fine')}]}\n`) })
    expect(readdirSync(target)).toEqual(['fine'])
  })
})

it('gives files and links their times to the nanosecond', async () => {
  symlinkSync('a', join(source, 'link'))
  await save()
  await run()
  for (const name of ['a', 'link', 'folder', 'folder/inner/d']) {
    const [ours, theirs] = [target, source].map(
      (root) => lstatSync(join(root, name), { bigint: true }).mtimeNs,
    )
    expect({ name, mtime: ours }).toEqual({ name, mtime: theirs })
  }
})
