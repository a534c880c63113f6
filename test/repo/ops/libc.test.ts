/** The C library against what Python's own calls say. */
import { execFileSync } from 'node:child_process'
import {
  closeSync, existsSync, fstatSync, lstatSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync, truncateSync,
  writeFileSync,
} from 'node:fs' // prettier-ignore
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { encodeRawName } from '../../../src/repo/format/raw-name.ts'
import { fileStatOf } from '../../../src/repo/ops/file-stat.ts'
import { loadLibc, SystemCallError, type Libc } from '../../../src/repo/ops/libc.ts'
import { nativePath } from '../../../src/repo/ops/native-path.ts'

const isRoot = process.getuid?.() === 0
/** In memory, attributes may be longer than a block of the disk. */
const ROOMY = existsSync('/dev/shm') ? '/dev/shm' : undefined
if (ROOMY === undefined) process.stderr.write('SKIPPED: long attributes, which need a tmpfs at /dev/shm\n')
if (!isRoot) process.stderr.write('SKIPPED: devices and trusted attributes, which need root\n')

const folders = [
  mkdtempSync(join(tmpdir(), 'restic-ts-libc-')),
  ...(ROOMY === undefined ? [] : [mkdtempSync(join(ROOMY, 'restic-ts-libc-'))]),
]
const [folder = ''] = folders
afterAll(() => folders.forEach((path) => rmSync(path, { recursive: true })))

function libc(): Libc {
  const loaded = loadLibc()
  if (loaded === undefined) throw new Error('these tests need the C library')
  return loaded
}

let files = 0
function newFile(name = 'file', where = folder): string {
  const path = join(where, `${name}-${files++}`)
  writeFileSync(nativePath(path), '')
  return path
}

/** Runs Python with paths and values as raw bytes in hex. */
function python(code: string, ...args: readonly string[]): string {
  const hex = args.map((arg) => Buffer.from(encodeRawName(arg)).toString('hex'))
  return execFileSync(
    'python3',
    ['-c', `import os, sys\na = [bytes.fromhex(x) for x in sys.argv[1:]]\n${code}`, ...hex],
    {
      encoding: 'utf8',
    },
  ).trim()
}

function failure(call: () => void): SystemCallError {
  try {
    call()
  } catch (error) {
    if (error instanceof SystemCallError) return error
    throw error
  }
  throw new Error('nothing went wrong')
}

describe('reserve', () => {
  it.each(folders)('gives a file of %s its size and room, and it reads as zeros', (where) => {
    const path = newFile('reserved', where)
    const fd = openSync(path, 'r+')
    libc().reserve(fd, 1_000_000)
    const { size, blocks } = fstatSync(fd)
    closeSync(fd)
    expect([size, blocks * 512 >= size]).toEqual([1_000_000, true])
    expect(readFileSync(path).equals(Buffer.alloc(size))).toBe(true)
  })

  it('of more than 4 GiB is told of where it fails', () => {
    const fd = openSync(newFile(), 'r')
    expect(failure(() => libc().reserve(fd, 2 ** 33)).code).toBe('EBADF')
    closeSync(fd)
  })
})

describe('lstat', () => {
  function expectAsNode(path: string): void {
    const expected = fileStatOf(lstatSync(nativePath(path), { bigint: true }))
    expect(libc().lstat(path)).toEqual(expected)
  }

  it.each(['plain', 'ünïcode 😀', 'not UTF-8 \udcff'])('says of a file named %j what Node says', (name) => {
    expectAsNode(newFile(name))
  })

  it('says of folders, symlinks, fifos and devices what Node says', () => {
    const link = join(folder, 'link-to-nothing')
    symlinkSync('nothing', link)
    const fifo = join(folder, 'fifo-to-look-at')
    libc().makeNode(fifo, 0o010644, 0n)
    for (const path of [folder, link, fifo, '/dev/null', '/proc/self', '.']) expectAsNode(path)
  })

  it.each([
    [1_600_000_000, 123_456_789],
    [-5, 1],
    [-1, 999_999_999],
    [5_000_000_000, 0],
  ])('knows times of %i seconds and %i nanoseconds', (seconds, nanoseconds) => {
    const path = newFile()
    libc().setTimes(path, { seconds: 7, nanoseconds: 8 }, { seconds, nanoseconds })
    expect(libc().lstat(path)).toMatchObject({
      atime: { seconds: 7, nanoseconds: 8 },
      mtime: { seconds, nanoseconds },
    })
    expectAsNode(path)
  })

  it('knows sizes beyond 4 GiB', () => {
    const path = newFile()
    truncateSync(path, 5 * 2 ** 32 + 3)
    expect(libc().lstat(path)?.size).toBe(5 * 2 ** 32 + 3)
  })

  it('leaves failures, and names no system call takes, to Node', () => {
    expect(libc().lstat(join(folder, 'missing'))).toBeUndefined()
    expect(libc().lstat(`${folder}\0/missing`)).toBeUndefined()
  })
})

