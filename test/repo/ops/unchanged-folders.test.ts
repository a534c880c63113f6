/** Folders that threads found unchanged must come to what the walk alone makes of them, whatever happened since. */
import {
  chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, utimesSync, writeFileSync,
} from 'node:fs' // prettier-ignore
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { MemoryBackend } from '../../../src/backend/memory.ts'
import { AbortedError } from '../../../src/errors.ts'
import { backup, type BackupOptions, type BackupResult } from '../../../src/repo/ops/backup.ts'
import { encodeIndexFile } from '../../../src/repo/format/index-file.ts'
import { loadLibc } from '../../../src/repo/ops/libc.ts'
import type { ItemError } from '../../../src/repo/ops/operation.ts'
import { UnchangedFolders } from '../../../src/repo/ops/unchanged-folders.ts'
import { Repository } from '../../../src/repo/repository.ts'
import { createTestRepository, TEST_PASSWORD } from '../../support/test-repository.ts'

/** As many as make comparing pay, in folders three deep. */
const FOLDERS = 30
const FILES = 68

let folder: string
let before: string
let backend: MemoryBackend
let repository: Repository

beforeEach(async () => {
  before = process.cwd()
  folder = mkdtempSync(join(tmpdir(), 'restic-ts-unchanged-'))
  for (let i = 0; i < FOLDERS; i++) {
    const path = at(`top-${i % 3}/middle-${i % 5}/leaf-${i}`)
    mkdirSync(path, { recursive: true })
    for (let j = 0; j < FILES; j++) writeFileSync(join(path, `file-${j}`), `${i} ${j}`)
  }
  symlinkSync('nowhere', at('top-0/middle-0/link'))
  ;({ backend, repository } = await createTestRepository())
  process.chdir(folder)
  await run()
})

afterEach(() => {
  process.chdir(before)
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true, force: true })
})

function at(path: string): string {
  return join(folder, path)
}

function run(options: BackupOptions = {}): Promise<BackupResult> {
  return backup(repository, { paths: ['.'], hostname: 'host', ...options })
}

interface Outcome {
  readonly result: BackupResult
  readonly errors: readonly string[]
  /** What the walk was spared: folders with all below them. */
  readonly taken: number
}

async function observe(options: BackupOptions = {}): Promise<Outcome> {
  const errors: string[] = []
  const take = vi.spyOn(UnchangedFolders.prototype, 'take')
  const onError = ({ item, error }: ItemError): void => void errors.push(`${item}: ${error.message}`)
  const result = await run({ ...options, onError })
  const taken = take.mock.results.filter(({ value }) => value === true).length
  take.mockRestore()
  return { result, errors, taken }
}

/** What a backup comes to is what the walk alone says, which dry runs leave everything to. */
async function expectAsWalked(options: BackupOptions = {}): Promise<Outcome> {
  const walked = await observe({ ...options, dryRun: true })
  expect(walked.taken).toBe(0)
  const outcome = await observe(options)
  expect(outcome.result.tree).toBe(walked.result.tree)
  expect(counts(outcome.result)).toEqual(counts(walked.result))
  expect(outcome.errors).toEqual(walked.errors)
  return outcome
}

function counts({ statistics }: BackupResult): unknown {
  // Stored sizes are those of random padding and packs.
  return { ...statistics, dataAddedPacked: 0 }
}

describe('a backup of what has not changed', () => {
  it('looks into no folder', async () => {
    const { taken, result } = await expectAsWalked()
    expect(taken).toBe(3)
    expect(result.statistics).toMatchObject({ filesUnmodified: FOLDERS * FILES, filesNew: 0, dirsNew: 0 })
    expect(result.statistics).toMatchObject({ dirsChanged: 0, treeBlobs: 0, dataBlobs: 0 })
  })

  it('tells of bytes as it goes', async () => {
    let bytes = 0
    const { result } = await observe({ onProgress: (progress) => (bytes = progress.bytesDone) })
    expect(bytes).toBe(result.statistics.totalBytesProcessed)
  })

  it('looks into each where items are to be told of', async () => {
    const items: string[] = []
    const { taken } = await observe({ onItem: ({ path }) => items.push(path) })
    expect(taken).toBe(0)
    expect(items).toHaveLength(FOLDERS * FILES + 3 + 15 + FOLDERS)
  })

  it('looks into each after a parent with few files', async () => {
    rmSync(at('top-0'), { recursive: true })
    await run()
    expect((await observe()).taken).toBe(0)
  })
})

