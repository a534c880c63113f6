/** The built executable: what only a process of its own can show. */
import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, closeSync, mkdirSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { BIN, cleanEnvironment } from '../support/cli.ts'
import { finish, must, run, start, type Run } from '../support/programs.ts'
import { copyRepository, filesOf, makeRepository, makeWorkFolder } from '../support/repositories.ts'
import { TEST_PASSWORD } from '../support/test-repository.ts'

let work = ''
let repository = ''
let copies = 0

beforeAll(async () => {
  work = makeWorkFolder('built')
  repository = await makeRepository(join(work, 'repository'))
  mkdirSync(join(work, 'source'))
  writeFileSync(join(work, 'source', 'file'), 'content')
  await must('ours', ['-r', repository, 'backup', 'source'], { cwd: work })
})
afterAll(() => rmSync(work, { recursive: true, force: true }))

function copy(): string {
  return copyRepository(repository, join(work, `copy-${copies++}`))
}

/** Waits until a child holds a lock. */
async function locked(path: string): Promise<void> {
  await vi.waitFor(() => expect(filesOf(path, 'locks')).toHaveLength(1), { timeout: 20_000, interval: 10 })
}

/** Waits for a command whose standard input stays open. */
function ended(child: ChildProcess): Promise<Run> {
  const output = { stdout: '', stderr: '' }
  child.stdout?.on('data', (data: Buffer) => (output.stdout += data.toString()))
  child.stderr?.on('data', (data: Buffer) => (output.stderr += data.toString()))
  return new Promise((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, ...output }))
  })
}

/** A command line of the shell, which can give arguments that are not UTF-8. */
function shell(line: string): Promise<Run> {
  const child = spawn('bash', ['-c', line.replaceAll('restic-ts', '"$NODE" "$BIN"')], {
    cwd: work,
    env: { ...cleanEnvironment({ RESTIC_REPOSITORY: 'raw-names' }), NODE: process.execPath, BIN },
  })
  return finish(child, line)
}

describe('arguments that are not UTF-8', () => {
  beforeAll(() => {
    copyRepository(repository, join(work, 'raw-names'))
  })

  it('name what is backed up and where it is restored to', async () => {
    writeFileSync(Buffer.from(`${work}/caf\xe9`, 'latin1'), 'coffee')
    writeFileSync(Buffer.from(`${work}/list\xff`, 'latin1'), 'caf\xe9\n', 'latin1')
    const saved = await shell(String.raw`restic-ts backup -q $'caf\xe9' && restic-ts cat tree latest`)
    expect(saved).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(saved.stdout)).toMatchObject({ nodes: [{ name: String.raw`caf\xe9`, size: 6 }] })
    const listed = await shell(
      String.raw`restic-ts backup -q --files-from-verbatim $'list\xff' && restic-ts cat tree latest`,
    )
    expect(listed).toMatchObject({ code: 0, stderr: '', stdout: saved.stdout })
    expect(await shell(String.raw`restic-ts restore latest -q --target $'out\xe9'`)).toMatchObject({
      code: 0,
    })
    expect(readdirSync(Buffer.from(`${work}/out\xe9`, 'latin1'), 'latin1')).toEqual(['caf\xe9'])
  })

  it('exclude', async () => {
    mkdirSync(join(work, 'raw'))
    for (const name of ['a\xe9', 'a\xea', 'b'])
      writeFileSync(Buffer.from(`${work}/raw/${name}`, 'latin1'), '')
    const { stdout } = await shell(
      String.raw`restic-ts backup -q --exclude $'*\xe9' raw && restic-ts cat tree latest:/raw`,
    )
    const { nodes } = JSON.parse(stdout) as { nodes: { name: string }[] }
    expect(nodes.map(({ name }) => name)).toEqual([String.raw`a\xea`, 'b'])
  })

  it('are shown with escapes', async () => {
    expect(await shell(String.raw`restic-ts backup $'nix\xe9'`)).toMatchObject({
      code: 1,
      stderr:
        String.raw`"nix\xe9" does not exist, skipping` +
        '\nFatal: all source directories/files do not exist\n',
    })
  })

  it('leave U+FFFD, and the flags of node, as they are', async () => {
    writeFileSync(join(work, '\ufffd'), '')
    const { stdout } = await shell(
      '"$NODE" --no-warnings --stack-size=900 "$BIN" backup -q \ufffd && restic-ts cat tree latest',
    )
    expect(JSON.parse(stdout)).toMatchObject({ nodes: [{ name: '\ufffd' }] })
  })
})

describe('output nobody takes', () => {
  it('ends the command and leaves no lock', async () => {
    const path = copy()
    const child = start('ours', ['-r', path, 'check'])
    child.stdout!.destroy()
    expect(await finish(child, 'check')).toMatchObject({ code: 141, stderr: '' })
    expect(filesOf(path, 'locks')).toEqual([])
  })

  it('is no success on a full disk', async () => {
    const full = openSync('/dev/full', 'w')
    const child = spawn(process.execPath, [BIN, '-r', repository, 'snapshots'], {
      env: cleanEnvironment(),
      stdio: ['ignore', full, 'pipe'],
    })
    closeSync(full)
    const { code, stderr } = await finish(child, 'snapshots')
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^Fatal: unable to write output: .*no space left on device/) as unknown,
    })
    expect(filesOf(repository, 'locks')).toEqual([])
  })
})

