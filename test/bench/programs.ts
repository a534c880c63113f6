/** Runs one command and measures the whole process. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BIN, cleanEnvironment } from '../support/cli.ts'
import { resticBinary } from '../support/real-restic.ts'

export type Program = 'restic' | 'ours'
export const PROGRAMS: readonly Program[] = ['restic', 'ours']
export const RESTIC_VERSION = '0.19.1'

export interface Measurement {
  readonly wallSeconds: number
  readonly cpuSeconds: number
  readonly peakMib: number
}

export function commandOf(program: Program): readonly string[] {
  return program === 'ours' ? [process.execPath, BIN] : [resticBinary(RESTIC_VERSION)]
}

/**
 * @param status the exit code it should have
 * @throws Error with the output of a command that ends otherwise
 */
// oxlint-disable-next-line max-params -- what to run, where, and how it ends
export function measure(program: Program, args: readonly string[], cwd?: string, status = 0): Measurement {
  return measureCommand([...commandOf(program), '--no-cache', ...args], cwd, status)
}

export function measureCommand(command: readonly string[], cwd?: string, status = 0): Measurement {
  const report = join(tmpdir(), `restic-ts-bench-${process.pid}`)
  // What the run before left to be written must not be written at the cost of this one.
  spawnSync('sync')
  const started = performance.now()
  const [timer, ...args] = timed(command, report)
  const run = spawnSync(timer, args, {
    cwd,
    env: cleanEnvironment(),
    encoding: 'utf8',
    // A list of all blobs is long.
    stdio: ['ignore', 'ignore', 'pipe'],
    maxBuffer: 1 << 28,
  })
  const wallSeconds = (performance.now() - started) / 1000
  if (run.error !== undefined) throw run.error
  if (run.status !== status) throw new Error(`${command.join(' ')} ended with ${run.status}: ${run.stderr}`)
  return { wallSeconds, ...readReport(report) }
}

/** A command run by GNU time, which reports what the kernel counted of the ended process. */
export function timed(command: readonly string[], report: string): [string, ...string[]] {
  return ['/usr/bin/time', '-q', '-o', report, '-f', '%U %S %M', ...command]
}

export function readReport(report: string): Omit<Measurement, 'wallSeconds'> {
  const [user = 0, system = 0, kib = 0] = readFileSync(report, 'utf8').trim().split(' ').map(Number)
  return { cpuSeconds: user + system, peakMib: kib / 1024 }
}
