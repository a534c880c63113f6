/** What a restore makes of a target: modes of overwriting, deletion, verification, selection, links, holes. */
import { execFileSync } from 'node:child_process'
import {
  appendFileSync, chmodSync, existsSync, linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync,
  statSync, symlinkSync, truncateSync, utimesSync, writeFileSync,
  writeSync,
} from 'node:fs' // prettier-ignore
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { MemoryBackend } from '../../../src/backend/memory.ts'
import { InvalidInputError, SnapshotNotFoundError } from '../../../src/errors.ts'
import { backup } from '../../../src/repo/ops/backup.ts'
import { loadLibc } from '../../../src/repo/ops/libc.ts'
import type { ItemError } from '../../../src/repo/ops/operation.ts'
import { restore } from '../../../src/repo/ops/restore.ts'
import type { RestoredItem, RestoreOptions, RestoreResult } from '../../../src/repo/ops/restore-options.ts'
import type { Notice, Repository } from '../../../src/repo/repository.ts'
import { randomBytes } from '../../support/many-files.ts'
import { makeWorkFolder } from '../../support/repositories.ts'
import { listTree, makeRichTree } from '../../support/rich-tree.ts'
import { createTestRepositoryIn } from '../../support/test-repository.ts'
import { asNobody, isRoot } from '../../support/users.ts'

vi.mock(import('../../../src/repo/ops/libc.ts'), { spy: true })

const MTIME = 1_600_000_000

let work = ''
let source = ''
let target = ''
let repository: Repository
const notices: Notice[] = []
let targets = 0

beforeAll(async () => {
  work = makeWorkFolder('restore')
  source = join(work, 'source')
  mkdirSync(join(source, 'dir', 'inner'), { recursive: true })
  writeFileSync(join(source, 'file'), 'content of file')
  writeFileSync(join(source, 'empty'), '')
  writeFileSync(join(source, 'large'), randomBytes(1, 3_000_000))
  writeFileSync(join(source, 'dir', 'inner', 'deep'), 'deep')
  writeFileSync(join(source, 'dir', 'twin'), 'twin')
  linkSync(join(source, 'dir', 'twin'), join(source, 'dir', 'twin-again'))
  linkSync(join(source, 'dir', 'twin'), join(source, 'twin-elsewhere'))
  symlinkSync('file', join(source, 'link'))
  for (const name of ['file', 'empty', 'large', 'dir/inner/deep', 'dir/twin', 'dir/inner', 'dir'])
    utimesSync(join(source, name), MTIME, MTIME)
  repository = await createTestRepositoryIn(new MemoryBackend(), {
    noLock: true,
    onNotice: (notice) => notices.push(notice),
  })
  await backup(repository, { paths: [source], tags: ['plain'] })
})

beforeEach(() => {
  target = join(work, `target-${targets++}`)
})

afterEach(() => vi.mocked(loadLibc).mockReset())
afterAll(() => rmSync(work, { recursive: true, force: true }))

interface Restored extends RestoreResult {
  readonly errors: readonly ItemError[]
  readonly items: readonly RestoredItem[]
}

async function run(options: Partial<RestoreOptions> = {}): Promise<Restored> {
  const errors: ItemError[] = []
  const items: RestoredItem[] = []
  const result = await restore(repository, {
    snapshot: `latest:${source}`,
    filter: { tags: [['plain']] },
    target,
    onError: (error) => errors.push(error),
    onItem: (item) => items.push(item),
    ...options,
  })
  expect(result.errorCount).toBe(errors.length)
  return { ...result, errors, items }
}

function at(...names: readonly string[]): string {
  return join(target, ...names)
}

/** What is in a folder, without the folder itself. */
function entriesOf(path: string): string[] {
  return listTree(path).filter((line) => !line.startsWith("b'.' "))
}

function actions(items: readonly RestoredItem[]): Record<string, string> {
  return Object.fromEntries(items.map(({ path, action }) => [path, action]))
}

