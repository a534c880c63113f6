/** Real REST servers: rclone's, with every way to reach it. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../../src/backend/backend.ts'
import type { OpenBackendOptions } from '../../src/backend/location.ts'
import { InvalidInputError } from '../../src/errors.ts'
import { makeTestIdentity, type TestIdentity } from '../support/connect-proxy.ts'
import { hasRclone, startRcloneRest, type TestServer } from '../support/rclone.ts'
import { hasRestic } from '../support/real-restic.ts'
import { makeWorkFolder } from '../support/repositories.ts'
import { writeThenRead } from '../support/stores-interop.ts'
import { openStore } from '../support/open-store.ts'
import { describeBackend } from './conformance.ts'

const NAME = 'ab'.repeat(32)
const PACK = { type: 'pack', name: NAME } as const
const CONFIG = { type: 'config', name: '' } as const
const BYTES = Uint8Array.from({ length: 1000 }, (_, i) => i)

let work = ''
beforeAll(() => {
  work = makeWorkFolder('rest')
})
afterAll(() => rmSync(work, { recursive: true, force: true }))

/** Writes, lists, reads and removes one file. @returns what was read */
async function roundTrip(backend: Backend): Promise<Uint8Array> {
  try {
    await backend.create()
    await backend.write(PACK, BYTES)
    const listed = []
    for await (const file of backend.list('pack')) listed.push(file)
    expect(listed).toEqual([{ name: NAME, size: BYTES.length }])
    const bytes = await backend.read(PACK)
    expect(await backend.read(PACK, { offset: 990, length: 10 })).toEqual(BYTES.slice(990))
    await backend.remove(PACK)
    return bytes
  } finally {
    await backend.close()
  }
}

async function tryOnce(location: string, options: OpenBackendOptions = {}): Promise<unknown> {
  const backend = await openStore(location, options)
  try {
    return await backend.write(CONFIG, BYTES)
  } catch (error) {
    return error
  } finally {
    await backend.close()
  }
}

interface Version1Proxy {
  readonly url: string
  /** How many sizes it was asked for. */
  readonly heads: () => number
  close(): void
}

/** No real server of protocol version 1 is left: a proxy takes from the listings of a newer one what the old one had not. */
async function startVersion1Proxy(target: string): Promise<Version1Proxy> {
  let heads = 0
  const server = createServer((incoming, outgoing) => {
    const { method, url = '/', headers } = incoming
    if (method === 'HEAD') heads += 1
    const passed = request(new URL(url, target), { method, headers }, (answer) => {
      if (method !== 'GET' || !url.endsWith('/')) {
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers)
        answer.pipe(outgoing)
        return
      }
      const cut = async (): Promise<void> => {
        const files = await json(answer)
        const names = (files as { name: string }[]).map(({ name }) => name)
        outgoing.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(names))
      }
      void cut()
    })
    incoming.pipe(passed)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const close = (): void => {
    server.closeAllConnections()
    server.close()
  }
  return { url: `http://127.0.0.1:${port}/`, heads: () => heads, close }
}

