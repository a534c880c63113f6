/** New folders that threads save while things go wrong: the source changes, cannot be read, stores fail, trees are huge. */
import { execFileSync } from 'node:child_process'
import {
  appendFileSync, chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync,
} from 'node:fs' // prettier-ignore
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { MemoryBackend } from '../../../src/backend/memory.ts'
import { AbortedError, BackendError, CorruptDataError, WorkerError } from '../../../src/errors.ts'
import type { Id } from '../../../src/repo/format/id.ts'
import { backup, backupToAll, type BackupOptions } from '../../../src/repo/ops/backup.ts'
import { check } from '../../../src/repo/ops/check.ts'
import { ContentSaver } from '../../../src/repo/ops/content-saver.ts'
import { FolderEntries, FolderReader } from '../../../src/repo/ops/folder-reader.ts'
import { loadLibc, SystemCallError } from '../../../src/repo/ops/libc.ts'
import { NewFolders } from '../../../src/repo/ops/new-folders.ts'
import { Pacer } from '../../../src/repo/ops/operation.ts'
import { SMALL_FILE_BYTES } from '../../../src/repo/ops/save-files-task.ts'
import { TASKS } from '../../../src/repo/ops/threads.ts'
import { ThreadContext } from '../../../src/repo/thread-context.ts'
import type { Repository } from '../../../src/repo/repository.ts'
import { expectAsWalked, observe, pretendThreads } from '../../support/beside-walk.ts'
import { FaultyBackend } from '../../support/faulty-backend.ts'
import { makeManyFiles, randomBytes } from '../../support/many-files.ts'
import { must } from '../../support/programs.ts'
import { listSnapshots, makeRepository } from '../../support/repositories.ts'
import { createTestRepository, createTestRepositoryIn } from '../../support/test-repository.ts'
import { asNobody, isRoot } from '../../support/users.ts'

const PATHS = { paths: ['new'], hostname: 'host' }

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
  // Deeper than Node's own would go.
  execFileSync('rm', ['-rf', folder])
})

function at(path: string): string {
  return join(folder, path)
}

/** Names and tree of the folder `new`, which has metadata of before and after whatever happened. */
async function contentOf(root: Id): Promise<{ names: string[]; tree: Id | null }> {
  const [node] = await repository.loadTree(root)
  const tree = node!.subtree
  return { tree, names: (await repository.loadTree(tree!)).map(({ name }) => name) }
}

interface Change {
  /** What `x` is at first. */
  readonly kind: 'file' | 'folder'
  readonly change: () => void
  /** Whether `x` is saved, as what it is then. */
  readonly isSaved: boolean
  readonly error?: string
}

const remove = (): void => rmSync(at('new/x'), { recursive: true })
const CHANGES: Readonly<Record<string, Change>> = {
  'a file that goes': { kind: 'file', isSaved: false, change: remove },
  'a file that is written again': {
    kind: 'file',
    isSaved: true,
    change: () => writeFileSync(at('new/x'), 'again'),
  },
  'a file that grows': { kind: 'file', isSaved: true, change: () => appendFileSync(at('new/x'), 'more') },
  'a file that becomes large': {
    kind: 'file',
    isSaved: true,
    change: () => truncateSync(at('new/x'), SMALL_FILE_BYTES * 3),
  },
  'a file that is another one': {
    kind: 'file',
    isSaved: true,
    change: () => {
      writeFileSync(at('other'), 'other')
      renameSync(at('other'), at('new/x'))
    },
  },
  'a file that becomes a folder': {
    kind: 'file',
    isSaved: true,
    change: () => {
      remove()
      mkdirSync(at('new/x'))
      writeFileSync(at('new/x/in'), 'in')
    },
  },
  'a file that becomes a link': {
    kind: 'file',
    isSaved: true,
    change: () => {
      remove()
      symlinkSync('a', at('new/x'))
    },
  },
  'a file that becomes a fifo': {
    kind: 'file',
    isSaved: true,
    change: () => {
      remove()
      loadLibc()!.makeNode(at('new/x'), 0o010644, 0n)
    },
  },
}

