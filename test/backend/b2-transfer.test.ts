/** Answers to downloads that no HTTP client lets through, or only some do. */
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { describe, expect, it, vi } from 'vitest'
import { B2Error } from '../../src/backend/b2-errors.ts'
import { receive } from '../../src/backend/b2-transfer.ts'
import { IdleWatch } from '../../src/backend/idle-watch.ts'

const BYTES = Buffer.from('0123456789')
const SHA1 = createHash('sha1').update(BYTES).digest('hex')
const WHOLE = { 'x-bz-file-id': 'f', 'content-length': '10', 'x-bz-content-sha1': SHA1 }
const PART = { 'x-bz-file-id': 'f', 'content-length': '3', 'content-range': 'bytes 2-4/10' }
const RANGE = { offset: 2, length: 3 }

async function received(
  answer: { readonly status?: number; readonly headers: object; readonly body?: Iterable<Buffer> },
  range?: typeof RANGE,
): Promise<{ readonly text: string; readonly isOver: boolean }> {
  const watch = new IdleWatch(undefined, 60_000)
  const body = Readable.from(
    answer.body ?? [BYTES.subarray(range?.offset ?? 0, (range?.offset ?? 0) + (range?.length ?? 10))],
  )
  const status = answer.status ?? (range === undefined ? 200 : 206)
  try {
    const bytes = await receive({ status, headers: { ...answer.headers }, body }, range, watch)
    return { text: Buffer.from(bytes).toString(), isOver: body.destroyed }
  } catch (error) {
    if (!(error instanceof B2Error)) throw error
    return { text: error.kind, isOver: body.destroyed }
  } finally {
    watch.end()
  }
}

describe('a download', () => {
  it('is taken in pieces of any size', async () => {
    const body = Array.from(BYTES, (byte) => Buffer.from([byte]))
    expect(await received({ headers: WHOLE, body })).toEqual({ text: '0123456789', isOver: true })
    expect(await received({ headers: PART }, RANGE)).toEqual({ text: '234', isOver: true })
  })

  it.each<[string, Parameters<typeof received>[0], typeof RANGE | undefined, string]>([
    ['too short', { headers: WHOLE, body: [BYTES.subarray(1)] }, undefined, 'network'],
    ['of other content', { headers: WHOLE, body: [Buffer.from('0123456788')] }, undefined, 'network'],
    ['without a length', { headers: { ...WHOLE, 'content-length': undefined } }, undefined, 'network'],
    ['with a strange length', { headers: { ...WHOLE, 'content-length': '-1' } }, undefined, 'network'],
    ['that is not of B2', { headers: { ...WHOLE, 'x-bz-file-id': undefined } }, undefined, 'network'],
    ['with another status', { status: 204, headers: WHOLE }, undefined, 'network'],
    ['that is a part', { status: 206, headers: PART }, undefined, 'network'],
    ['that is the whole', { status: 200, headers: WHOLE }, RANGE, 'network'],
    ['without a range', { headers: { ...PART, 'content-range': undefined } }, RANGE, 'network'],
    ['of another range', { headers: { ...PART, 'content-range': 'bytes 3-5/10' } }, RANGE, 'network'],
    ['of an earlier range', { headers: { ...PART, 'content-range': 'bytes 1-4/10' } }, RANGE, 'network'],
    ['that is no part', { status: 200, headers: PART }, RANGE, 'network'],
    ['of a part too short', { headers: PART, body: [BYTES.subarray(2, 4)] }, RANGE, 'network'],
    ['of a part too long', { headers: PART, body: [BYTES.subarray(2, 6)] }, RANGE, 'network'],
    ['of a longer range', { headers: { ...PART, 'content-range': 'bytes 2-5/10' } }, RANGE, 'network'],
    ['of another length', { headers: { ...PART, 'content-length': '4' } }, RANGE, 'network'],
    ['of a shorter file', { headers: { ...PART, 'content-range': 'bytes 2-3/4' } }, RANGE, 'range'],
  ])('%s is none', async (_what, answer, range, kind) => {
    expect(await received(answer, range)).toEqual({ text: kind, isOver: true })
  })
})

it('may take as long as it wants while it moves', async () => {
  vi.useFakeTimers()
  const watch = new IdleWatch(undefined, 1000)
  const body = Readable.from(
    (function* () {
      for (const byte of BYTES) {
        vi.advanceTimersByTime(900)
        yield Buffer.from([byte])
      }
    })(),
    { highWaterMark: 1 },
  )
  await receive({ status: 200, headers: WHOLE, body }, undefined, watch)
  expect(watch.timedOut).toBe(false)
  watch.end()
  vi.useRealTimers()
})
