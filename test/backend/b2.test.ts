/** What our B2 backend asks of B2 and what it makes of the answers; faults are in b2-faults.test.ts. */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Handle } from '../../src/backend/backend.ts'
import type { NamedFileType } from '../../src/backend/layout.ts'
import type { B2Backend } from '../../src/backend/b2.ts'
import { AbortedError, FileNotFoundError, InvalidInputError } from '../../src/errors.ts'
import {
  failureOf,
  openOn,
  shownForms,
  shownSecrets,
  TEST_BUCKET,
  type OpenOptions,
} from '../support/b2-emulator-backend.ts'
import { B2Emulator } from '../support/b2-emulator.ts'
import type { EmulatedKey } from '../support/b2-emulator-store.ts'
import { noise } from '../support/sample-data.ts'

let emulator: B2Emulator
const opened: B2Backend[] = []

beforeEach(async () => {
  emulator = await B2Emulator.start({ buckets: [TEST_BUCKET] })
})

afterEach(async () => {
  const violations = emulator.violations.splice(0)
  for (const backend of opened.splice(0)) await backend.close()
  await emulator.stop()
  if (violations.length > 0) throw new Error(violations.join('\n'))
})

function open(options: OpenOptions = {}): ReturnType<typeof openOn> {
  const backend = openOn(emulator, options)
  opened.push(backend)
  return backend
}

/** A handle named by a few digits. */
function handle(type: NamedFileType, digits: string): Handle {
  return { type, name: digits.padEnd(64, '0') }
}

const CONFIG: Handle = { type: 'config', name: '' }
const PACK = handle('pack', 'ab')

async function namesOf(backend: B2Backend, type: NamedFileType): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of backend.list(type)) names.push(name)
  return names
}

function put(
  name: string,
  bytes: Uint8Array,
  fields: { sha1?: string; action?: 'upload' | 'hide' } = {},
): string {
  const bucket = emulator.store.buckets.get(TEST_BUCKET)!
  const body = Buffer.from(bytes)
  const sha1 = createHash('sha1').update(body).digest('hex')
  const version = {
    name,
    bytes: body,
    sha1,
    action: 'upload',
    contentType: 'x',
    info: {},
    ...fields,
  } as const
  return emulator.store.addVersion(bucket, version).id
}

/** The calls that `work` leads to, those of opening left out. */
async function callsOf(backend: B2Backend, work: () => Promise<unknown>): Promise<string[]> {
  await backend.stat(CONFIG).catch(() => undefined)
  emulator.clearLog()
  await work()
  return emulator.ops()
}

describe('what is stored', () => {
  it('lies where restic looks for it, private and typed', async () => {
    const backend = open({ bucket: 'new-bucket', prefix: 'a/b' })
    await backend.create()
    for (const type of ['pack', 'index', 'key', 'lock', 'snapshot'] as const)
      await backend.write(handle(type, 'cd'), noise(1, 10))
    await backend.write(CONFIG, noise(2, 10))
    const digits = handle('key', 'cd').name
    expect(Object.keys(emulator.versionCounts('new-bucket')).toSorted()).toEqual(
      [
        'a/b/config',
        `a/b/data/cd/${digits}`,
        `a/b/index/${digits}`,
        `a/b/keys/${digits}`,
        `a/b/locks/${digits}`,
        `a/b/snapshots/${digits}`,
      ].toSorted(),
    )
    const bucket = emulator.store.buckets.get('new-bucket')!
    expect(bucket.type).toBe('allPrivate')
    expect(emulator.store.visible(bucket, 'a/b/config')).toMatchObject({
      contentType: 'application/octet-stream',
      info: {},
    })
  })

  it('has no slash in front without a prefix', async () => {
    const backend = open({ prefix: '' })
    await backend.write(CONFIG, noise(2, 10))
    expect(emulator.versionCounts(TEST_BUCKET)).toEqual({ config: 1 })
    expect(backend.location).toBe(`b2:${TEST_BUCKET}`)
  })

  it.each([0, 1, 255, 256 * 1024, 256 * 1024 + 1, 3_000_000])(
    'is what was given, %i bytes',
    async (length) => {
      const backend = open()
      const data = noise(length, length)
      await backend.write(PACK, data)
      expect(await backend.stat(PACK)).toEqual({ name: PACK.name, size: length })
      const read = await backend.read(PACK)
      expect(Buffer.compare(read, data)).toBe(0)
      expect(read).not.toBeInstanceOf(Buffer)
      expect(read.buffer.byteLength).toBe(length)
    },
  )

  it('is only the part of memory that was given', async () => {
    const backend = open()
    const memory = noise(7, 1000)
    await backend.write(PACK, memory.subarray(100, 200))
    expect(Buffer.compare(await backend.read(PACK), memory.subarray(100, 200))).toBe(0)
  })

  it('may have any name that B2 has', async () => {
    const backend = open({ prefix: 'ä ö/%41+?#&=\u{1f600}' })
    await backend.write(PACK, noise(1, 10))
    expect(await namesOf(backend, 'pack')).toEqual([PACK.name])
    expect(Object.keys(emulator.versionCounts(TEST_BUCKET))).toEqual([
      `ä ö/%41+?#&=\u{1f600}/data/ab/${PACK.name}`,
    ])
    expect((await backend.read(PACK)).length).toBe(10)
    await backend.remove(PACK)
    expect(emulator.versionCounts(TEST_BUCKET)).toEqual({})
  })
})