describe('a signal', () => {
  function startStream(path: string, ...flags: string[]): ChildProcess {
    return start('ours', ['-r', path, 'backup', '--stdin', ...flags])
  }

  it.each([
    ['SIGINT', 'interrupt'],
    ['SIGTERM', 'terminated'],
  ] as const)('%s ends a backup with 130, without snapshot and lock', async (signal, name) => {
    const path = copy()
    const child = startStream(path, '-q')
    const end = ended(child)
    await locked(path)
    child.kill(signal)
    expect(await end).toMatchObject({
      code: 130,
      stderr: `\rsignal ${name} received, cleaning up\nFatal: operation aborted\n`,
    })
    expect(filesOf(path, 'locks')).toEqual([])
    expect(filesOf(path, 'snapshots')).toHaveLength(1)
  })

  it('SIGHUP does nothing', async () => {
    const path = copy()
    const child = startStream(path, '-q')
    const end = ended(child)
    await locked(path)
    child.kill('SIGHUP')
    child.stdin!.end('data')
    expect(await end).toMatchObject({ code: 0 })
  })

  it.each([
    ['text', [], /^\[0:\d\d\] 0 files [\d.]+ MiB, 0 errors, .*\/s {2}\/stdin$/m],
    ['text, with -q', ['-q'], /^\[0:\d\d\] 0 files [\d.]+ MiB, 0 errors, .*\/s {2}\/stdin$/m],
    ['JSON, with -q', ['-q', '--json'], /^\{"message_type":"status",.*"bytes_done":\d+/m],
  ])('SIGUSR1 asks for a line of progress: %s', async (_form, flags, expected) => {
    const path = copy()
    const child = startStream(path, ...flags)
    const end = ended(child)
    let printed = ''
    child.stdout!.on('data', (data: Buffer) => (printed += data.toString()))
    await locked(path)
    const feed = setInterval(() => {
      child.stdin!.write(Buffer.alloc(4 << 20))
      child.kill('SIGUSR1')
    }, 50)
    await vi.waitFor(() => expect(printed).toMatch(expected), { timeout: 20_000 })
    clearInterval(feed)
    child.stdin!.end()
    expect(await end).toMatchObject({ code: 0, stderr: '' })
  })
})

describe('a terminal', () => {
  /** Runs the command on a terminal of its own, typing `answer` when asked. */
  const PTY = `
import os, pty, sys
answer, command = sys.argv[1], sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
seen = b''
asked = False
while True:
    try:
        data = os.read(fd, 65536)
    except OSError:
        break
    if not data:
        break
    seen += data
    if not asked and b'repository: ' in seen:
        asked = True
        os.write(fd, answer.encode() + b'\\n')
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`

  it('asks for the password without showing it', async () => {
    const child = spawn(
      'python3',
      ['-c', PTY, TEST_PASSWORD, process.execPath, BIN, '-r', repository, 'snapshots'],
      {
        env: { ...cleanEnvironment(), RESTIC_PASSWORD: '' },
      },
    )
    const { code, stdout } = await finish(child, 'pty')
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^enter password for repository: \r\nrepository [0-9a-f]{8} opened \(version 2, compression level auto\)\r\n/,
    )
    expect(stdout).not.toContain(TEST_PASSWORD + '\r')
    expect(stdout).toContain('1 snapshots\r\n')
  })
})

it('does not wait for the end of standard input', async () => {
  const child = start('ours', ['-r', repository, 'snapshots', '--json'])
  const { code, stdout } = await ended(child)
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toHaveLength(1)
})

const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('SKIPPED: what another user may not read, which only root can try\n')

describe.skipIf(!isRoot)('for a user who may not', () => {
  const NOBODY = 65_534

  it('words what is denied as restic does', async () => {
    const open = makeWorkFolder('denied')
    try {
      chmodSync(open, 0o755)
      copyRepository(repository, join(open, 'repository'))
      mkdirSync(join(open, 'data'))
      writeFileSync(join(open, 'data', 'secret'), '')
      mkdirSync(join(open, 'data', 'closed'))
      chmodSync(join(open, 'data', 'secret'), 0o600)
      chmodSync(join(open, 'data', 'closed'), 0o700)
      chmodSync(join(open, 'repository', 'config'), 0o600)
      const as = (...args: string[]): Promise<Run> =>
        run('ours', args, { cwd: open, user: NOBODY, env: { HOME: open } })
      expect(await as('-r', 'repository', 'snapshots')).toMatchObject({
        code: 1,
        stderr: `Fatal: open ${open}/repository/config: permission denied\ncheck who owns the repository and its permissions\n`,
      })
      const denied = await as('-r', 'repository', '-p', 'data/secret', 'snapshots')
      expect(denied.stderr).toBe('Fatal: Resolving password failed: open data/secret: permission denied\n')

      const mine = await makeRepository(join(open, 'readable'))
      await finish(spawn('chown', ['-R', String(NOBODY), mine]), 'chown')
      const backup = await as('-r', 'readable', 'backup', 'data')
      expect(backup).toMatchObject({ code: 3 })
      expect(backup.stderr.split('\n').toSorted()).toEqual([
        '',
        'Warning: at least one source file could not be read',
        `error: ${open}/data/closed: open data/closed: permission denied`,
        `error: ${open}/data/secret: open data/secret: permission denied`,
      ])
    } finally {
      rmSync(open, { recursive: true, force: true })
    }
  })
})