const FOLDER_CHANGES: Readonly<Record<string, Change>> = {
  'a folder that goes': { kind: 'folder', isSaved: false, change: remove },
  'a folder that becomes a file': {
    kind: 'folder',
    isSaved: false,
    error: 'ENOTDIR',
    change: () => {
      remove()
      writeFileSync(at('new/x'), 'file')
    },
  },
  'a folder that becomes a link to another': {
    kind: 'folder',
    isSaved: false,
    error: 'directory "new/x" changed type, refusing to archive',
    change: () => {
      remove()
      mkdirSync(at('elsewhere'))
      writeFileSync(at('elsewhere/secret'), 'secret')
      symlinkSync(at('elsewhere'), at('new/x'))
    },
  },
}

type Moment = 'listing' | 'listed' | 'opening'

/** Changes the source right before a folder is listed, after it was, or before a file in it is opened that was looked at. */
function changeAt(moment: Moment, { path, change }: { path: string; change: () => void }): void {
  let isDone = false
  const changeOnce = (isNow: boolean): void => {
    if (!isNow || isDone) return
    isDone = true
    change()
  }
  // oxlint-disable typescript/unbound-method -- each is called with the `this` it was called with
  const { with: open } = FolderReader.prototype
  const { select, withFile, withListed } = FolderEntries.prototype
  // oxlint-enable typescript/unbound-method
  const opened = new WeakMap<FolderEntries, string>()
  vi.spyOn(FolderReader.prototype, 'with').mockImplementation(function (this: FolderReader, source, work) {
    changeOnce(moment === 'listing' && source.path === path)
    return open.call(this, source, (entries) => {
      opened.set(entries, source.path)
      return work(entries)
    }) as never
  })
  vi.spyOn(FolderEntries.prototype, 'select').mockImplementation(function (this: FolderEntries, name) {
    // What is looked at first was listed.
    changeOnce(moment === 'listed' && opened.get(this) === path)
    return select.call(this, name)
  })
  vi.spyOn(FolderEntries.prototype, 'withListed').mockImplementation(function (
    this: FolderEntries,
    name,
    work,
  ) {
    const source = opened.get(this)
    changeOnce(moment === 'listed' && source === path)
    changeOnce(moment === 'opening' && `${source}/${name}` === path)
    return withListed.call(this, name, work) as never
  })
  vi.spyOn(FolderEntries.prototype, 'withFile').mockImplementation(function (
    this: FolderEntries,
    name,
    seen,
    work,
  ) {
    changeOnce(moment === 'opening' && `${opened.get(this)}/${name}` === path)
    return withFile.call(this, name, seen, work) as never
  })
}

async function expectAfter(
  { kind, change, isSaved, error }: Change,
  start: (change: () => void) => void,
): Promise<void> {
  for (const name of ['a', 'z']) writeFileSync(at(`new/${name}`), name)
  if (kind === 'file') writeFileSync(at('new/x'), 'x')
  else mkdirSync(at('new/x'))
  let count = 0
  start(() => {
    count += 1
    change()
  })
  const { result, errors } = await observe(repository, PATHS)
  expect(count).toBe(1)
  expect(errors).toEqual(error === undefined ? [] : [expect.stringContaining(error)])
  const content = await contentOf(result.tree)
  expect(content.names).toEqual(isSaved ? ['a', 'x', 'z'] : ['a', 'z'])
  expect(await check(repository, { readData: true })).toMatchObject({ errorCount: 0 })
  if (error !== undefined) return
  const walked = await observe(repository, { ...PATHS, force: true, onItem: () => undefined })
  expect(content.tree).toBe((await contentOf(walked.result.tree)).tree)
}