it('rejects names that are none, and touches nothing', async () => {
  const backend = open()
  for (const name of ['', '../config', 'AB'.repeat(32), 'ab'.repeat(33)]) {
    await expect(backend.stat({ type: 'pack', name })).rejects.toThrow(InvalidInputError)
    await expect(backend.read({ type: 'pack', name })).rejects.toThrow(InvalidInputError)
    await expect(backend.write({ type: 'pack', name }, noise(1, 9))).rejects.toThrow(InvalidInputError)
    await expect(backend.remove({ type: 'pack', name })).rejects.toThrow(InvalidInputError)
  }
  expect(emulator.log).toEqual([])
})

describe('ranges', () => {
  it('are exactly what was asked for', async () => {
    const backend = open()
    const data = noise(3, 1000)
    await backend.write(PACK, data)
    for (const [offset, length] of [
      [0, 1],
      [0, 1000],
      [999, 1],
      [100, 250],
      [1000, 0],
      [0, 0],
    ] as const) {
      const read = await backend.read(PACK, { offset, length })
      expect(Buffer.compare(read, data.subarray(offset, offset + length))).toBe(0)
    }
  })

  it.each([
    [1000, 1],
    [999, 2],
    [0, 1001],
    [5000, 1],
    [1001, 0],
  ])('from %i, %i bytes long, are too much for 1000: a permanent error', async (offset, length) => {
    const backend = open()
    await backend.write(PACK, noise(3, 1000))
    expect((await failureOf(backend.read(PACK, { offset, length }))).transient).toBe(false)
  })
})

describe('content that is already there', () => {
  it('may come from large files and unchecked uploads', async () => {
    const backend = open()
    const data = noise(5, 100)
    put(`repo/data/ab/${PACK.name}`, data, { sha1: 'none' })
    expect(Buffer.compare(await backend.read(PACK), data)).toBe(0)
    const sha1 = createHash('sha1').update(data).digest('hex')
    put(`repo/data/ab/${PACK.name}`, data, { sha1: `unverified:${sha1}` })
    expect(Buffer.compare(await backend.read(PACK), data)).toBe(0)
    put(`repo/data/ab/${PACK.name}`, data, { sha1: `unverified:${'0'.repeat(40)}` })
    await expect(backend.read(PACK)).rejects.toThrow('SHA-1')
  })

  it('is listed without strays', async () => {
    const backend = open()
    const digits = handle('key', 'ab').name
    for (const name of [
      `repo/keys/${digits}`,
      `repo/keys/sub/${digits}`,
      `repo/keys/${digits.toUpperCase()}`,
      'repo/keys/README',
      `repo/keys-old/${digits}`,
      `repo/data/ab/${digits}`,
      `repo/data/cd/${digits}`,
      `repo/data/${digits}`,
    ])
      put(name, noise(1, 5))
    const hidden = handle('key', 'cd').name
    put(`repo/keys/${hidden}`, noise(1, 5))
    put(`repo/keys/${hidden}`, new Uint8Array(0), { action: 'hide' })
    expect(await namesOf(backend, 'key')).toEqual([digits])
    expect(await namesOf(backend, 'pack')).toEqual([digits])
    expect(await namesOf(backend, 'snapshot')).toEqual([])
  })

  it('is listed over several pages, each file once', async () => {
    const backend = open()
    const digits = Array.from(
      { length: 2500 },
      (_, i) => handle('index', i.toString(16).padStart(4, '0')).name,
    )
    for (const name of digits) put(`repo/index/${name}`, noise(1, 3))
    const calls = await callsOf(backend, async () => {
      expect(await namesOf(backend, 'index')).toEqual(digits)
    })
    expect(calls).toEqual(Array.from({ length: 3 }, () => 'b2_list_file_names'))
    expect(emulator.costs()).toEqual({ A: 0, B: 0, C: 3 })
  })
})

