import {
  appendFileSync, chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync,
} from 'node:fs' // prettier-ignore
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { MemoryBackend } from '../../../src/backend/memory.ts'
import { AbortedError, SourceError } from '../../../src/errors.ts'
import type { Id } from '../../../src/repo/format/id.ts'
import { localTime } from '../../../src/repo/format/time.ts'
import type { Node } from '../../../src/repo/format/tree.ts'
import {
  backup,
  type BackupOptions,
  type BackupProgress,
  type BackupResult,
} from '../../../src/repo/ops/backup.ts'
import type { ItemError } from '../../../src/repo/ops/operation.ts'
import { Repository } from '../../../src/repo/repository.ts'
import { createTestRepository, TEST_PASSWORD } from '../../support/test-repository.ts'

let folder: string
let backend: MemoryBackend
let repository: Repository

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'restic-ts-backup-'))
  ;({ backend, repository } = await createTestRepository())
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

function put(path: string, content: string | Uint8Array = path): string {
  const full = join(folder, path)
  mkdirSync(join(full, '..'), { recursive: true })
  writeFileSync(full, content)
  return full
}

/** Backs up the folder's entries, found again below their absolute path. */
function run(options: BackupOptions = {}): Promise<BackupResult> {
  return backup(repository, { paths: [folder], hostname: 'host', ...options })
}

/** As `run`, but without the folders above: they change as other programs make temporary files. */
async function runInside(options: Partial<BackupOptions> = {}): Promise<BackupResult> {
  const before = process.cwd()
  process.chdir(folder)
  try {
    return await run({ ...options, paths: ['.'] })
  } finally {
    process.chdir(before)
  }
}

/** All paths of a snapshot below the folder, sorted. */
async function paths(result: BackupResult): Promise<string[]> {
  const found: string[] = []
  const walk = async (tree: Id, path: string): Promise<void> => {
    for (const node of await repository.loadTree(tree)) {
      found.push(`${path}/${node.name}`)
      if (node.subtree !== null) await walk(node.subtree, `${path}/${node.name}`)
    }
  }
  await walk(result.tree, '')
  return found
    .filter((path) => path.startsWith(`${folder}/`))
    .map((path) => path.slice(folder.length + 1))
    .toSorted()
}

async function find(result: BackupResult, path: string): Promise<Node> {
  let nodes = await repository.loadTree(result.tree)
  let node: Node | undefined
  for (const name of path.split('/').filter((part) => part !== '')) {
    node = nodes.find((entry) => entry.name === name)
    nodes =
      node?.subtree === undefined || node.subtree === null ? [] : await repository.loadTree(node.subtree)
  }
  if (node === undefined) throw new Error(`${path} is not in the snapshot`)
  return node
}

async function countFiles(type: 'pack' | 'index' | 'snapshot' | 'lock'): Promise<number> {
  let count = 0
  for await (const _ of backend.list(type)) count += 1
  return count
}

