/** `--limit-upload` and `--limit-download`, as locations are opened with them. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../../src/backend/backend.ts'
import { openBackend } from '../../src/backend/location.ts'
import { rateLimits, waitingMs } from '../../src/backend/rate-limit.ts'
import { openOn, TEST_BUCKET } from '../support/b2-emulator-backend.ts'
import { B2Emulator } from '../support/b2-emulator.ts'
import { noise } from '../support/sample-data.ts'
import { handleOf } from './conformance.ts'

const KIB = 1024
const PACK = handleOf('pack', 'ab')
const DATA = noise(1, 300 * KIB)
const RATE = 400
/** Transfer at that rate, less what passes at once. */
const SECONDS = 300 / RATE - 0.2 - 0.01

let folder: string
let server: Server
let url: string
/** Pieces the server received, and when. */
let arrivals: number[]

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'restic-ts-limits-'))
  // Good enough for one object, in the eyes of the REST and the S3 client.
  server = createServer((request, response) => {
    request.on('data', () => arrivals.push(performance.now()))
    request.on('end', () => {
      if (request.method !== 'GET') response.end()
      else response.setHeader('Content-Length', DATA.length).end(DATA)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterAll(async () => {
  server.close()
  await rm(folder, { recursive: true })
})

const env = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' }

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

async function measure(backend: Backend): Promise<{ upload: number; download: number }> {
  arrivals = []
  try {
    const upload = await secondsOf(() => backend.write(PACK, DATA))
    const download = await secondsOf(async () => {
      expect(Buffer.compare(await backend.read(PACK), DATA)).toBe(0)
    })
    return { upload, download }
  } finally {
    await backend.close()
  }
}

describe.each([
  ['local', () => join(folder, 'repo'), false],
  ['rest', () => `rest:${url}/`, true],
  ['s3', () => `s3:${url}/bucket/prefix`, true],
] as const)('a %s location', (_name, location, isEven) => {
  it('is written to at the rate given', async () => {
    const { upload, download } = await measure(await openBackend(location(), { env, limitUpload: RATE }))
    expect(upload).toBeGreaterThan(SECONDS)
    expect(upload).toBeLessThan(5)
    expect(download).toBeLessThan(SECONDS)
    // Over the network not in one go at the end.
    const spread = (arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0)
    expect(spread > SECONDS * 500).toBe(isEven)
  })

  it('is read from at the rate given', async () => {
    const { upload, download } = await measure(await openBackend(location(), { env, limitDownload: RATE }))
    expect(download).toBeGreaterThan(SECONDS)
    expect(download).toBeLessThan(5)
    expect(upload).toBeLessThan(SECONDS)
  })

  it('has no limit unless one is given', async () => {
    for (const limits of [{}, { limitUpload: 0, limitDownload: 0 }]) {
      const { upload, download } = await measure(await openBackend(location(), { env, ...limits }))
      expect(upload).toBeLessThan(SECONDS)
      expect(download).toBeLessThan(SECONDS)
    }
  })
})

describe('a B2 location', () => {
  it('is written to and read from at the rate given', async () => {
    const emulator = await B2Emulator.start({ buckets: [TEST_BUCKET] })
    try {
      const { upload, download } = await measure(
        openOn(emulator, { limits: rateLimits({ upload: RATE, download: RATE }) }),
      )
      expect(upload).toBeGreaterThan(SECONDS)
      expect(download).toBeGreaterThan(SECONDS)
      expect(upload + download).toBeLessThan(10)
    } finally {
      await emulator.stop()
    }
  })
})

describe('a slow limit', () => {
  it('gives requests the more time in which nothing seems to happen', () => {
    expect(waitingMs(rateLimits({}))).toBe(0)
    expect(waitingMs(rateLimits({ upload: 512 }))).toBe(5000)
    expect(waitingMs(rateLimits({ upload: 512, download: 256 }), 2)).toBe(4000)
  })
})