describe('what has changed is found:', () => {
  const LEAF = 'top-1/middle-1/leaf-1'
  const FILE = `${LEAF}/file-7`
  const changes: Record<string, () => void> = {
    'the content of a file': () => writeFileSync(at(FILE), 'changed'),
    'the content of a file, behind an old time': () => {
      writeFileSync(at(FILE), '1_7')
      utimesSync(at(FILE), 1, 1)
    },
    'a new file': () => writeFileSync(at(`${LEAF}/new`), 'new'),
    'a new file before all others': () => writeFileSync(at(`${LEAF}/a`), 'new'),
    'a new folder': () => mkdirSync(at(`${LEAF}/inner`)),
    'a file that went': () => unlinkSync(at(FILE)),
    'the last file that went': () => unlinkSync(at(`${LEAF}/file-9`)),
    'a folder that went': () => rmSync(at(LEAF), { recursive: true }),
    'a folder that was moved': () => renameSync(at(LEAF), at('top-2/leaf-1')),
    'a mode': () => chmodSync(at(FILE), 0o600),
    'the mode of a folder': () => chmodSync(at(LEAF), 0o700),
    'the time of a folder at the top': () => utimesSync(at('top-1'), 5, 5),
    'a symlink': () => {
      unlinkSync(at('top-0/middle-0/link'))
      symlinkSync('elsewhere', at('top-0/middle-0/link'))
    },
    'a file in place of a folder': () => {
      rmSync(at(LEAF), { recursive: true })
      writeFileSync(at(LEAF), 'file')
    },
    'a symlink in place of a folder, to one just like it': () => {
      renameSync(at(LEAF), at('top-1/moved'))
      symlinkSync(at('top-1/moved'), at(LEAF))
    },
    'a folder in place of a file': () => {
      unlinkSync(at(FILE))
      mkdirSync(at(FILE))
    },
    'an extended attribute': () => loadLibc()!.setXattr(at(FILE), 'user.x', Buffer.from('x')),
    'an extended attribute of a folder': () => loadLibc()!.setXattr(at(LEAF), 'user.x', Buffer.from('x')),
    'something in every folder': () => {
      for (let i = 0; i < FOLDERS; i++) writeFileSync(at(`top-${i % 3}/middle-${i % 5}/leaf-${i}/new`), 'new')
    },
  }

  it.each(Object.keys(changes))('%s', async (name) => {
    const { tree } = await run()
    changes[name]?.()
    const { result, taken } = await expectAsWalked()
    expect(result.tree).not.toBe(tree)
    if (name !== 'something in every folder') expect(taken).toBeGreaterThan(2)
    expect((await expectAsWalked()).result.tree).toBe(result.tree)
  })
})

describe('what is left out by now is left out:', () => {
  const rules: Record<string, BackupOptions> = {
    'a folder': { excludes: ['leaf-1'] },
    'a folder at the top': { excludes: ['/**/top-1'] },
    'some files everywhere': { excludes: ['file-7'] },
    'files by case': { insensitiveExcludes: ['FILE-7'] },
    'large files': { excludeLargerThanBytes: 4 },
    'folders that are marked': { excludeIfPresent: ['file-3:1 3'] },
    caches: { excludeCaches: true },
  }

  it.each(Object.keys(rules))('%s', async (name) => {
    const { result } = await expectAsWalked(rules[name])
    expect((await expectAsWalked(rules[name])).result.tree).toBe(result.tree)
  })

  it('and is there again without the rule', async () => {
    const { tree } = await run()
    await run({ excludes: ['leaf-1'] })
    expect((await expectAsWalked()).result.tree).toBe(tree)
  })
})

describe('what is stored is not taken for granted:', () => {
  it('access times are compared where they are stored', async () => {
    const { result } = await expectAsWalked({ withAtime: true })
    utimesSync(at('top-1/middle-1/leaf-1/file-7'), 12, 13)
    expect((await expectAsWalked({ withAtime: true })).result.tree).not.toBe(result.tree)
  })

  it('files whose blobs are lost are stored again', async () => {
    const lost = packOf('data')
    const packs = Array.from({ length: repository.index.packCount }, (_, pack) => pack)
      .filter((pack) => pack !== lost)
      .map((pack) => ({ id: repository.index.packIdAt(pack), blobs: repository.index.blobsAt(pack) }))
    for await (const { id } of repository.list('index')) await repository.remove('index', id)
    await repository.saveUnpacked('index', encodeIndexFile(packs))
    repository = await Repository.open(backend, { password: TEST_PASSWORD })
    const { result, errors } = await expectAsWalked()
    expect(errors[0]).toContain('not found in the repository index; storing the file again')
    expect(result.statistics.dataBlobs).toBeGreaterThan(0)
    expect((await expectAsWalked()).errors).toEqual([])
  })

  it('a tree that cannot be read is told of, and all below it is read again', async () => {
    const { tree } = await run()
    const pack = repository.index.packIdAt(packOf('tree'))
    const bytes = await backend.read({ type: 'pack', name: pack })
    bytes.fill(0, 0, bytes.length - 2000)
    await backend.remove({ type: 'pack', name: pack })
    await backend.write({ type: 'pack', name: pack }, bytes)
    repository = await Repository.open(backend, { password: TEST_PASSWORD })
    const { result, errors } = await observe()
    expect(errors.join('\n')).toContain('could not be loaded; the repository could be damaged')
    expect(result.tree).toBe(tree)
  })
})

it('an abort ends the comparison', async () => {
  const control = new AbortController()
  vi.spyOn(repository, 'loadSealedTree').mockImplementation(() => {
    control.abort()
    return Promise.resolve(undefined)
  })
  await expect(run({ signal: control.signal })).rejects.toThrow(AbortedError)
})

function packOf(type: 'data' | 'tree'): number {
  const { index } = repository
  for (let pack = 0; pack < index.packCount; pack++)
    if (index.typeAt(index.rowsOfPack(pack).start) === type) return pack
  throw new Error(`no pack of ${type} blobs`)
}

it('what has changed nearly everywhere is soon left to the walk', async () => {
  const leaves = 1800
  for (let i = 0; i < leaves; i++) {
    mkdirSync(at(`wide/${i}`), { recursive: true })
    for (let j = 0; j < 2; j++) writeFileSync(at(`wide/${i}/${j}`), `${i} ${j}`)
  }
  await run()
  const load = vi.spyOn(repository, 'loadSealedTree')
  await expectAsWalked()
  const all = load.mock.calls.length
  expect(all).toBeGreaterThan(leaves)
  for (let i = 0; i < leaves; i++) writeFileSync(at(`wide/${i}/new`), 'new')
  load.mockClear()
  await expectAsWalked()
  expect(load.mock.calls.length).toBeLessThan(all * 0.75)
})