describe('a backup', () => {
  it('stores content once and cuts large files', async () => {
    const content = repository.codec.crypto.randomBytes(12_000_000)
    put('a', content)
    put('b', content)
    const result = await run()
    const node = await find(result, join(folder, 'a'))
    expect(node.size).toBe(12_000_000)
    expect(node.content!.length).toBeGreaterThan(1)
    expect((await find(result, join(folder, 'b'))).content).toEqual(node.content)
    expect(result.statistics.dataBlobs).toBe(node.content!.length)
    const parts: Uint8Array[] = []
    for (const id of node.content!) parts.push(await repository.loadBlob('data', id))
    expect(Buffer.concat(parts).equals(content)).toBe(true)
  })

  it('compares with its parent and reads only what changed', async () => {
    put('same')
    const changed = put('changed')
    const first = await runInside()
    expect(first.statistics).toMatchObject({ filesNew: 2, filesUnmodified: 0, totalFilesProcessed: 2 })
    appendFileSync(changed, 'more')
    put('new')
    const second = await runInside()
    expect(second.parent?.id).toBe(first.snapshotId)
    expect(second.statistics).toMatchObject({
      filesNew: 1,
      filesChanged: 1,
      filesUnmodified: 1,
      dataBlobs: 2,
    })
    const third = await runInside()
    expect(third.tree).toBe(second.tree)
    expect(third.statistics).toMatchObject({ filesUnmodified: 3, dataBlobs: 0, treeBlobs: 0, dirsChanged: 0 })
  })

  it('notices a chmod by the change time, a replaced file by its inode, unless told not to', async () => {
    const path = put('file')
    const time = new Date(1_600_000_000_000)
    utimesSync(path, time, time)
    await run()
    chmodSync(path, 0o600)
    const read: string[] = []
    const actions = async (options: BackupOptions): Promise<string[]> => {
      read.length = 0
      await run({
        ...options,
        dryRun: true,
        onItem: ({ path: item, action }) => item.endsWith('file') && read.push(action),
      })
      return [...read]
    }
    expect(await actions({})).toEqual(['modified'])
    expect(await actions({ ignoreCtime: true })).toEqual(['unchanged'])
    writeFileSync(`${path}.new`, readFileSync(path))
    utimesSync(`${path}.new`, time, time)
    renameSync(`${path}.new`, path)
    expect(await actions({ ignoreCtime: true })).toEqual(['modified'])
    expect(await actions({ ignoreInode: true })).toEqual(['unchanged'])
  })

  it('reads a file again whose blobs are not in the index', async () => {
    put('file')
    const first = await run()
    for await (const { name } of backend.list('index')) await backend.remove({ type: 'index', name })
    const again = await Repository.open(backend, { password: TEST_PASSWORD })
    const errors: ItemError[] = []
    const second = await backup(again, {
      paths: [folder],
      hostname: 'host',
      parent: first.snapshotId!,
      onError: (error) => errors.push(error),
    })
    expect(errors.length).toBeGreaterThan(0)
    expect(second.statistics.dataBlobs).toBe(1)
  })

  it('leaves a lock neither on success nor on failure', async () => {
    put('file')
    await run()
    await expect(run({ paths: [] })).rejects.toThrow(SourceError)
    expect(await countFiles('lock')).toBe(0)
  })

  it('writes nothing in a dry run, and says the same as the real one', async () => {
    put('a', 'x'.repeat(1000))
    put('b', 'x'.repeat(1000))
    const dry = await runInside({ dryRun: true })
    expect([await countFiles('pack'), await countFiles('snapshot'), await countFiles('index')]).toEqual([
      0, 0, 0,
    ])
    const real = await runInside()
    expect(dry.tree).toBe(real.tree)
    expect(dry.snapshotId).toBeUndefined()
    expect(dry.statistics.dataBlobs).toBe(real.statistics.dataBlobs)
    expect(dry.statistics.dataAdded).toBe(real.statistics.dataAdded)
  })

  it('makes no snapshot where nothing changed, if told so', async () => {
    put('file')
    await runInside()
    const second = await runInside({ skipIfUnchanged: true })
    expect(second.snapshotId).toBeUndefined()
    expect(await countFiles('snapshot')).toBe(1)
  })

  it('refuses an empty snapshot', async () => {
    const cwd = process.cwd()
    process.chdir(folder)
    try {
      await expect(run({ paths: ['.'] })).rejects.toThrow('snapshot is empty')
    } finally {
      process.chdir(cwd)
    }
    expect(await countFiles('snapshot')).toBe(0)
  })

  it('records what it was told and what it did', async () => {
    put('file', 'four')
    const result = await run({
      tags: ['a', 'b'],
      time: new Date(1_700_000_000_000),
      excludes: ['*.tmp'],
      programVersion: 'x',
    })
    const snapshot = await repository.loadSnapshot(result.snapshotId!)
    expect(snapshot).toMatchObject({
      hostname: 'host',
      tags: ['a', 'b'],
      paths: [folder],
      excludes: ['*.tmp'],
      programVersion: 'x',
      time: localTime(1_700_000_000, 0),
      summary: { filesNew: 1, totalBytesProcessed: 4 },
    })
  })

  it('stops within a second when aborted and leaves no snapshot', async () => {
    for (let i = 0; i < 40; i++) put(`file-${i}`, repository.codec.crypto.randomBytes(3_000_000))
    const controller = new AbortController()
    setTimeout(() => controller.abort(), 50)
    const started = performance.now()
    await expect(run({ signal: controller.signal })).rejects.toThrow(AbortedError)
    expect(performance.now() - started).toBeLessThan(1500)
    expect([await countFiles('snapshot'), await countFiles('lock')]).toEqual([0, 0])
    await expect(run()).resolves.toBeDefined()
  })

  it('tells how far it is', async () => {
    for (let i = 0; i < 20; i++) put(`d${i % 3}/file-${i}`, repository.codec.crypto.randomBytes(500_000))
    const seen: BackupProgress[] = []
    await run({ onProgress: (progress) => seen.push(progress) })
    const last = seen.at(-1)!
    expect(last).toMatchObject({
      filesDone: 20,
      bytesDone: 10_000_000,
      isScanFinished: true,
      totals: { files: 20, bytes: 10_000_000 },
    })
    expect(seen.length).toBeGreaterThanOrEqual(2)
  })
})

