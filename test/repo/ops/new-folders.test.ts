/** New folders that threads save must come to what the walk alone makes of them, whatever is in them. */
import {
  chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync,
} from 'node:fs' // prettier-ignore
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { backupToAll, type BackupOptions } from '../../../src/repo/ops/backup.ts'
import { check } from '../../../src/repo/ops/check.ts'
import { loadLibc } from '../../../src/repo/ops/libc.ts'
import { SMALL_FILE_BYTES } from '../../../src/repo/ops/save-files-task.ts'
import { SLICE_ENTRIES } from '../../../src/repo/ops/save-folders-task.ts'
import { TASKS } from '../../../src/repo/ops/threads.ts'
import type { Repository } from '../../../src/repo/repository.ts'
import { canMount, mountSmallDisk } from '../../faults/small-disk.ts'
import { expectAsWalked, observe, pretendThreads, type Outcome } from '../../support/beside-walk.ts'
import { randomBytes } from '../../support/many-files.ts'
import { propertyRuns } from '../../support/real-restic.ts'
import { createTestRepository } from '../../support/test-repository.ts'
import { isRoot } from '../../support/users.ts'

let folder: string
let before: string
let repository: Repository

beforeEach(async () => {
  before = process.cwd()
  folder = mkdtempSync(join(tmpdir(), 'restic-ts-new-'))
  mkdirSync(at('new'))
  ;({ repository } = await createTestRepository())
  process.chdir(folder)
  pretendThreads()
})

afterEach(() => {
  process.chdir(before)
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true, force: true })
})

function at(path: string): string {
  return join(folder, path)
}

function write(path: string, content: string | Uint8Array = path): void {
  mkdirSync(dirname(at(path)), { recursive: true })
  writeFileSync(at(path), content)
}

function expectSame(options: BackupOptions = {}): Promise<Outcome> {
  return expectAsWalked(repository, { paths: ['new'], ...options })
}

function bytesPath(name: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(at('new/')), name])
}

interface Kind {
  readonly make: () => void
  /** What threads save, and what they leave to the walk. */
  readonly files: number
  readonly left?: readonly string[]
}

