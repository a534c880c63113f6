/** B2 over a network that is slow, breaks off and falls silent: everything arrives whole, and the line is kept full. */
import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { B2Emulator, MASTER_KEY } from '../support/b2-emulator.ts'
import { LossyNetwork, type NetworkOptions } from '../support/lossy-network.ts'
import { makeManyFiles } from '../support/many-files.ts'
import { must } from '../support/programs.ts'
import { makeWorkFolder } from '../support/repositories.ts'
import { listTree } from '../support/rich-tree.ts'

const BUCKET = 'lossy-bucket'
const MIB = 1 << 20
const ACCOUNT = { B2_ACCOUNT_ID: MASTER_KEY.id, B2_ACCOUNT_KEY: MASTER_KEY.secret }

let work = ''
let source = ''
let emulator: B2Emulator
let network: LossyNetwork | undefined

beforeAll(async () => {
  work = makeWorkFolder('lossy')
  source = join(work, 'source')
  mkdirSync(source)
  makeManyFiles(join(source, 'many'), { files: 500, seed: 1 })
  for (let i = 0; i < 4; i++) writeFileSync(join(source, `large-${i}`), randomBytes(48 * MIB))
  emulator = await B2Emulator.start()
})
afterEach(async () => {
  await network?.stop()
  network = undefined
  emulator.clearFaults()
})
afterAll(async () => {
  await emulator.stop()
  rmSync(work, { recursive: true, force: true })
})

async function over(options: NetworkOptions): Promise<LossyNetwork> {
  network = await LossyNetwork.start(Number(new URL(emulator.url).port), options)
  return network
}

function ours(prefix: string, port: number, ...args: string[]): Promise<string> {
  const env = { ...ACCOUNT, B2_TEST_ENDPOINT: `http://127.0.0.1:${port}` }
  return must('ours', ['-r', `b2:${BUCKET}:${prefix}`, ...args], { cwd: work, env })
}

/** All names below the prefix have one version only. */
function expectOneVersionEach(prefix: string): void {
  const files = emulator.store.buckets.get(BUCKET)?.files ?? new Map<string, never[]>()
  const several = Array.from(files).filter(([name, { length }]) => name.startsWith(prefix) && length !== 1)
  expect(several.map(([name]) => name)).toEqual([])
}

describe('200 MB', { timeout: 240_000 }, () => {
  it('arrive whole where connections break, fall silent and are throttled', async () => {
    const { port } = await over({ meanBytesToReset: 60 * MIB, meanBytesToStall: 200 * MIB, seed: 7 })
    const impatient = ['--stuck-request-timeout', '2s']
    await ours('lossy', port, 'init')
    const action = { kind: 'answer', status: 503, code: 'service_unavailable' } as const
    const throttled = emulator.inject({ op: 'b2_upload_file', skip: 2, count: 3, action })
    await ours('lossy', port, ...impatient, 'backup', 'source')
    expect(throttled()).toBeGreaterThan(0)
    expectOneVersionEach('lossy/')
    const target = join(work, 'target')
    await ours('lossy', port, ...impatient, 'restore', 'latest', '--target', target)
    expect(listTree(join(target, 'source'))).toEqual(listTree(source))
    rmSync(target, { recursive: true })
    await ours('lossy', Number(new URL(emulator.url).port), 'check', '--read-data')
    // Of 400 MB to and fro, none at all once in a thousand times.
    expect(network!.resets).toBeGreaterThan(0)
  })

  it('fill the line with 50 ms to and fro', async () => {
    const bytesPerSecond = 20 * MIB
    const { port } = await over({ latencyMs: 50, bytesPerSecond })
    await ours('far', port, 'init')
    network!.clear()
    await ours('far', port, 'backup', 'source')
    const up = network!.throughput('up') / bytesPerSecond
    network!.clear()
    const target = join(work, 'target')
    await ours('far', port, 'restore', 'latest', '--target', target)
    const down = network!.throughput('down') / bytesPerSecond
    process.stderr.write(
      `of 20 MiB/s with 50 ms: ${(100 * up).toFixed(0)} % up, ${(100 * down).toFixed(0)} % down\n`,
    )
    expect(up).toBeGreaterThan(0.9)
    expect(down).toBeGreaterThan(0.9)
    rmSync(target, { recursive: true })
  })
})
