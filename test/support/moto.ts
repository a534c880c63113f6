/** moto, a Python program that acts as S3, where it happens to be installed: another opinion beside s3rver's. */
import { spawn, spawnSync } from 'node:child_process'
import { freePort } from './free-port.ts'
import { firstMatch, stopChild, type TestServer } from './rclone.ts'

/** No registry that CI reaches has it, so CI must do without. */
export function hasMoto(): boolean {
  const isThere = spawnSync('moto_server', ['--help'], { stdio: 'ignore' }).status === 0
  if (!isThere) process.stderr.write('SKIPPED: no moto_server\n')
  return isThere
}

export async function startMoto(): Promise<TestServer> {
  const port = await freePort()
  const child = spawn('moto_server', ['-H', '127.0.0.1', '-p', String(port)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  await firstMatch(child, /Running on http/)
  return { url: `http://127.0.0.1:${port}`, stop: () => stopChild(child) }
}
