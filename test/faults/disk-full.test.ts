/**
 * A disk that fills up under a command: one clear line that names the file, nothing half-written under a final name,
 * and the same command succeeds once there is room.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { makeManyFiles, writeRandomFile } from '../support/many-files.ts'
import { must, run, type Run } from '../support/programs.ts'
import { hasRestic } from '../support/real-restic.ts'
import {
  copyRepository,
  filesOf,
  listSnapshots,
  makeRepository,
  makeWorkFolder,
} from '../support/repositories.ts'
import { listTree } from '../support/rich-tree.ts'
import { canMount, mountSmallDisk, type SmallDisk } from './small-disk.ts'

const PLENTY_KIB = 64 << 10

let work = ''
let repository = ''
let disks: SmallDisk[] = []

beforeAll(async () => {
  work = makeWorkFolder('disk-full')
  const source = join(work, 'source')
  mkdirSync(source)
  makeManyFiles(join(source, 'many'), { files: 60, maxBytes: 30_000 })
  writeRandomFile(join(source, 'large'), 7, 6_000_000)
  writeFileSync(join(source, 'empty'), '')
  repository = await makeRepository(join(work, 'repository'))
})

afterEach(() => {
  for (const disk of disks) disk.unmount()
  disks = []
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

function smallDisk(name: string, kib: number, files?: number): SmallDisk {
  const disk = mountSmallDisk(join(work, name), kib, files)
  disks.push(disk)
  return disk
}

function ours(...args: string[]): Promise<Run> {
  return run('ours', args, { cwd: work })
}

/** Exit code 1, one line that names a file below `path`, and one that says what to do. */
function expectFull(result: Run, path: string): void {
  expect(result.stderr).toMatch(
    new RegExp(`^Fatal: [^\\n]*${path}/[^\\n]*: no space left on device\\nmake room [^\\n]*\\n$`),
  )
  expect(result.code).toBe(1)
}

/** Every file under a final name is whole, and no other is left. */
function expectWhole(path: string): void {
  for (const name of readdirSync(path, { recursive: true, encoding: 'utf8' })) {
    if (statSync(join(path, name)).isDirectory() || name === 'config') continue
    const hash = createHash('sha256')
      .update(readFileSync(join(path, name)))
      .digest('hex')
    expect(name.slice(name.lastIndexOf('/') + 1)).toBe(hash)
  }
}

describe.skipIf(!canMount())('no room for', () => {
  it('the folders of a new repository', async () => {
    const disk = smallDisk('inodes', PLENTY_KIB, 100)
    const path = join(disk.path, 'repository')
    expectFull(await ours('-r', path, 'init'), path)
    disk.resize(PLENTY_KIB)
    expect(await ours('-r', path, 'init')).toMatchObject({ code: 0 })
  })

  it('the key or the config of a new repository', async () => {
    const disk = smallDisk('init', 4)
    const path = join(disk.path, 'repository')
    writeFileSync(join(disk.path, 'filling'), 'x')
    const withoutKey = await ours('-r', path, 'init')
    expectFull(withoutKey, path)
    expect(withoutKey.stderr).toContain('/keys/')
    rmSync(join(disk.path, 'filling'))
    const withoutConfig = await ours('-r', path, 'init')
    expectFull(withoutConfig, path)
    expect(withoutConfig.stderr).toContain('/config')
    expectWhole(path)
    disk.resize(PLENTY_KIB)
    expect(await ours('-r', path, 'init')).toMatchObject({ code: 0 })
    expect(await ours('-r', path, 'backup', 'source')).toMatchObject({ code: 0 })
  })

  it('a backup', async () => {
    const disk = smallDisk('backup', 5000)
    const path = copyRepository(repository, join(disk.path, 'repository'))
    const full = await ours('-r', path, '--pack-size', '4', 'backup', 'source')
    expectFull(full, path)
    expectWhole(path)
    expect(filesOf(path, 'locks')).toEqual([])
    expect(filesOf(path, 'snapshots')).toEqual([])
    disk.resize(PLENTY_KIB)
    expect(await ours('-r', path, 'backup', 'source')).toMatchObject({ code: 0 })
    await must('ours', ['-r', path, 'check', '--read-data'])
    if (hasRestic()) await must('0.19.1', ['-r', path, 'check', '--read-data'])
  })

  it('even a lock', async () => {
    const disk = smallDisk('lock', PLENTY_KIB)
    const path = copyRepository(repository, join(disk.path, 'repository'))
    writeFileSync(join(disk.path, 'filling'), 'x')
    disk.resize(12)
    for (const args of [['backup', 'source'], ['check'], ['prune']])
      expectFull(await ours('-r', path, ...args), path)
    expect(await ours('-r', path, 'snapshots', '--no-lock')).toMatchObject({ code: 0 })
    expectWhole(path)
  })

  it('what prune repacks', async () => {
    const disk = smallDisk('prune', PLENTY_KIB)
    const path = copyRepository(repository, join(disk.path, 'repository'))
    // One pack for all, so that half of it stays in use.
    await must('ours', ['-r', path, '--workers', '0', 'backup', 'source'], { cwd: work })
    await must('ours', ['-r', path, 'backup', 'source/large'], { cwd: work })
    const [first, second] = await listSnapshots('ours', path)
    await must('ours', ['-r', path, 'forget', first!.id])
    disk.resize(8000)
    const full = await ours('-r', path, 'prune', '--max-unused', '0')
    expectFull(full, path)
    expectWhole(path)
    expect(filesOf(path, 'locks')).toEqual([])
    disk.resize(PLENTY_KIB)
    await must('ours', ['-r', path, 'check', '--read-data'])
    expect(await ours('-r', path, 'prune', '--max-unused', '0')).toMatchObject({ code: 0 })
    await must('ours', ['-r', path, 'check', '--read-data'])
    await must('ours', ['-r', path, 'restore', second!.id, '--target', join(disk.path, 'target')])
  })
})

describe.skipIf(!canMount())('no room to restore', () => {
  let path = ''

  beforeAll(async () => {
    path = copyRepository(repository, join(work, 'backed-up'))
    await must('ours', ['-r', path, 'backup', 'source'], { cwd: work })
  })

  /** Whatever is there is as it was backed up. */
  function expectWholeFiles(target: string): void {
    for (const name of readdirSync(target, { recursive: true, encoding: 'utf8' })) {
      if (!statSync(join(target, name)).isFile()) continue
      expect(readFileSync(join(target, name)).equals(readFileSync(join(work, name)))).toBe(true)
    }
  }

  it.each([
    ['large files', 3000, undefined],
    ['the last of it', 6000, undefined],
    ['folders', PLENTY_KIB, 20],
    ['files', PLENTY_KIB, 60],
  ] as const)('%s', async (name, kib, files) => {
    const disk = smallDisk(name, kib, files)
    const target = join(disk.path, 'target')
    const args = ['-r', path, 'restore', 'latest', '--target', target]
    expectFull(await ours(...args), target)
    expectWholeFiles(target)
    expect(filesOf(path, 'locks')).toEqual([])
    disk.resize(PLENTY_KIB)
    expect(await ours(...args)).toMatchObject({ code: 0 })
    expect(listTree(join(target, 'source'))).toEqual(listTree(join(work, 'source')))
  })

  it('the target itself', async () => {
    const disk = smallDisk('no-folder', PLENTY_KIB, 1)
    const target = join(disk.path, 'a', 'b')
    const full = await ours('-r', path, 'restore', 'latest', '--target', target)
    expect(full).toMatchObject({ code: 1 })
    expect(full.stderr).toContain(`${disk.path}/a: no space left on device`)
  })
})
