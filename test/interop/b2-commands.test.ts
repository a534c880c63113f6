/** Whole commands on the B2 emulator: what they cost beside restic, and what they say when something does not fit. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { B2Emulator, MASTER_KEY } from '../support/b2-emulator.ts'
import { ALL_CAPABILITIES, type EmulatedKey } from '../support/b2-emulator-store.ts'
import { ConnectProxy, makeTestIdentity, type TestIdentity } from '../support/connect-proxy.ts'
import { makeManyFiles } from '../support/many-files.ts'
import { must, run, type Program, type Run } from '../support/programs.ts'
import { hasRestic } from '../support/real-restic.ts'
import { makeWorkFolder } from '../support/repositories.ts'
import { listTree } from '../support/rich-tree.ts'

const BUCKET = 'command-bucket'
const HOSTS = /^[a-z0-9-]+\.backblaze(b2)?\.com:443$/

type Cost = ReturnType<B2Emulator['costs']>

/** Class B and C calls on a repository with a handful of packs: what costs more should be seen here, not on a bill. */
const BUDGETS: Readonly<Record<string, { readonly B: number; readonly C: number }>> = {
  init: { B: 1, C: 3 },
  'backup SOURCE': { B: 3, C: 6 },
  'backup --force': { B: 6, C: 6 },
  snapshots: { B: 5, C: 5 },
  check: { B: 9, C: 7 },
  'restore latest': { B: 11, C: 6 },
  'forget --keep-last': { B: 7, C: 5 },
  'prune --max-unused': { B: 19, C: 8 },
}

let work = ''
let folder = ''
let identity: TestIdentity
let emulator: B2Emulator
let proxy: ConnectProxy

beforeAll(async () => {
  work = makeWorkFolder('b2-commands')
  identity = makeTestIdentity(work, ['*.backblazeb2.com', '*.backblaze.com'])
  emulator = await B2Emulator.start({ buckets: [BUCKET] })
  proxy = await ConnectProxy.start(HOSTS, await emulator.listenTls(identity))
  folder = join(work, 'source')
  mkdirSync(folder)
  makeManyFiles(folder, { files: 30, seed: 3 })
})

afterAll(async () => {
  await proxy.stop()
  await emulator.stop()
  rmSync(work, { recursive: true, force: true })
})

beforeEach(() => {
  emulator.clearLog()
  emulator.clearFaults()
})

function environment(program: Program, key: EmulatedKey = MASTER_KEY): Record<string, string> {
  const way = program === 'ours' ? { B2_TEST_ENDPOINT: emulator.url } : { HTTPS_PROXY: proxy.url }
  return { B2_ACCOUNT_ID: key.id, B2_ACCOUNT_KEY: key.secret, ...way }
}

function use(program: Program, prefix: string, args: readonly string[], key?: EmulatedKey): Promise<string> {
  const trust = program === 'ours' ? [] : ['--cacert', identity.caFile]
  return must(program, [...trust, '-r', `b2:${BUCKET}:${prefix}`, ...args], {
    env: environment(program, key),
  })
}

