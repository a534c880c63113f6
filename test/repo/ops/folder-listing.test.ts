/** What folders say of their entries, beside what Node says. */
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs' // prettier-ignore
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { listingOf, readListing, sliceListing, type FolderListing } from '../../../src/repo/ops/folder-listing.ts' // prettier-ignore
import { loadLibc } from '../../../src/repo/ops/libc.ts'
import { LocalSource } from '../../../src/repo/ops/local-source.ts'

const DT_UNKNOWN = 0
const DT_DIR = 4
const DT_REG = 8

/** As Linux lays it out: inode, offset, length of the entry, type, name and NUL, up to a multiple of 8. */
function dirent(name: string, type: number): Buffer {
  const bytes = Buffer.from(name, 'latin1')
  const entry = Buffer.alloc(Math.ceil((19 + bytes.length + 1) / 8) * 8, 0xee)
  entry.writeUInt16LE(entry.length, 16)
  entry[18] = type
  entry.set(bytes, 19)
  entry[19 + bytes.length] = 0
  return entry
}

function readAll(...calls: readonly (readonly Buffer[])[]): { names: string[]; files: string[] } {
  const left = calls.map((entries) => Buffer.concat(entries))
  return told(
    readListing((target) => {
      const bytes = left.shift() ?? Buffer.alloc(0)
      target.set(bytes)
      return bytes.length
    }),
  )
}

function told({ names, areFiles }: FolderListing): { names: string[]; files: string[] } {
  expect(areFiles).toHaveLength(names.length)
  return { names: [...names], files: names.filter((_name, i) => areFiles[i] === 1) }
}

describe('a listing', () => {
  it('is of all that was read, in order, and tells what is a regular file', () => {
    const first = [dirent('..', DT_DIR), dirent('b', DT_REG), dirent('.', DT_DIR), dirent('...', DT_REG)]
    const second = [dirent('a', DT_DIR), dirent('.x', DT_REG), dirent('unsure', DT_UNKNOWN)]
    expect(readAll(first, second)).toEqual({
      names: ['...', '.x', 'a', 'b', 'unsure'],
      files: ['...', '.x', 'b'],
    })
    expect(readAll()).toEqual({ names: [], files: [] })
  })

  it('orders names by their bytes, of which not all are UTF-8', () => {
    const utf8 = (name: string): string => Buffer.from(name).toString('latin1')
    const entries = [utf8('\u{1f600}'), utf8('\uffee'), 'caf\xe9', utf8('é'), 'z'].map((name) =>
      dirent(name, DT_REG),
    )
    expect(readAll(entries).names).toEqual(['caf\udce9', 'z', 'é', '\uffee', '\u{1f600}'])
  })

  it('has a name once, however often it comes, and for a file only where it always was one', () => {
    const entries = [dirent('a', DT_REG), dirent('b', DT_REG), dirent('a', DT_REG), dirent('b', DT_DIR)]
    expect(readAll(entries)).toEqual({ names: ['a', 'b'], files: ['a'] })
  })

  it('is cut with what it tells', () => {
    const whole = { names: ['a', 'b', 'c', 'd'], areFiles: Uint8Array.of(1, 0, 1, 0) }
    expect(told(sliceListing(whole, 1, 3))).toEqual({ names: ['b', 'c'], files: ['c'] })
    expect(told(sliceListing(whole, 2))).toEqual({ names: ['c', 'd'], files: ['c'] })
    // It is sent to threads: no more than it needs.
    expect(sliceListing(whole, 3).areFiles.buffer.byteLength).toBe(1)
  })

  it('tells of no file where there are but names', () => {
    expect(told(listingOf(['a', 'b']))).toEqual({ names: ['a', 'b'], files: [] })
  })
})

const libc = loadLibc()
if (libc?.readsEntries !== true) process.stderr.write('SKIPPED: folders are read by libc on Linux only\n')

describe.skipIf(libc?.readsEntries !== true)('the listing of a real folder', () => {
  let folder: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'restic-ts-listing-'))
  })

  afterEach(() => {
    rmSync(folder, { recursive: true })
  })

  function list(): { names: string[]; files: string[] } {
    const fd = openSync(folder, 'r')
    try {
      return told(readListing((target) => libc!.readEntries(fd, target)))
    } finally {
      closeSync(fd)
    }
  }

  it('is what Node says, also where it takes several calls', () => {
    for (let i = 0; i < 1500; i++) writeFileSync(join(folder, `${'name'.repeat(20)}-${i}`), '')
    mkdirSync(join(folder, 'folder'))
    symlinkSync('folder', join(folder, 'link'))
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0x66, 0xff])]), '')
    libc!.makeNode(join(folder, 'fifo'), 0o010644, 0n)
    const { names, files } = list()
    expect(names).toEqual(new LocalSource().listNames(folder))
    const known = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile())
    expect(files).toHaveLength(known.length)
    expect(names.filter((name) => !files.includes(name))).toEqual(['fifo', 'folder', 'link'])
  })

  it('throws what the system says', () => {
    const fd = openSync(join(folder, 'file'), 'w')
    expect(() => readListing((target) => libc!.readEntries(fd, target))).toThrow('ENOTDIR')
    closeSync(fd)
  })
})
