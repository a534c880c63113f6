/* oxlint-disable node/no-process-env -- the one place where tests look at their environment */
/** The real restic, for tests that compare: found in $RESTIC_BIN_DIR (default .cache/restic). */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { PROJECT } from './cli.ts'
import { TEST_PASSWORD } from './test-repository.ts'

export type ResticVersion = '0.14.0' | '0.18.0' | '0.19.1'

/** Whether SLOW=1 asks for long property tests. */
export const isSlow: boolean = process.env['SLOW'] === '1'

/** How often a property is tried: 25 times, or 1,000 times under SLOW=1. */
export function propertyRuns(normal = 25, slow = 1000): { numRuns: number } {
  return { numRuns: isSlow ? slow : normal }
}

/** Where this version's binary is expected. */
export function resticBinary(version: ResticVersion): string {
  return join(process.env['RESTIC_BIN_DIR'] ?? join(PROJECT, '.cache', 'restic'), `restic-${version}`)
}

/** Whether tests can run this restic. Says so loudly where they cannot. */
export function hasRestic(version: ResticVersion = '0.19.1'): boolean {
  const isThere = existsSync(resticBinary(version))
  if (!isThere && process.env['CI'] === 'true')
    throw new Error(`CI must have real restic: no ${resticBinary(version)}`)
  if (!isThere) process.stderr.write(`SKIPPED: no ${resticBinary(version)}; set RESTIC_BIN_DIR\n`)
  return isThere
}

export interface ResticRun {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs restic without a cache and with the password of test repositories. */
export function runRestic(
  args: readonly string[],
  options: {
    readonly version?: ResticVersion
    readonly cwd?: string
    readonly env?: Record<string, string>
  } = {},
): ResticRun {
  const run = spawnSync(resticBinary(options.version ?? '0.19.1'), ['--no-cache', ...args], {
    encoding: 'utf8',
    cwd: options.cwd,
    maxBuffer: 1 << 28,
    // The zone is the test's own: what it compares with runs in this process.
    env: { ...process.env, RESTIC_PASSWORD: TEST_PASSWORD, ...options.env },
  })
  if (run.error !== undefined) throw run.error
  return { code: run.status, stdout: run.stdout, stderr: run.stderr }
}

/** As `runRestic`, but fails the test where restic fails. */
export function restic(args: readonly string[], options: Parameters<typeof runRestic>[1] = {}): string {
  const { code, stdout, stderr } = runRestic(args, options)
  if (code !== 0) throw new Error(`restic ${args.join(' ')} ended with ${code}: ${stderr}`)
  return stdout
}