describe('is saved as it is then, or not at all:', () => {
  it.each(Object.entries(CHANGES))('%s after it was listed', async (_what, change) => {
    await expectAfter(change, (then) => changeAt('listed', { path: 'new', change: then }))
  })

  it.each(Object.entries(CHANGES))('%s before it is opened', async (_what, change) => {
    await expectAfter(change, (then) => changeAt('opening', { path: 'new/x', change: then }))
  })

  it.each(Object.entries(FOLDER_CHANGES))('%s before it is listed', async (_what, change) => {
    await expectAfter(change, (then) => changeAt('listing', { path: 'new/x', change: then }))
  })

  it('a target that goes, while others are looked at', async () => {
    for (const name of ['new/in', 'other']) mkdirSync(at(name))
    const prepare = TASKS.prepareFolders
    vi.spyOn(TASKS, 'prepareFolders').mockImplementation((context, rules) => {
      rmSync(at('other'), { recursive: true, force: true })
      prepare(context, rules)
    })
    const { result, errors } = await observe(repository, { paths: ['new', 'other'], oneFileSystem: true })
    expect(errors).toEqual([])
    expect((await contentOf(result.tree)).names).toEqual(['in'])
  })
})

describe.skipIf(!isRoot)('what cannot be read is told once, and the rest is saved:', () => {
  const troubles: Readonly<Record<string, { make: () => void; errors: number }>> = {
    files: {
      errors: 20,
      make: () => {
        for (let i = 0; i < 20; i++) chmodSync(at(`new/${i}`), 0)
      },
    },
    'a folder': { errors: 1, make: () => chmodSync(at('new/folder'), 0) },
    'a folder whose entries can be listed, and no more': {
      errors: 3,
      make: () => chmodSync(at('new/folder'), 0o744),
    },
  }

  it.each(Object.entries(troubles))('%s', async (_what, { make, errors }) => {
    mkdirSync(at('new/folder'))
    for (let i = 0; i < 40; i++) writeFileSync(at(`new/${i}`), `${i}`)
    for (let i = 0; i < 3; i++) writeFileSync(at(`new/folder/${i}`), `${i}`)
    make()
    const outcome = await asNobody(() => expectAsWalked(repository, PATHS), folder)
    expect(outcome.errors).toHaveLength(errors)
    expect(new Set(outcome.errors).size).toBe(errors)
    expect(outcome.result.errorCount).toBe(errors)
    for (const error of outcome.errors) expect(error).toContain('EACCES')
  })
})

it('attributes that cannot be read are told of once, and the rest is saved', async () => {
  for (const name of ['a', 'b', 'c']) writeFileSync(at(`new/${name}`), name)
  mkdirSync(at('new/d'))
  const libc = loadLibc()!
  for (const name of ['b', 'd']) libc.setXattr(at(`new/${name}`), 'user.x', Buffer.from('x'))
  vi.spyOn(libc, 'getXattr').mockImplementation((entry) => {
    throw new SystemCallError('lgetxattr', String(entry), { code: 'EIO', errno: 5 })
  })
  const { errors, left, savedFiles, result } = await expectAsWalked(repository, PATHS)
  expect(errors).toEqual(
    ['b', 'd'].map((name) => `${at(`new/${name}`)}: EIO: lgetxattr '${join('new', name)}'`),
  )
  expect([left, savedFiles]).toEqual([['b', 'd'], 2])
  expect((await contentOf(result.tree)).names).toEqual(['a', 'b', 'c', 'd'])
})

async function expectNoSnapshot(
  running: Promise<unknown>,
  error: new (...args: never[]) => Error,
): Promise<void> {
  await expect(running).rejects.toThrow(error)
  for await (const { id } of repository.list('snapshot')) expect(id).toBe('none')
}

function makeFolders(count: number, bytes: number): void {
  for (let i = 0; i < count; i++) {
    mkdirSync(at(`new/${i}`))
    for (let j = 0; j < 3; j++) writeFileSync(at(`new/${i}/${j}`), randomBytes(3 * i + j, bytes))
  }
}

