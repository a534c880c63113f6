/** Whatever rclone reaches, through its REST server at the other end of a pipe; here folders and memory. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../../src/backend/backend.ts'
import type { OpenBackendOptions } from '../../src/backend/location.ts'
import { rcloneCommand } from '../../src/backend/rclone-open.ts'
import { InvalidInputError } from '../../src/errors.ts'
import { interruptBackup } from '../support/interrupted.ts'
import { leaveOpen } from '../support/left-open.ts'
import { hasRclone, RCLONE } from '../support/rclone.ts'
import { must } from '../support/programs.ts'
import { hasRestic } from '../support/real-restic.ts'
import { makeWorkFolder } from '../support/repositories.ts'
import { writeThenRead } from '../support/stores-interop.ts'
import { openStore } from '../support/open-store.ts'
import { describeBackend } from './conformance.ts'

const NAME = 'ab'.repeat(32)
const PACK = { type: 'pack', name: NAME } as const
const CONFIG = { type: 'config', name: '' } as const
const BYTES = Uint8Array.from({ length: 1000 }, (_, i) => i)
const PROGRAM = {
  'rclone.program': RCLONE,
  'rclone.args': 'serve restic --stdio --b2-hard-delete --config=/dev/null',
}
const ARGS = Object.entries(PROGRAM).flatMap(([name, value]) => ['-o', `${name}=${value}`])

let work = ''
let places = 0
beforeAll(() => {
  work = makeWorkFolder('rclone')
})
afterAll(() => rmSync(work, { recursive: true, force: true }))

function newPlace(): string {
  places += 1
  return join(work, `place-${places}`)
}

const open = (remote: string, options: Readonly<Record<string, string>> = PROGRAM): Promise<Backend> =>
  openStore(`rclone:${remote}`, { options })

const hasLock = (root: string): boolean =>
  readdirSync(join(root, 'locks')).some((name) => /^[0-9a-f]{64}$/.test(name))

async function failureOf(location: string, options: OpenBackendOptions): Promise<unknown> {
  const backend = await openStore(location, options)
  try {
    return await backend.stat(CONFIG)
  } catch (error) {
    return error
  } finally {
    await backend.close()
  }
}

describe('an rclone: location', () => {
  it.each([
    ['remote:path', {}, ['rclone', 'serve', 'restic', '--stdio', '--b2-hard-delete', 'remote:path']],
    [
      'local:foo:/bar',
      { 'rclone.program': '/opt/rclone -v' },
      ['/opt/rclone', '-v', 'serve', 'restic', '--stdio', '--b2-hard-delete', 'local:foo:/bar'],
    ],
    [
      'r:',
      { 'rclone.args': "serve restic --stdio --user-agent 'a b'" },
      ['rclone', 'serve', 'restic', '--stdio', '--user-agent', 'a b', 'r:'],
    ],
    [
      'r:',
      { 'rclone.program': '"/opt/r clone/rclone"', 'rclone.args': 'x' },
      ['/opt/r clone/rclone', 'x', 'r:'],
    ],
  ] as [string, Record<string, string>, string[]][])(
    '%s with %j is a command',
    (remote, options, command) => {
      expect(rcloneCommand(remote, options)).toEqual(command)
    },
  )

  it.each([
    ['rclone:', {}],
    ['rclone:--rc', {}],
    ['rclone:r:', { 'rclone.timeout': '10' }],
    ['rclone:r:', { 'rclone.timeout': '-3s' }],
    ['rclone:r:', { 'rclone.args': "unfinished 'quote" }],
    ['rclone:r:', { 'rclone.programm': 'rclone' }],
  ] as [string, Record<string, string>][])('%s with %j is refused', async (location, options) => {
    await expect(openStore(location, { options })).rejects.toThrow(InvalidInputError)
  })

  it('shows its errors at once where there is no rclone', async () => {
    const options = { 'rclone.program': '/nowhere/rclone' }
    const error = await failureOf('rclone:r:', { options })
    expect(error).toMatchObject({
      code: 'BACKEND',
      transient: false,
      hint: expect.stringContaining('install') as string,
    })
  })
})

describe.skipIf(!hasRclone())('rclone', () => {
  describeBackend(
    'rclone',
    async () => {
      const root = newPlace()
      return {
        backend: await open(root),
        reopen: () => open(root),
        putStray: async (path, data) => {
          mkdirSync(dirname(join(root, path)), { recursive: true })
          writeFileSync(join(root, path), data)
        },
        cleanup: async () => rmSync(root, { recursive: true, force: true }),
      }
    },
    { storesInPlace: true },
  )

  it('is started once for many calls, and ends when we close it', async () => {
    const script = join(work, 'counting.sh')
    const pids = join(work, 'pids')
    writeFileSync(script, `#!/bin/sh\necho $$ >> ${pids}\nexec ${RCLONE} "$@"\n`, { mode: 0o755 })
    const backend = await open(newPlace(), { ...PROGRAM, 'rclone.program': script })
    await Promise.all([
      backend.create(),
      ...[1, 2, 3, 4].map(() => backend.stat(CONFIG).catch(() => undefined)),
    ])
    await backend.stat(CONFIG).catch(() => undefined)
    const [pid, ...others] = readFileSync(pids, 'utf8').trim().split('\n')
    expect(others).toEqual([])
    process.kill(Number(pid), 0)
    await backend.close()
    expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH')
  })

  it('is started again when it has died', async () => {
    const script = join(work, 'mortal.sh')
    const pidFile = join(work, 'pid')
    writeFileSync(script, `#!/bin/sh\necho $$ > ${pidFile}\nexec ${RCLONE} "$@"\n`, { mode: 0o755 })
    const backend = await open(newPlace(), { ...PROGRAM, 'rclone.program': script })
    await backend.create()
    await backend.write(PACK, BYTES)
    process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL')
    // Whether the loss is noticed before or after the next request is sent is a matter of luck.
    const first = await backend.read(PACK).catch((error: unknown) => error)
    expect([BYTES, expect.objectContaining({ code: 'BACKEND', transient: true })]).toContainEqual(first)
    expect(await backend.read(PACK)).toEqual(BYTES)
    await backend.close()
  })

  it('says itself what is wrong, for good', async () => {
    const messages: string[] = []
    const onMessage = (line: string): void => void messages.push(line)
    const error = await failureOf('rclone:nosuchremote:x', { options: PROGRAM, onMessage })
    expect(error).toMatchObject({ code: 'BACKEND', transient: false })
    expect(String(error)).toContain('didn\'t find section in config file ("nosuchremote")')
    expect(messages.at(-1)).toMatch(/^rclone: .*nosuchremote/)
  })

  it.each([
    ['cat', /cat/],
    ['true', /exit code 0/],
  ])('is not what %s is', async (program, message) => {
    const error = await failureOf('rclone:x:', { options: { 'rclone.program': program } })
    expect(error).toMatchObject({ code: 'BACKEND', transient: false })
    expect(String(error)).toMatch(message)
  })

  it('is given up when it does not answer in time', async () => {
    const options = { 'rclone.program': 'sleep', 'rclone.args': '60', 'rclone.timeout': '200ms' }
    const error = await failureOf('rclone:30', { options })
    expect(error).toMatchObject({ code: 'BACKEND', transient: false })
    expect(String(error)).toContain('no answer for 0.2 seconds, see -o rclone.timeout')
  })

  it('can be interrupted while it starts', async () => {
    const backend = await open('30', { 'rclone.program': 'sleep', 'rclone.args': '60' })
    await expect(backend.stat(CONFIG, AbortSignal.timeout(100))).rejects.toMatchObject({ code: 'ABORTED' })
    await backend.close()
  })

  it('does not keep a process alive that has forgotten to close it', () => {
    expect(leaveOpen(`rclone:${newPlace()}`, PROGRAM)).toBe('done')
  })

  it('outlives a Ctrl-C long enough for the lock to be taken away', async () => {
    const root = newPlace()
    const flags = ['-r', `rclone:${root}`, ...ARGS]
    await must('ours', [...flags, 'init'])
    const { code, stderr } = await interruptBackup(flags, () => hasLock(root))
    expect(stderr).not.toMatch(/lock/)
    expect(code).toBe(130)
    expect(readdirSync(join(root, 'locks'))).toEqual([])
  })

  describe.skipIf(!hasRestic())('shared with real restic', () => {
    it.each([
      ['ours', '0.19.1'],
      ['0.19.1', 'ours'],
    ] as const)('takes what %s writes and %s reads and prunes', async (writer, reader) => {
      const left = await writeThenRead({ location: `rclone:${newPlace()}`, args: ARGS, work }, [
        writer,
        reader,
      ])
      expect(left).toBe(1)
    })
  })
})
