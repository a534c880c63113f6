/** The npm package s3rver: an S3 server in a folder, as a program of its own. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { PROJECT } from './cli.ts'
import { stopChild, type TestServer } from './rclone.ts'

/** The only keys it knows. It looks at the ID alone. */
export const S3_KEYS: Readonly<Record<string, string>> = {
  AWS_ACCESS_KEY_ID: 'S3RVER',
  AWS_SECRET_ACCESS_KEY: 'S3RVER',
}

export interface S3rver extends TestServer {
  readonly port: number
  /** Lines of its log: method, path and status of every request. */
  readonly requests: readonly string[]
}

export interface S3rverOptions {
  /** Files of a certificate and its key, for https. */
  readonly tls?: { readonly cert: string; readonly key: string }
}

const BIN = join(PROJECT, 'node_modules', 's3rver', 'bin', 's3rver.js')
const START_MS = 20_000
// oxlint-disable-next-line no-control-regex -- it colours its log even where nobody can see it
const COLOURS = /\u001b\[\d+m/g

/** With old ciphers allowed: its listings of several pages need DES. */
export async function startS3rver(folder: string, { tls }: S3rverOptions = {}): Promise<S3rver> {
  const secure = tls === undefined ? [] : ['--cert', tls.cert, '--key', tls.key]
  const child = spawn(
    process.execPath,
    ['--openssl-legacy-provider', BIN, '-d', folder, '-a', '127.0.0.1', '-p', '0', ...secure],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  )
  const requests: string[] = []
  const port = await new Promise<number>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('s3rver did not start in time')), START_MS)
    child.once('exit', (code) => reject(new Error(`s3rver ended with ${code}`)))
    createInterface(child.stdout).on('line', (line) => {
      const said = line.replace(COLOURS, '')
      const match = /listening on \S+:(\d+)/.exec(said)
      if (match === null) requests.push(said)
      else {
        clearTimeout(timer)
        resolve(Number(match[1]))
      }
    })
  })
  const url = tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`
  return { url, port, requests, stop: () => stopChild(child) }
}
