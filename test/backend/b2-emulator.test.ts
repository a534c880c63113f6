/** The emulator's rules that third parties do not reach (they do the rest in test/interop/b2.test.ts). */
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { B2Emulator, MASTER_KEY } from '../support/b2-emulator.ts'
import { ALL_CAPABILITIES, B2Problem, B2Store, checkFileName, sha1Of } from '../support/b2-emulator-store.ts'

type Json = Record<string, unknown>

const BUCKET = 'some-bucket'

let emulator: B2Emulator

beforeEach(async () => {
  emulator = await B2Emulator.start({ buckets: [BUCKET] })
})

afterEach(() => emulator.stop())

async function authorize(version = 4, key = MASTER_KEY): Promise<Json> {
  const basic = Buffer.from(`${key.id}:${key.secret}`).toString('base64')
  const url = `${emulator.url}/b2api/v${version}/b2_authorize_account`
  return (await (await fetch(url, { headers: { Authorization: `Basic ${basic}` } })).json()) as Json
}

async function call(op: string, body: Json, key = MASTER_KEY): Promise<Json> {
  const token = String((await authorize(4, key))['authorizationToken'])
  const url = `${emulator.url}/b2api/v2/${op}`
  const headers = { Authorization: token }
  return (await (await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })).json()) as Json
}

const bucketId = (): string => emulator.store.buckets.get(BUCKET)!.id

async function uploadUrl(): Promise<{ url: string; token: string }> {
  const { uploadUrl: url, authorizationToken } = await call('b2_get_upload_url', { bucketId: bucketId() })
  return { url: String(url), token: String(authorizationToken) }
}

function post(
  { url, token }: { url: string; token: string },
  name: string,
  body: string,
  sha1 = sha1Of(Buffer.from(body)),
): Promise<Response> {
  const headers = {
    Authorization: token,
    'X-Bz-File-Name': encodeURIComponent(name),
    'X-Bz-Content-Sha1': sha1,
    'Content-Type': 'text/plain',
  }
  return fetch(url, { method: 'POST', headers, body })
}

async function store(name: string, body = name): Promise<string> {
  const answer = (await (await post(await uploadUrl(), name, body)).json()) as Json
  return String(answer['fileId'])
}

async function download(name: string, headers: Record<string, string> = {}): Promise<Response> {
  const token = String((await authorize())['authorizationToken'])
  return fetch(`${emulator.url}/file/${BUCKET}/${name}`, { headers: { Authorization: token, ...headers } })
}

describe('authorizing', () => {
  it('answers in the shape of each version', async () => {
    const key = emulator.addKey({ buckets: [BUCKET], namePrefix: 'a/' })
    const limits = { bucketId: bucketId(), bucketName: BUCKET, namePrefix: 'a/' }
    expect(await authorize(1, key)).toMatchObject({ allowed: limits, minimumPartSize: 100_000_000 })
    expect(await authorize(2, key)).toMatchObject({ allowed: limits, apiUrl: emulator.url })
    expect(await authorize(3, key)).toMatchObject({
      apiInfo: { storageApi: { ...limits, apiUrl: emulator.url } },
    })
    const allowed = { buckets: [{ id: bucketId(), name: BUCKET }], namePrefix: 'a/' }
    expect(await authorize(4, key)).toMatchObject({ apiInfo: { storageApi: { allowed } } })
  })

  it('knows keys for several buckets in version 4 only', async () => {
    const key = emulator.addKey({ buckets: [BUCKET, 'other-bucket'] })
    expect(await authorize(2, key)).toMatchObject({ status: 401, code: 'unauthorized' })
    expect(await authorize(4, key)).toMatchObject({ accountId: emulator.store.accountId })
  })

  it('refuses a wrong key', async () => {
    expect(await authorize(4, { ...MASTER_KEY, secret: 'wrong' })).toMatchObject({ status: 401 })
  })
})