describe('extended attributes', () => {
  it.each([
    ['plain', 'user.plain', 'value'],
    ['with bytes of all kinds', 'user.bytes', '\0\udcff\n'],
    ['empty', 'user.empty', ''],
    ['with a name that is not UTF-8', 'user.\udcff', 'x'],
    ['on a file whose name is not UTF-8', 'user.name', 'x', 'bad\udcff'],
  ])('%s are written and read as they are', (_what, name, value, file = 'file') => {
    const path = newFile(file)
    const bytes = encodeRawName(value)
    libc().setXattr(path, name, bytes)
    expect(
      python(
        'print(os.listxattr(a[0]) == [os.fsdecode(a[1])], os.getxattr(*a[:2]) == a[2])',
        path,
        name,
        value,
      ),
    ).toBe('True True')
    expect(libc().listXattrs(path)).toEqual([name])
    expect(Buffer.from(libc().getXattr(path, name)).equals(bytes)).toBe(true)
    libc().setXattr(path, name, encodeRawName('other'))
    expect(Buffer.from(libc().getXattr(path, name)).toString()).toBe('other')
    libc().removeXattr(path, name)
    expect(libc().listXattrs(path)).toEqual([])
  })

  it('that are none are an empty list', () => {
    expect(libc().listXattrs(newFile())).toEqual([])
  })

  it.skipIf(ROOMY === undefined)('longer than the first try are read whole', () => {
    const path = newFile('long', ROOMY === undefined ? folder : folders[1])
    for (const length of [4095, 4096, 4097, 60_000]) {
      const value = Buffer.alloc(length, `${length} `)
      libc().setXattr(path, 'user.long', value)
      expect(Buffer.from(libc().getXattr(path, 'user.long')).equals(value)).toBe(true)
    }
    const names = Array.from({ length: 100 }, (_, i) => `user.${String(i).padStart(200, 'n')}`)
    for (const name of names) libc().setXattr(path, name, new Uint8Array())
    expect(new Set(libc().listXattrs(path))).toEqual(new Set(['user.long', ...names]))
    // The next list is a short one again.
    expect(libc().listXattrs(newFile())).toEqual([])
  })

  it.skipIf(!isRoot)('of a symlink are its own', () => {
    const target = newFile()
    const link = join(folder, 'link')
    symlinkSync(target, link)
    libc().setXattr(link, 'trusted.link', encodeRawName('l'))
    expect(libc().listXattrs(link)).toEqual(['trusted.link'])
    expect(libc().listXattrs(target)).toEqual([])
    libc().removeXattr(link, 'trusted.link')
    expect(libc().listXattrs(link)).toEqual([])
  })

  it('that fail say how, as errors of Node do', () => {
    const missing = join(folder, 'missing')
    expect(failure(() => libc().listXattrs(missing))).toMatchObject({
      code: 'ENOENT',
      errno: 2,
      syscall: 'llistxattr',
      path: missing,
    })
    const path = newFile()
    expect(failure(() => libc().getXattr(path, 'user.none')).code).toBe('ENODATA')
    expect(failure(() => libc().removeXattr(path, 'user.none')).code).toBe('ENODATA')
    expect(['ENOTSUP', 'EOPNOTSUPP']).toContain(
      failure(() => libc().setXattr(path, 'nonsense', new Uint8Array())).code,
    )
  })
})

describe('times', () => {
  it.each([
    ['nanoseconds', 1_600_000_000, 123_456_789],
    ['the epoch', 0, 0],
    ['before the epoch', -2, 999_999_999],
    ['after 2262', 15_000_000_000, 1],
  ])('are set to the nanosecond: %s', (_what, seconds, nanoseconds) => {
    const path = newFile()
    libc().setTimes(path, { seconds: 7, nanoseconds: 8 }, { seconds, nanoseconds })
    const { mtimeNs, atimeNs } = lstatSync(path, { bigint: true })
    expect(mtimeNs).toBe(BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds))
    expect(atimeNs).toBe(7_000_000_008n)
  })

  it('of a symlink are its own', () => {
    const target = newFile()
    const before = lstatSync(target, { bigint: true }).mtimeNs
    const link = join(folder, 'dated')
    symlinkSync(target, link)
    libc().setTimes(link, { seconds: 1, nanoseconds: 2 }, { seconds: 3, nanoseconds: 4 })
    expect(lstatSync(link, { bigint: true }).mtimeNs).toBe(3_000_000_004n)
    expect(lstatSync(target, { bigint: true }).mtimeNs).toBe(before)
  })
})

describe('nodes', () => {
  it('can be fifos, for anybody', () => {
    const path = join(folder, 'fifo')
    libc().makeNode(path, 0o010600, 0n)
    expect(lstatSync(path).isFIFO()).toBe(true)
    expect(failure(() => libc().makeNode(path, 0o010600, 0n)).code).toBe('EEXIST')
  })

  it.skipIf(!isRoot)('can be devices, with large numbers', () => {
    const path = join(folder, 'device')
    const device = BigInt(python('print(os.makedev(4000, 1048575))'))
    libc().makeNode(path, 0o020600, device)
    expect(lstatSync(path).isCharacterDevice()).toBe(true)
    expect(python('print(os.lstat(a[0]).st_rdev)', path)).toBe(String(device))
  })
})

describe('names of accounts', () => {
  it('are those of the system, for every account there is', () => {
    const accounts = python(
      'import pwd, grp, json\nprint(json.dumps([[[p.pw_uid, p.pw_name] for p in pwd.getpwall()], [[g.gr_gid, g.gr_name] for g in grp.getgrall()]]))',
    )
    const [users, groups] = JSON.parse(accounts) as [number, string][][]
    expect(users!.length).toBeGreaterThan(0)
    for (const [uid, name] of users!) expect([libc().userName(uid), libc().userId(name)]).toEqual([name, uid])
    for (const [gid, name] of groups!)
      expect([libc().groupName(gid), libc().groupId(name)]).toEqual([name, gid])
  })

  it('that there are none of are undefined, whatever was found before', () => {
    expect(libc().userName(0)).toBe('root')
    expect(libc().userName(3_999_999_999)).toBeUndefined()
    expect(libc().groupName(3_999_999_999)).toBeUndefined()
    expect(libc().userId('no such user')).toBeUndefined()
    expect(libc().groupId('no such group')).toBeUndefined()
    expect(libc().userId('')).toBeUndefined()
  })
})
