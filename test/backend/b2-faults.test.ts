/**
 * Every call of our B2 backend meets every fault (B2 spec §4): it ends well, or with the right class at once. Never a
 * hang, a dead upload URL used again, or a secret shown.
 */
import B2 from 'backblaze-b2'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Handle } from '../../src/backend/backend.ts'
import type { B2Backend } from '../../src/backend/b2.ts'
import { BackendError, FileNotFoundError } from '../../src/errors.ts'
import { failureOf, openOn, shownSecrets, TEST_BUCKET, type Failure } from '../support/b2-emulator-backend.ts'
import type { FaultAction } from '../support/b2-emulator-faults.ts'
import { B2Emulator } from '../support/b2-emulator.ts'
import { sha1Of } from '../support/b2-emulator-store.ts'
import { noise } from '../support/sample-data.ts'

const PACK: Handle = { type: 'pack', name: 'ab'.padEnd(64, '0') }
const STORED = noise(1, 100_000)
const NEW = noise(2, 700_000)
const MANY = Array.from({ length: 200 }, () => PACK.name)

interface Call {
  readonly op: string
  readonly method?: string
  /** A backend that has already opened keeps its token and its connections. */
  readonly isFirst?: true
  readonly mayNotDelete?: true
  readonly bucket?: string
  readonly run: (backend: B2Backend) => Promise<unknown>
}

async function listPacks(backend: B2Backend): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of backend.list('pack')) names.push(name)
  return names
}

const CALLS = {
  authorize: { op: 'b2_authorize_account', isFirst: true, run: (backend) => backend.stat(PACK) },
  'list buckets': { op: 'b2_list_buckets', isFirst: true, run: (backend) => backend.stat(PACK) },
  'create bucket': { op: 'b2_create_bucket', bucket: 'new-bucket', run: (backend) => backend.create() },
  'get upload URL': { op: 'b2_get_upload_url', run: (backend) => backend.write(PACK, NEW) },
  upload: { op: 'b2_upload_file', run: (backend) => backend.write(PACK, NEW) },
  head: { op: 'b2_download_file_by_name', method: 'HEAD', run: (backend) => backend.stat(PACK) },
  download: { op: 'b2_download_file_by_name', method: 'GET', run: (backend) => backend.read(PACK) },
  'download range': {
    op: 'b2_download_file_by_name',
    method: 'GET',
    run: (backend) => backend.read(PACK, { offset: 1000, length: 50_000 }),
  },
  'list names': { op: 'b2_list_file_names', run: listPacks },
  'list versions': { op: 'b2_list_file_versions', run: (backend) => backend.prepareRemoval('pack', MANY) },
  delete: { op: 'b2_delete_file_version', run: (backend) => backend.remove(PACK) },
  hide: { op: 'b2_hide_file', mayNotDelete: true, run: (backend) => backend.remove(PACK) },
} satisfies Record<string, Call>

type CallName = keyof typeof CALLS
type Outcome = 'fine' | 'transient' | 'permanent' | 'missing'

interface Fault {
  readonly action: FaultAction
  /** How often it strikes; default: whenever it can. */
  readonly count?: number
  /** For calls not named in `except`. */
  readonly outcome: Outcome
  readonly except?: Partial<Record<CallName, Outcome>>
  /** Calls it can strike; default: all. */
  readonly only?: readonly CallName[]
  readonly retryAfterMs?: number
  readonly idleMs?: number
  /** What the message or the hint says. */
  readonly says?: RegExp
}

const answer = (
  status: number,
  code?: string,
  message = 'for {token}',
  retryAfter?: string,
): FaultAction => ({
  kind: 'answer',
  status,
  message,
  ...(code === undefined ? {} : { code }),
  ...(retryAfter === undefined ? {} : { retryAfter }),
})

const JSON_CALLS = (Object.keys(CALLS) as CallName[]).filter(
  (name) => !['head', 'download', 'download range'].includes(name),
)