describe('what calls cost', () => {
  it('to open with a key of its own bucket: one', async () => {
    const key = emulator.addKey({ buckets: [TEST_BUCKET] })
    await expect(open({ key }).stat(CONFIG)).rejects.toThrow(FileNotFoundError)
    expect(emulator.ops()).toEqual(['b2_authorize_account', 'HEAD b2_download_file_by_name'])
  })

  it('to open with a key for all buckets: one more', async () => {
    await expect(open().stat(CONFIG)).rejects.toThrow(FileNotFoundError)
    expect(emulator.ops()).toEqual([
      'b2_authorize_account',
      'b2_list_buckets',
      'HEAD b2_download_file_by_name',
    ])
    expect(emulator.log[1]!.body).toMatchObject({ bucketName: TEST_BUCKET })
  })

  it('to open for many at once: no more than for one', async () => {
    const backend = open()
    await Promise.allSettled(Array.from({ length: 20 }, () => backend.stat(CONFIG)))
    expect(emulator.ops().filter((op) => op === 'b2_authorize_account')).toHaveLength(1)
    expect(emulator.ops().filter((op) => op === 'b2_list_buckets')).toHaveLength(1)
  })

  it.each<[string, string[], (backend: B2Backend) => Promise<unknown>]>([
    ['stat', ['HEAD b2_download_file_by_name'], (backend) => backend.stat(PACK)],
    ['read whole', ['b2_download_file_by_name'], (backend) => backend.read(PACK)],
    ['read a range', ['b2_download_file_by_name'], (backend) => backend.read(PACK, { offset: 1, length: 2 })],
    ['list', ['b2_list_file_names'], (backend) => namesOf(backend, 'pack')],
    ['write', ['b2_get_upload_url', 'b2_upload_file'], (backend) => backend.write(PACK, noise(1, 9))],
    [
      'remove',
      ['HEAD b2_download_file_by_name', 'b2_delete_file_version', 'HEAD b2_download_file_by_name'],
      (backend) => backend.remove(PACK),
    ],
  ])('to %s', async (_what, expected, work) => {
    put(`repo/data/ab/${PACK.name}`, noise(1, 9))
    const backend = open()
    expect(await callsOf(backend, () => work(backend))).toEqual(expected)
  })

  it('to write many: as many upload URLs as uploads at once', async () => {
    const backend = open({ connections: 3 })
    const calls = await callsOf(backend, () =>
      Promise.all(
        Array.from({ length: 30 }, (_, i) => backend.write(handle('pack', `a${i}`), noise(i, 50_000))),
      ),
    )
    expect(calls.filter((op) => op === 'b2_upload_file')).toHaveLength(30)
    expect(calls.filter((op) => op === 'b2_get_upload_url').length).toBeLessThanOrEqual(3)
  })

  it('to list: nothing of what only begins alike', async () => {
    await namesOf(open(), 'key')
    expect(emulator.log.at(-1)!.body).toMatchObject({ prefix: 'repo/keys/', maxFileCount: 1000 })
  })

  it('to remove what this process wrote: a question less, but for packs', async () => {
    const backend = open()
    await backend.write(PACK, noise(1, 9))
    expect(await callsOf(backend, () => backend.remove(PACK))).toHaveLength(3)
    await backend.write(handle('lock', 'ab'), noise(1, 9))
    const calls = await callsOf(backend, () => backend.remove(handle('lock', 'ab')))
    expect(calls).toEqual(['b2_delete_file_version', 'HEAD b2_download_file_by_name'])
  })

  it('to remove many that were announced: one listing and free calls', async () => {
    const names = Array.from({ length: 40 }, (_, i) => handle('pack', (i + 16).toString(16)).name)
    for (const name of names) put(`repo/data/${name.slice(0, 2)}/${name}`, noise(1, 9))
    const [twice] = names
    put(`repo/data/${twice!.slice(0, 2)}/${twice}`, noise(1, 9))
    const backend = open()
    await namesOf(backend, 'pack')
    emulator.clearLog()
    await backend.prepareRemoval('pack', names)
    await Promise.all(names.map((name) => backend.remove({ type: 'pack', name })))
    expect(emulator.costs()).toEqual({ A: 41, B: 0, C: 1 })
    expect(emulator.log[0]!.body).toMatchObject({ prefix: 'repo/data/', maxFileCount: 1000 })
    expect(emulator.versionCounts(TEST_BUCKET)).toEqual({})
  })

  it('to remove few that were announced: no listing', async () => {
    put(`repo/data/ab/${PACK.name}`, noise(1, 9))
    const backend = open()
    await namesOf(backend, 'pack')
    const calls = await callsOf(backend, () => backend.prepareRemoval('pack', [PACK.name]))
    expect(calls).toEqual([])
  })
})

