/** The store in a folder: the suite that all stores pass, and what only a folder can do or suffer. */
import { execFileSync } from 'node:child_process'
import { chmod, lstat, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Handle } from '../../src/backend/backend.ts'
import { LocalBackend } from '../../src/backend/local.ts'
import { AbortedError, BackendError } from '../../src/errors.ts'
import { hasRestic, resticBinary } from '../support/real-restic.ts'
import { describeBackend, handleOf, listed } from './conformance.ts'

describeBackend('local', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'restic-ts-local-'))
  const root = join(folder, 'repo')
  return {
    backend: new LocalBackend(root),
    reopen: async () => new LocalBackend(root),
    putStray: async (path, data) => {
      await mkdir(dirname(join(root, path)), { recursive: true })
      await writeFile(join(root, path), data)
    },
    cleanup: () => rm(folder, { recursive: true }),
  }
})

const CONFIG: Handle = { type: 'config', name: '' }
const PACK = handleOf('pack', 'ab')
const KEY = handleOf('key', 'ab')
const NOBODY = 65534

let folder: string
let root: string
let backend: LocalBackend

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'restic-ts-local-'))
  root = join(folder, 'repo')
  backend = new LocalBackend(root)
})

afterEach(() => rm(folder, { recursive: true }))

async function modeOf(path: string): Promise<string> {
  return ((await lstat(join(root, path))).mode & 0o7777).toString(8)
}

/** Folders and files below a folder, with their modes. */
async function modesBelow(top: string): Promise<string[]> {
  const entries = await readdir(top, { recursive: true, withFileTypes: true })
  const lines = entries.map(async (entry) => {
    const path = join(entry.parentPath, entry.name)
    return `${relative(top, path)} ${(await lstat(path)).mode.toString(8)}`
  })
  return (await Promise.all(lines)).toSorted()
}

/** Everything below the root that is no folder. */
async function filesBelow(top: string): Promise<string[]> {
  const entries = await readdir(top, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name)
}

async function failureOf(work: Promise<unknown>): Promise<BackendError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof BackendError) return error
  throw new Error('did not fail with a BackendError', { cause: error })
}

describe('modes', () => {
  it('let nobody else in, and nobody change what is stored', async () => {
    await backend.create()
    await backend.write(CONFIG, new Uint8Array(10))
    await backend.write(KEY, new Uint8Array(10))
    await backend.write(PACK, new Uint8Array(10))
    const folders = ['.', 'data', 'data/00', 'data/ab', 'data/ff', 'index', 'keys', 'locks', 'snapshots']
    for (const path of folders) expect([path, await modeOf(path)]).toEqual([path, '700'])
    for (const path of ['config', `keys/${KEY.name}`, `data/ab/${PACK.name}`])
      expect([path, await modeOf(path)]).toEqual([path, '400'])
  })

  it('give the group everything where it may read the config', async () => {
    await backend.create()
    await backend.write(CONFIG, new Uint8Array(10))
    await chmod(join(root, 'config'), 0o440)
    await rm(join(root, 'data', 'ab'), { recursive: true })
    const umask = Number.parseInt(execFileSync('sh', ['-c', 'umask']).toString(), 8)
    const other = new LocalBackend(root)
    await other.write(PACK, new Uint8Array(10))
    expect(await modeOf('data/ab')).toBe((0o770 & ~umask).toString(8))
    expect(await modeOf(`data/ab/${PACK.name}`)).toBe('440')
  })

  it.skipIf(!hasRestic('0.19.1'))('are those of a repository that restic has made', async () => {
    const theirs = join(folder, 'theirs')
    const env = { PATH: process.env['PATH'], RESTIC_PASSWORD: 'x', HOME: folder }
    execFileSync(resticBinary('0.19.1'), ['init', '--no-cache', '-r', theirs, '-q'], { env })
    await backend.create()
    await backend.write(CONFIG, new Uint8Array(10))
    const [key] = await filesBelow(join(theirs, 'keys'))
    await backend.write({ type: 'key', name: key! }, new Uint8Array(10))
    expect(await modesBelow(root)).toEqual(await modesBelow(theirs))
  })
})

