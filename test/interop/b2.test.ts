/**
 * restic, rclone and restic-ts on the same bucket of the B2 emulator. restic knows B2's own hosts only, so it comes
 * through a proxy that leads to the emulator and nowhere else; both clients judge the emulator as much as it judges us.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { B2Emulator, MASTER_KEY } from '../support/b2-emulator.ts'
import { ConnectProxy, makeTestIdentity, type TestIdentity } from '../support/connect-proxy.ts'
import { editRandomly, makeManyFiles, randomBytes } from '../support/many-files.ts'
import { finish, must, run, type Program } from '../support/programs.ts'
import { hasRclone, RCLONE, RCLONE_ENV } from '../support/rclone.ts'
import { hasRestic, type ResticVersion } from '../support/real-restic.ts'
import { makeWorkFolder } from '../support/repositories.ts'
import { listTree } from '../support/rich-tree.ts'

const B2_HOSTS = /^[a-z0-9-]+\.backblaze(b2)?\.com:443$/
const VERSIONS: readonly ResticVersion[] = ['0.14.0', '0.18.0', '0.19.1']
const BUCKET = 'interop-bucket'
const ACCOUNT = { B2_ACCOUNT_ID: MASTER_KEY.id, B2_ACCOUNT_KEY: MASTER_KEY.secret }
/** Packs small enough that there are several. */
const PACKS = { RESTIC_PACK_SIZE: '4' }

let work = ''
let folder = ''
let identity: TestIdentity
let emulator: B2Emulator
let proxy: ConnectProxy

beforeAll(async () => {
  work = makeWorkFolder('b2')
  identity = makeTestIdentity(work, ['*.backblazeb2.com', '*.backblaze.com'])
  emulator = await B2Emulator.start()
  proxy = await ConnectProxy.start(B2_HOSTS, await emulator.listenTls(identity))
  folder = join(work, 'source')
  mkdirSync(folder)
  makeManyFiles(folder, { files: 100, seed: 3 })
  writeFileSync(join(folder, 'large.bin'), randomBytes(4, 9_000_000))
})

afterAll(async () => {
  await proxy.stop()
  await emulator.stop()
  rmSync(work, { recursive: true, force: true })
})

/** The environment for one of the programs: ours is told the endpoint, restic is led there. */
function environment(program: Program): Record<string, string> {
  const way =
    program === 'ours'
      ? { B2_TEST_ENDPOINT: emulator.url }
      : { HTTPS_PROXY: proxy.url, https_proxy: proxy.url }
  return { ...ACCOUNT, ...PACKS, ...way }
}

function use(program: Program, prefix: string, ...args: string[]): Promise<string> {
  // restic 0.14 knows no variable for the authority.
  const trust = program === 'ours' ? [] : ['--cacert', identity.caFile]
  return must(program, [...trust, '-r', `b2:${BUCKET}:${prefix}`, ...args], { env: environment(program) })
}

async function expectRestores(program: Program, prefix: string, expected: readonly string[]): Promise<void> {
  const target = join(work, `out-${prefix}-${program}`)
  await use(program, prefix, 'restore', 'latest', '--target', target)
  expect(listTree(join(target, folder))).toEqual(expected)
  rmSync(target, { recursive: true })
}

/** Objects of a repository as stored: names and bytes of all versions. */
function storedFiles(prefix: string): { name: string; bytes: Buffer; versions: number }[] {
  const files = emulator.store.buckets.get(BUCKET)?.files ?? new Map<string, never>()
  return Array.from(files)
    .filter(([name]) => name.startsWith(`${prefix}/`))
    .map(([name, versions]) => ({ name, bytes: versions[0]!.bytes, versions: versions.length }))
}

function expectNamedByHash(prefix: string): void {
  const files = storedFiles(prefix).filter(({ name }) => !name.endsWith('/config'))
  expect(files.length).toBeGreaterThan(4)
  for (const { name, bytes } of files)
    expect(name.split('/').at(-1)).toBe(createHash('sha256').update(bytes).digest('hex'))
}