describe('removing', () => {
  const name = `repo/data/ab/${PACK.name}`

  it('leaves no version, and deletes the oldest first of those that it lists', async () => {
    const ids = Array.from({ length: 5 }, (_, i) => put(name, noise(i, 9)))
    await open().remove(PACK)
    expect(emulator.versionCounts(TEST_BUCKET)).toEqual({})
    const deleted = emulator.log.filter(({ op }) => op === 'b2_delete_file_version')
    expect(deleted.map(({ body }) => body['fileId'])).toEqual([ids[4], ...ids.slice(0, 4)])
  })

  it('leaves none of more versions than one listing shows', async () => {
    for (let i = 0; i < 1100; i++) put(name, noise(1, 3))
    await open().remove(PACK)
    expect(emulator.versionCounts(TEST_BUCKET)).toEqual({})
    expect(emulator.ops().filter((op) => op === 'b2_delete_file_version')).toHaveLength(1100)
  })

  it('is done where somebody else was faster', async () => {
    put(name, noise(1, 9))
    const files = emulator.store.buckets.get(TEST_BUCKET)!.files
    const hits = emulator.inject({
      op: 'b2_delete_file_version',
      action: { kind: 'meanwhile', run: () => files.clear() },
    })
    await open().remove(PACK)
    expect(hits()).toBe(1)
  })

  it('leaves no version that somebody else added to what this process wrote', async () => {
    const backend = open()
    const lock = handle('lock', 'ab')
    put(`repo/locks/${lock.name}`, noise(1, 9))
    await backend.write(lock, noise(2, 9))
    put(`repo/locks/${lock.name}`, noise(3, 9))
    await backend.remove(lock)
    expect(emulator.versionCounts(TEST_BUCKET)).toEqual({})
  })

  it('leaves files with longer names', async () => {
    for (let i = 0; i < 3; i++) put(name, noise(i, 9))
    put(`${name}.bak`, noise(1, 9))
    await open().remove(PACK)
    expect(emulator.versionCounts(TEST_BUCKET)).toEqual({ [`${name}.bak`]: 1 })
  })

  it('finds nothing to remove', async () => {
    const backend = open()
    await expect(backend.remove(PACK)).rejects.toThrow(FileNotFoundError)
    const lock = handle('lock', 'ab')
    await backend.write(lock, noise(2, 9))
    emulator.store.buckets.get(TEST_BUCKET)!.files.clear()
    await expect(backend.remove(lock)).rejects.toThrow(FileNotFoundError)
    put(name, noise(1, 9))
    await namesOf(backend, 'pack')
    await backend.prepareRemoval(
      'pack',
      Array.from({ length: 9 }, () => PACK.name),
    )
    emulator.store.buckets.get(TEST_BUCKET)!.files.clear()
    await expect(backend.remove(PACK)).rejects.toThrow(FileNotFoundError)
  })

  it('minds what was written after it was announced', async () => {
    put(name, noise(1, 9))
    const backend = open()
    await namesOf(backend, 'pack')
    await backend.prepareRemoval(
      'pack',
      Array.from({ length: 9 }, () => PACK.name),
    )
    await backend.write(PACK, noise(2, 9))
    await backend.remove(PACK)
    expect(emulator.versionCounts(TEST_BUCKET)).toEqual({})
  })

  it('removes the oldest first, so that a hidden file never comes back', async () => {
    const ids = [
      put(name, noise(1, 9)),
      put(name, noise(2, 9)),
      put(name, new Uint8Array(0), { action: 'hide' }),
    ]
    put(`repo/data/cd/${handle('pack', 'cd').name}`, noise(1, 9))
    const backend = open()
    await namesOf(backend, 'pack')
    await backend.prepareRemoval(
      'pack',
      Array.from({ length: 9 }, () => PACK.name),
    )
    await backend.remove(PACK)
    const deleted = emulator.log.filter(({ op }) => op === 'b2_delete_file_version')
    expect(deleted.map(({ body }) => body['fileId'])).toEqual(ids)
  })

  it('hides where the key may not delete', async () => {
    const capabilities = ['listBuckets', 'listFiles', 'readFiles', 'writeFiles']
    const backend = open({ key: emulator.addKey({ capabilities }) })
    put(name, noise(1, 9))
    const calls = await callsOf(backend, async () => {
      await backend.prepareRemoval(
        'pack',
        Array.from({ length: 900 }, () => PACK.name),
      )
      await backend.remove(PACK)
    })
    expect(calls).toEqual(['b2_hide_file'])
    await expect(backend.stat(PACK)).rejects.toThrow(FileNotFoundError)
    expect(await namesOf(backend, 'pack')).toEqual([])
    await expect(backend.remove(PACK)).rejects.toThrow(FileNotFoundError)
    await expect(backend.remove(handle('pack', 'ff'))).rejects.toThrow(FileNotFoundError)
    await backend.write(PACK, noise(3, 9))
    expect(await namesOf(backend, 'pack')).toEqual([PACK.name])
  })

  it('hides where B2 says that the key may not delete after all', async () => {
    put(name, noise(1, 9))
    put(`repo/data/cd/${handle('pack', 'cd').name}`, noise(1, 9))
    const backend = open()
    const refused = { kind: 'answer', status: 401, code: 'unauthorized' } as const
    emulator.inject({ op: 'b2_delete_file_version', count: Infinity, action: refused })
    await backend.remove(PACK)
    expect(await callsOf(backend, () => backend.remove(handle('pack', 'cd')))).toEqual(['b2_hide_file'])
    expect(await namesOf(backend, 'pack')).toEqual([])
  })

  it('does not hide what Object Lock protects', async () => {
    put(name, noise(1, 9))
    const refused = { kind: 'answer', status: 401, code: 'access_denied' } as const
    emulator.inject({ op: 'b2_delete_file_version', count: Infinity, action: refused })
    const { transient, hint } = await failureOf(open().remove(PACK))
    expect(transient).toBe(false)
    expect(hint).toContain('Object Lock')
    expect(emulator.ops()).not.toContain('b2_hide_file')
  })
})