describe('a restore', () => {
  it('makes everything as it was', async () => {
    const result = await run()
    expect(entriesOf(target)).toEqual(entriesOf(source))
    expect(result).toMatchObject({
      filesTotal: 10,
      filesRestored: 10,
      filesSkipped: 0,
      filesDeleted: 0,
      errorCount: 0,
    })
    expect(result.bytesTotal).toBe(15 + 3_000_000 + 4 + 4)
    expect(result.bytesRestored).toBe(result.bytesTotal)
  })

  it('done again changes nothing, and says so', async () => {
    await run()
    const before = lstatSync(at('large'), { bigint: true })
    const { items, bytesRestored, bytesSkipped, filesSkipped } = await run()
    expect(actions(items)).toMatchObject({
      '/file': 'unchanged',
      '/large': 'unchanged',
      '/empty': 'unchanged',
    })
    expect([bytesRestored, bytesSkipped, filesSkipped]).toEqual([0, 3_000_023, 5])
    expect(lstatSync(at('large'), { bigint: true }).ino).toBe(before.ino)
    expect(entriesOf(target)).toEqual(entriesOf(source))
  })

  // Of these, restic waits for ever for a writer of the pipe.
  it('replaces entries of other kinds in the way', async () => {
    await run()
    for (const [index, name] of ['file', 'large', 'empty', 'dir'].entries()) {
      rmSync(at(name), { recursive: true })
      if (index === 0) execFileSync('mkfifo', [at(name)])
      if (index === 1) mkdirSync(at(name))
      if (index === 2) symlinkSync('nowhere', at(name))
      if (index === 3) writeFileSync(at(name), 'a file')
    }
    const { errors } = await run()
    expect(errors).toEqual([])
    expect(entriesOf(target)).toEqual(entriesOf(source))
  })

  it('of a subfolder has its entries at the top', async () => {
    await run({ snapshot: `latest:${source}/dir/inner` })
    expect(readdirSync(target)).toEqual(['deep'])
  })

  it.each([
    [{ snapshot: 'latest:/nowhere' }, SnapshotNotFoundError],
    [{ snapshot: 'abcdef' }, SnapshotNotFoundError],
    [{ snapshot: 'latest', filter: { hosts: ['nobody'] } }, SnapshotNotFoundError],
    [{ includes: ['a'], excludes: ['b'] }, InvalidInputError],
    [{ includeXattrs: ['a'], excludeXattrs: ['b'] }, InvalidInputError],
    [{ dryRun: true, verify: true }, InvalidInputError],
    [{ delete: true, target: '/' }, InvalidInputError],
    [{ includes: ['[a-'] }, InvalidInputError],
  ])('of %j is refused', async (options, kind) => {
    await expect(run(options)).rejects.toThrow(kind)
    expect(existsSync(target)).toBe(false)
  })

  it('that is aborted leaves off at once', async () => {
    const controller = new AbortController()
    const result = run({ signal: controller.signal, onSnapshot: () => controller.abort() })
    await expect(result).rejects.toThrow('aborted')
    expect(existsSync(at('large'))).toBe(false)
  })
})

describe('dry run', () => {
  it('changes nothing and tells what would be', async () => {
    const { items, filesRestored, bytesRestored } = await run({ dryRun: true })
    expect(existsSync(target)).toBe(false)
    expect([filesRestored, bytesRestored]).toEqual([10, 3_000_023])
    expect(actions(items)).toMatchObject({ '/file': 'restored', '/dir': 'restored', '/link': 'restored' })
  })

  it('over what is there changes nothing either', async () => {
    await run()
    appendFileSync(at('file'), '!')
    truncateSync(at('large'), 10)
    rmSync(at('empty'))
    writeFileSync(at('extra'), '')
    chmodSync(at('dir'), 0o700)
    const before = entriesOf(target)
    const { items } = await run({ dryRun: true, delete: true })
    expect(entriesOf(target)).toEqual(before)
    expect(actions(items)).toMatchObject({
      '/file': 'updated',
      '/large': 'updated',
      '/empty': 'restored',
      '/dir/inner/deep': 'unchanged',
      [at('extra')]: 'deleted',
    })
  })
})

