/**
 * Sources at the edge of what a disk can hold, and everything that chooses what of them is saved: the tree that real
 * restic saves, with the same exit code.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { LocalBackend } from '../../../src/backend/local.ts'
import { Repository } from '../../../src/repo/repository.ts'
import { loadSnapshots } from '../../../src/repo/ops/snapshots.ts'
import { transcript } from '../../cli/transcript.ts'
import { canMount, mountSmallDisk, type SmallDisk } from '../../faults/small-disk.ts'
import { makeManyFiles } from '../../support/many-files.ts'
import { hasRestic, runRestic } from '../../support/real-restic.ts'
import { copyRepository, makeRepository, makeWorkFolder } from '../../support/repositories.ts'
import { TEST_PASSWORD } from '../../support/test-repository.ts'

vi.mock(import('node:timers/promises'), async (load) => ({
  ...(await load()),
  setTimeout: (() => Promise.resolve()) as never,
}))

const home = process.cwd()
let work = ''
let empty = ''
let copies = 0

beforeAll(async () => {
  work = makeWorkFolder('extremes')
  empty = await makeRepository(join(work, 'empty'))
  process.chdir(work)
})

afterAll(() => {
  process.chdir(home)
  // Node's own rm cannot name what is that far down.
  execFileSync('rm', ['-rf', work])
})

interface Saved {
  readonly code: number | null
  readonly tree: string | undefined
  readonly errors: number
}

async function save(program: 'ours' | 'restic', args: readonly string[]): Promise<Saved> {
  const path = copyRepository(empty, join(work, `copy-${copies++}`))
  // In the zone of this process, as restic here.
  const { TZ = '' } = process.env // oxlint-disable-line node/no-process-env
  const words = ['-r', path, 'backup', ...args]
  const { code, stderr } = program === 'ours' ? await transcript(words, { env: { TZ } }) : runRestic(words)
  const repository = await Repository.open(new LocalBackend(path), { password: TEST_PASSWORD })
  const snapshots = await loadSnapshots(repository)
  rmSync(path, { recursive: true })
  const errors = stderr.split('\n').filter((line) => line.startsWith('error: ')).length
  return { code, tree: snapshots[0]?.snapshot.tree, errors }
}

/** What both save, which must be the same. */
async function saved(...args: readonly string[]): Promise<Saved> {
  const ours = await save('ours', args)
  expect(ours).toEqual(await save('restic', args))
  return ours
}

describe.skipIf(!hasRestic())('as restic', () => {
  it('saves what is 300 folders deep', async () => {
    const deepest = join(work, 'deep', ...Array.from({ length: 300 }, (_, i) => `level${i}`))
    mkdirSync(deepest, { recursive: true })
    writeFileSync(join(deepest, 'bottom'), 'bottom')
    expect(await saved('deep')).toMatchObject({ code: 0, errors: 0 })
  })

  it('saves names as long as can be', async () => {
    mkdirSync(join(work, 'long', 'd'.repeat(255)), { recursive: true })
    for (const name of ['n'.repeat(255), 'ü'.repeat(127), '\u{1f600}'.repeat(63)])
      writeFileSync(join(work, 'long', 'd'.repeat(255), name), name)
    symlinkSync('t'.repeat(4095), join(work, 'long', 'link'))
    expect(await saved('long')).toMatchObject({ code: 0, errors: 0 })
  })

  it('leaves out, with 3, what is too far down to be named in one call', async () => {
    const name = 'x'.repeat(250)
    const script = `import os\nos.mkdir('far'); os.chdir('far')\nfor i in range(20):\n    open('file','w').close(); os.mkdir('${name}'); os.chdir('${name}')`
    execFileSync('python3', ['-c', script], { cwd: work })
    expect(await saved('far')).toMatchObject({ code: 3, errors: 1 })
  })

  it('saves files with holes', async () => {
    mkdirSync(join(work, 'holes'))
    for (const [name, size] of [
      ['empty', 0],
      ['small', 5000],
      ['large', 20_000_000],
    ] as const) {
      writeFileSync(join(work, 'holes', name), '')
      truncateSync(join(work, 'holes', name), size)
    }
    expect(await saved('holes')).toMatchObject({ code: 0 })
  })

  it('tells nothing of sockets', async () => {
    mkdirSync(join(work, 'sockets'))
    execFileSync('python3', ['-c', `import socket; socket.socket(socket.AF_UNIX).bind('sockets/s')`], {
      cwd: work,
    })
    writeFileSync(join(work, 'sockets', 'file'), '')
    expect(await saved('sockets')).toMatchObject({ code: 0, errors: 0 })
  })

  it('saves a symlink that is named, not what it leads to', async () => {
    mkdirSync(join(work, 'behind'))
    writeFileSync(join(work, 'behind', 'file'), '')
    symlinkSync('behind', join(work, 'named'))
    expect(await saved('named')).toMatchObject({ code: 0 })
    expect(await saved('named/file')).toMatchObject({ code: 0 })
    expect(await saved('named/')).toMatchObject({ code: 0 })
  })
})

