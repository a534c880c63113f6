/** The built command as a child process, with an environment of its own. */
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { TEST_PASSWORD } from './test-repository.ts'

export const PROJECT: string = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
export const BIN: string = join(PROJECT, 'dist', 'cli', 'bin.js')

export interface CliRun {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CliOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string | Uint8Array
}

export function runCli(args: readonly string[], options: CliOptions = {}): CliRun {
  const run = spawnSync(process.execPath, [BIN, ...args], {
    cwd: options.cwd,
    input: options.input,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      TZ: 'UTC',
      RESTIC_PASSWORD: TEST_PASSWORD,
      ...options.env,
    },
  })
  if (run.error !== undefined) throw run.error
  return { code: run.status, stdout: run.stdout, stderr: run.stderr }
}

/** As `runCli`, but fails the test where the command fails. */
export function cli(args: readonly string[], options: CliOptions = {}): string {
  const { code, stdout, stderr } = runCli(args, options)
  if (code !== 0) throw new Error(`restic-ts ${args.join(' ')} ended with ${code}: ${stderr}`)
  return stdout
}