describe('overwrite', () => {
  /** Same size and time but other content; other size; newer; older. */
  beforeEach(async () => {
    await run()
    const change = (name: string, content: string, time: number): void => {
      writeFileSync(at(name), content)
      utimesSync(at(name), time, time)
    }
    change('file', 'CONTENT OF FILE', MTIME)
    change('dir/inner/deep', 'changed', MTIME + 100)
    change('empty', 'older', MTIME - 100)
    rmSync(at('link'))
    symlinkSync('changed', at('link'))
    chmodSync(at('file'), 0o600)
  })

  it.each([
    ['always', ['content of file', 'deep', '', 'file'], 0o644],
    ['if-changed', ['CONTENT OF FILE', 'deep', '', 'file'], 0o644],
    ['if-newer', ['CONTENT OF FILE', 'changed', '', 'changed'], 0o600],
    ['never', ['CONTENT OF FILE', 'changed', 'older', 'changed'], 0o600],
  ] as const)('%s', async (overwrite, [file, deep, empty, link], mode) => {
    const { errors } = await run({ overwrite })
    expect(errors).toEqual([])
    expect(readFileSync(at('file'), 'utf8')).toBe(file)
    expect(readFileSync(at('dir/inner/deep'), 'utf8')).toBe(deep)
    expect(readFileSync(at('empty'), 'utf8')).toBe(empty)
    const { dev, ino } = lstatSync(at('link'))
    expect([dev, ino]).toHaveLength(2)
    expect(listTree(target).find((line) => line.startsWith("b'link'"))).toContain(`b'${link}'`)
    expect(lstatSync(at('file')).mode & 0o777).toBe(mode)
  })

  it('makes what is not there in every mode', async () => {
    for (const overwrite of ['always', 'if-changed', 'if-newer', 'never'] as const) {
      rmSync(at('dir'), { recursive: true })
      await run({ overwrite })
      expect(readFileSync(at('dir/inner/deep'), 'utf8')).toBe('deep')
    }
  })

  it('if-changed looks at nanoseconds', async () => {
    loadLibc()!.setTimes(at('file'), { seconds: 0, nanoseconds: 0 }, { seconds: MTIME, nanoseconds: 1 })
    await run({ overwrite: 'if-changed' })
    expect(readFileSync(at('file'), 'utf8')).toBe('content of file')
  })

  it('writes only the parts that differ', async () => {
    const content = randomBytes(1, 3_000_000)
    content[2_999_999]! ^= 1
    writeFileSync(at('large'), content)
    const { ino } = lstatSync(at('large'))
    const { items } = await run()
    expect(actions(items)['/large']).toBe('updated')
    expect(readFileSync(at('large')).equals(randomBytes(1, 3_000_000))).toBe(true)
    expect(lstatSync(at('large')).ino).toBe(ino)
  })

  it('cuts and fills what is longer or shorter', async () => {
    appendFileSync(at('large'), 'too much')
    const first = await run()
    expect(actions(first.items)['/large']).toBe('updated')
    expect(statSync(at('large')).size).toBe(3_000_000)
    truncateSync(at('large'), 1_000_000)
    await run()
    expect(readFileSync(at('large')).equals(randomBytes(1, 3_000_000))).toBe(true)
  })

  it('replaces a file with a hard link elsewhere by one of its own', async () => {
    linkSync(at('file'), join(work, `kept-${targets}`))
    await run()
    expect(readFileSync(join(work, `kept-${targets}`), 'utf8')).toBe('CONTENT OF FILE')
    expect(readFileSync(at('file'), 'utf8')).toBe('content of file')
  })
})