describe('there is no snapshot, and threads stop,', () => {
  it('where a blob cannot be saved: others may count on it', async () => {
    makeFolders(400, 100)
    vi.spyOn(ContentSaver.prototype, 'ready').mockImplementation(() => nextTurn())
    const task = vi.spyOn(TASKS, 'saveFolders')
    // oxlint-disable-next-line typescript/unbound-method -- bound below
    const { save } = ThreadContext.prototype
    let count = 0
    vi.spyOn(ThreadContext.prototype, 'save').mockImplementation(function (this: ThreadContext, ...args) {
      const saved = save.apply(this, args)
      // As after a mistake of memory: the blob is claimed by now.
      if (++count === 4) throw new CorruptDataError('a blob', 'it does not come back as it was')
      return saved
    })
    await expectNoSnapshot(backup(repository, PATHS), CorruptDataError)
    expect(task.mock.calls.flatMap(([, slices]) => slices).length).toBeLessThan(50)
  })

  it('where a chunk cannot be saved: large files are not read to their end', async () => {
    for (let i = 0; i < 3; i++) {
      mkdirSync(at(`new/${i}`))
      writeFileSync(at(`new/${i}/large`), '')
      truncateSync(at(`new/${i}/large`), 50_000_000)
    }
    vi.spyOn(TASKS, 'saveChunk').mockImplementation(() => {
      throw new WorkerError('a worker thread ended')
    })
    let bytes = 0
    const onProgress = ({ bytesDone }: { bytesDone: number }): void => void (bytes = bytesDone)
    vi.spyOn(Pacer.prototype, 'isDue', 'get').mockReturnValue(true)
    await expectNoSnapshot(backup(repository, { ...PATHS, onProgress, noScan: true }), WorkerError)
    expect(bytes).toBeGreaterThan(1_000_000)
    expect(bytes).toBeLessThan(40_000_000)
  })

  it('where the store fails', async () => {
    makeFolders(400, 50_000)
    const store = new FaultyBackend(new MemoryBackend(), {
      faultOf: ({ kind, type }) => (kind === 'write' && type === 'pack' ? { kind: 'fail' } : undefined),
    })
    repository = await createTestRepositoryIn(store, { packSizeBytes: 4 << 20 })
    const task = vi.spyOn(TASKS, 'saveFolders')
    await expectNoSnapshot(backup(repository, PATHS), BackendError)
    expect(task.mock.calls.flatMap(([, slices]) => slices).length).toBeLessThan(200)
  })

  it('where it is aborted', async () => {
    makeFolders(400, 10)
    const control = new AbortController()
    const { saveFolders } = TASKS
    const task = vi.spyOn(TASKS, 'saveFolders').mockImplementation((...args) => {
      if (task.mock.calls.length === 3) control.abort()
      return saveFolders(...args)
    })
    await expectNoSnapshot(backup(repository, { ...PATHS, signal: control.signal }), AbortedError)
    expect(task.mock.calls.length).toBe(3)
  })
})

it('of several stores one fails, and the others get all', async () => {
  makeFolders(100, 50_000)
  const store = new FaultyBackend(new MemoryBackend(), {
    faultOf: ({ kind, type }) => (kind === 'write' && type === 'pack' ? { kind: 'fail' } : undefined),
  })
  const failing = await createTestRepositoryIn(store, { packSizeBytes: 4 << 20 })
  const made = await backupToAll([failing, repository], PATHS)
  expect(made.map(({ error }) => error instanceof BackendError)).toEqual([true, false])
  expect(made[1]!.result!.statistics).toMatchObject({ filesNew: 300, dirsNew: 101 })
  expect(await check(repository, { readData: true })).toMatchObject({ errorCount: 0 })
})