describe.skipIf(!hasRestic())('what commands cost', () => {
  const COMMANDS: readonly (readonly string[])[] = [
    ['init'],
    ['backup', 'SOURCE'],
    ['backup', '--force', 'SOURCE'],
    ['snapshots'],
    ['check'],
    ['restore', 'latest', '--target', 'TARGET'],
    ['forget', '--keep-last', '1'],
    ['prune', '--max-unused', '0'],
  ]

  /** Runs all commands with one program; resolves to what each cost. */
  async function measure(program: Program): Promise<Record<string, Cost>> {
    const costs: Record<string, Cost> = {}
    // A key for its one bucket, as Backblaze recommends.
    const key = emulator.addKey({ buckets: [BUCKET] })
    for (const command of COMMANDS) {
      const places: Record<string, string> = { SOURCE: folder, TARGET: join(work, `restored-${program}`) }
      emulator.clearLog()
      await use(
        program,
        `cost-${program}`,
        command.map((word) => places[word] ?? word),
        key,
      )
      costs[command.slice(0, 2).join(' ')] = emulator.costs()
    }
    return costs
  }

  it('is no more than with restic, and within its budget', async () => {
    const [ours, restics] = [await measure('ours'), await measure('0.19.1')]
    expect(Object.keys(ours)).toEqual(Object.keys(BUDGETS))
    const isDearer = (name: string, than: Omit<Cost, 'A'>): boolean =>
      ours[name]!.B > than.B || ours[name]!.C > than.C
    const dearer = Object.keys(ours).filter((name) => isDearer(name, restics[name]!))
    const overBudget = Object.keys(ours).filter((name) => isDearer(name, BUDGETS[name]!))
    expect({ dearer, overBudget, ours }).toEqual({ dearer: [], overBudget: [], ours })
  })
})

describe.skipIf(!hasRestic())('restic', () => {
  it('survives the faults of the emulator, and what it stored is whole', async () => {
    await use('0.19.1', 'faults', ['init'])
    const busy = {
      kind: 'answer',
      status: 503,
      code: 'service_unavailable',
      message: 'no tomes available',
    } as const
    const hits = [
      emulator.inject({ op: 'b2_upload_file', skip: 1, action: busy }),
      emulator.inject({ op: 'b2_upload_file', skip: 1, action: { kind: 'lose-answer' } }),
      emulator.inject({ op: 'b2_list_file_names', skip: 2, action: { kind: 'expire-account-tokens' } }),
    ]
    await use('0.19.1', 'faults', ['backup', folder])
    expect(hits.map((hit) => hit())).toEqual([1, 1, 1])
    emulator.inject({ op: 'b2_download_file_by_name', method: 'GET', skip: 3, action: { kind: 'truncate' } })
    await use('0.19.1', 'faults', ['check', '--read-data'])
    const target = join(work, 'faults-out')
    await use('ours', 'faults', ['restore', 'latest', '--target', target])
    expect(listTree(join(target, folder))).toEqual(listTree(folder))
  })
})

