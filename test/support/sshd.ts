/** Debian's OpenSSH server on a loopback port, with keys and a configuration of the test's own. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './free-port.ts'
import { stopChild } from './rclone.ts'

const SSHD = '/usr/sbin/sshd'
const START_MS = 30_000
/** What serves files; it speaks on its standard input and output, so tests can do without a network as well. */
export const SFTP_SERVER = '/usr/lib/openssh/sftp-server'

/** Whether tests can run a server: it must be installed, and only root may let somebody log in. */
export function hasSshd(): boolean {
  const isThere = existsSync(SSHD) && existsSync(SFTP_SERVER) && process.getuid?.() === 0
  if (!isThere && process.env['CI'] === 'true')
    throw new Error('CI must have openssh-server and run the tests as root')
  if (!isThere) process.stderr.write('SKIPPED: no openssh-server, or not root\n')
  return isThere
}

export interface TestSshd {
  readonly port: number
  /** `user@host:port` for locations. */
  readonly authority: string
  /** For `-o sftp.args`: nothing of the developer's own settings, and no questions. */
  readonly args: string
  /** Where the client looks for the host's key. */
  readonly knownHosts: string
  stop(): Promise<void>
}

async function listening(child: ChildProcess, log: string): Promise<void> {
  const deadline = Date.now() + START_MS
  const said = (): string => (existsSync(log) ? readFileSync(log, 'utf8') : '')
  while (!said().includes('Server listening on')) {
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL')
      throw new Error(`sshd does not start: ${said()}`)
    }
    await sleep(20)
  }
}

/** @param folder of the test's own, for keys and configuration */
export async function startSshd(folder: string): Promise<TestSshd> {
  const file = (name: string): string => join(folder, name)
  for (const name of ['host', 'client'])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file(name)])
  writeFileSync(file('authorized_keys'), readFileSync(file('client.pub')), { mode: 0o600 })
  const port = await freePort()
  const user = userInfo().username
  writeFileSync(file('known_hosts'), `[127.0.0.1]:${port} ${readFileSync(file('host.pub'), 'utf8')}`)
  writeFileSync(
    file('sshd_config'),
    [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${file('host')}`,
      `AuthorizedKeysFile ${file('authorized_keys')}`,
      `Subsystem sftp ${SFTP_SERVER}`,
      'PidFile none',
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin prohibit-password',
    ].join('\n'),
  )
  mkdirSync('/run/sshd', { recursive: true }) // where sshd locks its unprivileged half up
  const log = file('log')
  // A file, not a pipe: sessions that outlive the server would keep a pipe open, and nobody would empty it.
  const child = spawn(SSHD, ['-D', '-E', log, '-f', file('sshd_config')], { stdio: 'ignore' })
  await listening(child, log)
  const settings = [`UserKnownHostsFile=${file('known_hosts')}`, 'GlobalKnownHostsFile=/dev/null']
  const options = [...settings, 'BatchMode=yes', 'IdentitiesOnly=yes', 'StrictHostKeyChecking=yes']
  return {
    port,
    authority: `${user}@127.0.0.1:${port}`,
    args: `-F /dev/null -i ${file('client')} ${options.map((option) => `-o ${option}`).join(' ')}`,
    knownHosts: file('known_hosts'),
    stop: () => stopChild(child),
  }
}