describe('a key that does not fit', () => {
  const write = (backend: B2Backend): Promise<unknown> => backend.write(PACK, noise(1, 9))
  const stat = (backend: B2Backend): Promise<unknown> => backend.stat(CONFIG)
  const readOnly = ['listBuckets', 'listFiles', 'readFiles']

  const remove = (backend: B2Backend): Promise<unknown> => backend.remove(PACK)

  it.each<[string, Partial<EmulatedKey>, typeof stat, readonly [RegExp, RegExp]]>([
    ['no listing', { capabilities: ['listBuckets', 'readFiles'] }, stat, [/may not list files/, /listFiles/]],
    ['no reading', { capabilities: ['listBuckets', 'listFiles'] }, stat, [/may not read files/, /readFiles/]],
    [
      'no bucket',
      { capabilities: readOnly.slice(1) },
      stat,
      [/look for the bucket "test-bucket"/, /listBuckets/],
    ],
    ['no writing', { capabilities: readOnly }, write, [/may not write/, /writeFiles/]],
    ['no removing', { capabilities: readOnly }, remove, [/may not remove/, /deleteFiles/]],
    [
      'other buckets',
      { buckets: ['other-bucket', 'third-bucket'] },
      stat,
      [/may not use the bucket "test-bucket", only "other-bucket", "third-bucket"/, /key for this one/],
    ],
    ['other names', { namePrefix: 'other/' }, stat, [/begin with "other\/"/, /b2:test-bucket:other,/]],
    [
      'longer names',
      { namePrefix: 'repo/keys' },
      stat,
      [/begin with "repo\/keys"/, /another application key/],
    ],
  ])('is told at once: %s', async (_what, fields, work, [message, hint]) => {
    const backend = open({ key: emulator.addKey(fields) })
    const failure = await failureOf(work(backend))
    expect(failure.transient).toBe(false)
    expect(failure.message).toMatch(message)
    expect(failure.hint).toMatch(hint)
    expect(failure.message + failure.hint).not.toContain('\n')
    expect(backend.waits).toEqual([])
    expect(emulator.log.length).toBeLessThanOrEqual(2)
    expect(shownSecrets(emulator, failure)).toEqual([])
  })

  it.each([{ namePrefix: 'repo/' }, { namePrefix: 're' }, { buckets: [TEST_BUCKET, 'other-bucket'] }])(
    'is not one with %j',
    async (fields) => {
      const backend = open({ key: emulator.addKey(fields) })
      await backend.write(PACK, noise(1, 9))
      expect(await namesOf(backend, 'pack')).toEqual([PACK.name])
      await backend.remove(PACK)
    },
  )

  it('reads with a key that can only read', async () => {
    put('repo/config', noise(1, 9))
    const backend = open({ key: emulator.addKey({ capabilities: readOnly }) })
    expect((await backend.read(CONFIG)).length).toBe(9)
  })

  it('says that key or ID is wrong', async () => {
    const key = emulator.addKey({})
    const wrong = { ...key, secret: 'K001notTheRightOneAtAllSorry' }
    const failure = await failureOf(open({ key: wrong }).stat(CONFIG))
    expect(failure.transient).toBe(false)
    expect(failure.hint).toContain('B2_ACCOUNT_KEY')
    expect(shownForms(failure)).not.toContain('K001notTheRight')
    expect(emulator.log).toHaveLength(1)
  })
})