describe('what does not fit', () => {
  const READ_ONLY = ['listBuckets', 'listFiles', 'readFiles']
  let password = ''

  beforeAll(async () => {
    password = 'the right one'
    await must('ours', ['-r', `b2:${BUCKET}:fit`, 'init'], {
      env: { ...environment('ours'), RESTIC_PASSWORD: password },
    })
  })

  /** Runs our command as a user would who has one thing wrong, with and without --json. */
  async function mistaken(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    location = `b2:${BUCKET}:fit`,
  ): Promise<Run> {
    const settings = { env: { ...environment('ours'), RESTIC_PASSWORD: password, ...env } }
    const [plain, json] = await Promise.all([
      run('ours', ['-r', location, ...args], settings),
      run('ours', ['-r', location, '--json', ...args], settings),
    ])
    const shown = [plain.stdout, plain.stderr, json.stdout, json.stderr].join('\n')
    expect(emulator.secrets().filter((secret) => shown.includes(secret))).toEqual([])
    expect(json.code).toBe(plain.code)
    expect(JSON.parse(json.stderr.trim().split('\n').at(-1)!)).toMatchObject({ message_type: 'exit_error' })
    return plain
  }

  const withKey = (fields: Partial<EmulatedKey>): Record<string, string> => {
    const { id, secret } = emulator.addKey(fields)
    return { B2_ACCOUNT_ID: id, B2_ACCOUNT_KEY: secret }
  }

  it.each<[string, () => Promise<Run>, number, RegExp]>([
    [
      'a slash for a colon',
      () => mistaken(['snapshots'], {}, `b2:${BUCKET}/fit`),
      1,
      /write b2:command-bucket:fit for a folder/,
    ],
    ['no key', () => mistaken(['snapshots'], { B2_ACCOUNT_KEY: '' }), 1, /B2_ACCOUNT_KEY is not set/],
    ['a wrong key', () => mistaken(['snapshots'], { B2_ACCOUNT_KEY: 'K001wrong' }), 1, /check B2_ACCOUNT_ID/],
    [
      'no such bucket',
      () => mistaken(['snapshots'], {}, 'b2:no-such-bucket:fit'),
      10,
      /bucket "no-such-bucket" does not exist/,
    ],
    [
      'no repository in the bucket',
      () => mistaken(['snapshots'], {}, `b2:${BUCKET}:elsewhere`),
      10,
      /elsewhere\/config does not exist/,
    ],
    ['a wrong password', () => mistaken(['snapshots'], { RESTIC_PASSWORD: 'wrong' }), 12, /wrong password/],
    [
      'a key for another prefix',
      () => mistaken(['snapshots'], withKey({ namePrefix: 'other/' })),
      1,
      /only use names that begin with "other\/"\nwrite b2:command-bucket:other, or/,
    ],
    [
      'a key for another bucket',
      () => mistaken(['snapshots'], withKey({ buckets: ['other-bucket'] })),
      1,
      /may not use the bucket "command-bucket", only "other-bucket"/,
    ],
    [
      'a key that can only read',
      () => mistaken(['backup', folder], withKey({ capabilities: READ_ONLY })),
      1,
      /may not write\nuse an application key with the capability writeFiles/,
    ],
    [
      'an unknown option',
      () => mistaken(['-o', 'b2.conections=3', 'snapshots']),
      1,
      /option b2\.conections is not known/,
    ],
  ])('is said at once: %s', async (_what, command, code, words) => {
    const result = await command()
    expect(result.stderr).toMatch(words)
    expect(result.code).toBe(code)
    // Nobody tries again what cannot help.
    expect(emulator.ops().filter((op) => op === 'b2_authorize_account').length).toBeLessThanOrEqual(2)
  })

  it.each([
    ['b2_upload_file', 'storage_cap_exceeded'],
    ['b2_download_file_by_name', 'download_cap_exceeded'],
    ['b2_list_file_names', 'transaction_cap_exceeded'],
  ])('is said at once: a cap reached in %s', async (op, reason) => {
    const hits = emulator.inject({
      op,
      count: Infinity,
      action: { kind: 'answer', status: 403, code: reason },
    })
    const { code, stderr } = await mistaken(['backup', folder])
    expect(stderr).toMatch(new RegExp(`cap of the Backblaze account is reached: 403 ${reason}`))
    expect(stderr).toMatch(/raise the cap/)
    expect(code).toBe(1)
    expect(hits()).toBeLessThanOrEqual(2)
  })

  it('reads with a key that can only read, without a lock', async () => {
    const key = emulator.addKey({ capabilities: READ_ONLY })
    const env = { ...environment('ours', key), RESTIC_PASSWORD: password }
    const { code } = await run('ours', ['-r', `b2:${BUCKET}:fit`, '--no-lock', 'snapshots'], { env })
    expect(code).toBe(0)
    expect(emulator.log.every(({ costClass }) => costClass !== 'A')).toBe(true)
  })

  it('appends with a key that may not delete, and hides what it takes away', async () => {
    const key = emulator.addKey({ capabilities: ALL_CAPABILITIES.filter((name) => name !== 'deleteFiles') })
    const env = { ...environment('ours', key), RESTIC_PASSWORD: password }
    await must('ours', ['-r', `b2:${BUCKET}:fit`, 'backup', folder], { env })
    const locks = Object.keys(emulator.versionCounts(BUCKET)).filter((name) => name.startsWith('fit/locks/'))
    expect(locks.length).toBeGreaterThan(0)
    const bucket = emulator.store.buckets.get(BUCKET)!
    expect(locks.filter((name) => emulator.store.visible(bucket, name) !== undefined)).toEqual([])
  })
})