describe.skipIf(!hasRclone())('the REST server of rclone', () => {
  const servers: TestServer[] = []
  const start = async (name: string, ...args: string[]): Promise<TestServer> => {
    mkdirSync(join(work, name))
    const server = await startRcloneRest(join(work, name), args)
    servers.push(server)
    return server
  }
  afterAll(() => Promise.all(servers.map((server) => server.stop())))

  const proxies: Version1Proxy[] = []
  afterAll(() => {
    for (const proxy of proxies) proxy.close()
  })

  it('is understood where it speaks protocol version 1', async () => {
    const { url } = await start('v1')
    const proxy = await startVersion1Proxy(url)
    proxies.push(proxy)
    expect(await roundTrip(await openStore(`rest:${proxy.url}some/repo/`))).toEqual(BYTES)
    expect(proxy.heads()).toBe(1)
  })

  let places = 0
  describe.each([1, 2])('with protocol version %i', (version) => {
    let url = ''
    beforeAll(async () => {
      // What rclone writes to a folder can be seen before it is whole; what it keeps in memory cannot.
      const server = await startRcloneRest(`:memory:version-${version}`)
      servers.push(server)
      if (version === 1) proxies.push(await startVersion1Proxy(server.url))
      url = version === 1 ? proxies.at(-1)!.url : server.url
    })

    describeBackend(`REST ${version}`, async () => {
      places += 1
      const place = `${url}place-${places}/`
      return {
        backend: await openStore(`rest:${place}`),
        reopen: () => openStore(`rest:${place}`),
        putStray: async (path, data) => {
          const { status } = await fetch(`${place}${path}`, { method: 'POST', body: data.slice().buffer })
          if (status !== 200) throw new Error(`rclone answers ${status}`)
        },
        cleanup: async () => undefined,
      }
    })
  })

  it('is reached by a unix socket', async () => {
    const socket = join(work, 'socket')
    await start('unix', '--addr', `unix://${socket}`)
    expect(await roundTrip(await openStore(`rest:http+unix://${socket}:/some/repo/`))).toEqual(BYTES)
  })

  describe('with user and password', () => {
    let host = ''
    beforeAll(async () => {
      host = new URL((await start('auth', '--user', 'us er', '--pass', 'p:w/@')).url).host
    })

    it('takes them from the location', async () => {
      expect(await roundTrip(await openStore(`rest:http://us%20er:p%3Aw%2F%40@${host}/`))).toEqual(BYTES)
    })

    it('takes them from the environment', async () => {
      const env = { RESTIC_REST_USERNAME: 'us er', RESTIC_REST_PASSWORD: 'p:w/@' }
      expect(await roundTrip(await openStore(`rest:http://${host}/`, { env }))).toEqual(BYTES)
    })

    it('refuses others for good, and nobody sees what they were', async () => {
      const error = await tryOnce(`rest:http://me:hunter2@${host}/`)
      expect(error).toMatchObject({ code: 'BACKEND', transient: false })
      expect(error).toMatchObject({ hint: expect.stringContaining('RESTIC_REST_PASSWORD') as string })
      expect(String(error)).not.toContain('hunter2')
    })
  })

  describe('that only appends', () => {
    it('takes the same file twice, another one never, and lets nothing be removed', async () => {
      const { url } = await start('append', '--append-only')
      const backend = await openStore(`rest:${url}`)
      await backend.create()
      await backend.write(PACK, BYTES)
      await backend.write(PACK, BYTES)
      const refused = { code: 'BACKEND', transient: false }
      await expect(backend.write(PACK, BYTES.slice(1))).rejects.toMatchObject(refused)
      await expect(backend.remove(PACK)).rejects.toMatchObject(refused)
      expect(await backend.read(PACK)).toEqual(BYTES)
      await backend.close()
    })
  })

  describe('over https', () => {
    let identity: TestIdentity
    let location = ''
    let clientFile = ''

    beforeAll(async () => {
      const folder = join(work, 'tls')
      mkdirSync(folder)
      identity = makeTestIdentity(folder, ['localhost'])
      const { url } = await start(
        'https',
        '--cert',
        join(folder, 'host.pem'),
        '--key',
        join(folder, 'host.key'),
      )
      location = `rest:https://localhost:${new URL(url).port}/`
      clientFile = makeClientCertificate(folder)
    })

    it('is trusted by --cacert', async () => {
      expect(await roundTrip(await openStore(location, { tls: { caCertFiles: [identity.caFile] } }))).toEqual(
        BYTES,
      )
    })

    it('is believed anything by --insecure-tls', async () => {
      expect(await roundTrip(await openStore(location, { tls: { insecure: true } }))).toEqual(BYTES)
    })

    it('is not trusted otherwise, for good', async () => {
      expect(await tryOnce(location)).toMatchObject({
        code: 'BACKEND',
        transient: false,
        message: expect.stringContaining('certificate') as string,
        hint: expect.stringContaining('--cacert') as string,
      })
    })

    it('is not reached by http, nor an http server by https', async () => {
      const plain = await tryOnce(location.replace('https', 'http'))
      expect(plain).toMatchObject({ code: 'BACKEND', transient: false })
      const secure = await tryOnce(servers[0]!.url.replace(/^http:/, 'rest:https:'))
      expect(secure).toMatchObject({ transient: false, hint: expect.stringContaining('try http') as string })
    })

    it('may want a certificate of ours', async () => {
      const folder = join(work, 'tls')
      const files = ['--cert', join(folder, 'host.pem'), '--key', join(folder, 'host.key')]
      const { url } = await start('mutual', ...files, '--client-ca', join(folder, 'client.pem'))
      const wanting = `rest:https://localhost:${new URL(url).port}/`
      const tls = { caCertFiles: [identity.caFile] }
      expect(
        await roundTrip(await openStore(wanting, { tls: { ...tls, clientCertFile: clientFile } })),
      ).toEqual(BYTES)
      expect(await tryOnce(wanting, { tls })).toMatchObject({
        transient: false,
        hint: expect.stringContaining('--tls-client-cert') as string,
      })
    })

    it.each([
      ['no file', () => '/nowhere/ca.pem'],
      ['a file without certificates', () => '/etc/hostname'],
      ['a damaged certificate', () => damagedCertificate(identity)],
    ])('refuses %s as --cacert', async (_name, file) => {
      const opened = openStore(location, { tls: { caCertFiles: [file()] } })
      await expect(opened).rejects.toThrow(InvalidInputError)
    })

    it.each([
      ['a certificate without its key', () => identity.caFile],
      ['the key of another', () => strangeKey(identity)],
    ])('refuses %s as --tls-client-cert', async (_name, file) => {
      const opened = openStore(location, { tls: { clientCertFile: file() } })
      await expect(opened).rejects.toThrow(InvalidInputError)
      await expect(opened).rejects.not.toThrow(/PRIVATE KEY|MI[A-Z]/)
    })
  })

  describe.skipIf(!hasRestic())('shared with real restic', () => {
    it.each([
      ['ours', '0.19.1'],
      ['0.19.1', 'ours'],
    ] as const)('takes what %s writes and %s reads and prunes', async (writer, reader) => {
      const { url } = await start(`by-${writer}`, '--user', 'u', '--pass', 'p')
      const env = { RESTIC_REST_USERNAME: 'u', RESTIC_REST_PASSWORD: 'p' }
      expect(await writeThenRead({ location: `rest:${url}repo/`, env, work }, [writer, reader])).toBe(1)
    })
  })
})

/** Certificate and key in one file; its own authority is in client.pem. */
function makeClientCertificate(folder: string): string {
  const file = (name: string): string => join(folder, name)
  const key = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-keyout',
    file('client.key'),
  ]
  const usage = ['-addext', 'extendedKeyUsage=clientAuth']
  const args = [
    'req',
    '-x509',
    ...key,
    ...usage,
    '-days',
    '2',
    '-subj',
    '/CN=client',
    '-out',
    file('client.pem'),
  ]
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  writeFileSync(
    file('client-both.pem'),
    readFileSync(file('client.pem'), 'utf8') + readFileSync(file('client.key'), 'utf8'),
  )
  return file('client-both.pem')
}

function damagedCertificate({ ca }: TestIdentity): string {
  const file = join(work, 'damaged.pem')
  writeFileSync(file, ca.replace(/\n.{10}/, '\nAAAAAAAAAA'))
  return file
}

function strangeKey({ cert }: TestIdentity): string {
  const file = join(work, 'strange.pem')
  writeFileSync(file, cert + readFileSync(join(work, 'tls', 'client.key'), 'utf8'))
  return file
}
