/**
 * A repository in B2's emulator behind a line of 50 ms and 20 MiB/s, both ways. restic, which knows B2's own hosts only,
 * comes by TLS through a proxy, as in test/interop/b2.test.ts.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { B2Emulator, MASTER_KEY } from '../support/b2-emulator.ts'
import { cleanEnvironment } from '../support/cli.ts'
import { ConnectProxy, makeTestIdentity } from '../support/connect-proxy.ts'
import { LossyNetwork } from '../support/lossy-network.ts'
import { commandOf, PROGRAMS, readReport, timed, type Measurement, type Program } from './programs.ts'

const MIB = 1 << 20
const LINE = { latencyMs: 50, bytesPerSecond: 20 * MIB }
const B2_HOSTS = /^[a-z0-9-]+\.backblaze(b2)?\.com:443$/
const FILES = 50
const FILE_BYTES = 4 * MIB

type Runs = Record<Program, Measurement[]>

export interface FarRow {
  readonly data: string
  readonly job: string
  readonly runs: Runs
}

/** First backup, unchanged backup and restore of 200 MiB, in alternating runs. */
export async function benchFar(root: string, runs: number): Promise<FarRow[]> {
  mkdirSync(root, { recursive: true })
  const work = mkdtempSync(join(root, 'far-'))
  const identity = makeTestIdentity(work, ['*.backblazeb2.com', '*.backblaze.com'])
  const emulator = await B2Emulator.start()
  const plain = await LossyNetwork.start(Number(new URL(emulator.url).port), LINE)
  const secure = await LossyNetwork.start(await emulator.listenTls(identity), LINE)
  const proxy = await ConnectProxy.start(B2_HOSTS, secure.port)
  const ways: Record<Program, { readonly env: Record<string, string>; readonly flags: readonly string[] }> = {
    ours: { env: { B2_TEST_ENDPOINT: `http://127.0.0.1:${plain.port}` }, flags: [] },
    restic: { env: { HTTPS_PROXY: proxy.url }, flags: ['--cacert', identity.caFile] },
  }
  const run = (program: Program, prefix: string, args: readonly string[]): Promise<Measurement> => {
    const { env, flags } = ways[program]
    const all = [...flags, '--no-cache', '-r', `b2:bench-bucket:${prefix}`, ...args]
    const account = { B2_ACCOUNT_ID: MASTER_KEY.id, B2_ACCOUNT_KEY: MASTER_KEY.secret }
    return measureBeside([...commandOf(program), ...all], join(work, 'source'), { ...account, ...env })
  }
  try {
    makeSource(join(work, 'source'))
    const rows = ['first backup', 'backup again, unchanged', 'restore'].map((job): FarRow => ({
      data: 'B2, 50 ms, 20 MiB/s',
      job,
      runs: { restic: [], ours: [] },
    }))
    for (let i = 0; i < runs; i++) {
      for (const program of PROGRAMS) {
        const prefix = `${program}-${i}`
        await run(program, prefix, ['init'])
        const jobs = [
          ['backup', '.'],
          ['backup', '.'],
          ['restore', 'latest', '--target', join(work, prefix)],
        ]
        for (const [j, args] of jobs.entries()) rows[j]?.runs[program].push(await run(program, prefix, args))
      }
    }
    return rows
  } finally {
    for (const server of [proxy, plain, secure, emulator]) await server.stop()
    rmSync(work, { recursive: true })
  }
}

function makeSource(folder: string): void {
  mkdirSync(folder)
  for (let i = 0; i < FILES; i++) writeFileSync(join(folder, `file-${i}`), randomBytes(FILE_BYTES))
}

/** As `measureCommand`, but this process goes on: it is the server. */
async function measureBeside(
  command: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
): Promise<Measurement> {
  const report = `${cwd}.time`
  const started = performance.now()
  const [timer, ...args] = timed(command, report)
  const child = spawn(timer, args, {
    cwd,
    env: cleanEnvironment(env),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (data: Buffer) => (said += data.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  const wallSeconds = (performance.now() - started) / 1000
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}: ${said}`)
  return { wallSeconds, ...readReport(report) }
}
