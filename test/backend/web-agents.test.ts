/** Connections at a limited rate, against servers of this process: what arrives when, and that nothing else changes. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import {
  Agent as HttpAgent,
  createServer as createHttpServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
  type RequestOptions,
} from 'node:http'
import { Agent as HttpsAgent, createServer as createHttpsServer, request as httpsRequest } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { rateLimits } from '../../src/backend/rate-limit.ts'
import { webAgents, type WebAgents } from '../../src/backend/web-agents.ts'
import { makeTestIdentity, type TestIdentity } from '../support/connect-proxy.ts'
import { noise } from '../support/sample-data.ts'

const KIB = 1024
const DATA = Buffer.from(noise(1, 200 * KIB))
/** What passes at once after a time of silence, in s. */
const CREDIT = 0.2

let folder: string
let identity: TestIdentity
const toClose: { close: () => unknown }[] = []

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'restic-ts-agents-'))
  identity = makeTestIdentity(folder, ['localhost'])
})

afterAll(() => rmSync(folder, { recursive: true }))

afterEach(() => {
  for (const each of toClose.splice(0)) each.close()
})

type Scheme = 'http' | 'https'

interface TestServer {
  readonly options: RequestOptions
  /** Connections made so far. */
  readonly connections: () => number
}

async function serve(scheme: Scheme, listener: RequestListener, path?: string): Promise<TestServer> {
  const server: Server =
    scheme === 'http' ? createHttpServer(listener) : createHttpsServer({ ...identity }, listener)
  let count = 0
  server.on('connection', () => (count += 1))
  server.listen(path ?? { port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  toClose.push({ close: () => server.close() })
  if (path !== undefined) return { options: { socketPath: path }, connections: () => count }
  const { port } = server.address() as AddressInfo
  return {
    options: { host: '127.0.0.1', port, servername: 'localhost' } as RequestOptions,
    connections: () => count,
  }
}

function agents(upload: number | undefined, download: number | undefined): WebAgents {
  const made = webAgents({ tls: { ca: identity.ca }, limits: rateLimits({ upload, download }) })
  toClose.push({ close: () => made.http.destroy() }, { close: () => made.https.destroy() })
  return made
}

interface Exchange {
  readonly body: Buffer
  readonly seconds: number
}

async function exchange(
  [scheme, { options }, made]: readonly [Scheme, TestServer, WebAgents],
  body: Buffer = Buffer.alloc(0),
  timeout?: number,
): Promise<Exchange> {
  const start = performance.now()
  const request = (scheme === 'http' ? httpRequest : httpsRequest)({
    ...options,
    agent: made[scheme],
    method: 'POST',
    ...(timeout === undefined ? {} : { timeout }),
  })
  request.on('timeout', () => request.destroy(new Error('timed out')))
  request.end(body)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return { body: Buffer.concat(chunks), seconds: (performance.now() - start) / 1000 }
}

/** Takes in what is sent, and when its pieces came. */
function receiver(arrivals: number[], parts: Buffer[]): RequestListener {
  return (request, response) => {
    request.on('data', (chunk: Buffer) => {
      arrivals.push(performance.now())
      parts.push(chunk)
    })
    request.on('end', () => response.end('done'))
  }
}

describe.each(['http', 'https'] as const)('over %s', (scheme) => {
  it('bytes go out evenly and no faster than allowed', async () => {
    const arrivals: number[] = []
    const parts: Buffer[] = []
    const server = await serve(scheme, receiver(arrivals, parts))
    const { seconds, body } = await exchange([scheme, server, agents(400, undefined)], DATA)
    expect(body.toString()).toBe('done')
    expect(Buffer.compare(Buffer.concat(parts), DATA)).toBe(0)
    expect(seconds).toBeGreaterThan(200 / 400 - CREDIT - 0.01)
    expect(seconds).toBeLessThan(5)
    expect(arrivals.at(-1)! - arrivals[0]!).toBeGreaterThan(200)
    expect(arrivals.length).toBeGreaterThan(4)
  })

  it('bytes come in no faster than allowed', async () => {
    const server = await serve(scheme, (_request, response) => response.end(DATA))
    const { seconds, body } = await exchange([scheme, server, agents(undefined, 400)])
    expect(Buffer.compare(body, DATA)).toBe(0)
    expect(seconds).toBeGreaterThan(200 / 400 - CREDIT - 0.01)
    expect(seconds).toBeLessThan(5)
  })

  it('all connections together keep to the limit', async () => {
    const server = await serve(scheme, receiver([], []))
    const made = agents(600, undefined)
    const results = await Promise.all([1, 2, 3].map(() => exchange([scheme, server, made], DATA)))
    expect(Math.max(...results.map(({ seconds }) => seconds))).toBeGreaterThan(600 / 600 - CREDIT - 0.01)
    expect(server.connections()).toBe(3)
  })

  it('what waits for its turn does not count as stuck, what is stuck does', async () => {
    const server = await serve(scheme, receiver([], []))
    const made = agents(80, undefined)
    const { seconds } = await exchange([scheme, server, made], DATA.subarray(0, 128 * KIB), 500)
    expect(seconds).toBeGreaterThan(1.2)
    const silent = await serve(scheme, () => undefined)
    await expect(exchange([scheme, silent, made], Buffer.alloc(10), 100)).rejects.toThrow('timed out')
  })

  it('a connection is used again', async () => {
    const server = await serve(scheme, receiver([], []))
    const made = agents(10_000, 10_000)
    for (let i = 0; i < 3; i++) await exchange([scheme, server, made], DATA)
    expect(server.connections()).toBe(1)
  })

  it('failures are those of a plain connection', async () => {
    const server = await serve(scheme, (request) => request.socket.destroy())
    const made = agents(1000, 1000)
    await expect(exchange([scheme, server, made])).rejects.toMatchObject({ code: 'ECONNRESET' })
    const gone = await serve(scheme, () => undefined)
    toClose.pop()?.close()
    await expect(exchange([scheme, gone, made])).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('a request that is given up ends at the server as well', async () => {
    let giveUp = (): void => undefined
    let tellEnd = (_isWhole: boolean): void => undefined
    const ended = new Promise<boolean>((resolve) => (tellEnd = resolve))
    const server = await serve(scheme, (incoming) => {
      incoming.on('close', () => tellEnd(incoming.complete)).resume()
      giveUp()
    })
    const request = (scheme === 'http' ? httpRequest : httpsRequest)({
      ...server.options,
      agent: agents(200, undefined)[scheme],
      method: 'POST',
    })
    request.on('error', () => undefined)
    giveUp = () => void request.destroy()
    request.end(DATA)
    expect(await ended).toBe(false)
  })
})

describe('agents', () => {
  it('reach unix sockets', async () => {
    const server = await serve('http', receiver([], []), join(folder, 'socket'))
    const { body } = await exchange(['http', server, agents(10_000, 10_000)], DATA)
    expect(body.toString()).toBe('done')
  })

  it('look at certificates', async () => {
    const server = await serve('https', receiver([], []))
    const made = webAgents({ limits: rateLimits({ upload: 1000 }) })
    toClose.push({ close: () => made.https.destroy() })
    await expect(exchange(['https', server, made])).rejects.toMatchObject({
      code: 'SELF_SIGNED_CERT_IN_CHAIN',
    })
  })

  it('are plain ones without a limit', () => {
    for (const made of [webAgents(), webAgents({ limits: rateLimits({}) })]) {
      expect(Object.getPrototypeOf(made.http)).toBe(HttpAgent.prototype)
      expect(Object.getPrototypeOf(made.https)).toBe(HttpsAgent.prototype)
    }
  })
})
