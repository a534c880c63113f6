/**
 * Snapshots made to escape from the folder they are restored to: by the names of their entries, by links and by names
 * given twice. Each is restored beside a sound file, which must come through.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LocalBackend } from '../../src/backend/local.ts'
import type { Id } from '../../src/repo/format/id.ts'
import { compareRawNames } from '../../src/repo/format/raw-name.ts'
import { encodeTree, type Node } from '../../src/repo/format/tree.ts'
import type { Repository } from '../../src/repo/repository.ts'
import { run, type Run } from '../support/programs.ts'
import { hasRestic } from '../support/real-restic.ts'
import { makeWorkFolder } from '../support/repositories.ts'
import { sampleNode, sampleSnapshot } from '../support/sample-data.ts'
import { createTestRepositoryIn } from '../support/test-repository.ts'

const DIRECTORY_MODE = 2 ** 31 + 0o755

let work = ''
let path = ''
let repository: Repository
let evil: Id
let folderWithEvil: Id
let copies = 0

beforeAll(async () => {
  work = makeWorkFolder('hostile')
  path = join(work, 'repository')
  repository = await createTestRepositoryIn(new LocalBackend(path))
  repository.startWriting()
  evil = (await repository.saveBlob('data', Buffer.from('evil'))).id
  folderWithEvil = (await repository.saveBlob('tree', encodeTree([file('evil')]))).id
  await repository.flush()
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

function file(name: string, fields: Partial<Node> = {}): Node {
  return sampleNode({ name, type: 'file', content: [evil], size: 4, links: 1, ...fields })
}

function folder(name: string, subtree: Id = folderWithEvil): Node {
  return sampleNode({ name, type: 'dir', mode: DIRECTORY_MODE, subtree })
}

function symlink(name: string, linkTarget: string, fields: Partial<Node> = {}): Node {
  return sampleNode({ name, type: 'symlink', mode: 0o777, linkTarget, links: 1, ...fields })
}

/** A snapshot with these nodes in this order in a folder, and a sound file beside it. */
async function hostileSnapshot(nodes: readonly Node[]): Promise<Id> {
  // One by one, as an encoder would refuse names that are empty, unordered or given twice.
  const json = nodes.map((node) => {
    const name = node.name === '' ? 'x' : node.name
    const text = Buffer.from(encodeTree([{ ...node, name }])).toString()
    const inner = text.slice('{"nodes":['.length, -']}\n'.length)
    return node.name === '' ? inner.replace('"name":"x"', '"name":""') : inner
  })
  repository.startWriting()
  const tree = (await repository.saveBlob('tree', Buffer.from(`{"nodes":[${json.join(',')}]}\n`))).id
  const root = await repository.saveBlob('tree', encodeTree([folder('hostile', tree), file('sound')]))
  await repository.flush()
  return repository.saveSnapshot(sampleSnapshot(root.id))
}

/** Restores to a folder whose neighbours are watched. */
async function restore(
  id: Id,
  prepare?: (target: string) => void,
  flags: readonly string[] = [],
): Promise<Run & { target: string }> {
  const around = join(work, `around-${copies++}`)
  const target = join(around, 'target')
  mkdirSync(target, { recursive: true })
  writeFileSync(join(around, 'outside'), 'outside')
  mkdirSync(join(around, 'outside-folder'))
  prepare?.(target)
  const result = await run('ours', ['-r', path, 'restore', id, '--target', target, ...flags], {
    cwd: around,
  })
  expect(readdirSync(around).toSorted()).toEqual(['outside', 'outside-folder', 'target'])
  expect(readFileSync(join(around, 'outside'), 'utf8')).toBe('outside')
  expect(lstatSync(join(around, 'outside')).mode & 0o777).toBe(0o644)
  expect(readdirSync(join(around, 'outside-folder'))).toEqual([])
  return { ...result, target }
}

describe('a name', () => {
  const NAMES = ['', '..', '.', '/', 'a/b', '../escaped', '../../escaped', '/escaped', 'a\0b', '..\0']

  it.each<[string, (name: string) => Node]>([
    ['file', (name) => file(name)],
    ['folder', (name) => folder(name)],
    ['symlink', (name) => symlink(name, 'anywhere')],
  ])('that leads a %s elsewhere is refused', async (_kind, node) => {
    const nodes = NAMES.toSorted(compareRawNames).map((name) => node(name))
    const { code, stderr, target } = await restore(await hostileSnapshot(nodes))
    expect(code).toBe(1)
    for (const name of NAMES)
      expect(stderr).toContain(
        `ignoring error for /hostile: refusing to restore an entry with the invalid name ${JSON.stringify(name)}\n`,
      )
    expect(stderr).toContain(`Fatal: There were ${NAMES.length} errors\n`)
    expect(readFileSync(join(target, 'sound'), 'utf8')).toBe('evil')
    expect(readdirSync(join(target, 'hostile'))).toEqual([])
    expect(existsSync('/escaped')).toBe(false)
  })

  it('given twice, as a symlink and as the folder to fill, is refused', async () => {
    const id = await hostileSnapshot([symlink('x', '../../outside-folder'), folder('x')])
    const { code, stderr, target } = await restore(id)
    expect(code).toBe(1)
    expect(stderr).toContain('/hostile: ')
    expect(readdirSync(join(target, 'hostile'))).toEqual([])
    expect(existsSync(join(target, 'sound'))).toBe(true)
  })

  it('with a doubtful one beside it keeps --delete from its folder', async () => {
    const id = await hostileSnapshot([file('../escaped')])
    const target = join(work, 'delete')
    mkdirSync(join(target, 'hostile'), { recursive: true })
    writeFileSync(join(target, 'hostile', 'mine'), '')
    writeFileSync(join(target, 'other'), '')
    expect(await run('ours', ['-r', path, 'restore', id, '--target', target, '--delete'])).toMatchObject({
      code: 1,
    })
    expect(readdirSync(target).toSorted()).toEqual(['hostile', 'sound'])
    expect(readdirSync(join(target, 'hostile'))).toEqual(['mine'])
  })
})

