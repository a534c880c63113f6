/** Real rclone (test/support/restic-binaries.sh): its REST server for restic, and the program itself. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { PROJECT } from './cli.ts'

/** Where the binary is expected. */
export const RCLONE: string = join(
  process.env['RESTIC_BIN_DIR'] ?? join(PROJECT, '.cache', 'restic'),
  'rclone',
)

/** Whether tests can run rclone. Says so loudly where they cannot. */
export function hasRclone(): boolean {
  const isThere = existsSync(RCLONE)
  if (!isThere && process.env['CI'] === 'true') throw new Error(`CI must have rclone: no ${RCLONE}`)
  if (!isThere) process.stderr.write(`SKIPPED: no ${RCLONE}; set RESTIC_BIN_DIR\n`)
  return isThere
}

/** Nothing of the developer's own remotes, and a configuration that no test can change. */
export const RCLONE_ENV: Readonly<Record<string, string>> = { RCLONE_CONFIG: '/dev/null' }

export interface TestServer {
  readonly url: string
  stop(): Promise<void>
}

const START_MS = 20_000

/**
 * Serves a folder to restic, on a loopback port or on the unix socket that `args` may name.
 * @param args further flags of `rclone serve restic`
 */
export async function startRcloneRest(folder: string, args: readonly string[] = []): Promise<TestServer> {
  const address = args.includes('--addr') ? [] : ['--addr', '127.0.0.1:0']
  const child = spawn(RCLONE, ['serve', 'restic', ...address, ...args, folder], {
    env: { PATH: process.env['PATH'], HOME: '/nonexistent', ...RCLONE_ENV },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const url = await firstMatch(child, /Serving restic REST API on \[([^\]]*)\]/)
  return { url, stop: () => stopChild(child) }
}

/** The first group of the first match in what a program says on stderr. */
export function firstMatch(child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    const fail = (why: string): void => {
      clearTimeout(timer)
      child.kill('SIGKILL')
      reject(new Error(`${child.spawnfile} ${why}: ${said}`))
    }
    const timer = setTimeout(() => fail('did not start in time'), START_MS)
    const onError = (error: Error): void => fail(error.message)
    const onExit = (code: number | null, signal: string | null): void => fail(`ended with ${code ?? signal}`)
    const onData = (data: Buffer): void => {
      said += data.toString()
      const match = pattern.exec(said)
      if (match === null) return
      clearTimeout(timer)
      child.off('error', onError).off('exit', onExit)
      child.stderr?.off('data', onData).resume()
      resolve(match[1] ?? match[0])
    }
    child.once('error', onError).once('exit', onExit)
    child.stderr?.on('data', onData)
  })
}

export async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  // Killed it is; if word of its end does not come, no test is to hang for it.
  await Promise.race([exited, sleep(5000, undefined, { ref: false })])
}