describe('delete', () => {
  beforeEach(async () => {
    await run()
    mkdirSync(at('dir', 'extra', 'full'), { recursive: true })
    for (const name of ['extra', 'dir/extra/full/file', 'dir/inner/extra']) writeFileSync(at(name), '')
    symlinkSync(source, at('extra-link'))
  })

  it('removes what the snapshot does not have, and counts all of it', async () => {
    const { items, filesDeleted, errors } = await run({ delete: true })
    expect(errors).toEqual([])
    expect(entriesOf(target)).toEqual(entriesOf(source))
    const deleted = items.filter(({ action }) => action === 'deleted').map(({ path }) => path)
    expect(deleted.toSorted()).toEqual(
      ['dir/extra', 'dir/extra/full', 'dir/extra/full/file', 'dir/inner/extra', 'extra', 'extra-link']
        .map((name) => at(name))
        .toSorted(),
    )
    expect(deleted.indexOf(at('dir/extra/full/file'))).toBeLessThan(deleted.indexOf(at('dir/extra')))
    expect(filesDeleted).toBe(6)
    expect(existsSync(join(source, 'file'))).toBe(true)
  })

  it('does not happen unasked', async () => {
    expect((await run()).filesDeleted).toBe(0)
    expect(existsSync(at('extra'))).toBe(true)
  })

  it.each<[Partial<RestoreOptions>, string[]]>([
    // Only what would be restored if it were there.
    [{ includes: ['/dir/inner'] }, ['dir/inner/extra']],
    [{ includes: ['extra'] }, []],
    [{ includes: ['/dir'] }, ['dir/extra', 'dir/inner/extra']],
    [{ includes: ['/dir/twin', 'extra'] }, ['dir/extra', 'extra']],
    [{ excludes: ['/dir'] }, ['extra', 'extra-link']],
    [{ excludes: ['extra*'] }, []],
    [{ excludes: ['/dir/extra/full'] }, ['dir/extra', 'dir/inner/extra', 'extra', 'extra-link']],
    [{ excludes: ['file'] }, ['dir/extra', 'dir/inner/extra', 'extra', 'extra-link']],
  ])('with %j removes %j', async (options, gone) => {
    const all = ['dir/extra', 'dir/inner/extra', 'extra', 'extra-link']
    await run({ ...options, delete: true })
    expect(all.filter((name) => lstatSync(at(name), { throwIfNoEntry: false }) === undefined)).toEqual(gone)
  })
})

describe('selection', () => {
  it.each<[Partial<RestoreOptions>, string[]]>([
    [{ includes: ['file'] }, ['file']],
    [{ includes: ['/dir/inner/deep'] }, ['dir', 'dir/inner', 'dir/inner/deep']],
    [{ includes: ['/dir/twin-again'] }, ['dir', 'dir/twin-again']],
    [{ insensitiveIncludes: ['FILE'] }, ['file']],
    [{ excludes: ['/dir', 'large', 'twin*'] }, ['empty', 'file', 'link']],
    [{ insensitiveExcludes: ['DIR', 'L*', 'TWIN*'] }, ['empty', 'file']],
    [{ includes: ['nothing'] }, []],
  ])('%j restores %j', async (options, expected) => {
    await run(options)
    expect(readdirSync(target, { recursive: true, encoding: 'utf8' }).toSorted()).toEqual(expected)
    if (expected.includes('dir')) expect(lstatSync(at('dir')).mtimeMs).toBe(MTIME * 1000)
  })
})

describe('hard links', () => {
  it('stay links of one another, wherever they are', async () => {
    await run()
    const numbers = ['dir/twin', 'dir/twin-again', 'twin-elsewhere'].map((name) => lstatSync(at(name)).ino)
    expect(new Set(numbers).size).toBe(1)
    expect(lstatSync(at('dir/twin')).nlink).toBe(3)
  })

  it('of which one is asked for are a file by itself', async () => {
    await run({ includes: ['/dir/twin-again'] })
    expect(readFileSync(at('dir/twin-again'), 'utf8')).toBe('twin')
    expect(lstatSync(at('dir/twin-again'))).toMatchObject({ nlink: 1, mtimeMs: MTIME * 1000 })
  })

  it('of which some are asked for are links of one another', async () => {
    await run({ excludes: ['/dir/twin'] })
    expect(lstatSync(at('dir/twin-again')).ino).toBe(lstatSync(at('twin-elsewhere')).ino)
    expect(lstatSync(at('dir/twin-again')).nlink).toBe(2)
  })

  it.each([
    ['the same but for its content', 'TWIN', 0o644],
    ['the same but for its mode', 'twin', 0o600],
  ])('leave what has other names, and is %s, to those', async (_what, content, mode) => {
    mkdirSync(at('dir'), { recursive: true })
    const other = join(work, `other-${targets}`)
    writeFileSync(other, content)
    chmodSync(other, mode)
    utimesSync(other, MTIME, MTIME)
    linkSync(other, at('dir', 'twin'))
    await run()
    expect(readFileSync(other, 'utf8')).toBe(content)
    expect(lstatSync(other).mode & 0o777).toBe(mode)
    expect(readFileSync(at('dir', 'twin'), 'utf8')).toBe('twin')
    expect(lstatSync(at('dir', 'twin')).nlink).toBe(3)
  })

  it('are restored over files that were not linked', async () => {
    await run()
    rmSync(at('twin-elsewhere'))
    writeFileSync(at('twin-elsewhere'), 'by itself')
    await run()
    expect(lstatSync(at('dir/twin')).nlink).toBe(3)
    expect(readFileSync(at('twin-elsewhere'), 'utf8')).toBe('twin')
  })
})

