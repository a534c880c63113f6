/** A source that changes under the backup: whatever was read is restored as read, the rest of it is not affected. */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { randomBytes } from '../support/many-files.ts'
import { must, run, type Run } from '../support/programs.ts'
import { hasRestic } from '../support/real-restic.ts'
import { copyRepository, makeRepository, makeWorkFolder } from '../support/repositories.ts'

const PRELOAD = fileURLToPath(new URL('./change-source.mjs', import.meta.url))
const LARGE = 4_000_000

let work = ''
let empty = ''
let repository = ''
let copies = 0

beforeAll(async () => {
  work = makeWorkFolder('changing')
  empty = await makeRepository(join(work, 'repository'))
})

beforeEach(() => {
  rmSync(join(work, 'source'), { recursive: true, force: true })
  mkdirSync(join(work, 'source', 'folder'), { recursive: true })
  writeFileSync(join(work, 'source', 'a-neighbour'), 'neighbour')
  writeFileSync(join(work, 'source', 'folder', 'inside'), 'inside')
  writeFileSync(join(work, 'source', 'large'), randomBytes(1, LARGE))
  writeFileSync(join(work, 'source', 'small'), 'small')
  writeFileSync(join(work, 'source', 'z-neighbour'), 'neighbour')
  repository = copyRepository(empty, join(work, `repository-${copies++}`))
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

function backupWhile(path: string, when: 'lstat' | 'read', how: string): Promise<Run> {
  return run('ours', ['-r', repository, 'backup', '-q', 'source'], {
    cwd: work,
    env: { NODE_OPTIONS: `--import=${PRELOAD}`, CHANGE_PATH: path, CHANGE_WHEN: when, CHANGE_HOW: how },
  })
}

/** What is restored of the one snapshot, after checks that it is sound and that the neighbours are in it. */
async function restored(): Promise<string> {
  await must(hasRestic() ? '0.19.1' : 'ours', ['-r', repository, 'check', '--read-data'])
  const target = join(work, `target-${copies}`)
  await must('ours', ['-r', repository, 'restore', 'latest', '--target', target, '--verify'])
  for (const name of ['a-neighbour', 'z-neighbour'])
    expect(readFileSync(join(target, 'source', name), 'utf8')).toBe('neighbour')
  return join(target, 'source')
}

describe('a file that', () => {
  it.each([
    ['grows before it is opened', 'source/small', 'lstat', 'grow'],
    ['is rewritten before it is opened', 'source/small', 'lstat', 'rewrite'],
    ['grows', 'source/large', 'read', 'grow'],
    ['grows before it is opened, large', 'source/large', 'lstat', 'grow'],
    ['shrinks before it is opened', 'source/large', 'lstat', 'shrink'],
  ] as const)('%s is saved as it is then', async (_what, path, when, how) => {
    expect(await backupWhile(path, when, how)).toMatchObject({ code: 0, stderr: '' })
    const restoredPath = join(await restored(), path.slice('source/'.length))
    expect(readFileSync(restoredPath).equals(readFileSync(join(work, path)))).toBe(true)
  })

  it('shrinks while it is read is saved as far as it went', async () => {
    expect(await backupWhile('source/large', 'read', 'shrink')).toMatchObject({ code: 0, stderr: '' })
    const content = readFileSync(join(await restored(), 'large'))
    expect(content.length).toBeGreaterThanOrEqual(5)
    expect(content.length).toBeLessThan(LARGE)
    expect(content.subarray(0, 5).equals(readFileSync(join(work, 'source', 'large')))).toBe(true)
  })

  it('is removed while it is read is saved whole', async () => {
    expect(await backupWhile('source/large', 'read', 'remove')).toMatchObject({ code: 0, stderr: '' })
    expect(readFileSync(join(await restored(), 'large')).equals(randomBytes(1, LARGE))).toBe(true)
  })

  it.each(['source/small', 'source/large', 'source/folder'])(
    'vanishes before it is opened is passed over in silence: %s',
    async (path) => {
      expect(await backupWhile(path, 'lstat', 'remove')).toMatchObject({ code: 0, stderr: '' })
      expect(existsSync(join(await restored(), path.slice('source/'.length)))).toBe(false)
    },
  )

  it.each([
    ['source/small', 'symlink'],
    ['source/large', 'symlink'],
    ['source/small', 'folder'],
    ['source/large', 'folder'],
    // Opening one for reading would wait for a writer.
    ['source/small', 'fifo'],
    ['source/large', 'fifo'],
    ['source/folder', 'file'],
  ])('becomes something else is left out, with 3: %s, now a %s', async (path, how) => {
    const { code, stderr } = await backupWhile(path, 'lstat', how)
    expect(stderr).toMatch(
      new RegExp(`^error: ${work}/${path}: .*\\nWarning: at least one source file could not be read\\n$`),
    )
    expect(code).toBe(3)
    expect(existsSync(join(await restored(), path.slice('source/'.length)))).toBe(false)
  })

  it('is a symlink now does not lead a folder elsewhere', async () => {
    mkdirSync(join(work, 'elsewhere'))
    writeFileSync(join(work, 'elsewhere', 'secret'), 'secret')
    const { code, stderr } = await backupWhile('source/folder', 'lstat', 'elsewhere')
    expect(stderr).toContain('directory "source/folder" changed type, refusing to archive')
    expect(code).toBe(3)
    expect(existsSync(join(await restored(), 'folder'))).toBe(false)
  })
})

it('a file whose size the system does not tell is read to its end', async () => {
  await must('ours', ['-r', repository, 'backup', '-q', '/proc/cpuinfo'])
  const target = join(work, 'proc')
  await must('ours', ['-r', repository, 'restore', 'latest', '--target', target])
  expect(statSync(join(target, 'proc/cpuinfo')).size).toBeGreaterThan(100)
})
