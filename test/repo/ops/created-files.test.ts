/** Files that a thread makes from beginning to end, and the numbers it gets for their metadata. */
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { goModeFromUnix, unixModeFromGo } from '../../../src/repo/format/file-mode.ts'
import { decodeRawName } from '../../../src/repo/format/raw-name.ts'
import { CreatedFiles } from '../../../src/repo/ops/created-files.ts'
import { filesToCreate } from '../../../src/repo/ops/files-to-create.ts'
import { loadLibc } from '../../../src/repo/ops/libc.ts'
import { metadataAt, MetadataTable } from '../../../src/repo/ops/metadata-table.ts'
import type { Metadata } from '../../../src/repo/ops/node-metadata.ts'
import { nativePath } from '../../../src/repo/ops/native-path.ts'
import { makeWorkFolder } from '../../support/repositories.ts'
import { isRoot } from '../../support/users.ts'

vi.mock(import('../../../src/repo/ops/libc.ts'), { spy: true })

/** One that gives new files an ACL of their own: user::rwx, user:1:rwx, group::r-x, mask::rwx, other::r-x. */
const DEFAULT_ACL = Buffer.from(
  '02000000' +
    '01000700ffffffff' +
    '0200070001000000' +
    '04000500ffffffff' +
    '10000700ffffffff' +
    '20000500ffffffff',
  'hex',
)
const CONTENT = Buffer.from('some content')

let work = ''
let folder = ''
let folders = 0

beforeAll(() => {
  work = makeWorkFolder('created-files')
})
beforeEach(() => {
  folder = join(work, String(folders++))
  mkdirSync(folder)
})
afterEach(() => vi.mocked(loadLibc).mockReset())
afterAll(() => rmSync(work, { recursive: true, force: true }))

function metadata(fields: Partial<Metadata> = {}): Metadata {
  return {
    type: 'file',
    mode: goModeFromUnix(0o100440),
    uid: process.geteuid!(),
    gid: process.getegid!(),
    atime: { seconds: 1_500_000_000, nanoseconds: 2 },
    mtime: { seconds: 1_600_000_000, nanoseconds: 1 },
    extendedAttributes: [],
    ...fields,
  }
}

interface TestFile {
  readonly path: string
  readonly size: number
  readonly metadata: Metadata
  readonly placeCount: number
}

function file(name: string, fields: Partial<TestFile> = {}): TestFile {
  return { path: join(folder, name), size: CONTENT.length, metadata: metadata(), placeCount: 1, ...fields }
}

function make(files: readonly TestFile[], sparse = false): CreatedFiles {
  const table = new MetadataTable()
  const sent = files.map(({ path, size, placeCount }, row) => {
    return { folder: dirname(path), name: basename(path), size, placeCount, row }
  })
  for (const each of files) table.push(each.metadata)
  return new CreatedFiles(structuredClone(filesToCreate(sent, table)), { sparse, selectXattr: () => true })
}