describe('verify', () => {
  it('reads everything again', async () => {
    let started = false
    const { filesVerified, errors } = await run({ verify: true, onVerifyStart: () => (started = true) })
    expect({ filesVerified, errors, started }).toEqual({ filesVerified: 5, errors: [], started: true })
  })

  it.each([
    ['changed', (path: string) => writeFileSync(path, 'CONTENT of file'), 'its content differs at offset 0'],
    ['longer', (path: string) => appendFileSync(path, '!'), 'its size is 16, not 15'],
    ['gone', (path: string) => rmSync(path), 'it is not there any more'],
    [
      'replaced by a symlink to the same content',
      (path: string) => {
        renameSync(path, `${path}-moved`)
        symlinkSync(`${path}-moved`, path)
      },
      '',
    ],
  ] as const)('finds what was %s meanwhile', async (_what, change, message) => {
    const { errors, filesVerified } = await run({ verify: true, onVerifyStart: () => change(at('file')) })
    expect(errors.map(({ item }) => item)).toEqual(['/file'])
    expect(errors[0]!.error.message).toContain(message)
    expect(filesVerified).toBe(4)
  })
})

describe('sparse', () => {
  const HOLE = 8 << 20

  beforeAll(async () => {
    const folder = join(work, 'holes')
    mkdirSync(folder)
    writeFileSync(join(folder, 'zeros'), '')
    truncateSync(join(folder, 'zeros'), HOLE)
    writeFileSync(
      join(folder, 'framed'),
      Buffer.concat([Buffer.from('start'), Buffer.alloc(HOLE), Buffer.from('end')]),
    )
    // Too much for one task of a thread.
    const ends = [randomBytes(2, 5_000_000), randomBytes(3, 5_000_000)] as const
    writeFileSync(join(folder, 'long'), Buffer.concat([ends[0], Buffer.alloc(HOLE * 3), ends[1]]))
    await backup(repository, { paths: [folder], tags: ['holes'] })
  })

  const options = (): Partial<RestoreOptions> => ({
    snapshot: `latest:${join(work, 'holes')}`,
    filter: { tags: [['holes']] },
  })
  const NAMES = ['zeros', 'framed', 'long']
  const expectWhole = (name: string): void =>
    expect(readFileSync(at(name)).equals(readFileSync(join(work, 'holes', name)))).toBe(true)
  const kib = (name: string): number => lstatSync(at(name)).blocks / 2

  it('leaves holes where there are zeros, and the content is the same', async () => {
    await run({ ...options(), sparse: true, verify: true })
    expect(kib('zeros')).toBeLessThan(64)
    expect(kib('framed')).toBeLessThan(4096)
    expect(kib('long')).toBeLessThan(20_000)
    for (const name of NAMES) expectWhole(name)
  })

  it('is not done unasked', async () => {
    await run(options())
    expect(kib('framed')).toBeGreaterThanOrEqual(8192)
  })

  it.each(['', 'EOPNOTSUPP', 'ENOSPC'])('is not done where room is set aside (%s)', async (code) => {
    const libc = loadLibc()
    if (libc === undefined) return
    const reserve = vi.spyOn(libc, 'reserve')
    if (code !== '')
      reserve.mockImplementation((fd) => {
        // Some of it was to be had.
        writeSync(fd, 'x', HOLE)
        throw Object.assign(new Error(code), { code, syscall: 'fallocate' })
      })
    const { errors } = await run({ ...options(), verify: true })
    expect([errors, reserve.mock.calls.length]).toEqual([[], 3])
    reserve.mockRestore()
    for (const name of NAMES) {
      expect(kib(name)).toBeGreaterThanOrEqual(8192)
      expectWhole(name)
    }
  })

  it.each([false, true])('writes zeros over what is there (%s)', async (sparse) => {
    mkdirSync(target)
    for (const name of NAMES) writeFileSync(at(name), Buffer.alloc(HOLE + 100, 'old'))
    await run({ ...options(), sparse })
    for (const name of NAMES) expectWhole(name)
  })
})

