/**
 * What a user, a broken disk or a bad day can put in front of the command: the right exit code, a message that names
 * the file, and what to do next.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LocalBackend } from '../../src/backend/local.ts'
import { Repository } from '../../src/repo/repository.ts'
import { writeRandomFile } from '../support/many-files.ts'
import { finish, must, run, start, type Run } from '../support/programs.ts'
import { hasRestic } from '../support/real-restic.ts'
import {
  copyRepository,
  filesOf,
  listSnapshots,
  makeRepository,
  makeWorkFolder,
  overwrite,
} from '../support/repositories.ts'
import { TEST_PASSWORD } from '../support/test-repository.ts'

const NOBODY = 65_534

let work = ''
let sound = ''
let copies = 0
/** Names of the two packs. */
let dataPack = ''
let treePack = ''

beforeAll(async () => {
  work = makeWorkFolder('bad-input')
  chmodSync(work, 0o755)
  mkdirSync(join(work, 'source', 'folder'), { recursive: true })
  writeRandomFile(join(work, 'source', 'large'), 1, 700_000)
  writeFileSync(join(work, 'source', 'folder', 'small'), 'small')
  sound = await makeRepository(join(work, 'sound'))
  await must('ours', ['-r', sound, 'backup', '--no-scan', 'source'], { cwd: work })
  const repository = await Repository.open(new LocalBackend(sound), { password: TEST_PASSWORD })
  await repository.loadIndex()
  for await (const { id, size } of repository.list('pack')) {
    const [first] = await repository.readPackHeader(id, size)
    if (first!.type === 'tree') treePack = id
    else if (size > 600_000) dataPack = id
  }
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

function copy(): string {
  return copyRepository(sound, join(work, `copy-${copies++}`))
}

function ours(path: string, args: string): Promise<Run> {
  const words = args.split(' ').map((word) => (word === 'NEW' ? join(work, `target-${copies++}`) : word))
  return run('ours', ['-r', path, ...words], { cwd: work })
}

describe('exit code', () => {
  it('12 for a wrong password', async () => {
    const env = { RESTIC_PASSWORD: 'wrong' }
    for (const args of [['snapshots'], ['backup', 'source'], ['init']]) {
      const { code, stderr } = await run('ours', ['-r', sound, ...args], { cwd: work, env })
      if (args[0] === 'init') expect({ code, stderr }).toMatchObject({ code: 1 })
      else expect({ code, stderr }).toEqual({ code: 12, stderr: 'Fatal: wrong password or no key found\n' })
    }
  })

  it('10 where there is no repository', async () => {
    for (const args of ['snapshots', 'backup source', 'restore latest --target NEW', 'key list']) {
      const { code, stderr } = await ours(join(work, 'nowhere'), args)
      expect(code).toBe(10)
      expect(stderr).toContain(`${work}/nowhere/config: no such file or directory\nIs there a repository at`)
    }
    expect(existsSync(join(work, 'nowhere'))).toBe(false)
  })

  it('3 for a path that is not there, and the rest is saved', async () => {
    const path = copy()
    expect(await ours(path, 'backup nowhere source')).toMatchObject({
      code: 3,
      stderr: 'nowhere does not exist, skipping\nWarning: at least one source file could not be read\n',
    })
    expect(await listSnapshots('ours', path)).toHaveLength(2)
    expect(await ours(path, 'backup nowhere')).toMatchObject({ code: 1 })
    expect(await listSnapshots('ours', path)).toHaveLength(2)
  })

  it.each([
    '--nix',
    'snapshots --nix',
    'backup --nix source',
    'nix',
    'restore',
    'key',
    'forget --keep-last x',
  ])('1 for %s', async (args) => {
    const { code, stderr } = await ours(sound, args)
    expect(code).toBe(1)
    expect(stderr).not.toBe('')
  })
})

const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('SKIPPED: what another user may not read, which only root can try\n')

describe.skipIf(!isRoot)('for somebody who may not read it all', () => {
  it('3, and what can be read is saved', async () => {
    const path = await makeRepository(join(work, 'of-nobody'))
    const folder = join(work, 'closed')
    mkdirSync(join(folder, 'locked'), { recursive: true })
    for (const name of ['open', 'secret', 'locked/inside']) writeFileSync(join(folder, name), name)
    chmodSync(join(folder, 'secret'), 0o600)
    chmodSync(join(folder, 'locked'), 0o700)
    execFileSync('chown', ['-R', String(NOBODY), path])
    const { code, stderr } = await run('ours', ['-r', path, 'backup', 'closed'], {
      cwd: work,
      user: NOBODY,
      env: { HOME: work },
    })
    expect(code).toBe(3)
    expect(stderr.split('\n').toSorted()).toEqual([
      '',
      'Warning: at least one source file could not be read',
      `error: ${folder}/locked: open closed/locked: permission denied`,
      `error: ${folder}/secret: open closed/secret: permission denied`,
    ])
    await must('ours', ['-r', path, 'restore', 'latest', '--target', join(work, 'of-nobody-restored')])
    const restored = join(work, 'of-nobody-restored', 'closed')
    expect(readFileSync(join(restored, 'open'), 'utf8')).toBe('open')
    expect(existsSync(join(restored, 'secret'))).toBe(false)
    if (hasRestic()) await must('0.19.1', ['-r', path, 'check', '--read-data'])
  })
})

describe('output nobody reads any more', () => {
  it.each([
    'backup -vv source',
    'restore -vv latest --target piped',
    'check',
    'prune',
    'snapshots',
    'forget --keep-last 1',
  ])('ends %s with 141, without a lock or a word', async (args) => {
    const path = copy()
    const child = start('ours', ['-r', path, ...args.split(' ')], { cwd: work })
    child.stdout!.destroy()
    expect(await finish(child, args)).toMatchObject({ code: 141, stderr: '' })
    expect(filesOf(path, 'locks')).toEqual([])
    await must('ours', ['-r', path, 'check', '--read-data'])
  })
})

function flip(bytes: Buffer): Buffer {
  bytes[bytes.length >> 1]! ^= 1
  return bytes
}

const EMPTY = (): Buffer => Buffer.alloc(0)
const CUT = (bytes: Buffer): Buffer => bytes.subarray(0, bytes.length >> 1)

interface Damaged {
  readonly what: string
  readonly file: (path: string) => string
  /** Commands that cannot do without the file. */
  readonly commands: readonly string[]
  /** What they say should be done. */
  readonly advice: RegExp
}

const DAMAGED: readonly Damaged[] = [
  {
    what: 'config',
    file: (path) => join(path, 'config'),
    commands: ['snapshots', 'backup source', 'check'],
    advice: /bring it back from a copy/,
  },
  {
    what: 'key',
    file: (path) => filesOf(path, 'keys')[0]!,
    commands: ['snapshots', 'restore latest --target NEW'],
    advice: /open the repository with another key/,
  },
  {
    what: 'index',
    file: (path) => filesOf(path, 'index')[0]!,
    commands: ['backup source', 'restore latest --target NEW', 'check', 'prune'],
    advice: /`(restic )?repair index`/,
  },
  {
    what: 'snapshot',
    file: (path) => filesOf(path, 'snapshots')[0]!,
    commands: ['restore latest --target NEW', 'check', 'prune'],
    advice: /remove its file from snapshots\/|The repository is damaged and must be repaired/,
  },
  {
    what: 'tree pack',
    file: (path) => filesOf(path, 'data').find((name) => name.endsWith(treePack))!,
    commands: ['restore latest --target NEW', 'check --read-data', 'prune', 'forget --keep-last 1 --prune'],
    advice: /`check --read-data`|repair packs|repair index|`check`|must be repaired/,
  },
  {
    what: 'data pack',
    file: (path) => filesOf(path, 'data').find((name) => name.endsWith(dataPack))!,
    commands: ['restore latest --target NEW', 'check --read-data'],
    advice: /`check --read-data`|repair packs|`check`|must be repaired/,
  },
]

describe.each(DAMAGED)('a damaged $what', ({ file, commands, advice, what }) => {
  it.each([
    ['with a flipped bit', flip],
    ['cut in half', CUT],
    ['of no length', EMPTY],
  ])('%s is named, with what to do next', async (_how, damage) => {
    for (const args of commands) {
      const path = copy()
      overwrite(file(path), damage)
      const { code, stderr } = await ours(path, args)
      expect({ args, code }).toEqual({ args, code: args.startsWith('forget') ? 0 : 1 })
      if (code === 0) continue
      expect(stderr).toContain(what === 'config' ? 'config' : basename(file(path)))
      expect(stderr).toMatch(advice)
      expect(filesOf(path, 'locks')).toEqual([])
      rmSync(path, { recursive: true })
    }
  })
})

describe('what is missing', () => {
  it.each([
    ['index', 'restore latest --target NEW', /is not in the index\n/, /run `repair index`/],
    ['index', 'prune', /is not in the index\n/, /run `repair index`/],
    ['data', 'restore latest --target NEW', /\/data\/[0-9a-f]{2}\/[0-9a-f]{64}/, /run `check`/],
    ['data', 'prune', /[0-9a-f]{64}/, /`repair index`/],
  ])('%s is told of by %s', async (folder, args, named, advice) => {
    const path = copy()
    for (const name of filesOf(path, folder)) rmSync(name)
    const { code, stderr } = await ours(path, args)
    expect(code).toBe(1)
    expect(stderr).toMatch(named)
    expect(stderr).toMatch(advice)
  })

  it('does not keep a backup from saving everything again', async () => {
    const path = copy()
    for (const name of filesOf(path, 'index')) rmSync(name)
    expect(await ours(path, 'backup --force source')).toMatchObject({ code: 0 })
    await must('ours', ['-r', path, 'restore', 'latest', '--target', join(work, 'again')])
    expect(
      readFileSync(join(work, 'again', 'source', 'large')).equals(
        readFileSync(join(work, 'source', 'large')),
      ),
    ).toBe(true)
  })
})
