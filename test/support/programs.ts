/** Ours and every real restic, run one like the other: `run('ours', …)`, `run('0.19.1', …)`. */
import { spawn, type ChildProcess } from 'node:child_process'
import { BIN, cleanEnvironment } from './cli.ts'
import { resticBinary, type ResticVersion } from './real-restic.ts'

export type Program = 'ours' | ResticVersion

export interface Run {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string | Uint8Array
  /** User and group to run as; needs root. */
  readonly user?: number
  /** A command to put in front, such as `setpriv --…`. */
  readonly prefix?: readonly string[]
  /** Another build of our command. */
  readonly bin?: string
  /** Ours without --no-cache, which all others have. */
  readonly cache?: boolean
}

/** A hung command fails its test with its output instead of letting the test time out without a word. */
const TIMEOUT_MS = 180_000

/** Frames of an error's stack, Node's or Go's. */
const STACK_TRACE = /\n\s+at .*:\d+:\d+|^goroutine \d+|\n\t\/.*\.go:\d+/

export function start(program: Program, args: readonly string[], options: RunOptions = {}): ChildProcess {
  const command =
    program === 'ours'
      ? [process.execPath, options.bin ?? BIN, ...(options.cache === true ? [] : ['--no-cache']), ...args]
      : [resticBinary(program), '--no-cache', ...args]
  const [file, ...rest] = [...(options.prefix ?? []), ...command]
  return spawn(file!, rest, {
    cwd: options.cwd,
    env: cleanEnvironment(options.env),
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(options.user === undefined ? {} : { uid: options.user, gid: options.user }),
  })
}

/** Waits for a started command. */
export function finish(child: ChildProcess, name: string, input?: string | Uint8Array): Promise<Run> {
  return new Promise((resolve, reject) => {
    const output: { stdout: Buffer[]; stderr: Buffer[] } = { stdout: [], stderr: [] }
    child.stdout?.on('data', (data: Buffer) => output.stdout.push(data))
    child.stderr?.on('data', (data: Buffer) => output.stderr.push(data))
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`${name} did not end: ${Buffer.concat(output.stderr).toString()}`))
    }, TIMEOUT_MS)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      const stdout = Buffer.concat(output.stdout).toString()
      const stderr = Buffer.concat(output.stderr).toString()
      resolve({ code, signal, stdout, stderr })
    })
    // A command that ends without reading its input is no failure of the test.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
}

/** Runs a command to its end. Ours must never show a stack trace, whatever it is given. */
export async function run(program: Program, args: readonly string[], options: RunOptions = {}): Promise<Run> {
  const name = `${program === 'ours' ? 'restic-ts' : `restic ${program}`} ${args.join(' ')}`
  const result = await finish(start(program, args, options), name, options.input)
  if (program === 'ours' && STACK_TRACE.test(`\n${result.stderr}`)) {
    throw new Error(`${name} crashed with a stack trace: ${result.stderr}`)
  }
  return result
}

/** As `run`, but what ends with anything but 0 fails the test. */
export async function must(
  program: Program,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, signal, stdout, stderr } = await run(program, args, options)
  if (code === 0) return stdout
  const name = program === 'ours' ? 'restic-ts' : `restic ${program}`
  throw new Error(`${name} ${args.join(' ')} ended with ${code ?? signal}:\n${stderr}${stdout}`)
}
