/** A repository that cannot be written to: reading works with --no-lock, everything else says why it does not. */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { must, run, type Run } from '../support/programs.ts'
import { copyRepository, filesOf, makeRepository, makeWorkFolder } from '../support/repositories.ts'
import { canMount, mountSmallDisk, type SmallDisk } from './small-disk.ts'

const NOBODY = 65_534
const READING = [
  'snapshots',
  'list packs',
  'cat config',
  'check --read-data',
  'prune --dry-run',
  'restore latest --target restored',
]

describe.skipIf(!canMount())('a repository', () => {
  let work = ''
  let disk: SmallDisk
  let repository = ''
  let before: string[] = []

  beforeAll(async () => {
    work = makeWorkFolder('read-only')
    chmodSync(work, 0o755)
    mkdirSync(join(work, 'source'))
    writeFileSync(join(work, 'source', 'file'), 'content')
    writeFileSync(join(work, 'new-password'), 'new')
    const made = await makeRepository(join(work, 'made'))
    await must('ours', ['-r', made, 'backup', 'source'], { cwd: work })
    disk = mountSmallDisk(join(work, 'disk'), 10_000)
    repository = copyRepository(made, join(disk.path, 'repository'))
    before = everything()
    disk.makeReadOnly()
  })

  afterAll(() => {
    disk.unmount()
    rmSync(work, { recursive: true, force: true })
  })

  function everything(): string[] {
    return ['keys', 'data', 'index', 'snapshots', 'locks'].flatMap((folder) => filesOf(repository, folder))
  }

  function ours(...args: string[]): Promise<Run> {
    return run('ours', ['-r', repository, ...args], { cwd: work })
  }

  it.each(READING)('on a read-only disk can be read with --no-lock: %s', async (args) => {
    expect(await ours('--no-lock', ...args.split(' '))).toMatchObject({ code: 0, stderr: '' })
  })

  it('on a read-only disk is restored whole', async () => {
    await ours('--no-lock', 'restore', 'latest', '--target', 'whole')
    expect(readFileSync(join(work, 'whole', 'source', 'file'), 'utf8')).toBe('content')
  })

  it.each([
    ...READING,
    'backup source',
    '--no-lock backup source',
    'forget latest',
    'prune',
    'key add --new-password-file new-password',
  ])('on a read-only disk says that it cannot be locked: %s', async (args) => {
    const { code, stderr } = await ours(...args.split(' '))
    expect(stderr).toMatch(
      new RegExp(
        `^Fatal: [^\\n]*${repository}/locks/[^\\n]*: read-only file system\\n[^\\n]*read-only[^\\n]*\\n$`,
      ),
    )
    expect(code).toBe(1)
  })

  it('on a read-only disk can be compared with, in a dry run', async () => {
    expect(await ours('backup', '--dry-run', 'source')).toMatchObject({ code: 0, stderr: '' })
    expect(everything()).toEqual(before)
  })

  it('of somebody else can be read with --no-lock by whoever may', async () => {
    // As its owner lets others in: readable, not writable.
    const open = copyRepository(join(work, 'made'), join(work, 'open'))
    await must('ours', ['-r', open, 'check'])
    execFileSync('chmod', ['-R', 'a+rX', open])
    const asNobody = (...args: string[]): Promise<Run> =>
      run('ours', ['-r', open, ...args], { cwd: '/', user: NOBODY, env: { HOME: '/nonexistent' } })
    expect(await asNobody('--no-lock', 'check', '--read-data')).toMatchObject({ code: 0 })
    const denied = await asNobody('snapshots')
    expect(denied.code).toBe(1)
    expect(denied.stderr).toMatch(/^Fatal: [^\n]*\/locks\/[^\n]*: permission denied\n/)
  })
})