describe('a listing', () => {
  beforeEach(() => backend.create())

  it('passes over folders, links that lead nowhere and files that are no files', async () => {
    await backend.write(KEY, new Uint8Array(10))
    await mkdir(join(root, 'keys', handleOf('key', 'cd').name))
    await symlink('nowhere', join(root, 'keys', handleOf('key', 'ef').name))
    execFileSync('mkfifo', [join(root, 'keys', handleOf('key', 'fe').name)])
    await mkdir(join(root, 'data', 'abc'))
    await writeFile(join(root, 'data', 'abc', PACK.name), 'stray')
    expect(await listed(backend, 'key')).toEqual([{ name: KEY.name, size: 10 }])
    expect(await listed(backend, 'pack')).toEqual([])
  })

  it('follows links to files and folders, for those who spread a repository over disks', async () => {
    await writeFile(join(folder, 'elsewhere'), 'twelve bytes')
    await symlink(join(folder, 'elsewhere'), join(root, 'keys', KEY.name))
    await mkdir(join(folder, 'disk'))
    await rm(join(root, 'data'), { recursive: true })
    await symlink(join(folder, 'disk'), join(root, 'data'))
    await backend.write(PACK, new Uint8Array(20))
    expect(await listed(backend, 'key')).toEqual([{ name: KEY.name, size: 12 }])
    expect(await listed(backend, 'pack')).toEqual([{ name: PACK.name, size: 20 }])
    expect(await readdir(join(folder, 'disk', 'ab'))).toEqual([PACK.name])
  })

  it('has no bound', async () => {
    const names = Array.from(
      { length: 600 },
      (_, i) => handleOf('snapshot', i.toString(16).padStart(4, '0')).name,
    )
    for (const name of names) await writeFile(join(root, 'snapshots', name), name.slice(0, 4))
    expect(await listed(backend, 'snapshot')).toEqual(names.map((name) => ({ name, size: 4 })))
  })
})

describe('a write', () => {
  beforeEach(() => backend.create())

  it('makes the folder that is not there', async () => {
    await rm(join(root, 'data'), { recursive: true })
    await backend.write(PACK, new Uint8Array(10))
    expect(await modeOf('data/ab')).toBe('700')
    expect(await listed(backend, 'pack')).toHaveLength(1)
  })

  it('leaves no temporary file, whether it succeeds, fails or is stopped', async () => {
    await backend.write(PACK, new Uint8Array(10))
    expect(await filesBelow(root)).toEqual([PACK.name])
    await mkdir(join(root, 'keys', KEY.name))
    await failureOf(backend.write(KEY, new Uint8Array(10)))
    const controller = new AbortController()
    const stopped = backend.write(handleOf('pack', 'cd'), new Uint8Array(3_000_000), controller.signal)
    controller.abort()
    await expect(stopped).rejects.toThrow(AbortedError)
    expect(await filesBelow(root)).toEqual([PACK.name])
  })

  it('stays where it was when the working directory changes', async () => {
    const before = process.cwd()
    try {
      process.chdir(folder)
      const relativeBackend = new LocalBackend('repo')
      process.chdir('/')
      await relativeBackend.write(PACK, new Uint8Array(10))
    } finally {
      process.chdir(before)
    }
    expect(await listed(backend, 'pack')).toHaveLength(1)
  })
})