describe('a tree of everything a disk can hold', () => {
  beforeAll(async () => {
    makeRichTree(join(work, 'rich'), 1)
    await backup(repository, { paths: [join(work, 'rich')], tags: ['rich'] })
  })

  const options = (): Partial<RestoreOptions> => ({
    snapshot: `latest:${join(work, 'rich')}`,
    filter: { tags: [['rich']] },
  })

  it('comes back as it was, and again over itself', async () => {
    for (let round = 0; round < 2; round++) {
      expect((await run({ ...options(), verify: true })).errors).toEqual([])
      expect(entriesOf(target)).toEqual(entriesOf(join(work, 'rich')))
    }
  })

  it.each([
    [{ excludeXattrs: ['user.*'] }, /\('user\./, true],
    [{ includeXattrs: ['user.*'] }, /\('(system|security|trusted)\./, true],
    [{ includeXattrs: ['user.*'] }, /\('user\./, false],
  ])('without the attributes that %j leaves out', async (filter, pattern, isLeftOut) => {
    await run({ ...options(), ...filter })
    expect(listTree(target).some((line) => pattern.test(line))).toBe(!isLeftOut)
  })

  it.skipIf(!isRoot)('is made by anybody as far as they may', async () => {
    mkdirSync(target)
    chmodSync(work, 0o755)
    const { errors } = await asNobody(() => run(options()), target)
    // Devices are for root; owners and such are passed over in silence.
    expect(errors.map(({ item }) => item).toSorted()).toEqual(['/big-minor', '/loop', '/null'])
    const facts = (line: string): string =>
      line.replace(/ \d+:\d+ /, ' ').replace(/, \(b?'(security|trusted)[^)]*\)/g, '')
    const [mine, theirs] = [target, join(work, 'rich')].map(
      (path) => new Set(listTree(path).map((line) => facts(line))),
    )
    for (const line of theirs!) {
      if (/^b'(null|loop|big-minor|fifo|one-byte|links\/dangling|\.)' /.test(line)) continue
      expect(mine).toContain(line)
    }
  })

  it('comes back without the C library but for what needs it, with one notice', async () => {
    vi.mocked(loadLibc).mockReturnValue(undefined)
    notices.length = 0
    const { errors } = await run(options())
    expect(notices).toEqual([
      { kind: 'warning', message: expect.stringContaining('the C library cannot be used') as unknown },
    ])
    expect(errors.map(({ item }) => item).toSorted()).toEqual(
      isRoot ? ['/big-minor', '/fifo', '/loop', '/null'] : ['/fifo'],
    )
    const mine = new Map(entriesOf(target).map((line) => parseLine(line)))
    for (const [name, { mtimeNs, facts }] of entriesOf(join(work, 'rich')).map((line) => parseLine(line))) {
      if (/^b'(null|loop|big-minor|fifo)'/.test(name)) continue
      expect({ name, facts: mine.get(name)?.facts }).toEqual({ name, facts })
      expect(Math.abs(Number((mine.get(name)?.mtimeNs ?? 0n) - mtimeNs))).toBeLessThan(
        mtimeNs < 0n ? 1_000_000 : 2000,
      )
    }
  })

  /** A line of a listing without its attributes. */
  function parseLine(line: string): [string, { mtimeNs: bigint; facts: string }] {
    const match = /^(b?['"].*['"]) (\d+ \d+:\d+) (-?\d+) (.*) \[.*\]$/.exec(line)
    if (match === null) return [line, { mtimeNs: 0n, facts: '' }]
    return [match[1]!, { mtimeNs: BigInt(match[3]!), facts: `${match[2]} ${match[4]}` }]
  }
})

describe.skipIf(!isRoot)('over files that their owner may not write or read', () => {
  it('is done all the same', async () => {
    mkdirSync(target)
    chmodSync(work, 0o755)
    await asNobody(async () => {
      await run()
      for (const name of ['file', 'large']) writeFileSync(at(name), 'changed')
      chmodSync(at('file'), 0o400)
      chmodSync(at('large'), 0)
      const { errors } = await run()
      expect(errors).toEqual([])
    }, target)
    expect(
      listTree(target)
        .slice(1)
        .map((line) => line.replace(/ \d+:\d+ /, ' ')),
    ).toEqual(
      listTree(source)
        .slice(1)
        .map((line) => line.replace(/ \d+:\d+ /, ' ')),
    )
  })
})