describe('a refusal without a reason, as HEAD gets it', () => {
  it('is asked for its reason', async () => {
    const refusal = { kind: 'answer', status: 403, code: 'transaction_cap_exceeded' } as const
    emulator.inject({ op: 'b2_download_file_by_name', count: Infinity, action: refusal })
    const { transient, message, hint } = await failureOf(open().stat(CONFIG))
    expect(transient).toBe(false)
    expect(message).toContain('transaction_cap_exceeded')
    expect(hint).toContain('raise the cap')
    expect(emulator.ops().slice(2)).toEqual(['HEAD b2_download_file_by_name', 'b2_download_file_by_name'])
  })

  it('stays one where the reason is another', async () => {
    const refusal = { kind: 'answer', status: 403 } as const
    emulator.inject({ op: 'b2_download_file_by_name', method: 'HEAD', count: Infinity, action: refusal })
    const { transient, message } = await failureOf(open().stat(CONFIG))
    expect([transient, message]).toEqual([false, 'stat repo/config: Backblaze B2 refuses: 403'])
  })

  it('is cured where an expired token was the reason', async () => {
    put('repo/config', noise(1, 9))
    const backend = open()
    await backend.stat(CONFIG)
    emulator.store.expireAccountTokens()
    emulator.clearLog()
    expect((await backend.stat(CONFIG)).size).toBe(9)
    expect(emulator.ops()).toEqual([
      'HEAD b2_download_file_by_name',
      'b2_download_file_by_name',
      'b2_authorize_account',
      'HEAD b2_download_file_by_name',
    ])
  })
})

