/** The cache as the commands use it, beside real restic with the same folder. */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs' // prettier-ignore
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { cleanEnvironment } from '../support/cli.ts'
import { hasRestic, resticBinary } from '../support/real-restic.ts'
import { makeSample, type Sample } from './sample.ts'
import { succeed, transcript, type Transcript, type TranscriptOptions } from './transcript.ts'

vi.mock('node:timers/promises', async (load) => ({
  ...(await load<object>()),
  setTimeout: () => Promise.resolve(),
}))

let sample: Sample
let base: string
let repository: string
let count = 0

beforeAll(async () => {
  sample = await makeSample()
})
afterAll(() => sample.remove())
beforeEach(() => {
  base = join(process.cwd(), `caches-${count++}`)
  repository = sample.copy()
})

function ours(line: string, options: TranscriptOptions = {}): Promise<Transcript> {
  const words = ['-r', repository, '--cache-dir', base, ...line.split(' ')]
  return transcript(words, { ...options, cache: true })
}

/** Real restic with the same cache. */
function theirs(line: string): { readonly code: number | null; readonly stdout: string } {
  const args = ['-r', repository, '--cache-dir', base, ...line.split(' ')]
  const { status, stdout } = spawnSync(resticBinary('0.19.1'), args, {
    env: cleanEnvironment(),
    encoding: 'utf8',
  })
  return { code: status, stdout }
}

/** Names of all cached files of a type. */
function cached(type: 'data' | 'index' | 'snapshots'): string[] {
  const [id = ''] = readdirSync(base).filter((name) => name.length === 64)
  const files = readdirSync(join(base, id, type), { recursive: true, encoding: 'utf8' })
  return files.filter((name) => name.length > 64).map((name) => join(base, id, type, name))
}

describe('the cache', () => {
  it('is used by all who read, and told of on a terminal', async () => {
    const { stdout } = await ours('snapshots', { terminal: {} })
    expect(stdout).toContain(`created new cache in ${base}\n`)
    expect(cached('snapshots')).toHaveLength(3)
    expect((await ours('snapshots', { terminal: {} })).stdout).not.toContain('created')
    expect((await ours('restore latest --target restored')).code).toBe(0)
    rmSync('restored', { recursive: true })
    expect([cached('index').length, cached('data').length].every((length) => length > 0)).toBe(true)
  })

  it('is where the variables say, or in the home folder', async () => {
    for (const [env, path] of [
      [{ RESTIC_CACHE_DIR: join(base, 'a') }, 'a'],
      [{ RESTIC_CACHE_DIR: undefined, XDG_CACHE_HOME: join(base, 'b') }, 'b/restic'],
      [{ RESTIC_CACHE_DIR: undefined, HOME: join(base, 'c') }, 'c/.cache/restic'],
    ] as const) {
      await succeed(['-r', repository, 'snapshots'], { env, cache: true })
      expect(readdirSync(join(base, path))).toContain('CACHEDIR.TAG')
    }
  })

  it('is not there with --no-cache', async () => {
    expect((await ours('snapshots --no-cache')).code).toBe(0)
    expect(existsSync(base)).toBe(false)
  })

  it('that nobody knows a place for is a warning', async () => {
    const env = { RESTIC_CACHE_DIR: undefined, HOME: undefined, XDG_CACHE_HOME: undefined }
    const { code, stderr } = await transcript(['-r', repository, 'snapshots'], { env, cache: true })
    expect(code).toBe(0)
    expect(stderr).toMatch(/^unable to locate cache directory: .*\n$/)
  })

  it('that a file stands in the way of is a warning', async () => {
    writeFileSync(base, '')
    const { code, stderr } = await ours('snapshots')
    expect(code).toBe(0)
    expect(stderr).toMatch(/^unable to open cache: [^\n]*\n$/)
  })

  it('that was damaged is mended', async () => {
    await ours('restore latest --target restored')
    rmSync('restored', { recursive: true })
    for (const file of [...cached('index'), ...cached('snapshots'), ...cached('data')]) {
      const bytes = readFileSync(file)
      bytes[bytes.length >> 1]! ^= 1
      chmodSync(file, 0o600)
      writeFileSync(file, bytes)
    }
    const { code, stderr } = await ours('restore latest --target restored')
    rmSync('restored', { recursive: true })
    expect([code, stderr]).toEqual([0, ''])
    expect((await ours('check --with-cache --read-data')).code).toBe(0)
  })

  it('does not hide from a check what is wrong with the store', async () => {
    await ours('restore latest --target restored')
    rmSync('restored', { recursive: true })
    const [index = ''] = readdirSync(join(repository, 'index'))
    const path = join(repository, 'index', index)
    chmodSync(path, 0o600)
    writeFileSync(path, 'damaged')
    const { code, stdout } = await ours('check')
    expect(code).toBe(1)
    expect(stdout).toContain(`using temporary cache in ${base}`)
    expect(readdirSync(base).filter((name) => name.startsWith('restic-check'))).toEqual([])
    expect((await ours('check --with-cache')).code).toBe(0)
  })

  it('is left out of a backup', async () => {
    mkdirSync(join(base, 'beside'), { recursive: true })
    writeFileSync(join(base, 'beside', 'file'), '')
    base = join(base, 'cache')
    expect((await ours(`backup ${join(base, '..')}`)).code).toBe(0)
    const { stdout } = await ours('restore latest --dry-run -vv --target restored')
    expect(stdout).toContain('beside/file')
    expect(stdout).not.toContain('CACHEDIR.TAG')
  })
})