describe.skipIf(!hasRestic() || !canMount())('as restic, with --one-file-system', () => {
  const disks: SmallDisk[] = []

  beforeAll(() => {
    mkdirSync(join(work, 'one', 'inner', 'mounted'), { recursive: true })
    writeFileSync(join(work, 'one', 'file'), '')
    for (const name of ['mounted', join('inner', 'mounted')]) {
      const disk = mountSmallDisk(join(work, 'one', name), 1000)
      disks.push(disk)
      mkdirSync(join(disk.path, 'below'))
      for (const file of ['file', 'below/file']) writeFileSync(join(disk.path, file), '')
      utimesSync(disk.path, 1000, 1000)
    }
    execFileSync('mount', ['--bind', join(work, 'one', 'file'), join(work, 'one', 'file')])
  })

  afterAll(() => {
    execFileSync('umount', [join(work, 'one', 'file')])
    for (const disk of disks) disk.unmount()
  })

  it.each([
    'one',
    'one one/mounted',
    'one/mounted',
    'one/inner one/inner/mounted/below',
    'one/file one/inner',
  ])('saves of %s what is on the same disk', async (args) => {
    const targets = args.split(' ')
    const limited = await saved('--one-file-system', ...targets)
    expect(limited).toMatchObject({ code: 0, errors: 0 })
    if (!targets.some((target) => target.includes('mounted')))
      expect(limited.tree).not.toBe((await save('ours', targets)).tree)
  })
})

describe.skipIf(!hasRestic())('as restic, told what to leave out', () => {
  const TAG = 'Signature: 8a477f597d28d172789f06886806bc55'

  beforeAll(() => {
    const folders: Record<string, string> = {
      cache: `${TAG}\nmore`,
      'cache-exact': TAG,
      'cache-short': TAG.slice(0, -1),
      'cache-other': 'Signature: 0',
      'no-cache': '',
    }
    for (const [name, content] of Object.entries(folders)) {
      mkdirSync(join(work, 'caches', name, 'sub'), { recursive: true })
      writeFileSync(join(work, 'caches', name, 'CACHEDIR.TAG'), content)
      writeFileSync(join(work, 'caches', name, 'sub', 'file'), '')
    }
    mkdirSync(join(work, 'caches', 'folder', 'CACHEDIR.TAG'), { recursive: true })
    mkdirSync(join(work, 'caches', 'link'))
    symlinkSync('../cache/CACHEDIR.TAG', join(work, 'caches', 'link', 'CACHEDIR.TAG'))
    for (const size of [0, 1023, 1024, 1025, 2_000_000]) {
      mkdirSync(join(work, 'sizes'), { recursive: true })
      writeFileSync(join(work, 'sizes', String(size)), '')
      truncateSync(join(work, 'sizes', String(size)), size)
    }
    symlinkSync('x'.repeat(2000), join(work, 'sizes', 'long-link'))
  })

  it.each([
    '--exclude-caches caches',
    '--exclude-caches caches/cache',
    '--exclude-if-present CACHEDIR.TAG caches',
    '--exclude-if-present CACHEDIR.TAG:Signature caches',
    '--exclude-if-present nothing:here caches',
    '--exclude-larger-than 1k sizes',
    '--exclude-larger-than 1023 sizes',
    '--exclude-larger-than 0 sizes',
    '--exclude-larger-than 1M sizes',
    '--exclude sub --exclude-caches caches sizes',
  ])('saves the same with %s', async (args) => {
    expect(await saved(...args.split(' '))).toMatchObject({ code: 0 })
  })
})