describe('versions', () => {
  it('come back when a newer one is deleted, and hide behind a marker', async () => {
    const first = await store('f', 'one')
    const second = await store('f', 'two')
    expect(await (await download('f')).text()).toBe('two')
    await call('b2_delete_file_version', { fileName: 'f', fileId: second })
    expect(await (await download('f')).text()).toBe('one')
    const hidden = await call('b2_hide_file', { bucketId: bucketId(), fileName: 'f' })
    expect((await download('f')).status).toBe(404)
    expect(await call('b2_list_file_names', { bucketId: bucketId() })).toMatchObject({ files: [] })
    const { files } = await call('b2_list_file_versions', { bucketId: bucketId() })
    expect(files).toMatchObject([
      { action: 'hide', fileId: hidden['fileId'] },
      { action: 'upload', fileId: first },
    ])
    expect(await call('b2_hide_file', { bucketId: bucketId(), fileName: 'f' })).toMatchObject({
      code: 'already_hidden',
    })
    await call('b2_delete_file_version', { fileName: 'f', fileId: hidden['fileId'] })
    expect((await download('f')).status).toBe(200)
  })

  it('are listed page by page, in byte order', async () => {
    for (const name of ['\u{1f600}', '\uff5e', 'b', 'a', 'a']) await store(name)
    const seen: unknown[] = []
    let [startFileName, startFileId]: unknown[] = ['', undefined]
    do {
      const start = { startFileName, startFileId, maxFileCount: 2 }
      const page = await call('b2_list_file_versions', { bucketId: bucketId(), ...start })
      seen.push(...(page['files'] as Json[]).map((file) => file['fileName']))
      ;[startFileName, startFileId] = [page['nextFileName'], page['nextFileId']]
    } while (startFileName !== null)
    // As strings the last two are the other way round.
    expect(seen).toEqual(['a', 'a', 'b', '\uff5e', '\u{1f600}'])
  })

  it('are folders where a delimiter is given', async () => {
    for (const name of ['p/a/1', 'p/a/2', 'p/b', 'q']) await store(name)
    const listing = { bucketId: bucketId(), prefix: 'p/', delimiter: '/' }
    expect(await call('b2_list_file_names', listing)).toMatchObject({
      files: [
        { action: 'folder', fileName: 'p/a/' },
        { action: 'upload', fileName: 'p/b' },
      ],
      nextFileName: null,
    })
  })
})