describe('of a huge tree little is in memory at once:', () => {
  /** The most folders ever given to threads and not through, and the most threads were through with. */
  async function mostOf(options: BackupOptions): Promise<{ given: number; walked: number }> {
    let [given, answered] = [0, 0]
    const most = { given: 0, walked: 0 }
    // oxlint-disable-next-line typescript/unbound-method -- bound below
    const { save } = NewFolders.prototype
    vi.spyOn(NewFolders.prototype, 'save').mockImplementation(async function (
      this: NewFolders,
      target,
      walk,
    ) {
      most.given = Math.max(most.given, ++given)
      try {
        return await save.call(this, target, async (slices) => {
          most.walked = Math.max(most.walked, ++answered)
          return walk(slices)
        })
      } finally {
        given -= 1
        answered -= 1
      }
    } as typeof save)
    await expectAsWalked(repository, options)
    return most
  }

  it('thousands of folders in one, and below them', async () => {
    for (let i = 0; i < 2000; i++) mkdirSync(at(`new/${i}/in`), { recursive: true })
    vi.spyOn(ContentSaver.prototype, 'ready').mockImplementation(() => nextTurn())
    const { given } = await mostOf(PATHS)
    expect(given).toBeGreaterThan(1000)
    expect(given).toBeLessThan(1200)
  })

  it('hundreds of folders with large files', async () => {
    for (let i = 0; i < 500; i++) {
      mkdirSync(at(`new/${i}`))
      writeFileSync(at(`new/${i}/large`), `${i % 2}`)
      truncateSync(at(`new/${i}/large`), SMALL_FILE_BYTES + 1)
    }
    const { walked } = await mostOf(PATHS)
    expect(walked).toBeGreaterThan(200)
    expect(walked).toBeLessThan(300)
  })

  it('no more bytes than the store is asked to take between', async () => {
    makeFolders(20, 500_000)
    for (let i = 0; i < 20; i++) writeFileSync(at(`new/19/more-${i}`), randomBytes(100 + i, 500_000))
    vi.spyOn(ContentSaver.prototype, 'ready').mockImplementation(() => nextTurn())
    const { saveFolders } = TASKS
    const answers: { slices: number; bytes: number }[] = []
    vi.spyOn(TASKS, 'saveFolders').mockImplementation((context, slices) => {
      const saved = saveFolders(context, slices)
      answers.push({
        slices: slices.length,
        bytes: saved.reduce((sum, answer) => sum + (answer?.bytes ?? 0), 0),
      })
      return saved
    })
    expect((await expectAsWalked(repository, PATHS)).savedFiles).toBe(80)
    expect(Math.max(...answers.map(({ slices }) => slices))).toBe(8)
    expect(Math.max(...answers.map(({ bytes }) => bytes))).toBeLessThan(9e6)
  })

  it('a folder in a folder in a folder …', async () => {
    const depth = 1900
    process.chdir(at('new'))
    for (let i = 0; i < depth; i++) {
      mkdirSync('d')
      writeFileSync('f', `${i % 7}`)
      process.chdir('d')
    }
    process.chdir(folder)
    const { result } = await expectAsWalked(repository, PATHS)
    expect(result.statistics).toMatchObject({ filesNew: depth, dirsNew: depth + 1, dataBlobs: 7 })
  })
})

it('progress is told while threads are at work on one folder', async () => {
  for (let i = 0; i < 2000; i++) writeFileSync(at(`new/${i}`), `${i}`)
  vi.spyOn(Pacer.prototype, 'isDue', 'get').mockReturnValue(true)
  const bytes = new Set<number>()
  await backup(repository, { ...PATHS, noScan: true, onProgress: ({ bytesDone }) => bytes.add(bytesDone) })
  expect(bytes.size).toBeGreaterThan(6)
})

describe('real threads come to the same as the walk,', () => {
  it.each([[], ['--read-concurrency', '3'], ['--read-concurrency', '1', '--exclude', '*.txt']])(
    'with %s %s %s %s',
    async (...flags) => {
      makeManyFiles(at('new'), { files: 3000, maxBytes: 700_000 })
      const path = await makeRepository(at('repository'))
      await must('ours', ['-r', path, 'backup', '-q', ...flags, 'new'], { cwd: folder })
      // A line an item: then there is nothing for threads but the content of files.
      await must('ours', ['-r', path, 'backup', '-vv', '--force', ...flags, 'new'], { cwd: folder })
      await must('ours', ['-r', path, 'check', '--read-data'])
      const [threads, walk] = await listSnapshots('ours', path)
      expect(threads!.tree).toBe(walk!.tree)
    },
  )
})
