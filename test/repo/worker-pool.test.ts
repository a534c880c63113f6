import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { nativeCrypto } from '../../src/crypto/native.ts'
import { generateSealKey } from '../../src/crypto/seal.ts'
import { AbortedError, WorkerError } from '../../src/errors.ts'
import type { ThreadContext } from '../../src/repo/thread-context.ts'
import { WorkerPool, type TaskTable } from '../../src/repo/worker-pool.ts'

/** A stand-in for the compiled thread: it speaks the pool's language, and can be told to break down. */
const THREAD = `
import { parentPort, threadId } from 'node:worker_threads'
parentPort.on('message', ({ kind, number, name, input, lent }) => {
  if (kind !== 'task') return
  if (name === 'crash') throw new Error('out of order')
  if (name === 'leave') process.exit(3)
  if (name === 'hang') return
  if (name === 'fail') parentPort.postMessage({ kind: 'failure', number, error: new Error('it does not work') })
  else parentPort.postMessage({ kind: 'result', number, output: { threadId, input }, lent }, lent ? [lent] : [])
})`

const folder = mkdtempSync(join(tmpdir(), 'restic-ts-pool-'))
const entry = pathToFileURL(join(folder, 'thread.mjs'))
writeFileSync(entry, THREAD)
afterAll(() => rmSync(folder, { recursive: true }))

interface TestTasks extends TaskTable {
  readonly echo: (context: ThreadContext, input: number) => { threadId: number; input: number }
  readonly crash: (context: ThreadContext, input: undefined) => void
  readonly leave: (context: ThreadContext, input: undefined) => void
  readonly hang: (context: ThreadContext, input: undefined) => void
  readonly fail: (context: ThreadContext, input: undefined) => void
}

const nothing = (): void => undefined
const tasks: TestTasks = {
  echo: (_context, input) => ({ threadId: 0, input }),
  crash: nothing,
  leave: nothing,
  hang: nothing,
  fail: () => {
    throw new Error('it does not work')
  },
}

let pool: WorkerPool<TestTasks>

function open(count: number): WorkerPool<TestTasks> {
  const setup = {
    key: generateSealKey(nativeCrypto),
    version: 2,
    compression: 'auto',
    extraVerify: true,
    packSizeBytes: 4 << 20,
  } as const
  pool = new WorkerPool({ count, entry, tasks, crypto: nativeCrypto, setup })
  return pool
}

afterEach(() => pool.close())

describe('a pool of workers', () => {
  it('spreads tasks over its threads and gives each its own result', async () => {
    open(2)
    const results = await Promise.all([1, 2, 3, 4].map((input) => pool.run('echo', input)))
    expect(results.map(({ input }) => input)).toEqual([1, 2, 3, 4])
    expect(new Set(results.map(({ threadId }) => threadId)).size).toBe(2)
  })

  it.each([0, 1])('gives memory back when the task is done, with %i threads', async (count) => {
    open(count)
    const memory = Uint8Array.from([1, 2, 3])
    const back: Uint8Array[] = []
    const done = pool.run('echo', 6, memory, (bytes) => back.push(bytes))
    expect(memory).toHaveLength(count === 0 ? 3 : 0)
    expect((await done).input).toBe(6)
    expect(back.map((bytes) => [...bytes])).toEqual([[1, 2, 3]])
  })

  it('runs them here where there are no threads', async () => {
    open(0)
    expect(await pool.run('echo', 5)).toEqual({ threadId: 0, input: 5 })
    await expect(pool.run('fail', undefined)).rejects.toThrow('it does not work')
  })

  it('makes who gives it work wait while all queues are full', async () => {
    open(2)
    expect(pool.ready()).toBeUndefined()
    const running = [1, 2, 3, 4].map((input) => pool.run('echo', input))
    const ready = pool.ready()
    expect(ready).toBeInstanceOf(Promise)
    await ready
    expect(pool.ready()).toBeUndefined()
    await Promise.all(running)
  })

  it('passes on what a task throws and goes on', async () => {
    open(1)
    await expect(pool.run('fail', undefined)).rejects.toThrow('it does not work')
    expect(await pool.run('echo', 1)).toMatchObject({ input: 1 })
  })

  it.each(['crash', 'leave'] as const)('fails everything, now and later, after a %s', async (end) => {
    open(2)
    const other = pool.run('hang', undefined)
    const waiting = pool.run(end, undefined)
    await expect(waiting).rejects.toBeInstanceOf(WorkerError)
    await expect(waiting).rejects.toThrow(end === 'crash' ? /out of order/ : /ended with 3/)
    await expect(other).rejects.toBeInstanceOf(WorkerError)
    await expect(pool.run('echo', 1)).rejects.toBeInstanceOf(WorkerError)
    await expect(pool.runOnAll('echo', 1)).rejects.toBeInstanceOf(WorkerError)
    expect(pool.ready()).toBeUndefined()
  })

  it('stops at once when it is closed, also those that wait', async () => {
    open(1)
    const hanging = [pool.run('hang', undefined), pool.run('hang', undefined)].map((running) =>
      running.catch((error: unknown) => error),
    )
    const ready = pool.ready()
    const started = performance.now()
    await pool.close()
    await ready
    for (const error of await Promise.all(hanging)) expect(error).toBeInstanceOf(AbortedError)
    expect(performance.now() - started).toBeLessThan(1000)
  })
})