describe('a failure', () => {
  it('names the path where a file stands in the way', async () => {
    await writeFile(root, 'a file')
    const error = await failureOf(backend.create())
    expect(error.message).toBe(`create folder ${root}: file already exists`)
    expect(error.transient).toBe(false)
  })

  it('is told before there is memory for a range that cannot be', async () => {
    await backend.create()
    await backend.write(PACK, new Uint8Array(10))
    const error = await failureOf(backend.read(PACK, { offset: 4, length: 2 ** 50 }))
    expect(error.message).toBe(
      `read ${join(root, 'data', 'ab', PACK.name)}: the file ends ${2 ** 50 - 6} bytes too early`,
    )
    expect(error.hint).toContain('check')
  })

  it('is told where a folder stands for a file', async () => {
    await backend.create()
    await mkdir(join(root, 'keys', KEY.name))
    expect((await failureOf(backend.read(KEY))).transient).toBe(false)
    expect((await failureOf(backend.remove(KEY))).message).toContain(`keys/${KEY.name}`)
  })
})

const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('SKIPPED: tests of permissions and full disks need root\n')
if (!isRoot && process.env['CI'] === 'true') throw new Error('CI must run as root')

describe.skipIf(!isRoot)('without permission', () => {
  beforeEach(async () => {
    await chmod(folder, 0o755)
    await backend.create()
    await backend.write(KEY, new Uint8Array(10))
    process.seteuid?.(NOBODY)
  })

  afterEach(() => {
    process.seteuid?.(0)
  })

  it('every call says which path, that it is of no use to try again, and what to do', async () => {
    const calls: [() => Promise<unknown>, string][] = [
      [() => backend.stat(KEY), `stat ${root}/keys/${KEY.name}: permission denied`],
      [() => backend.read(KEY), `open ${root}/keys/${KEY.name}: permission denied`],
      [() => backend.write(KEY, new Uint8Array(1)), `write ${root}/keys/${KEY.name}: permission denied`],
      [() => backend.remove(KEY), `remove ${root}/keys/${KEY.name}: permission denied`],
      [() => listed(backend, 'key'), `list ${root}/keys: permission denied`],
      [() => listed(backend, 'pack'), `list ${root}/data: permission denied`],
      [() => new LocalBackend(join(root, 'sub')).create(), `create folder ${root}/sub: permission denied`],
    ]
    for (const [call, message] of calls) {
      const error = await failureOf(call())
      expect(error.message).toBe(message)
      expect(error.transient).toBe(false)
      expect(error.hint).toBe('check who owns the repository and its permissions')
    }
  })
})

describe.skipIf(!isRoot)('on a full disk', () => {
  const SIZE = 1 << 20

  beforeEach(async () => {
    await mkdir(root)
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE}`, 'restic-ts-test', root])
    await mkdir(join(root, 'data'))
  })

  afterEach(() => {
    execFileSync('umount', [root])
  })

  it('a write leaves nothing behind and says what to do; a smaller one fits', async () => {
    const error = await failureOf(backend.write(PACK, new Uint8Array(SIZE + 1)))
    expect(error.message).toBe(`write ${root}/data/ab/${PACK.name}: no space left on device`)
    expect(error.transient).toBe(false)
    expect(error.hint).toContain('make room')
    expect(await filesBelow(root)).toEqual([])
    await backend.write(PACK, new Uint8Array(SIZE / 2))
    expect(await listed(backend, 'pack')).toEqual([{ name: PACK.name, size: SIZE / 2 }])
  })

  it('a file is not lost when its replacement does not fit', async () => {
    await backend.write(KEY, new Uint8Array(SIZE / 2).fill(7))
    await failureOf(backend.write(KEY, new Uint8Array(SIZE)))
    expect((await backend.read(KEY)).every((byte) => byte === 7)).toBe(true)
    expect(await listed(backend, 'key')).toEqual([{ name: KEY.name, size: SIZE / 2 }])
  })

  it('that is read-only as well, everything can still be read', async () => {
    await backend.write(KEY, new Uint8Array(10))
    execFileSync('mount', ['-o', 'remount,ro', root])
    expect((await backend.read(KEY)).length).toBe(10)
    const error = await failureOf(backend.write(PACK, new Uint8Array(1)))
    expect(error.message).toBe(`write ${root}/data/ab/${PACK.name}: read-only file system`)
    expect(error.hint).toContain('read-only')
  })
})
