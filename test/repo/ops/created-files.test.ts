/** Files that a thread makes from beginning to end, and the numbers it gets for their metadata. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { goModeFromUnix } from '../../../src/repo/format/file-mode.ts'
import { CreatedFiles, type FileToCreate } from '../../../src/repo/ops/created-files.ts'
import { loadLibc } from '../../../src/repo/ops/libc.ts'
import { MetadataTable } from '../../../src/repo/ops/metadata-table.ts'
import type { Metadata } from '../../../src/repo/ops/node-metadata.ts'
import { makeWorkFolder } from '../../support/repositories.ts'

vi.mock(import('../../../src/repo/ops/libc.ts'), { spy: true })

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

function file(name: string, fields: Partial<FileToCreate> = {}): FileToCreate {
  return { path: join(folder, name), size: CONTENT.length, metadata: metadata(), placeCount: 1, ...fields }
}

function make(files: readonly FileToCreate[], sparse = false): CreatedFiles {
  return new CreatedFiles(files, { sparse, selectXattr: () => true })
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
    }),
  )
})