describe('a bucket', () => {
  it('that does not exist has no files and no place for any', async () => {
    const backend = open({ bucket: 'no-such-bucket' })
    await expect(backend.stat(CONFIG)).rejects.toThrow('bucket "no-such-bucket" does not exist')
    await expect(backend.read(CONFIG)).rejects.toThrow(FileNotFoundError)
    expect(await namesOf(backend, 'key')).toEqual([])
    await expect(backend.write(CONFIG, noise(1, 9))).rejects.toThrow('no such bucket')
    await expect(backend.remove(PACK)).rejects.toThrow(FileNotFoundError)
    expect(emulator.ops()).toEqual(['b2_authorize_account', 'b2_list_buckets'])
  })

  it('is made once', async () => {
    const backend = open({ bucket: 'new-bucket' })
    await backend.create()
    await backend.create()
    await backend.write(CONFIG, noise(1, 9))
    expect(emulator.ops().filter((op) => op === 'b2_create_bucket')).toHaveLength(1)
    await open({ bucket: 'new-bucket' }).create()
    expect(emulator.ops().filter((op) => op === 'b2_create_bucket')).toHaveLength(1)
  })

  it('is not mixed up with another that B2 names too', async () => {
    const change = ({ buckets }: Record<string, unknown>): unknown => ({
      buckets: [{ bucketName: 'other', bucketId: 'x' }, ...(buckets as object[])],
    })
    emulator.inject({ op: 'b2_list_buckets', action: { kind: 'rewrite', change } })
    await open().write(CONFIG, noise(1, 9))
    expect(emulator.versionCounts(TEST_BUCKET)).toEqual({ 'repo/config': 1 })
  })

  it('may be made by somebody else at the same moment', async () => {
    const backend = open({ bucket: 'new-bucket' })
    await expect(backend.stat(CONFIG)).rejects.toThrow(FileNotFoundError)
    emulator.store.createBucket('new-bucket', 'allPrivate')
    await backend.create()
    await backend.write(CONFIG, noise(1, 9))
    expect(emulator.versionCounts('new-bucket')).toEqual({ 'repo/config': 1 })
  })

  it('may belong to somebody else', async () => {
    const taken = { kind: 'answer', status: 400, code: 'duplicate_bucket_name' } as const
    emulator.inject({ op: 'b2_create_bucket', action: taken })
    const { transient, message, hint } = await failureOf(open({ bucket: 'backups' }).create())
    expect(transient).toBe(false)
    expect(message).toBe('the bucket "backups" belongs to another user of Backblaze B2')
    expect(hint).toContain('another bucket name')
  })

  it('may be one that the key cannot make', async () => {
    const key = emulator.addKey({ capabilities: ['listBuckets', 'listFiles', 'readFiles', 'writeFiles'] })
    const { transient, hint } = await failureOf(open({ key, bucket: 'new-bucket' }).create())
    expect(transient).toBe(false)
    expect(hint).toContain('writeBuckets')
  })
})

describe('many at once', () => {
  it('are no more than the connections, and locks do not wait for them', async () => {
    const backend = open({ connections: 2 })
    for (let i = 0; i < 6; i++) put(`repo/data/a${i}/${handle('pack', `a${i}`).name}`, noise(i, 9))
    await backend.stat(handle('pack', 'a0'))
    const controller = new AbortController()
    emulator.inject({ op: 'b2_download_file_by_name', method: 'GET', count: 6, action: { kind: 'hang' } })
    emulator.clearLog()
    const reads = Array.from({ length: 6 }, (_, i) =>
      backend.read(handle('pack', `a${i}`), undefined, controller.signal),
    )
    await backend.write(handle('lock', 'ab'), noise(1, 9))
    await backend.remove(handle('lock', 'ab'))
    expect(emulator.ops().filter((op) => op === 'b2_download_file_by_name')).toHaveLength(2)
    controller.abort()
    const outcomes = await Promise.allSettled(reads)
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true)
    emulator.clearFaults()
    expect((await backend.read(handle('pack', 'a5'))).length).toBe(9)
  })

  it('renew an expired token once', async () => {
    const backend = open({ connections: 20 })
    for (let i = 10; i < 30; i++) put(`repo/data/${i}/${handle('pack', `${i}`).name}`, noise(i, 9))
    await backend.stat(handle('pack', '10'))
    emulator.store.expireAccountTokens()
    emulator.clearLog()
    const sizes = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => (await backend.read(handle('pack', `${i + 10}`))).length),
    )
    expect(sizes).toEqual(Array.from({ length: 20 }, () => 9))
    expect(emulator.ops().filter((op) => op === 'b2_authorize_account')).toHaveLength(1)
    expect(emulator.ops()).not.toContain('b2_list_buckets')
  })

  it('never share an upload token, and need no new account token when upload tokens expire', async () => {
    const backend = open({ connections: 8 })
    const writeAll = (from: number): Promise<unknown> =>
      Promise.all(
        Array.from({ length: 40 }, (_, i) => backend.write(handle('pack', `${from + i}`), noise(i, 99))),
      )
    await writeAll(100)
    emulator.store.expireUploadTokens()
    emulator.clearLog()
    await writeAll(200)
    expect(emulator.ops()).not.toContain('b2_authorize_account')
    expect(Object.keys(emulator.versionCounts(TEST_BUCKET))).toHaveLength(80)
  })
})