describe('a file', () => {
  it('is whole and has its metadata with its last blob', () => {
    const planned = file('a', { size: 24, placeCount: 2 })
    const files = make([planned])
    files.write(0, 12, CONTENT)
    expect(statSync(planned.path).mode & 0o777).toBe(0o600)
    files.write(0, 0, CONTENT)
    files.close()
    expect(readFileSync(planned.path, 'utf8')).toBe('some contentsome content')
    const stats = lstatSync(planned.path, { bigint: true })
    expect([stats.mtimeNs, stats.mode & 0o777n]).toEqual([1_600_000_000_000_000_001n, 0o440n])
    expect(files.outcome).toEqual({ undone: new Set(), failures: new Map(), metadataFailures: [] })
  })

  it.each([
    ['a file', (path: string) => writeFileSync(path, 'mine')],
    ['a link to one', (path: string) => symlinkSync(join(work, 'elsewhere'), path)],
    ['a folder', (path: string) => mkdirSync(path)],
  ])('is left undone where %s stands', (_name, put) => {
    const planned = file('a', { placeCount: 2 })
    put(planned.path)
    const before = lstatSync(planned.path, { bigint: true })
    const files = make([planned])
    files.write(0, 0, CONTENT)
    files.write(0, 12, CONTENT)
    files.close()
    expect(files.outcome.undone).toEqual(new Set([0]))
    const { ino, size, mtimeNs } = lstatSync(planned.path, { bigint: true })
    expect([ino, size, mtimeNs]).toEqual([before.ino, before.size, before.mtimeNs])
    expect(existsSync(join(work, 'elsewhere'))).toBe(false)
  })

  it.each(['given up', 'not finished'])('is taken away when it is %s', (how) => {
    const planned = file('a', { size: 24, placeCount: 2 })
    const files = make([planned, file('b')])
    files.write(0, 0, CONTENT)
    if (how === 'given up') {
      files.giveUp(0)
      files.write(0, 12, CONTENT)
    }
    files.write(1, 0, CONTENT)
    files.close()
    expect(files.outcome.undone).toEqual(new Set([0]))
    expect([existsSync(planned.path), existsSync(join(folder, 'b'))]).toEqual([false, true])
  })

  it('that the system refuses is told of, and others are made', () => {
    const files = make([file('nowhere/a'), file('b')])
    files.write(0, 0, CONTENT)
    files.write(1, 0, CONTENT)
    files.close()
    expect([...files.outcome.failures].map(([n, { code }]) => [n, code])).toEqual([[0, 'ENOENT']])
    expect(readFileSync(join(folder, 'b'))).toEqual(CONTENT)
  })

  it('has holes where zeros may be left out', () => {
    const planned = file('a', { size: 2 << 20, placeCount: 2 })
    const files = make([planned], true)
    files.write(0, 0, Buffer.alloc(1 << 20, 'x'))
    files.write(0, 1 << 20, Buffer.alloc(1 << 20))
    files.close()
    const { size, blocks } = statSync(planned.path)
    expect(size).toBe(2 << 20)
    expect(blocks * 512).toBeLessThan(1.5 * (1 << 20))
  })

  it.each(['with', 'without'])('has room for zeros where they may not, %s the C library', (how) => {
    if (how === 'without') vi.mocked(loadLibc).mockReturnValue(undefined)
    const planned = file('a', { size: 2 << 20, placeCount: 2 })
    const files = make([planned])
    files.write(0, 0, Buffer.alloc(1 << 20, 'x'))
    files.write(0, 1 << 20, Buffer.alloc(1 << 20))
    files.close()
    const { size, blocks } = statSync(planned.path)
    expect([size, blocks * 512 >= size]).toEqual([2 << 20, true])
    expect(readFileSync(planned.path).equals(Buffer.alloc(2 << 20, 'x').fill(0, 1 << 20))).toBe(true)
  })
})