describe.skipIf(!hasRestic())('as restic, told what to save by a file', () => {
  beforeAll(() => {
    makeManyFiles(join(work, 'many'), { files: 30, seed: 5 })
    for (const name of [
      'with space',
      ' leading',
      'trailing ',
      '#hash',
      '*star*',
      'new\nline',
      '$HOME',
      '\\back',
    ])
      writeFileSync(join(work, 'many', name), name)
  })

  it.each([
    ['--files-from', 'many/area-0\n\n# comment\n  many/area-1  \nmany/area-[23]/*\n'],
    ['--files-from', 'many/*\r\n'],
    ['--files-from', 'many/with space\nmany/#hash\nmany/\\*star\\*\nmany/$HOME\n'],
    ['--files-from', 'nothing/*\nmany/area-0\n'],
    ['--files-from', 'many/area-0\nmany/area-0/\n./many/area-0\n'],
    [
      '--files-from-verbatim',
      'many/area-0\nmany/with space\nmany/#hash\nmany/*star*\nmany/ leading\nmany/trailing \n',
    ],
    ['--files-from-verbatim', 'many/area-0\n\nmany/missing\n'],
    ['--files-from-raw', 'many/new\nline\0many/area-0\0'],
    ['--files-from-raw', 'many/area-0\0many/\\back\0'],
    // All refused.
    ['--files-from-raw', 'many/area-0'],
    ['--files-from-raw', 'many/area-0\0\0'],
    ['--files-from', ''],
    ['--files-from', '[\n'],
    ['--files-from-verbatim', '\n'],
  ])('%s: %j', async (flag, list) => {
    writeFileSync(join(work, 'list'), list)
    const { code, tree } = await saved(flag, 'list')
    expect(code === 1).toBe(tree === undefined)
  })

  it('and by arguments and several files as well', async () => {
    writeFileSync(join(work, 'list-1'), 'many/area-1\n')
    writeFileSync(join(work, 'list-2'), 'many/area-2\0')
    expect(await saved('--files-from', 'list-1', '--files-from-raw', 'list-2', 'many/area-3')).toMatchObject({
      code: 0,
    })
  })
})

describe.skipIf(!hasRestic() || process.getuid?.() !== 0)('as restic, by access times and rights', () => {
  it('saves access times on request', async () => {
    mkdirSync(join(work, 'times'))
    writeFileSync(join(work, 'times', 'file'), 'x')
    utimesSync(join(work, 'times', 'file'), 1_234_567, 7_654_321)
    const without = await saved('times')
    expect((await saved('--with-atime', 'times')).tree).not.toBe(without.tree)
  })

  it('saves modes and owners of all kinds', async () => {
    mkdirSync(join(work, 'modes'))
    for (const mode of [0, 0o7777, 0o4711, 0o2750, 0o1777, 0o444]) {
      writeFileSync(join(work, 'modes', mode.toString(8)), '')
      chmodSync(join(work, 'modes', mode.toString(8)), mode)
      execFileSync('chown', [`${mode}:${mode * 7}`, join(work, 'modes', mode.toString(8))])
    }
    expect(await saved('modes')).toMatchObject({ code: 0, errors: 0 })
  })
})