const KINDS: Readonly<Record<string, Kind>> = {
  nothing: { files: 0, make: () => undefined },
  files: {
    files: 12,
    make: () => {
      for (let i = 0; i < 12; i++) write(`new/${i}`, 'x'.repeat(i * i))
    },
  },
  'files of the same content': {
    files: 3,
    make: () => {
      for (let i = 0; i < 3; i++) write(`new/${i}`, 'same')
    },
  },
  'a file of as many bytes as threads read whole, and one more': {
    files: 1,
    left: ['larger'],
    make: () => {
      write('new/as-large', randomBytes(1, SMALL_FILE_BYTES))
      write('new/larger', randomBytes(2, SMALL_FILE_BYTES + 1))
    },
  },
  'large files, before, between and after small ones': {
    files: 2,
    left: ['a', 'c', 'e'],
    make: () => {
      for (const [i, name] of ['a', 'c', 'e'].entries()) write(`new/${name}`, randomBytes(i, 1_800_000))
      write('new/b')
      write('new/d')
    },
  },
  'folders, before, between and after files': {
    files: 4,
    left: ['a', 'c', 'e', 'empty'],
    make: () => {
      for (const name of ['a', 'c', 'e']) write(`new/${name}/inside`)
      write('new/b')
      mkdirSync(at('new/empty'))
    },
  },
  'links, also to nowhere and by no text': {
    files: 1,
    make: () => {
      write('new/b')
      symlinkSync('b', at('new/a'))
      symlinkSync('nowhere', at('new/c'))
      symlinkSync(Buffer.from([0x78, 0xff]), at('new/d'))
    },
  },
  'hard links': {
    files: 2,
    make: () => {
      write('new/a')
      linkSync(at('new/a'), at('new/b'))
    },
  },
  'sockets, which nobody saves, and fifos': {
    files: 1,
    make: () => {
      write('new/b')
      loadLibc()!.makeNode(at('new/a'), 0o140644, 0n)
      loadLibc()!.makeNode(at('new/c'), 0o010644, 0n)
    },
  },
  'extended attributes': {
    files: 1,
    left: ['b'],
    make: () => {
      write('new/a')
      mkdirSync(at('new/b'))
      for (const path of ['new', 'new/a', 'new/b']) {
        loadLibc()!.setXattr(at(path), 'user.b', Buffer.from(path))
        loadLibc()!.setXattr(at(path), 'user.a', new Uint8Array(3000))
      }
    },
  },
  'modes and times of all kinds': {
    files: 3,
    left: ['folder'],
    make: () => {
      for (const name of ['a', 'b', 'c', 'folder/in']) write(`new/${name}`)
      rmSync(at('new/folder/in'))
      chmodSync(at('new/a'), 0o4711)
      chmodSync(at('new/folder'), 0o1777)
      utimesSync(at('new/b'), -5.5, -1.25)
      utimesSync(at('new/c'), 1, 8e9)
      utimesSync(at('new/folder'), 7, 0)
    },
  },
  'names by the order of their bytes': {
    files: 9,
    left: ['a-b', 'a.b', '\udcff'],
    make: () => {
      for (const name of ['a', 'a b', 'A', 'a\n"\\', "'", '\u{1f600}', '\uffff', '\ufffd', 'é'])
        write(`new/${name}`)
      for (const name of ['a-b', 'a.b']) mkdirSync(at(`new/${name}`))
      mkdirSync(bytesPath(Uint8Array.of(0xff)))
      symlinkSync('x', bytesPath(Uint8Array.of(0x61, 0x80)))
    },
  },
  'a file whose name is no text': {
    files: 2,
    make: () => {
      writeFileSync(bytesPath(Uint8Array.of(0xc3, 0x28)), 'content')
      write('new/file')
    },
  },
  'thousands of entries of all kinds, in turn': {
    files: 1500,
    left: Array.from({ length: 250 }, (_, i) => `${1000 + 8 * i + 6}`),
    make: () => {
      for (let i = 0; i < 2000; i++) {
        const name = `new/${1000 + i}`
        if (i % 8 === 6) mkdirSync(at(name))
        else if (i % 8 === 7) symlinkSync(name, at(name))
        else write(name)
      }
    },
  },
  'more bytes than threads save at once': {
    files: 30,
    left: ['14'],
    make: () => {
      for (let i = 0; i < 30; i++) write(`new/${10 + i}${i === 4 ? '/in' : ''}`, randomBytes(i, 400_000))
    },
  },
}

describe('a new folder comes to the same with', () => {
  it.each(Object.entries(KINDS))('%s', async (_what, { make, files, left = [] }) => {
    make()
    const outcome = await expectSame()
    expect(outcome.savedFiles).toBe(files)
    expect(outcome.left.filter((name) => name !== 'in')).toEqual(left.toSorted())
    expect(outcome.errors).toEqual([])
    expect(await check(repository, { readData: true })).toMatchObject({ errorCount: 0 })
    // Afterwards nothing is new, and the walk alone says so.
    expect((await observe(repository, { paths: ['new'] })).result.statistics).toMatchObject({
      filesNew: 0,
      dirsNew: 0,
      treeBlobs: 0,
      dataBlobs: 0,
    })
  })

  it.skipIf(!isRoot)('devices', async () => {
    loadLibc()!.makeNode(at('new/null'), 0o020600, 0x103n)
    loadLibc()!.makeNode(at('new/loop'), 0o060600, 0x700n)
    expect((await expectSame()).left).toEqual([])
  })

  it('no folder of that name before, or something else', async () => {
    for (const name of ['before', 'was-a-file', 'was-a-link']) write(`new/${name}/in`)
    rmSync(at('new/was-a-file'), { recursive: true })
    rmSync(at('new/was-a-link'), { recursive: true })
    write('new/was-a-file')
    symlinkSync('x', at('new/was-a-link'))
    await expectSame()
    rmSync(at('new/was-a-file'))
    rmSync(at('new/was-a-link'))
    for (const name of ['before', 'was-a-file', 'was-a-link', 'fresh']) write(`new/${name}/more`, name)
    const outcome = await expectSame()
    expect(outcome.savedFiles).toBe(3)
    expect(outcome.result.statistics).toMatchObject({ filesNew: 4, dirsNew: 1, dirsChanged: 4 })
  })
})