describe('links', () => {
  it('in the snapshot are made, not followed', async () => {
    const id = await hostileSnapshot([
      symlink('a-link', '../../outside-folder'),
      symlink('b-file', '../../outside'),
      folder('c-folder'),
    ])
    // The second time they stand in the way.
    const { target } = await restore(id)
    const again = await run('ours', ['-r', path, 'restore', id, '--target', target])
    expect(again).toMatchObject({ code: 0, stderr: '' })
    expect(readdirSync(join(target, '..', 'outside-folder'))).toEqual([])
  })

  it('of a file and a symlink that claim to be one another do not lead out', async () => {
    const shared = { inode: 7n, links: 2 }
    for (const nodes of [
      [symlink('a', '../../outside', shared), file('b', { ...shared, mode: 0o7777 })],
      [file('a', shared), symlink('b', '../../outside', { ...shared, mode: 0o7777 })],
    ]) {
      const { target } = await restore(await hostileSnapshot(nodes))
      expect(readdirSync(join(target, '..', 'outside-folder'))).toEqual([])
    }
  })

  it.each(['never', 'if-newer'])('to a name where a symlink was left do not lead out (%s)', async (mode) => {
    const shared = { inode: 9n, links: 2 }
    const id = await hostileSnapshot([file('a', shared), file('b', { ...shared, mode: 0o7777 })])
    const plant = (target: string): void => {
      mkdirSync(join(target, 'hostile'))
      symlinkSync('../../outside', join(target, 'hostile', 'a'))
    }
    const { code, stderr, target } = await restore(id, plant, ['--overwrite', mode])
    expect([code, existsSync(join(target, 'hostile', 'b'))]).toEqual([1, false])
    expect(stderr).toContain('where something else stands')
  })

  it('to a name that could not be restored are not made', async () => {
    const shared = { inode: 8n, links: 2 }
    const missing = 'ab'.repeat(32) as Id
    const id = await hostileSnapshot([file('a', { ...shared, content: [missing] }), file('b', shared)])
    const { code, target } = await restore(id)
    expect(code).toBe(1)
    expect(existsSync(join(target, 'hostile', 'b'))).toBe(false)
  })
})

describe('a node', () => {
  it.each([
    ['of an unknown type', { type: 'irregular' as const, mode: 2 ** 19 }],
    ['of no type', { type: '' as const }],
  ])('%s is refused', async (_what, fields) => {
    const { code, target } = await restore(await hostileSnapshot([sampleNode({ name: 'odd', ...fields })]))
    expect(code).toBe(1)
    expect(existsSync(join(target, 'hostile', 'odd'))).toBe(false)
  })

  it('is what its type says, not what its mode says', async () => {
    const device = 0o20000000666 + 2 ** 26 // as a character device
    const id = await hostileSnapshot([sampleNode({ name: 'fifo', type: 'fifo', mode: device, device: 259n })])
    const { target } = await restore(id)
    expect(lstatSync(join(target, 'hostile', 'fifo')).isFIFO()).toBe(true)
  })

  it.each([2 ** 53 - 1, 2 ** 40])('takes no room for a size of %i it does not have', async (size) => {
    const { target } = await restore(await hostileSnapshot([file('huge', { size })]))
    const stats = lstatSync(join(target, 'hostile', 'huge'), { throwIfNoEntry: false })
    expect(stats?.blocks ?? 0).toBeLessThan(100)
    expect(existsSync(join(target, 'sound'))).toBe(true)
  })
})

describe.skipIf(!hasRestic())('real restic', () => {
  it('refuses the same names', async () => {
    const id = await hostileSnapshot([file('../escaped')])
    const target = join(work, 'by-restic')
    expect(await run('0.19.1', ['-r', path, 'restore', id, '--target', target])).toMatchObject({ code: 1 })
    expect(readdirSync(target).toSorted()).toEqual(['hostile', 'sound'])
  })
})