const FAULTS: Readonly<Record<string, Fault>> = {
  '401 expired_auth_token, once': {
    action: answer(401, 'expired_auth_token'),
    count: 1,
    outcome: 'fine',
    except: { authorize: 'permanent' },
  },
  '401 bad_auth_token, once': {
    action: answer(401, 'bad_auth_token'),
    count: 1,
    outcome: 'fine',
    except: { authorize: 'permanent' },
  },
  '401 expired_auth_token': { action: answer(401, 'expired_auth_token'), outcome: 'permanent' },
  // The key may not delete: files are hidden instead.
  '401 unauthorized': {
    action: answer(401, 'unauthorized'),
    outcome: 'permanent',
    except: { delete: 'fine' },
  },
  '401 access_denied': { action: answer(401, 'access_denied'), outcome: 'permanent' },
  '401 unsupported': { action: answer(401, 'unsupported'), outcome: 'permanent' },
  '403 cap_exceeded': { action: answer(403, 'cap_exceeded'), outcome: 'permanent' },
  '403 storage_cap_exceeded': {
    action: answer(403, 'storage_cap_exceeded'),
    outcome: 'permanent',
    only: ['upload', 'get upload URL'],
    says: /cap of the Backblaze account is reached.*raise the cap/,
  },
  '403 download_cap_exceeded': {
    action: answer(403, 'download_cap_exceeded'),
    outcome: 'permanent',
    only: ['download', 'download range'],
    says: /raise the cap/,
  },
  '403 transaction_cap_exceeded': {
    action: answer(403, 'transaction_cap_exceeded'),
    outcome: 'permanent',
    only: ['list names', 'list versions'],
    says: /raise the cap/,
  },
  '403 without reason': { action: answer(403), outcome: 'permanent' },
  // What is gone already is deleted.
  '404 not_found': {
    action: answer(404, 'not_found'),
    outcome: 'permanent',
    except: {
      head: 'missing',
      download: 'missing',
      'download range': 'missing',
      hide: 'missing',
      delete: 'fine',
    },
  },
  '400 file_not_present': { action: answer(400, 'file_not_present'), outcome: 'fine', only: ['delete'] },
  '400 no_such_file': { action: answer(400, 'no_such_file'), outcome: 'missing', only: ['hide'] },
  '400 already_hidden': { action: answer(400, 'already_hidden'), outcome: 'missing', only: ['hide'] },
  '400 bad_request': { action: answer(400, 'bad_request'), outcome: 'permanent' },
  '409 conflict': { action: answer(409, 'conflict'), outcome: 'permanent' },
  '416 range_not_satisfiable': {
    action: answer(416, 'range_not_satisfiable'),
    outcome: 'permanent',
    only: ['download range'],
    says: /too short/,
  },
  '302 to elsewhere': { action: answer(302), count: 1, outcome: 'transient', except: { upload: 'fine' } },
  '408 request_timeout, once': {
    action: answer(408, 'request_timeout'),
    count: 1,
    outcome: 'transient',
    except: { upload: 'fine' },
  },
  '429 too_many_requests': {
    action: answer(429, 'too_many_requests', 'slow down', '7'),
    count: 1,
    outcome: 'transient',
    retryAfterMs: 7000,
  },
  '500 internal_error, once': {
    action: answer(500, 'internal_error'),
    count: 1,
    outcome: 'transient',
    except: { upload: 'fine' },
  },
  '502 in HTML, once': {
    action: { kind: 'answer', status: 502, text: '<html>Bad Gateway</html>' },
    count: 1,
    outcome: 'transient',
    except: { upload: 'fine' },
  },
  '503 no tomes available, once': {
    action: answer(503, 'service_unavailable', 'no tomes available'),
    count: 1,
    outcome: 'transient',
    except: { upload: 'fine' },
  },
  '503 before the body, once': {
    action: { kind: 'answer', status: 503, code: 'service_unavailable', early: true },
    count: 1,
    outcome: 'fine',
    only: ['upload'],
  },
  '503 no tomes available': { action: answer(503, 'service_unavailable'), outcome: 'transient' },
  '503 with Retry-After': {
    action: answer(503, 'service_unavailable', '', '3'),
    count: 1,
    outcome: 'transient',
    retryAfterMs: 3000,
  },
  '504 in HTML, once': {
    action: { kind: 'answer', status: 504, text: '<html>Gateway Timeout</html>' },
    count: 1,
    outcome: 'transient',
    except: { upload: 'fine' },
  },
  '200 in HTML, once': {
    action: { kind: 'answer', status: 200, text: '<html>Log in to the hotel</html>' },
    count: 1,
    outcome: 'transient',
    except: { upload: 'fine' },
  },
  'an answer without its fields, once': {
    action: { kind: 'rewrite', change: () => ({}) },
    count: 1,
    outcome: 'transient',
    only: JSON_CALLS,
    // Nothing in these answers matters.
    except: { upload: 'fine', delete: 'fine', hide: 'fine' },
  },
  'an answer that is a list, once': {
    action: { kind: 'rewrite', change: () => [] },
    count: 1,
    outcome: 'transient',
    only: JSON_CALLS,
    except: { upload: 'fine' },
  },
  'an upload URL that is not https': {
    action: plainUrl('uploadUrl'),
    outcome: 'permanent',
    only: ['get upload URL'],
    says: /not https/,
  },
  'an API URL that is not https': {
    action: plainUrl('apiUrl'),
    outcome: 'permanent',
    only: ['authorize'],
    says: /not https/,
  },
  'a download URL that is not https': {
    action: plainUrl('downloadUrl'),
    outcome: 'permanent',
    only: ['authorize'],
    says: /not https/,
  },
  'a reset': { action: { kind: 'reset' }, outcome: 'transient' },
  'a reset, once': {
    action: { kind: 'reset' },
    count: 1,
    outcome: 'fine',
    only: ['upload', 'head', 'list names'],
  },
  'a reset in the body, once': {
    action: { kind: 'reset', inBody: true },
    count: 1,
    outcome: 'fine',
    only: ['upload'],
  },
  'a lost answer': { action: { kind: 'lose-answer' }, outcome: 'transient' },
  'a lost answer, once': { action: { kind: 'lose-answer' }, count: 1, outcome: 'fine', only: ['upload'] },
  silence: { action: { kind: 'hang' }, outcome: 'transient', idleMs: 100, says: /no progress/ },
  'a slow answer': { action: { kind: 'delay', ms: 30 }, count: 1, outcome: 'fine' },
  'expired account tokens': {
    action: { kind: 'expire-account-tokens' },
    count: 1,
    outcome: 'fine',
  },
  'expired upload tokens': { action: { kind: 'expire-upload-tokens' }, count: 1, outcome: 'fine' },
  'a body cut short': {
    action: { kind: 'truncate' },
    outcome: 'transient',
    only: ['download', 'download range'],
  },
  'a body that stops': {
    action: { kind: 'stall' },
    outcome: 'transient',
    only: ['download', 'download range'],
    idleMs: 100,
    says: /no progress/,
  },
  'a wrong byte': { action: { kind: 'corrupt' }, outcome: 'transient', only: ['download'], says: /SHA-1/ },
  'the whole file instead of the range': {
    action: { kind: 'ignore-range' },
    outcome: 'transient',
    only: ['download range'],
  },
  'a checksum that did not match, once': {
    action: answer(400, 'bad_request', 'Checksum did not match data received'),
    count: 1,
    outcome: 'fine',
    only: ['upload'],
  },
  'another SHA-1 than was sent, once': {
    action: { kind: 'rewrite', change: (json) => ({ ...json, contentSha1: sha1Of(STORED) }) },
    count: 1,
    outcome: 'fine',
    only: ['upload'],
  },
  'another length than was sent, once': {
    action: { kind: 'rewrite', change: (json) => ({ ...json, contentLength: 5 }) },
    count: 1,
    outcome: 'fine',
    only: ['upload'],
  },
  'another SHA-1 than was sent': {
    action: { kind: 'rewrite', change: (json) => ({ ...json, contentSha1: sha1Of(STORED) }) },
    outcome: 'transient',
    only: ['upload'],
    says: /stored other bytes/,
  },
  'auth_token_limit, once': {
    action: answer(400, 'auth_token_limit', 'more than one upload using auth token {token}'),
    count: 1,
    outcome: 'fine',
    only: ['upload'],
  },
  auth_token_limit: {
    action: answer(400, 'auth_token_limit', 'more than one upload using auth token {token}'),
    outcome: 'permanent',
    only: ['upload'],
    says: /more than one upload/,
  },
}