describe('uploads', () => {
  it('are checked by each of the ways to give the hash', async () => {
    const target = await uploadUrl()
    expect((await post(target, 'good', 'abc')).status).toBe(200)
    expect((await post(target, 'end', `abc${sha1Of(Buffer.from('abc'))}`, 'hex_digits_at_end')).status).toBe(
      200,
    )
    expect(await (await download('end')).text()).toBe('abc')
    expect((await post(target, 'unchecked', 'abc', 'do_not_verify')).status).toBe(200)
    expect((await download('unchecked')).headers.get('x-bz-content-sha1')).toMatch(
      /^unverified:[0-9a-f]{40}$/,
    )
    expect(emulator.violations).toEqual([])
    expect((await post(target, 'bad', 'abc', '0'.repeat(40))).status).toBe(400)
    expect((await post(target, 'again', 'abc')).status).toBe(200)
    expect(emulator.violations).toEqual(['b2_upload_file: an upload URL was used again after a failure'])
  })

  it('may not share a token', async () => {
    const target = await uploadUrl()
    emulator.inject({ op: 'b2_upload_file', action: { kind: 'delay', ms: 50 } })
    const answers = await Promise.all([post(target, 'a', 'abc'), post(target, 'b', 'abc')])
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 400]))
    expect(emulator.violations).toEqual(['b2_upload_file: two uploads on one token at once'])
  })

  it('need the token of their own URL, and a length', async () => {
    const [target, other] = [await uploadUrl(), await uploadUrl()]
    expect((await post({ ...target, token: other.token }, 'a', 'abc')).status).toBe(401)
    const { hostname, port, pathname } = new URL(other.url)
    const status = await new Promise((resolve) => {
      const socket = connect(Number(port), hostname, () => {
        const head = `POST ${pathname} HTTP/1.1\r\nHost: x\r\nAuthorization: ${other.token}\r\nX-Bz-File-Name: a\r\n`
        socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`)
      })
      socket.once('data', (data) => {
        resolve(data.toString().slice(9, 12))
        socket.destroy()
      })
    })
    expect(status).toBe('411')
  })

  it.each(['', '/a', 'a/', 'a//b', 'a\\b', 'a\u0007b', 'ä'.repeat(513), 'a'.repeat(251)])(
    'may not be named %j',
    (name) => {
      expect(() => checkFileName(name)).toThrow(B2Problem)
    },
  )
})

describe('large files', () => {
  it('are checked when they are finished', () => {
    const files = new B2Store(() => 0)
    const bucket = files.createBucket(BUCKET, 'allPrivate')
    const { id } = files.startLargeFile(bucket, 'big', { contentType: 'x', info: {} })
    const file = files.largeFile(id)
    const [first, last] = [Buffer.alloc(5_000_000, 1), Buffer.from('end')]
    file.parts.set(2, last).set(1, first)
    expect(() => files.finishLargeFile(file, [sha1Of(first)])).toThrow('consecutive')
    expect(() => files.finishLargeFile(file, [sha1Of(first), sha1Of(first)])).toThrow('sha1')
    file.parts.set(1, first.subarray(1))
    expect(() => files.finishLargeFile(file, [sha1Of(first.subarray(1)), sha1Of(last)])).toThrow('too small')
    file.parts.set(1, first)
    expect(files.visible(bucket, 'big')).toBeUndefined()
    const { bytes, sha1 } = files.finishLargeFile(file, [sha1Of(first), sha1Of(last)])
    expect([bytes.length, sha1]).toEqual([5_000_003, 'none'])
    expect(files.visible(bucket, 'big')?.id).toBe(id)
  })
})

describe('downloads', () => {
  it('follow ranges, and send all where they do not understand one', async () => {
    await store('f', '0123456789')
    const answers: [number, string, string | null][] = []
    for (const range of ['bytes=2-4', 'bytes=8-99', 'bytes=10-11', 'bytes=9-', 'lines=1-2']) {
      const answer = await download('f', { Range: range })
      answers.push([answer.status, (await answer.text()).slice(0, 12), answer.headers.get('content-range')])
    }
    expect(answers).toEqual([
      [206, '234', 'bytes 2-4/10'],
      [206, '89', 'bytes 8-9/10'],
      [416, expect.stringContaining('status'), null],
      [206, '9', 'bytes 9-9/10'],
      [200, '0123456789', null],
    ])
  })
})

describe('keys', () => {
  it('can do what they are allowed to, and no more', async () => {
    await store('in/f')
    await store('out/f')
    const reader = emulator.addKey({ capabilities: ['listFiles', 'readFiles'], namePrefix: 'in/' })
    const list = (prefix: string): Promise<Json> =>
      call('b2_list_file_names', { bucketId: bucketId(), prefix }, reader)
    expect(await list('in/')).toMatchObject({ files: [{ fileName: 'in/f' }] })
    expect(await list('')).toMatchObject({ status: 401, code: 'unauthorized', message: '' })
    expect(await call('b2_get_upload_url', { bucketId: bucketId() }, reader)).toMatchObject({ status: 401 })
    const limited = emulator.addKey({ capabilities: ALL_CAPABILITIES, buckets: [BUCKET] })
    expect(await call('b2_list_buckets', {}, limited)).toMatchObject({ status: 401 })
    expect(await call('b2_list_buckets', { bucketName: BUCKET }, limited)).toMatchObject({
      buckets: [{ bucketName: BUCKET }],
    })
  })

  it('lose their tokens after a day', async () => {
    await emulator.stop()
    let now = 0
    emulator = await B2Emulator.start({ buckets: [BUCKET], now: () => now })
    const token = String((await authorize())['authorizationToken'])
    const list = (): Promise<Response> =>
      fetch(`${emulator.url}/b2api/v3/b2_list_file_names`, {
        method: 'POST',
        headers: { Authorization: token },
        body: JSON.stringify({ bucketId: bucketId() }),
      })
    now = 24 * 3600 * 1000 - 1
    expect((await list()).status).toBe(200)
    now += 1
    expect(await (await list()).json()).toMatchObject({ code: 'expired_auth_token' })
  })
})

it('is asked for trouble by a header, as B2 is', async () => {
  const target = await uploadUrl()
  const headers = { Authorization: target.token, 'X-Bz-Test-Mode': 'force_cap_exceeded' }
  const answer = await fetch(target.url, { method: 'POST', headers, body: 'x' })
  expect(await answer.json()).toMatchObject({ status: 403, code: 'cap_exceeded' })
})

it('compresses JSON where it is told to', async () => {
  await emulator.stop()
  emulator = await B2Emulator.start({ gzip: true })
  const answer = await fetch(`${emulator.url}/b2api/v4/b2_authorize_account`)
  expect(answer.headers.get('content-encoding')).toBe('gzip')
  expect(await answer.json()).toMatchObject({ status: 401 })
})

it('counts what calls cost', async () => {
  await store('f')
  emulator.clearLog()
  await download('f')
  await call('b2_list_file_names', { bucketId: bucketId(), maxFileCount: 2500 })
  expect(emulator.costs()).toEqual({ A: 0, B: 1, C: 5 })
})
