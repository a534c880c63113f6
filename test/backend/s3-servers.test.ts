/** A real S3 server, the npm package s3rver: all that a repository needs, over http and https. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Backend } from '../../src/backend/backend.ts'
import { makeTestIdentity, type TestIdentity } from '../support/connect-proxy.ts'
import { hasMoto, startMoto } from '../support/moto.ts'
import type { TestServer } from '../support/rclone.ts'
import { hasRestic } from '../support/real-restic.ts'
import { makeWorkFolder } from '../support/repositories.ts'
import { S3_KEYS, startS3rver, type S3rver } from '../support/s3rver.ts'
import { writeThenRead } from '../support/stores-interop.ts'
import { openStore } from '../support/open-store.ts'
import { describeBackend, listed } from './conformance.ts'

const CONFIG = { type: 'config', name: '' } as const

let work = ''
let http: S3rver
let https: S3rver
let identity: TestIdentity

beforeAll(async () => {
  work = makeWorkFolder('s3')
  for (const name of ['http', 'https', 'tls']) mkdirSync(join(work, name))
  identity = makeTestIdentity(join(work, 'tls'), ['localhost'])
  http = await startS3rver(join(work, 'http'))
  const tls = { cert: join(work, 'tls', 'host.pem'), key: join(work, 'tls', 'host.key') }
  https = await startS3rver(join(work, 'https'), { tls })
})

afterAll(async () => {
  await Promise.all([http, https].map((server) => server.stop()))
  rmSync(work, { recursive: true, force: true })
})

const open = (place: string, options: Readonly<Record<string, string>> = {}): Promise<Backend> =>
  openStore(`s3:${http.url}/${place}`, { env: S3_KEYS, options })

let places = 0
describeBackend(
  'S3',
  async () => {
    places += 1
    // Each in a bucket of its own, that is not there yet.
    const place = `bucket-${places}/some/prefix`
    return {
      backend: await open(place),
      reopen: () => open(place),
      putStray: async (path, data) => {
        const [bucket, prefix] = [place.slice(0, place.indexOf('/')), place.slice(place.indexOf('/'))]
        const { status } = await fetch(`${http.url}/${bucket}${prefix}/${path}`, {
          method: 'PUT',
          headers: { 'x-amz-acl': 'private' }, // how s3rver tells programs from browsers
          body: data.slice().buffer,
        })
        if (status !== 200) throw new Error(`s3rver answers ${status}`)
      },
      cleanup: async () => rmSync(join(work, 'http', `bucket-${places}`), { recursive: true, force: true }),
    }
  },
  { storesInPlace: true },
)

describe.skipIf(!hasMoto())('where moto is installed', () => {
  let moto: TestServer
  beforeAll(async () => {
    moto = await startMoto()
  })
  afterAll(() => moto.stop())

  const openMoto = (place: string): Promise<Backend> => openStore(`s3:${moto.url}/${place}`, { env: S3_KEYS })
  describeBackend('S3', async () => {
    places += 1
    const place = `bucket-${places}/some/prefix`
    return {
      backend: await openMoto(place),
      reopen: () => openMoto(place),
      cleanup: async () => undefined,
    }
  })
})

describe('a listing of more files than a page has', () => {
  const names = Array.from({ length: 2100 }, (_, i) => i.toString(16).padStart(64, '0'))

  beforeAll(async () => {
    const backend = await open('large')
    await backend.create()
    await backend.write({ type: 'index', name: 'f'.repeat(64) }, Uint8Array.of(1, 2, 3))
    await backend.close()
    // As s3rver keeps them, because 2100 requests take their time.
    const folder = join(work, 'http', 'large', 'index')
    const suffixes = readdirSync(folder).map((file) => file.replace('f'.repeat(64), ''))
    for (const name of names) {
      writeFileSync(join(folder, name + suffixes.find((suffix) => suffix.endsWith('_object'))!), 'abc')
      writeFileSync(join(folder, name + suffixes.find((suffix) => suffix.endsWith('.json'))!), '{}')
      writeFileSync(join(folder, name + suffixes.find((suffix) => suffix.endsWith('.md5'))!), '0'.repeat(32))
    }
  })

  it.each([
    ['of version 2', {}, 'list-type=2'],
    ['of version 1', { 's3.list-objects-v1': 'true' }, 'prefix=index'],
  ] as [string, Record<string, string>, string][])('%s is complete', async (_name, options, trace) => {
    const before = http.requests.length
    const backend = await open('large', options)
    const files = await listed(backend, 'index')
    expect(files.map(({ name }) => name)).toEqual([...names, 'f'.repeat(64)])
    expect(files.every(({ size }) => size === 3)).toBe(true)
    await backend.close()
    await vi.waitFor(() =>
      expect(http.requests.slice(before).filter((line) => line.includes(trace))).toHaveLength(3),
    )
  })
})

describe('over https', () => {
  const trusted = { caCertFiles: ['to be filled in'] }
  const openSecurely = (tls: object): Promise<Backend> =>
    openStore(`s3:${https.url}/bucket`, { env: S3_KEYS, tls })
  beforeAll(() => {
    trusted.caCertFiles = [identity.caFile]
  })

  it.each([
    ['--cacert', () => trusted],
    ['--insecure-tls', () => ({ insecure: true })],
  ])('is reached with %s', async (_name, tls) => {
    const backend = await openSecurely(tls())
    await backend.create()
    await backend.write(CONFIG, Uint8Array.of(1, 2, 3))
    expect(await backend.read(CONFIG)).toEqual(Uint8Array.of(1, 2, 3))
    await backend.close()
  })

  it('is not trusted otherwise, for good', async () => {
    const backend = await openSecurely({})
    await expect(backend.stat(CONFIG)).rejects.toMatchObject({
      code: 'BACKEND',
      transient: false,
      hint: expect.stringContaining('--cacert') as string,
    })
    await backend.close()
  })
})

describe('keys', () => {
  afterEach(() => vi.unstubAllEnvs())

  it('come from the profile that is named', async () => {
    const file = join(work, 'credentials')
    writeFileSync(
      file,
      '[default]\naws_access_key_id = nobody\naws_secret_access_key = x\n' +
        '[backup]\naws_access_key_id = S3RVER\naws_secret_access_key = S3RVER\n',
    )
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', file)
    vi.stubEnv('AWS_CONFIG_FILE', '/nowhere')
    for (const name of Object.keys(S3_KEYS)) vi.stubEnv(name, undefined)
    const backend = await openStore(`s3:${http.url}/profiles`, { env: { AWS_PROFILE: 'backup' } })
    await backend.create()
    await backend.write(CONFIG, Uint8Array.of(1))
    await backend.close()
    const stranger = await openStore(`s3:${http.url}/profiles`, { env: {} })
    await expect(stranger.read(CONFIG)).rejects.toMatchObject({ code: 'BACKEND', transient: false })
    await stranger.close()
  })
})

describe.skipIf(!hasRestic())('shared with real restic', () => {
  it.each([
    ['ours', '0.19.1'],
    ['0.19.1', 'ours'],
  ] as const)('takes what %s writes and %s reads and prunes', async (writer, reader) => {
    // Over http restic sends bodies in signed chunks, which s3rver stores as they come.
    const location = `s3:${https.url}/written-by-${writer.replaceAll('.', '-')}/prefix`
    const args = ['--cacert', identity.caFile]
    expect(await writeThenRead({ location, env: S3_KEYS, args, work }, [writer, reader])).toBe(1)
  })
})