describe('what is left out is left out of new folders:', () => {
  const rules: Readonly<Record<string, BackupOptions>> = {
    'a folder': { excludes: ['/**/some'] },
    'some files everywhere': { excludes: ['file-?', '!file-2'] },
    'files by case': { insensitiveExcludes: ['FILE-*'] },
    'large files': { excludeLargerThanBytes: 15 },
    'folders that are marked': { excludeIfPresent: ['mark'] },
    'folders that are marked by what is in a file': { excludeIfPresent: ['mark:some', 'file-1:nothing'] },
    caches: { excludeCaches: true },
    'all of it': { excludes: ['*'] },
  }

  beforeEach(() => {
    for (const path of ['new', 'new/some', 'new/some/more', 'new/cache', 'new/other'])
      for (let i = 0; i < 4; i++) write(`${path}/file-${i}`)
    for (const path of ['new/some/mark', 'new/other/mark']) write(path, path.slice(4))
    write('new/cache/CACHEDIR.TAG', 'Signature: 8a477f597d28d172789f06886806bc55\n')
  })

  it.each(Object.entries(rules))('%s', async (_what, rule) => {
    const all = await observe(repository, { paths: ['new'], dryRun: true })
    const { result, errors } = await expectSame(rule)
    expect(result.tree).not.toBe(all.result.tree)
    expect(errors).toEqual([])
  })

  it.each([
    ['by threads', { noScan: true }],
    ['by the scan as well', { noScan: false }],
    ['by what is left out itself', { noScan: true, excludeLargerThanBytes: 5 }],
  ])('and said once where a mark cannot be told, %s', async (_who, options) => {
    const notices: string[] = []
    ;({ repository } = await createTestRepository({ onNotice: ({ message }) => notices.push(message) }))
    await observe(repository, { paths: ['new'], excludeIfPresent: ['mark:something else'], ...options })
    const marks = [at('new/other/mark'), at('new/some/mark')]
    expect(notices.toSorted()).toEqual(
      marks.map((mark) => `invalid signature in exclusion tagfile "${mark}"`),
    )
  })

  it.skipIf(!canMount())('other file systems', async () => {
    write('new/some/on-top')
    const disk = mountSmallDisk(at('new/some/disk'), 100)
    try {
      write('new/some/disk/beyond')
      const { result } = await expectSame({ oneFileSystem: true })
      expect((await expectSame()).result.tree).not.toBe(result.tree)
    } finally {
      disk.unmount()
    }
  })
})

describe('threads save new folders', () => {
  beforeEach(() => {
    for (let i = 0; i < 20; i++) write(`new/folder-${i % 3}/file-${i}`)
  })

  it('with access times', async () => {
    // Later than all other times, so that the system leaves them alone.
    const soon = Date.now() / 1000 + 3600
    for (let i = 0; i < 20; i++) utimesSync(at(`new/folder-${i % 3}/file-${i}`), soon + i, 1)
    for (const path of ['new', 'new/folder-0', 'new/folder-1', 'new/folder-2']) utimesSync(at(path), soon, 1)
    const { result } = await expectSame({ withAtime: true })
    expect((await expectSame()).result.tree).not.toBe(result.tree)
  })

  it('for several repositories at once, of which one has some of it', async () => {
    const { repository: other } = await createTestRepository()
    await backupToAll([other], { paths: ['new/folder-1'], hostname: 'host' })
    const walked = await observe(repository, { paths: ['new'], dryRun: true })
    const made = await backupToAll([repository, other], { paths: ['new'], hostname: 'host' })
    expect(made.map(({ result }) => result?.tree)).toEqual([walked.result.tree, walked.result.tree])
    expect(made.map(({ result }) => result?.statistics.dataBlobs)).toEqual([20, 13])
    for (const each of [repository, other])
      expect(await check(each, { readData: true })).toMatchObject({ errorCount: 0 })
  })

  it('given by paths above, beside and relative', async () => {
    const { savedFiles } = await expectSame({ paths: ['new/folder-1', './new/../new/folder-0/.', 'new'] })
    expect(savedFiles).toBeGreaterThanOrEqual(20)
  })

  it('but not where items are to be told of', async () => {
    const items: string[] = []
    const { savedFiles } = await observe(repository, {
      paths: ['new'],
      onItem: ({ path }) => items.push(path),
    })
    expect([savedFiles, items.length]).toEqual([0, 24])
  })

  it('but not where there are none', async () => {
    vi.restoreAllMocks()
    expect((await observe(repository, { paths: ['new'] })).savedFiles).toBe(0)
  })
})