describe.skipIf(!hasRestic())('beside real restic', () => {
  it('each reads what the other has kept', async () => {
    expect(theirs('backup -q source').code).toBe(0)
    expect((await ours('backup -q source')).code).toBe(0)
    expect((await ours('forget --keep-last 1 --group-by host --prune')).code).toBe(0)
    expect(theirs('snapshots -q').code).toBe(0)
    expect(theirs('check --with-cache --read-data -q').code).toBe(0)
    expect((await ours('check --with-cache --read-data')).code).toBe(0)
  })

  it.each([
    'cache',
    'cache --no-size',
    'cache --max-age 0',
    'cache --cleanup',
    'cache --cleanup --max-age 10',
  ])('%s prints the same', async (line) => {
    await ours('snapshots')
    const old = join(base, 'ab'.repeat(32))
    mkdirSync(old)
    writeFileSync(join(old, 'file'), 'x'.repeat(5000))
    const days = Date.now() / 1000 - 20 * 86_400
    utimesSync(old, days, days)
    const mine = await ours(line)
    const isThere = existsSync(old)
    if (!isThere) {
      mkdirSync(old)
      utimesSync(old, days, days)
    }
    expect(mine).toMatchObject({ ...theirs(line), stderr: '' })
    expect(existsSync(old)).toBe(isThere)
  })

  it('cache says the same where there is none', async () => {
    expect(await ours('cache')).toMatchObject(theirs('cache'))
    expect(await ours('cache --cleanup')).toMatchObject(theirs('cache --cleanup'))
  })
})

it('cache --no-cache does nothing', async () => {
  const { code, stderr } = await ours('cache --no-cache')
  expect([code, stderr]).toEqual([1, 'Fatal: Refusing to do anything, the cache is disabled\n'])
  expect((await ours('cache --max-age soon')).code).toBe(1)
})

it('--cleanup-cache removes old caches', async () => {
  const old = join(base, 'cd'.repeat(32))
  mkdirSync(old, { recursive: true })
  utimesSync(old, 1_600_000_000, 1_600_000_000)
  const { stdout } = await ours('snapshots', { terminal: {} })
  expect(stdout).toContain('found 1 old cache directories')
  expect((await ours('snapshots --cleanup-cache')).stdout).toContain('removing 1 old cache dirs')
  expect(existsSync(old)).toBe(false)
})