describe('excludes', () => {
  beforeEach(() => {
    put('keep')
    put('skip.tmp')
    put('SKIP.TMP')
    put('dir/inner.tmp')
    put('dir/inner')
    put('cache/CACHEDIR.TAG', 'Signature: 8a477f597d28d172789f06886806bc55 and more')
    put('cache/big', 'x'.repeat(5000))
    put('tagged/.nobackup')
    put('tagged/secret')
  })

  const all = [
    'SKIP.TMP',
    'cache',
    'cache/CACHEDIR.TAG',
    'cache/big',
    'dir',
    'dir/inner',
    'dir/inner.tmp',
    'keep',
    'skip.tmp',
    'tagged',
    'tagged/.nobackup',
    'tagged/secret',
  ]

  it.each([
    [{}, []],
    [{ excludes: ['*.tmp'] }, ['skip.tmp', 'dir/inner.tmp']],
    [{ insensitiveExcludes: ['*.tmp'] }, ['skip.tmp', 'SKIP.TMP', 'dir/inner.tmp']],
    [{ excludes: ['*.tmp', '!skip.tmp'] }, ['dir/inner.tmp']],
    [{ excludes: ['dir'] }, ['dir', 'dir/inner', 'dir/inner.tmp']],
    [{ excludeCaches: true }, ['cache/big']],
    [{ excludeIfPresent: ['.nobackup'] }, ['tagged/secret']],
    [{ excludeIfPresent: ['.nobackup:other header'] }, []],
    [{ excludeLargerThanBytes: 4000 }, ['cache/big']],
    [{ oneFileSystem: true }, []],
  ] as [BackupOptions, string[]][])('%j leave out %j', async (options, left) => {
    expect(await paths(await run(options))).toEqual(all.filter((path) => !left.includes(path)))
  })

  it('do not keep out what was named', async () => {
    const result = await run({ paths: [join(folder, 'skip.tmp'), join(folder, 'dir')], excludes: ['*.tmp'] })
    expect(await paths(result)).toEqual(['dir', 'dir/inner', 'skip.tmp'])
  })

  it('that are malformed are refused', async () => {
    await expect(run({ excludes: ['[a-'] })).rejects.toThrow('[a-')
  })
})

describe('a stream', () => {
  async function* chunks(...texts: string[]): AsyncGenerator<Uint8Array> {
    for (const text of texts) yield new TextEncoder().encode(text)
  }

  it('becomes a file of that name', async () => {
    const result = await run({ input: { stream: chunks('hello ', 'world'), filename: 'dir/dump.sql' } })
    const node = await find(result, 'dir/dump.sql')
    expect(node).toMatchObject({ type: 'file', mode: 0o644, size: 11 })
    expect(Buffer.from(await repository.loadBlob('data', node.content![0]!)).toString()).toBe('hello world')
    expect((await repository.loadSnapshot(result.snapshotId!)).paths).toEqual(['/dir/dump.sql'])
  })

  it('with nothing in it is an error item', async () => {
    const errors: string[] = []
    const result = run({
      input: { stream: chunks(), filename: 'empty' },
      onError: ({ error }) => errors.push(error.message),
    })
    await expect(result).rejects.toThrow(/snapshot/)
    expect(errors).toEqual(['read /empty: no data read'])
  })

  it('that fails makes no snapshot', async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield new TextEncoder().encode('part')
      throw new SourceError('the command failed')
    }
    await expect(run({ input: { stream: failing(), filename: 'dir/x' } })).rejects.toThrow(
      'no snapshot was made',
    )
    expect(await countFiles('snapshot')).toBe(0)
  })
})

describe('odd entries', () => {
  it('a symlink is stored, not followed', async () => {
    put('target')
    symlinkSync('target', join(folder, 'link'))
    expect(await find(await run(), join(folder, 'link'))).toMatchObject({
      type: 'symlink',
      linkTarget: 'target',
      content: null,
    })
  })

  it('names that are not UTF-8 are stored as they are', async () => {
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/bad`), Buffer.from([0xff])]), 'x')
    expect(await paths(await run())).toEqual(['bad\udcff'])
  })

  it('what vanishes between listing and reading is passed over in silence', async () => {
    mkdirSync(join(folder, 'a'))
    put('z-gone')
    const errors: ItemError[] = []
    const result = await run({
      onError: (error) => errors.push(error),
      // An empty folder is done when the walk leaves it.
      onItem: ({ path }) => path.endsWith('/a/') && rmSync(join(folder, 'z-gone')),
    })
    expect(errors).toEqual([])
    expect(await paths(result)).toEqual(['a'])
  })
})
