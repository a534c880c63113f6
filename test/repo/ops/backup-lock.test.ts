/** A backup reads while its lock settles, but writes nothing before: not even where somebody was there at the same moment. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Handle } from '../../../src/backend/backend.ts'
import type { MemoryBackend } from '../../../src/backend/memory.ts'
import { RepositoryLockedError } from '../../../src/errors.ts'
import { encodeLockFile } from '../../../src/repo/format/lock-file.ts'
import { timeFromDate } from '../../../src/repo/format/time.ts'
import { backup, type BackupOptions } from '../../../src/repo/ops/backup.ts'
import { prune } from '../../../src/repo/ops/prune.ts'
import type { Repository } from '../../../src/repo/repository.ts'
import { createTestRepository } from '../../support/test-repository.ts'

let folder: string
let backend: MemoryBackend
let repository: Repository

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'restic-ts-lock-'))
  mkdirSync(join(folder, 'source'))
  writeFileSync(join(folder, 'source', 'first'), 'content')
  ;({ backend, repository } = await createTestRepository())
  await run()
  writeFileSync(join(folder, 'source', 'second'), 'more')
})

afterEach(() => {
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true })
})

function run(options: BackupOptions = {}): ReturnType<typeof backup> {
  return backup(repository, { paths: [join(folder, 'source')], ...options })
}

/** Does something right after the backup's lock is written, before it has settled. */
function onceLocked(act: () => Promise<unknown>): (Handle & { readonly atMs: number })[] {
  const written: (Handle & { readonly atMs: number })[] = []
  const write = backend.write.bind(backend)
  let isLocked = false
  vi.spyOn(backend, 'write').mockImplementation(async (handle, data, signal) => {
    if (handle.type !== 'lock') written.push({ ...handle, atMs: performance.now() })
    await write(handle, data, signal)
    if (handle.type !== 'lock' || isLocked) return
    isLocked = true
    await act()
  })
  return written
}

async function count(type: 'lock' | 'snapshot'): Promise<number> {
  let files = 0
  for await (const _ of repository.list(type)) files += 1
  return files
}

describe('a backup whose lock settles while it reads', () => {
  it('writes once it has settled', async () => {
    let lockedMs = 0
    const written = onceLocked(() => Promise.resolve((lockedMs = performance.now())))
    await run()
    expect(written.map(({ type }) => type)).toEqual(expect.arrayContaining(['pack', 'index', 'snapshot']))
    for (const { atMs } of written) expect(atMs - lockedMs).toBeGreaterThan(190)
    expect(await count('lock')).toBe(0)
  })

  it('writes nothing where another process locks at the same moment', async () => {
    const other = { exclusive: true, hostname: 'elsewhere', username: 'somebody', pid: 4711, uid: 1, gid: 2 }
    const written = onceLocked(() =>
      repository.saveUnpacked('lock', encodeLockFile({ ...other, time: timeFromDate(new Date()) })),
    )
    await expect(run()).rejects.toThrow(RepositoryLockedError)
    expect(written).toEqual([])
    expect(await count('snapshot')).toBe(1)
    expect(await count('lock')).toBe(1)
  })

  it('writes nothing where index files have gone that it loaded', async () => {
    let gone: Handle | undefined
    const written = onceLocked(() => Promise.resolve())
    const read = backend.read.bind(backend)
    vi.spyOn(backend, 'read').mockImplementation(async (handle, range, signal) => {
      const bytes = await read(handle, range, signal)
      if (handle.type === 'index') await backend.remove((gone = handle))
      return bytes
    })
    await expect(run()).rejects.toThrow('pruned while it was being locked')
    expect(gone).toBeDefined()
    expect(written).toEqual([])
    expect(await count('snapshot')).toBe(1)
    expect(await count('lock')).toBe(0)
  })

  it('does not mind index files that others add', async () => {
    const written = onceLocked(() => repository.saveUnpacked('index', Buffer.from('{"packs":[]}\n')))
    const { snapshotId } = await run()
    expect(snapshotId).toBeDefined()
    expect(written.map(({ type }) => type)).toContain('snapshot')
  })

  it('says so as well where there would be nothing to write', async () => {
    await run()
    const other = { exclusive: true, hostname: 'elsewhere', username: 'somebody', pid: 4711, uid: 1, gid: 2 }
    onceLocked(() =>
      repository.saveUnpacked('lock', encodeLockFile({ ...other, time: timeFromDate(new Date()) })),
    )
    await expect(run({ skipIfUnchanged: true })).rejects.toThrow(RepositoryLockedError)
  })
})

describe('a prune', () => {
  it('reads nothing before its lock has settled', async () => {
    let lockedMs = 0
    const read = backend.read.bind(backend)
    onceLocked(() => Promise.resolve((lockedMs = performance.now())))
    vi.spyOn(backend, 'read').mockImplementation((handle, range, signal) => {
      if (handle.type !== 'lock') expect(performance.now() - lockedMs).toBeGreaterThan(190)
      return read(handle, range, signal)
    })
    await prune(repository, {})
    expect(lockedMs).toBeGreaterThan(0)
  })
})
