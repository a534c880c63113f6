/**
 * scrypt (RFC 7914) with its p blocks mixed beside each other: two on a thread, and on as many threads as there are
 * processors. Opening a repository waits for nothing longer than for this. Each thread has half a table
 * (scrypt-kernel.ts): two take no more memory than if all were mixed one after the other.
 */
import { pbkdf2Sync } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { ScryptParams } from './provider.ts'

/** What one thread does. */
export interface LaneWork {
  /** Blocks of 128·r bytes. */
  readonly blocks: Uint8Array<ArrayBuffer>
  readonly N: number
  readonly r: number
}

/** A thread has half a table: larger ones are mixed one after the other. */
const TABLE_BYTES_MAX = 64 << 20
/** Smaller ones are mixed before a thread has started. */
const TABLE_BYTES_MIN = 8 << 20
/** With more threads than these memory is the limit. */
const THREADS_MAX = 4

/** Whether `scryptOnThreads` would be faster than doing without threads. */
export function paysOnThreads({ N, r, p }: ScryptParams): boolean {
  const table = 128 * N * r
  return (
    p > 1 &&
    availableParallelism() > 1 &&
    table >= TABLE_BYTES_MIN &&
    table <= TABLE_BYTES_MAX &&
    findEntry() !== undefined
  )
}

/** @throws whatever keeps threads or the kernel from running: then do without */
// oxlint-disable-next-line max-params -- as CryptoProvider.scrypt
export async function scryptOnThreads(
  password: Uint8Array,
  salt: Uint8Array,
  { N, r, p }: ScryptParams,
  length: number,
): Promise<Uint8Array> {
  const size = 128 * r
  const blocks = pbkdf2Sync(password, salt, 1, p * size, 'sha256')
  const shares = shareLanes(p, Math.min(availableParallelism(), THREADS_MAX))
  await Promise.all(
    shares.map(async (lanes) => {
      const own = new Uint8Array(lanes.length * size)
      for (const [i, lane] of lanes.entries())
        own.set(blocks.subarray(lane * size, (lane + 1) * size), i * size)
      const mixed = await runThread({ blocks: own, N, r })
      for (const [i, lane] of lanes.entries())
        blocks.set(mixed.subarray(i * size, (i + 1) * size), lane * size)
    }),
  )
  return pbkdf2Sync(password, blocks, 1, length, 'sha256')
}

/** Which lanes each thread mixes: two or more, as evenly as can be. */
export function shareLanes(p: number, threads: number): number[][] {
  const count = Math.min(threads, Math.ceil(p / 2))
  const shares = Array.from({ length: count }, (): number[] => [])
  for (let lane = 0; lane < p; lane++) shares[lane % count]?.push(lane)
  return shares
}

function runThread(work: LaneWork): Promise<Uint8Array> {
  const entry = findEntry()
  if (entry === undefined) throw new Error('there is no compiled module')
  return new Promise((resolve, reject) => {
    const worker = new Worker(entry, { workerData: work, execArgv: [], name: 'restic-ts scrypt' })
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', () => reject(new Error('the thread ended')))
  })
}

/** The compiled module; there is none where the sources are run as they are or bundled as CommonJS. */
function findEntry(): URL | undefined {
  try {
    return import.meta.url.endsWith('.js') ? new URL('./scrypt-thread.js', import.meta.url) : undefined
  } catch {
    return undefined
  }
}