/** No call may ask more often than this, whatever the fault. */
const TRIES_MAX = 5

/** Puts a URL that is not encrypted in place of one of an answer's. */
function plainUrl(field: 'apiUrl' | 'downloadUrl' | 'uploadUrl'): FaultAction {
  const change = (json: Record<string, unknown>): unknown => {
    const plain = { [field]: 'http://api.example.com' }
    if (field === 'uploadUrl') return { ...json, ...plain }
    const { storageApi } = json['apiInfo'] as { storageApi: object }
    return { ...json, apiInfo: { storageApi: { ...storageApi, ...plain } } }
  }
  return { kind: 'rewrite', change }
}

let emulator: B2Emulator
let backend: ReturnType<typeof openOn>

beforeEach(async () => {
  emulator = await B2Emulator.start({ buckets: [TEST_BUCKET] })
})

afterEach(async () => {
  await backend.close()
  await emulator.stop()
})

function store(): void {
  const bucket = emulator.store.buckets.get(TEST_BUCKET)!
  const [name, sha1, bytes] = [`repo/data/ab/${PACK.name}`, sha1Of(STORED), Buffer.from(STORED)]
  bucket.files.delete(name)
  emulator.store.addVersion(bucket, { name, sha1, bytes, action: 'upload', contentType: 'x', info: {} })
}