describe('a signal', () => {
  const work: [string, (backend: B2Backend, signal: AbortSignal) => Promise<unknown>][] = [
    ['stat', (backend, signal) => backend.stat(PACK, signal)],
    ['read', (backend, signal) => backend.read(PACK, undefined, signal)],
    ['write', (backend, signal) => backend.write(PACK, noise(1, 999_999), signal)],
    ['remove', (backend, signal) => backend.remove(PACK, signal)],
    ['create', (backend, signal) => backend.create(signal)],
    ['list', (backend, signal) => backend.list('pack', signal).next()],
    [
      'prepareRemoval',
      (backend, signal) => backend.prepareRemoval('pack', Array(999).fill(PACK.name), signal),
    ],
  ]

  it.each(work)('that has fired lets %s do nothing', async (_what, run) => {
    await expect(run(open(), AbortSignal.abort())).rejects.toThrow(AbortedError)
    expect(emulator.log).toEqual([])
  })

  it.each(work)('ends %s while it opens', async (_what, run) => {
    emulator.inject({ op: 'b2_authorize_account', action: { kind: 'hang' } })
    const controller = new AbortController()
    const running = run(open(), controller.signal)
    setTimeout(() => controller.abort(), 20)
    await expect(running).rejects.toThrow(AbortedError)
  })

  it.each(work.filter(([what]) => what !== 'create'))('ends %s in its middle', async (_what, run) => {
    put(`repo/data/ab/${PACK.name}`, noise(1, 9))
    const backend = open()
    await backend.stat(PACK)
    emulator.inject({ count: Infinity, action: { kind: 'hang' } })
    const controller = new AbortController()
    const running = run(backend, controller.signal)
    setTimeout(() => controller.abort(), 20)
    await expect(running).rejects.toThrow(AbortedError)
    emulator.clearFaults()
    expect((await backend.stat(PACK)).size).toBe(9)
  })

  it('ends the pause before another upload URL', async () => {
    const busy = { kind: 'answer', status: 503 } as const
    emulator.inject({ op: 'b2_upload_file', count: Infinity, action: busy })
    const backend = open({ sleep: (_ms, signal) => sleep(60_000, undefined, { signal: signal! }) })
    const controller = new AbortController()
    const writing = backend.write(PACK, noise(1, 9), controller.signal)
    setTimeout(() => controller.abort(), 100)
    await expect(writing).rejects.toThrow(AbortedError)
  })

  it('of one does not end the opening of others', async () => {
    put('repo/config', noise(1, 9))
    emulator.inject({ op: 'b2_authorize_account', action: { kind: 'delay', ms: 60 } })
    const backend = open()
    const controller = new AbortController()
    const impatient = backend.stat(CONFIG, controller.signal)
    const patient = backend.stat(CONFIG)
    setTimeout(() => controller.abort(), 20)
    await expect(impatient).rejects.toThrow(AbortedError)
    expect((await patient).size).toBe(9)
    expect(emulator.ops().filter((op) => op === 'b2_authorize_account')).toHaveLength(1)
  })
})

it('shows no secret of its own', async () => {
  const backend = open()
  await backend.write(PACK, noise(1, 9))
  await backend.read(PACK)
  expect(shownSecrets(emulator, backend)).toEqual([])
  expect(inspect(backend)).toContain('b2:test-bucket:repo')
})

it('asks for bytes as they are, and lets JSON be compressed', async () => {
  await emulator.stop()
  emulator = await B2Emulator.start({ buckets: [TEST_BUCKET], gzip: true })
  put('repo/config', noise(1, 9))
  await open().read(CONFIG)
  const encodings = new Map(emulator.log.map(({ op, headers }) => [op, headers['accept-encoding']]))
  expect(encodings.get('b2_list_buckets')).toContain('gzip')
  expect(encodings.get('b2_download_file_by_name')).toBe('identity')
  expect(emulator.log.every(({ headers }) => headers['user-agent'] === 'restic-ts')).toBe(true)
})
