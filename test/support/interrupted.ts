/** Ctrl-C on a terminal: every program of the foreground hears it, ssh and rclone as well as we. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { BIN, cleanEnvironment } from './cli.ts'

export interface Interrupted {
  readonly code: number | null
  readonly stderr: string
}

const WAIT_MS = 30_000

/**
 * Starts a backup of what never ends and interrupts it, with all the programs it started.
 * @param flags that name the repository
 * @param isLocked whether the backup has its lock by now
 */
export async function interruptBackup(
  flags: readonly string[],
  isLocked: () => boolean,
): Promise<Interrupted> {
  const child = spawn(process.execPath, [BIN, ...flags, 'backup', '--stdin'], {
    env: cleanEnvironment(),
    stdio: ['pipe', 'ignore', 'pipe'],
    detached: true, // a process group of its own, as a shell gives its jobs
  })
  let stderr = ''
  child.stderr.on('data', (data: Buffer) => {
    stderr += data.toString()
  })
  const ended = once(child, 'close')
  for (const start = Date.now(); !isLocked(); await sleep(20)) {
    if (Date.now() - start < WAIT_MS && child.exitCode === null) continue
    child.kill('SIGKILL')
    throw new Error(`no lock was taken: ${stderr}`)
  }
  process.kill(-child.pid!, 'SIGINT')
  await ended
  return { code: child.exitCode, stderr }
}