async function outcomeOf(work: Promise<unknown>): Promise<{ outcome: Outcome; failure?: Failure }> {
  const settled = await work.then(
    () => undefined,
    () => failureOf(work),
  )
  if (settled === undefined) return { outcome: 'fine' }
  if (settled.error instanceof FileNotFoundError) return { outcome: 'missing', failure: settled }
  if (!(settled.error instanceof BackendError)) throw settled.error
  return { outcome: settled.transient === true ? 'transient' : 'permanent', failure: settled }
}

for (const [callName, call] of Object.entries(CALLS) as [CallName, Call][]) {
  describe(`the call "${callName}"`, () => {
    const faults = Object.entries(FAULTS).filter(([, { only }]) => only?.includes(callName) ?? true)
    it.each(faults)('meets %s', async (_name, fault) => {
      const { action, count = Infinity, outcome, except, retryAfterMs, says, idleMs } = fault
      const capabilities = ['listBuckets', 'writeBuckets', 'listFiles', 'readFiles', 'writeFiles']
      const limited = call.mayNotDelete === true ? { key: emulator.addKey({ capabilities }) } : {}
      const bucket = call.bucket === undefined ? {} : { bucket: call.bucket }
      backend = openOn(emulator, { ...limited, ...bucket, ...(idleMs === undefined ? {} : { idleMs }) })
      store()
      if (call.isFirst !== true) await outcomeOf(backend.stat(PACK))
      if (callName === 'list versions') await listPacks(backend)
      const method = call.method === undefined ? {} : { method: call.method }
      const hits = emulator.inject({ op: call.op, ...method, count, action })

      const result = await outcomeOf(call.run(backend))
      expect(result.outcome).toBe(except?.[callName] ?? outcome)
      expect(hits()).toBeGreaterThan(0)
      expect(hits()).toBeLessThanOrEqual(TRIES_MAX)
      const { message = '', hint = '' } = result.failure ?? {}
      expect(result.failure?.retryAfterMs).toBe(retryAfterMs)
      expect(`${message} ${hint}`).toMatch(says ?? /^[^\n]*$/)
      expect(shownSecrets(emulator, result.failure)).toEqual([])
      expect(emulator.violations).toEqual([])

      // The fault over, all is well.
      emulator.clearFaults()
      store()
      expect((await outcomeOf(call.run(backend))).outcome).toBe('fine')
      expect(emulator.violations).toEqual([])
    })
  })
}