describe.skipIf(!hasRestic())('one bucket for restic and restic-ts', () => {
  it('reads what every restic wrote', async () => {
    await use('0.19.1', 'by-restic', 'init')
    for (const version of VERSIONS) {
      appendFileSync(join(folder, 'by-version.bin'), randomBytes(Number(version.slice(2, 4)), 500_000))
      await use(version, 'by-restic', 'backup', '--force', folder)
    }
    expectNamedByHash('by-restic')
    expect(await use('ours', 'by-restic', 'check', '--read-data')).toMatch(/no errors were found/)
    await expectRestores('ours', 'by-restic', listTree(folder))
  })

  it('writes what every restic reads', async () => {
    await use('ours', 'by-ours', 'init')
    await use('ours', 'by-ours', 'backup', folder)
    expectNamedByHash('by-ours')
    for (const version of VERSIONS)
      expect(await use(version, 'by-ours', 'check', '--read-data')).toMatch(/no errors were found/)
    await expectRestores('0.19.1', 'by-ours', listTree(folder))
  })

  it('leaves one version of every name, whoever prunes', async () => {
    const changing = join(work, 'changing')
    mkdirSync(changing)
    makeManyFiles(changing, { files: 100, seed: 8 })
    await use('ours', 'turns', 'init')
    for (const [round, [first, second]] of (
      [
        ['ours', '0.19.1'],
        ['0.19.1', 'ours'],
      ] as const
    ).entries()) {
      await use(first, 'turns', 'backup', changing)
      editRandomly(changing, round)
      await use(second, 'turns', 'backup', changing)
      await use(
        first,
        'turns',
        'forget',
        '--keep-last',
        '1',
        '--group-by',
        '',
        '--prune',
        '--max-unused',
        '0',
      )
      await use(second, 'turns', 'check', '--read-data')
      const left = storedFiles('turns')
      expect(left.filter(({ versions }) => versions !== 1)).toEqual([])
      expect(left.filter(({ name }) => name.includes('/snapshots/'))).toHaveLength(1)
      expect(left.filter(({ name }) => name.includes('/locks/'))).toEqual([])
    }
  })

  it('reaches the emulator through a proxy as well', async () => {
    const env = { ...ACCOUNT, HTTPS_PROXY: proxy.url, NODE_EXTRA_CA_CERTS: identity.caFile }
    const listed = await must('ours', ['-r', `b2:${BUCKET}:by-ours`, 'snapshots', '--json'], { env })
    expect(JSON.parse(listed)).toHaveLength(1)
  })

  it('refuses a server it cannot trust at once', async () => {
    const env = { ...ACCOUNT, HTTPS_PROXY: proxy.url }
    const { code, stderr } = await run('ours', ['-r', `b2:${BUCKET}:by-ours`, 'snapshots'], { env })
    expect(code).toBe(1)
    expect(stderr).toMatch(/certificate of Backblaze B2 cannot be verified/)
    expect(stderr).toMatch(/--cacert/)
  })

  it('let nobody ask for another host', () => {
    expect([...proxy.asked].filter((host) => !B2_HOSTS.test(host))).toEqual([])
    expect(proxy.asked.size).toBeGreaterThan(2)
  })
})

describe.skipIf(!hasRclone())('one bucket for rclone and restic-ts', () => {
  const remote = (): Record<string, string> => ({
    RCLONE_CONFIG_B_TYPE: 'b2',
    RCLONE_CONFIG_B_ACCOUNT: MASTER_KEY.id,
    RCLONE_CONFIG_B_KEY: MASTER_KEY.secret,
    RCLONE_CONFIG_B_ENDPOINT: emulator.url,
    RCLONE_CONFIG_B_HARD_DELETE: 'true',
    RCLONE_CONFIG_B_CHUNK_SIZE: '5Mi',
    RCLONE_CONFIG_B_UPLOAD_CUTOFF: '5Mi',
  })

  const rclone = async (...args: string[]): Promise<string> => {
    const env = { PATH: process.env['PATH'], HOME: work, ...RCLONE_ENV, ...remote() }
    const child = spawn(RCLONE, args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
    const { code, stdout, stderr } = await finish(child, `rclone ${args.join(' ')}`)
    if (code !== 0) throw new Error(`rclone ${args.join(' ')} ended with ${code}: ${stderr}`)
    return stdout
  }

  it('copies our repository away and back, large packs in parts', async () => {
    await use('ours', 'for-rclone', 'init')
    await use('ours', 'for-rclone', 'backup', '--pack-size', '8', folder)
    expect(storedFiles('for-rclone').some(({ bytes }) => bytes.length > 5 * 1024 * 1024)).toBe(true)
    const names = storedFiles('for-rclone').map(({ name }) => name.slice('for-rclone/'.length))
    const listed = await rclone('lsf', '-R', '--files-only', `b:${BUCKET}/for-rclone`)
    expect(listed.trim().split('\n').toSorted()).toEqual(names.toSorted())
    const copy = join(work, 'copy')
    await rclone('copy', `b:${BUCKET}/for-rclone`, copy)
    await must('ours', ['-r', copy, 'check', '--read-data'])
    await rclone('copy', copy, `b:${BUCKET}/from-rclone`)
    await rclone('check', copy, `b:${BUCKET}/from-rclone`)
    expect(emulator.ops()).toContain('b2_finish_large_file')
    await use('ours', 'from-rclone', 'check', '--read-data')
    await expectRestores('ours', 'from-rclone', listTree(folder))
  })

  it('has nothing left after rclone deletes', async () => {
    await rclone('delete', `b:${BUCKET}/from-rclone`)
    expect(storedFiles('from-rclone')).toEqual([])
    const { code } = await run('ours', ['-r', `b2:${BUCKET}:from-rclone`, 'snapshots'], {
      env: environment('ours'),
    })
    expect(code).toBe(10)
  })
})

it('broke no rule of B2 and no test of the emulator', () => {
  expect(emulator.violations).toEqual([])
})
