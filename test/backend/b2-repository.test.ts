/**
 * The engine on a B2 that fails: backup, check, prune and restore end well after trying again, or with the right class
 * at once; nothing is lost, and nobody waits in vain (issue 3).
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Backend } from '../../src/backend/backend.ts'
import { RetryBackend } from '../../src/backend/retry.ts'
import { check } from '../../src/repo/ops/check.ts'
import { backup } from '../../src/repo/ops/backup.ts'
import { forget } from '../../src/repo/ops/forget.ts'
import { restore } from '../../src/repo/ops/restore.ts'
import { Repository } from '../../src/repo/repository.ts'
import { failureOf, openOn, shownSecrets, TEST_BUCKET } from '../support/b2-emulator-backend.ts'
import type { Fault } from '../support/b2-emulator-faults.ts'
import { B2Emulator } from '../support/b2-emulator.ts'
import { randomBytes } from '../support/many-files.ts'
import { makeWorkFolder } from '../support/repositories.ts'
import { listTree } from '../support/rich-tree.ts'
import { testClock } from '../support/test-clock.ts'
import { createTestRepositoryIn, TEST_PASSWORD } from '../support/test-repository.ts'

const FILES = 16

let work = ''
let source = ''
let emulator: B2Emulator

beforeAll(() => {
  work = makeWorkFolder('b2-repository')
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

beforeEach(() => {
  source = join(work, 'source')
  mkdirSync(source)
  for (let i = 0; i < FILES; i++) writeFileSync(join(source, `file-${i}`), randomBytes(i + 1, 100_000))
})

afterEach(async () => {
  await emulator.stop()
  rmSync(source, { recursive: true, force: true })
  rmSync(join(work, 'target'), { recursive: true, force: true })
})

/** As `openBackend` opens it, but nobody waits. */
async function start(seed: number): Promise<RetryBackend> {
  emulator = await B2Emulator.start({ buckets: [TEST_BUCKET], seed })
  return new RetryBackend(openOn(emulator), { clock: testClock() })
}

/** Two backups, the first forgotten and pruned away, a check of all data and a restore: a repository's whole life. */
async function live(backend: Backend): Promise<string[]> {
  const created = await createTestRepositoryIn(backend)
  await backup(created, { paths: [source], hostname: 'vm' })
  for (let i = 0; i < FILES; i += 2) writeFileSync(join(source, `file-${i}`), randomBytes(i + 100, 100_000))
  await backup(created, { paths: [source], hostname: 'vm' })
  const opened = await Repository.open(backend, { password: TEST_PASSWORD })
  const { removed, failures } = await forget(opened, {
    policy: { last: 1 },
    prune: { maxUnused: { bytes: 0 } },
  })
  const { errors, hints } = await check(opened, { readData: true })
  await restore(opened, { snapshot: 'latest', target: join(work, 'target') })
  expect({ removed: removed.length, failures, errors, hints }).toEqual({
    removed: 1,
    failures: [],
    errors: [],
    hints: [],
  })
  return listTree(join(work, 'target', source))
}

const ANSWERS = {
  busy: { kind: 'answer', status: 503, code: 'service_unavailable', message: 'no tomes available' },
  gateway: { kind: 'answer', status: 502, text: '<html>Bad Gateway</html>' },
  slowDown: { kind: 'answer', status: 429, code: 'too_many_requests', retryAfter: '1' },
} as const

/** Tokens of both kinds expire before the call of that number. */
function expireAfter(skip: number): Fault[] {
  return [
    { skip, op: 'b2_download_file_by_name', action: { kind: 'expire-account-tokens' } },
    { skip: Math.floor(skip / 4), op: 'b2_upload_file', action: { kind: 'expire-upload-tokens' } },
  ]
}

const OFTEN = { count: Infinity, probability: 0.25 } as const

describe('the engine on a B2 that fails', () => {
  it.each<[string, readonly Fault[]]>([
    ['a gateway in trouble', [{ ...OFTEN, action: ANSWERS.gateway }]],
    ['too many requests', [{ ...OFTEN, action: ANSWERS.slowDown }]],
    ['lost answers', [{ ...OFTEN, action: { kind: 'lose-answer' } }]],
    ['resets', [{ ...OFTEN, action: { kind: 'reset' } }]],
    ['downloads cut short', [{ ...OFTEN, op: 'b2_download_file_by_name', action: { kind: 'truncate' } }]],
    // Of ranges only the engine sees it, and that reads twice before it calls them damaged.
    [
      'a wrong byte',
      [{ skip: 5, op: 'b2_download_file_by_name', method: 'GET', action: { kind: 'corrupt' } }],
    ],
    ['expired tokens', [2, 8, 15, 21].flatMap(expireAfter)],
    [
      'all of it',
      [
        { count: Infinity, probability: 0.05, action: ANSWERS.busy },
        { count: Infinity, probability: 0.05, action: { kind: 'lose-answer' } },
        { count: Infinity, probability: 0.05, action: { kind: 'reset' } },
        { count: Infinity, probability: 0.05, op: 'b2_upload_file', action: { kind: 'reset', inBody: true } },
        { skip: 6, op: 'b2_list_file_names', action: { kind: 'expire-account-tokens' } },
      ],
    ],
  ])('lives through %s', async (_what, faults) => {
    const backend = await start(7)
    const hits = faults.map((fault) => emulator.inject(fault))
    expect(await live(backend)).toEqual(listTree(source))
    expect(hits.reduce((sum, hit) => sum + hit(), 0)).toBeGreaterThanOrEqual(faults.length)
    expect(emulator.violations).toEqual([])
    expect(
      Object.keys(emulator.versionCounts(TEST_BUCKET)).filter((name) => name.includes('/locks/')),
    ).toEqual([])
    await backend.close()
  })

  it('leaves one version of every name where no answer was lost', async () => {
    const backend = await start(8)
    emulator.inject({ ...OFTEN, action: ANSWERS.busy })
    await live(backend)
    expect(new Set(Object.values(emulator.versionCounts(TEST_BUCKET)))).toEqual(new Set([1]))
    await backend.close()
  })

  it.each<[string, Fault['action'], string]>([
    ['a cap', { kind: 'answer', status: 403, code: 'storage_cap_exceeded' }, 'raise the cap'],
    [
      'a key that lost its rights',
      { kind: 'answer', status: 401, code: 'unauthorized' },
      'capability writeFiles',
    ],
  ])('gives up at once for %s', async (_what, action, hint) => {
    const backend = await start(9)
    const created = await createTestRepositoryIn(backend)
    const hits = emulator.inject({ op: 'b2_upload_file', name: /\/data\//, count: Infinity, action })
    const failure = await failureOf(backup(created, { paths: [source] }))
    expect(failure.transient).toBe(false)
    expect(failure.hint).toContain(hint)
    expect(shownSecrets(emulator, failure)).toEqual([])
    // Packs that were on their way at the same moment.
    expect(hits()).toBeLessThanOrEqual(backend.connections)
    emulator.clearFaults()
    expect((await backup(created, { paths: [source] })).errorCount).toBe(0)
    expect((await check(created, { readData: true })).errors).toEqual([])
    await backend.close()
  })
})