describe('an upload', () => {
  beforeEach(() => {
    backend = openOn(emulator)
  })

  it('tries five URLs, the second at once, the others after growing pauses', async () => {
    const hits = emulator.inject({ op: 'b2_upload_file', count: Infinity, action: answer(503) })
    expect((await outcomeOf(backend.write(PACK, NEW))).outcome).toBe('transient')
    expect(hits()).toBe(5)
    expect(emulator.ops().filter((op) => op === 'b2_get_upload_url')).toHaveLength(5)
    expect(backend.waits).toEqual([1000, 2000, 4000])
  })

  it('spreads its pauses', async () => {
    await backend.close()
    backend = openOn(emulator, { random: () => 0.999 })
    emulator.inject({ op: 'b2_upload_file', count: Infinity, action: answer(503) })
    await outcomeOf(backend.write(PACK, NEW))
    expect(backend.waits.map(Math.round)).toEqual([1499, 2998, 5996])
  })

  it('is tried once where nobody answered for long: the caller knows how long is too long', async () => {
    await backend.close()
    backend = openOn(emulator, { idleMs: 100 })
    const hits = emulator.inject({ op: 'b2_upload_file', count: Infinity, action: { kind: 'hang' } })
    expect((await outcomeOf(backend.write(PACK, NEW))).outcome).toBe('transient')
    expect(hits()).toBe(1)
  })

  it('takes no URL of before after a failure', async () => {
    const others = ['cd', 'ef'].map((digits) => ({ ...PACK, name: digits.padEnd(64, '0') }))
    await Promise.all(others.map((handle) => backend.write(handle, NEW)))
    emulator.clearLog()
    emulator.inject({ op: 'b2_upload_file', action: answer(503) })
    await backend.write(PACK, NEW)
    expect(emulator.ops()).toEqual(['b2_upload_file', 'b2_get_upload_url', 'b2_upload_file'])
  })

  it('learns from one expired URL that the others are of no use', async () => {
    const handles = ['ab', 'cd', 'ef'].map((digits) => ({ ...PACK, name: digits.padEnd(64, '0') }))
    const writeAll = (): Promise<unknown> => Promise.all(handles.map((handle) => backend.write(handle, NEW)))
    await writeAll()
    emulator.store.expireUploadTokens()
    await backend.write(PACK, NEW)
    emulator.clearLog()
    await writeAll()
    expect(emulator.ops().filter((op) => op === 'b2_upload_file')).toHaveLength(3)
  })

  it.each([{ contentSha1: sha1Of(STORED) }, { contentLength: 5 }])(
    'that B2 confirms as %j is sent again',
    async (wrong) => {
      const change = (json: Record<string, unknown>): unknown => ({ ...json, ...wrong })
      emulator.inject({ op: 'b2_upload_file', action: { kind: 'rewrite', change } })
      await backend.write(PACK, NEW)
      expect(emulator.ops().filter((op) => op === 'b2_upload_file')).toHaveLength(2)
    },
  )

  it('whose answer was lost leaves two versions, and removing leaves none', async () => {
    emulator.inject({ op: 'b2_upload_file', action: { kind: 'lose-answer' } })
    await backend.write(PACK, NEW)
    expect(emulator.versionCounts(TEST_BUCKET)).toEqual({ [`repo/data/ab/${PACK.name}`]: 2 })
    await backend.remove(PACK)
    expect(emulator.versionCounts(TEST_BUCKET)).toEqual({})
  })
})

it('is not tried again by the library, whatever others in this process told it', async () => {
  backend = openOn(emulator)
  await outcomeOf(backend.stat(PACK))
  // Its settings are shared by the whole process: the last one made decides.
  expect(new B2({ applicationKeyId: 'x', applicationKey: 'y', retry: { retries: 3 } })).toBeDefined()
  const hits = emulator.inject({ method: 'GET', count: Infinity, action: answer(503) })
  expect((await outcomeOf(backend.read(PACK))).outcome).toBe('transient')
  expect(hits()).toBe(1)
})

describe('a token', () => {
  const renewals = (): number => emulator.ops().filter((op) => op === 'b2_authorize_account').length

  it('that never works is renewed twice', async () => {
    backend = openOn(emulator)
    const expired = answer(401, 'expired_auth_token')
    emulator.inject({ op: 'b2_list_file_names', count: Infinity, action: expired })
    await failureOf(listPacks(backend))
    expect(renewals()).toBe(1 + 2)
  })

  it('that is refused without a reason is renewed once', async () => {
    backend = openOn(emulator)
    emulator.inject({
      op: 'b2_download_file_by_name',
      count: Infinity,
      action: { kind: 'answer', status: 401, text: '' },
    })
    await failureOf(backend.stat(PACK))
    expect(renewals()).toBe(1 + 1)
  })

  it('is renewed without asking for the bucket that was made before', async () => {
    backend = openOn(emulator, { bucket: 'new-bucket' })
    await backend.create()
    emulator.store.expireAccountTokens()
    emulator.clearLog()
    await backend.write(PACK, NEW)
    expect(emulator.ops()).toEqual([
      'b2_get_upload_url',
      'b2_authorize_account',
      'b2_get_upload_url',
      'b2_upload_file',
    ])
  })
})
