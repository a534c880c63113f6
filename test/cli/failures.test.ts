/** How command lines end that cannot do what they are asked to: exit codes, words, and nothing left behind. */
import { mkdirSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { LocalBackend } from '../../src/backend/local.ts'
import { describeError } from '../../src/cli/describe-error.ts'
import { InterruptedError, OutputClosedError } from '../../src/cli/io.ts'
import { Repository } from '../../src/repo/repository.ts'
import { filesOf, overwrite } from '../support/repositories.ts'
import { TEST_PASSWORD } from '../support/test-repository.ts'
import { makeSample, type Sample } from './sample.ts'
import { containing, jsonLines, matching, transcript } from './transcript.ts'

vi.mock('node:timers/promises', async (load) => ({
  ...(await load<object>()),
  setTimeout: () => Promise.resolve(),
}))

let sample: Sample

beforeAll(async () => {
  sample = await makeSample()
})
afterAll(() => sample.remove())

/** What a failure says, in text and as JSON. */
async function failure(args: string): Promise<{ code: number; message: string }> {
  const text = await transcript(args)
  const json = await transcript(`--json ${args}`)
  const last = jsonLines(json.stderr.slice(json.stderr.lastIndexOf('\n', json.stderr.length - 2) + 1))[0]!
  expect(Object.keys(last)).toEqual(['message_type', 'code', 'message'])
  expect(last).toMatchObject({ message_type: 'exit_error', code: text.code })
  expect(json.code).toBe(text.code)
  const message = String(last['message'])
  const ageless = (words: string): string => words.replace(/\(\S+ ago\)/, '(… ago)')
  expect(ageless(text.stderr).endsWith(ageless(`${message}\n`))).toBe(true)
  return { code: text.code, message }
}

describe('exit code', () => {
  it('1 says what is wrong', async () => {
    expect(await failure('-r repository restore nix --target x')).toEqual({
      code: 1,
      message: 'Fatal: failed to find snapshot: no matching ID found for prefix "nix"',
    })
  })

  it('3 says that something is missing from the snapshot', async () => {
    expect(await failure(`-r ${sample.copy()} backup nix source`)).toEqual({
      code: 3,
      message: 'Warning: at least one source file could not be read',
    })
  })

  it.each([
    'snapshots',
    'list',
    'backup source',
    'check',
    'prune',
    'forget latest',
    'restore latest --target x',
  ])('10 says that there is no repository for %s', async (args) => {
    expect(await failure(`-r nix ${args}`)).toEqual({
      code: 10,
      message:
        `Fatal: repository does not exist: unable to open config file: open ${join(sample.work, 'nix/config')}: ` +
        'no such file or directory\nIs there a repository at the following location?\nnix',
    })
  })

  it('11 says who holds the lock', async () => {
    const path = sample.copy()
    const repository = await Repository.open(new LocalBackend(path), { password: TEST_PASSWORD })
    const lock = await repository.lock(true)
    try {
      for (const args of ['snapshots', 'backup source', 'check', 'prune', 'key add']) {
        const { code, message } = await failure(`-r ${path} ${args}`)
        expect(code).toBe(11)
        expect(message).toMatch(
          new RegExp(
            `^Fatal: unable to create lock in backend: repository is already locked exclusively by PID ${process.pid} on .*\n` +
              'lock was created at .* ago\\)\nstorage ID [0-9a-f]{8}\nthe `unlock` command can be used to remove stale locks$',
          ),
        )
      }
      expect(await transcript(`-r ${path} snapshots --no-lock`)).toMatchObject({ code: 0 })
      expect(await transcript(`-r ${path} list locks`)).toMatchObject({ code: 0, stdout: `${lock.id}\n` })
      expect(await transcript(`-r ${path} unlock`)).toMatchObject({ code: 0, stdout: '' })
      expect(filesOf(path, 'locks')).toHaveLength(1)
    } finally {
      await lock.release()
    }
    expect(await transcript(`-r ${path} snapshots`)).toMatchObject({ code: 0 })
  })

  it('12 says that the password is wrong', async () => {
    const env = { RESTIC_PASSWORD: 'wrong' }
    expect(await transcript('-r repository snapshots', { env })).toMatchObject({
      code: 12,
      stderr: 'Fatal: wrong password or no key found\n',
    })
    const { stderr } = await transcript('-r repository snapshots --json', { env })
    expect(jsonLines(stderr)).toEqual([
      { message_type: 'exit_error', code: 12, message: 'Fatal: wrong password or no key found' },
    ])
    const empty = sample.copy()
    for (const key of filesOf(empty, 'keys')) rmSync(key)
    expect(await failure(`-r ${empty} snapshots`)).toMatchObject({ code: 12 })
  })

  it.each([
    ['backup source', 'no parent snapshot found'],
    ['check --read-data', 'load indexes'],
    ['prune', 'loading all snapshots...'],
    ['forget --keep-last 1 --prune', 'loading all snapshots...'],
    ['restore latest --target gone', 'restoring snapshot'],
    ['snapshots', 'ID  '],
  ])('130 tells of a signal during %s, and the lock goes', async (args, moment) => {
    const path = sample.copy()
    const controller = new AbortController()
    const result = await transcript(`-r ${path} ${args}`, {
      signal: controller.signal,
      onWrite: (text) => text.startsWith(moment) && controller.abort(new InterruptedError()),
    })
    expect(result).toMatchObject({ code: 130, stderr: 'Fatal: operation aborted\n' })
    expect(filesOf(path, 'locks')).toEqual([])
    // What was removed before the signal stays removed.
    expect(filesOf(path, 'snapshots')).toHaveLength(args.startsWith('forget') ? 2 : 3)
    expect(await transcript(`-r ${path} check`)).toMatchObject({ code: 0 })
  })

  it('130 is told as JSON', async () => {
    const controller = new AbortController()
    controller.abort(new InterruptedError())
    const { code, stdout, stderr } = await transcript('--json -r repository snapshots', {
      signal: controller.signal,
    })
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' })
    expect(jsonLines(stderr)).toEqual([
      { message_type: 'exit_error', code: 130, message: 'Fatal: operation aborted' },
    ])
  })

  it.each([
    ['141 where nobody reads any more', '', 141, ''],
    [
      '1 where the output cannot be written',
      'unable to write output: full',
      1,
      'Fatal: unable to write output: full\n',
    ],
  ])('%s', async (_what, reason, code, stderr) => {
    const path = sample.copy()
    const controller = new AbortController()
    const result = await transcript(`-r ${path} check`, {
      signal: controller.signal,
      onWrite: () => controller.abort(new OutputClosedError(reason)),
    })
    expect(result).toMatchObject({ code, stderr })
    expect(filesOf(path, 'locks')).toEqual([])
  })
})

describe('words', () => {
  it('of a stale lock on this host: it goes, with a notice', async () => {
    const path = sample.copy()
    const repository = await Repository.open(new LocalBackend(path), { password: TEST_PASSWORD })
    const lock = await repository.lock(true)
    const [file] = filesOf(path, 'locks')
    const { hostname, username } = JSON.parse(
      (await transcript(`-r ${path} --no-lock cat lock ${lock.id}`)).stdout,
    ) as Record<string, string>
    await lock.release()
    // No process has a number that high.
    const stale = { time: new Date().toISOString(), exclusive: true, hostname, username, pid: 2 ** 22 + 1 }
    await repository.saveUnpacked('lock', Buffer.from(JSON.stringify(stale)))
    expect(filesOf(path, 'locks')).not.toEqual([file])
    expect(await transcript(`-r ${path} snapshots -q`)).toMatchObject({
      code: 0,
      stderr: matching(
        /^removed the stale lock [0-9a-f]{8} of process 4194305, which is no longer running on this host\n$/,
      ),
    })
    expect(filesOf(path, 'locks')).toEqual([])
  })

  it.each<[string, (path: string) => void, string]>([
    ['config', (path) => overwrite(join(path, 'config'), (bytes) => bytes.fill(0, 20, 30)), 'config'],
    [
      'config, empty',
      (path) => overwrite(join(path, 'config'), () => Buffer.alloc(0)),
      'config is damaged: the file is empty',
    ],
    [
      'snapshot',
      (path) => overwrite(filesOf(path, 'snapshots')[0]!, (bytes) => bytes.fill(0, 20)),
      'snapshot',
    ],
    ['index', (path) => overwrite(filesOf(path, 'index')[0]!, (bytes) => bytes.fill(0, 20)), 'index'],
  ])('of damage name the file: %s', async (_what, damage, named) => {
    const path = sample.copy()
    damage(path)
    for (const args of ['check', 'restore latest --target damaged', 'prune']) {
      const { code, stderr } = await transcript(`-r ${path} ${args}`)
      if (code === 0) continue
      expect(code).toBe(1)
      expect(stderr).toContain(named)
      expect(stderr).not.toMatch(/\n\s+at /)
    }
    expect(await transcript(`-r ${path} check`)).toMatchObject({ code: 1 })
  })

  it('of a bug tell where it is', async () => {
    const onWrite = (text: string): void => {
      if (text.startsWith('restic-ts ')) throw new TypeError('an oversight')
    }
    const { code, stderr } = await transcript('version', { onWrite })
    expect(code).toBe(1)
    expect(stderr).toMatch(/^Fatal: an oversight\nTypeError: an oversight\n +at .*failures\.test\.ts/)
  })

  it('of restore say which item and why', async () => {
    mkdirSync('in-the-way/source/a.txt/full', { recursive: true })
    expect(await transcript('-r repository restore latest --target in-the-way')).toMatchObject({
      code: 1,
      stderr:
        'ignoring error for /source/a.txt: remove in-the-way/source/a.txt: directory not empty\nFatal: There were 1 errors\n',
    })
    const { stderr } = await transcript('-r repository restore latest --target in-the-way --json')
    expect(jsonLines(stderr)).toEqual([
      {
        message_type: 'error',
        error: { message: 'remove in-the-way/source/a.txt: directory not empty' },
        during: 'restore',
        item: '/source/a.txt',
      },
      { message_type: 'exit_error', code: 1, message: 'Fatal: There were 1 errors' },
    ])
    writeFileSync('a-file', '')
    expect(await transcript('-r repository restore latest --target a-file/below')).toMatchObject({
      code: 1,
      stderr: containing('a-file'),
    })
  })
})

describe('system errors read as in Go', () => {
  beforeAll(() => symlinkSync('loop', 'loop'))

  async function messageOf(call: () => unknown): Promise<string> {
    try {
      await call()
    } catch (error) {
      return describeError(error)
    }
    throw new Error('nothing went wrong')
  }

  it.each([
    ['open nix: no such file or directory', () => readFileSync('nix')],
    ['mkdir source: file exists', () => mkdirSync('source')],
    ['open source: is a directory', () => writeFileSync('source', '')],
    ['open source/a.txt/x: not a directory', () => readFileSync('source/a.txt/x')],
    ['symlink x source: file exists', () => symlinkSync('x', 'source')],
    ['remove nix: no such file or directory', () => unlinkSync('nix')],
    ['open loop: too many levels of symbolic links', () => readFileSync('loop')],
    [`open ${'x'.repeat(300)}: file name too long`, () => readFileSync('x'.repeat(300))],
  ])('%s', async (message, call) => {
    expect(await messageOf(call)).toBe(message)
  })

  it('where a backend meets them', async () => {
    const backend = new LocalBackend(join(sample.work, 'source', 'a.txt'))
    expect(await messageOf(() => backend.read({ type: 'config', name: '' }))).toBe(
      `open ${sample.work}/source/a.txt/config: not a directory`,
    )
  })

  it.each([
    [{ code: 'EACCES', errno: -13, syscall: 'scandir', path: '/p' }, 'open /p: permission denied'],
    [{ code: 'EACCES', errno: 13, syscall: 'lsetxattr', path: '/p' }, 'lsetxattr /p: permission denied'],
    [{ code: 'ENOSPC', errno: -28, syscall: 'write' }, 'write: no space left on device'],
    [{ code: 'ENOENT', errno: -2, syscall: 'spawn nix', path: 'nix' }, 'nix: command not found'],
    [{ code: 'EACCES', errno: -13, syscall: 'spawn ./x', path: './x' }, './x: permission denied'],
    [{ code: 'EODD', errno: -99999, syscall: 'open', path: '/p' }, 'as it is'],
  ])('%j', (fields, message) => {
    expect(describeError(Object.assign(new Error('as it is'), fields))).toBe(message)
  })

  it('and others as they are', () => {
    expect(describeError(new RangeError('too far'))).toBe('too far')
    expect(describeError('a string')).toBe('a string')
  })
})