describe.each(['with', 'without'])('%s the C library', (how) => {
  beforeEach(() => {
    if (how === 'without') vi.mocked(loadLibc).mockReturnValue(undefined)
  })

  it('files of many folders are made in turn, whatever their names', () => {
    const names = ['a', 'ü', 'b', `x${decodeRawName(Uint8Array.of(0xff))}`, '漢字', '\n']
    const planned = ['one', 'two', 'one', 'three', 'two', 'two'].map((name, i) => {
      mkdirSync(join(folder, name), { recursive: true })
      return file(join(name, names[i]!), { size: 24, placeCount: 2 })
    })
    const files = make(planned)
    planned.forEach((_, i) => files.write(i, 0, CONTENT))
    planned.forEach((_, i) => files.write(i, 12, CONTENT))
    files.close()
    for (const { path } of planned) {
      expect(readFileSync(nativePath(path), 'utf8')).toBe('some contentsome content')
      expect(lstatSync(nativePath(path), { bigint: true }).mtimeNs / 1000n).toBe(1_600_000_000_000_000n)
    }
    expect(files.outcome.metadataFailures).toEqual([])
  })

  it('each gets its owner, mode and attributes, and no others, whatever the folder gives it', () => {
    const [owner, group] = isRoot ? [1234, 5678] : [process.geteuid!(), process.getegid!()]
    if (isRoot) {
      // New files get the group of such a folder, and attributes from its default ACL.
      chownSync(folder, 0, group)
      chmodSync(folder, 0o2700)
      if (how === 'with') loadLibc()?.setXattr(folder, 'system.posix_acl_default', DEFAULT_ACL)
    }
    const value = Buffer.from('value')
    const planned = [
      file('a'),
      file('b', { metadata: metadata({ uid: owner, gid: group, mode: goModeFromUnix(0o104755) }) }),
      file('c', { metadata: metadata({ extendedAttributes: [{ name: 'user.x', value }] }) }),
      file('d', { metadata: metadata({ mode: goModeFromUnix(0o100600) }) }),
    ]
    const files = make(planned)
    planned.forEach((_, i) => files.write(i, 0, CONTENT))
    files.close()
    expect(files.outcome.metadataFailures).toEqual([])
    for (const {
      path,
      metadata: { uid, gid, mode, extendedAttributes },
    } of planned) {
      // prettier-ignore
      const stats = lstatSync(path)
      expect([stats.uid, stats.gid, stats.mode]).toEqual([uid, gid, unixModeFromGo(mode) | 0o100000])
      if (how === 'with')
        expect(loadLibc()?.listXattrs(path)).toEqual(extendedAttributes.map(({ name }) => name))
    }
  })

  it('what the folder is replaced by is not followed', () => {
    const elsewhere = join(work, `elsewhere-${how}`)
    mkdirSync(elsewhere)
    const planned = [file('in/a'), file('in/b')]
    mkdirSync(join(folder, 'in'))
    const files = make(planned)
    files.write(0, 0, CONTENT)
    renameSync(join(folder, 'in'), join(folder, 'away'))
    symlinkSync(elsewhere, join(folder, 'in'))
    if (how === 'with') {
      files.write(1, 0, CONTENT)
      expect(readdirSync(join(folder, 'away'))).toEqual(['a', 'b'])
    }
    files.close()
    expect(readdirSync(elsewhere)).toEqual([])
  })
})

it('files are made in a folder that cannot be listed, and through a link to one', () => {
  mkdirSync(join(folder, 'real'), { mode: 0o300 })
  symlinkSync('real', join(folder, 'link'))
  const files = make([file('real/a'), file('link/b')])
  files.write(0, 0, CONTENT)
  files.write(1, 0, CONTENT)
  files.close()
  chmodSync(join(folder, 'real'), 0o700)
  expect(readdirSync(join(folder, 'real'))).toEqual(['a', 'b'])
})

it('a new file is given nothing that it has', () => {
  const libc = loadLibc()
  if (libc === undefined) return
  const list = vi.spyOn(libc, 'listXattrs')
  const attributes = [{ name: 'user.x', value: Buffer.from('value') }]
  const planned = Array.from({ length: 10 }, (_, i) =>
    file(`f${i}`, { metadata: metadata({ extendedAttributes: i === 5 ? attributes : [] }) }),
  )
  const files = make(planned)
  planned.forEach((_, i) => files.write(i, 0, CONTENT))
  files.close()
  // Of the first one, and where there is something to set.
  expect(list).toHaveBeenCalledTimes(2)
  list.mockRestore()
  expect(planned.map(({ path }) => libc.listXattrs(path).length)).toEqual([0, 0, 0, 0, 0, 1, 0, 0, 0, 0])
})

it('a table of metadata gives back what was put in', () => {
  const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
  const time = fc.record({
    seconds: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
  })
  const xattr = fc.record({ name: fc.string(), value: fc.uint8Array() })
  const row = fc.record({
    type: fc.constant('file' as const),
    mode: uint32,
    uid: uint32,
    gid: uint32,
    atime: time,
    mtime: time,
    extendedAttributes: fc.array(xattr, { maxLength: 2 }),
  })
  fc.assert(
    fc.property(fc.array(row, { maxLength: 20 }), (rows) => {
      const table = new MetadataTable()
      for (const each of rows) table.push(each)
      expect(rows.map((_, i) => table.at(i))).toEqual(rows)
      const picked = table.pick(rows.map((_, i) => i).toReversed())
      expect(rows.map((_, i) => metadataAt(structuredClone(picked), i))).toEqual(rows.toReversed())
    }),
  )
})