/** What a folder at random has in it, by name. */
type Entry = {
  readonly kind: string
  readonly size: number
  readonly inside: Readonly<Record<string, Entry>>
}

const names = fc.oneof(
  fc.constantFrom('a', 'a-', 'a.', 'b', 'é', '\uffff', '\u{10000}', '"', '\n'),
  fc
    .string({ minLength: 1, maxLength: 4, unit: fc.constantFrom('a', 'A', '-', '.', ' ', '~', 'é') })
    .filter((name) => !/^\.+$/.test(name)),
)

const { entries } = fc.letrec<{ entry: Entry; entries: Record<string, Entry> }>((tie) => ({
  entries: fc.dictionary(names, tie('entry'), { maxKeys: 12, noNullPrototype: true }),
  entry: fc.record({
    kind: fc.constantFrom('file', 'file', 'large', 'link', 'fifo', 'folder', 'folder'),
    size: fc.nat({ max: 40 }),
    inside: fc.oneof({ depthSize: 'small' }, fc.constant({}), tie('entries')),
  }),
}))

function makeEntries(path: string, inside: Readonly<Record<string, Entry>>): void {
  mkdirSync(path)
  for (const [name, { kind, size, inside: below }] of Object.entries(inside)) {
    const entry = join(path, name)
    if (kind === 'folder') makeEntries(entry, below)
    else if (kind === 'link') symlinkSync('a'.repeat(size + 1), entry)
    else if (kind === 'fifo') loadLibc()!.makeNode(entry, 0o010644, 0n)
    else writeFileSync(entry, 'x'.repeat(size))
    if (kind === 'large') truncateSync(entry, SMALL_FILE_BYTES + size)
  }
}

it('any folder comes to the same, with any part of it in the parent snapshot', async () => {
  let run = 0
  let saved = 0
  const property = fc.asyncProperty(entries, entries, async (first, then) => {
    const path = `new/${run++}`
    makeEntries(at(path), first)
    await expectSame({ paths: [path] })
    makeEntries(at(`${path}/${'z'.repeat(9)}`), then)
    const { result, savedFiles } = await expectSame({ paths: [path] })
    saved += savedFiles
    const walked = await observe(repository, { paths: [path], force: true, onItem: () => undefined })
    expect([walked.result.tree, walked.savedFiles]).toEqual([result.tree, 0])
  })
  await fc.assert(property, propertyRuns(15, 300))
  expect(saved).toBeGreaterThan(0)
  expect(await check(repository, { readData: true })).toMatchObject({ errorCount: 0 })
})

describe('a folder of many more entries than a thread is asked for', () => {
  beforeEach(() => {
    for (let i = 0; i < 3 * SLICE_ENTRIES + 1; i++) write(`new/${i}`, `${i}`)
  })

  it('is shared by them', async () => {
    expect((await expectSame()).savedFiles).toBe(3 * SLICE_ENTRIES + 1)
  })

  it('is left to the walk where one of them does nothing', async () => {
    const { saveFolders } = TASKS
    vi.spyOn(TASKS, 'saveFolders').mockImplementation((context, slices) =>
      slices.flatMap((slice) =>
        slice.entries?.names.includes('700') === true ? [undefined] : saveFolders(context, [slice]),
      ),
    )
    expect((await expectSame()).result.statistics.filesNew).toBe(3 * SLICE_ENTRIES + 1)
  })
})
