/** SFTP to Debian's OpenSSH server: over ssh on a loopback port, and to its SFTP server alone. */
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../../src/backend/backend.ts'
import { interruptBackup } from '../support/interrupted.ts'
import { leaveOpen } from '../support/left-open.ts'
import { must } from '../support/programs.ts'
import { hasRestic } from '../support/real-restic.ts'
import { openStore } from '../support/open-store.ts'
import { makeWorkFolder } from '../support/repositories.ts'
import { hasSshd, SFTP_SERVER, startSshd, type TestSshd } from '../support/sshd.ts'
import { writeThenRead } from '../support/stores-interop.ts'
import { describeBackend } from './conformance.ts'

const NAME = 'ab'.repeat(32)
const PACK = { type: 'pack', name: NAME } as const
const CONFIG = { type: 'config', name: '' } as const
const BYTES = Uint8Array.from({ length: 1000 }, (_, i) => i)

let work = ''
let places = 0
beforeAll(() => {
  work = makeWorkFolder('sftp')
})
afterAll(() => rmSync(work, { recursive: true, force: true }))

/** A folder that does not exist yet. */
function newPlace(): string {
  places += 1
  return join(work, `place-${places}`, 'repo')
}

function putStray(root: string): (path: string, data: Uint8Array) => Promise<void> {
  return async (path, data) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), data)
  }
}

const hasLock = (root: string): boolean =>
  readdirSync(join(root, 'locks')).some((name) => /^[0-9a-f]{64}$/.test(name))

/** A backend of the SFTP server alone, with flags of it. */
function direct(root: string, flags = ''): Promise<Backend> {
  return openStore(`sftp:nowhere:${root}`, { options: { 'sftp.command': `${SFTP_SERVER} ${flags}` } })
}

async function failureOf(opened: Promise<Backend>): Promise<unknown> {
  const backend = await opened
  try {
    return await backend.stat(CONFIG)
  } catch (error) {
    return error
  } finally {
    await backend.close()
  }
}

describe.skipIf(!hasSshd())('OpenSSH', () => {
  describeBackend('SFTP', async () => {
    const root = newPlace()
    return {
      backend: await direct(root),
      reopen: () => direct(root),
      putStray: putStray(root),
      cleanup: async () => rmSync(root, { recursive: true, force: true }),
    }
  })

  // As servers that know nothing beyond the standard.
  const plain = '-P posix-rename,fsync,limits,statvfs'
  describeBackend('SFTP without extensions', async () => {
    const root = newPlace()
    return {
      backend: await direct(root, plain),
      reopen: () => direct(root, plain),
      cleanup: async () => rmSync(root, { recursive: true, force: true }),
    }
  })

  it('lets us know whether it replaces files at a stroke', async () => {
    const root = newPlace()
    for (const [flags, isAtomic] of [
      ['', true],
      [plain, false],
    ] as const) {
      const backend = await direct(root, flags)
      await backend.create()
      expect(backend.hasAtomicReplace).toBe(isAtomic)
      await backend.close()
    }
  })

  describe('a file it keeps', () => {
    const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8)

    it('is for us alone, and write-protected', async () => {
      const root = newPlace()
      const backend = await direct(root)
      await backend.create()
      await backend.write(CONFIG, BYTES)
      await backend.write(PACK, BYTES)
      expect(modeOf(join(root, 'data', 'ab', NAME))).toBe('400')
      expect(modeOf(join(root, 'data', 'ab'))).toBe('700')
      expect(modeOf(root)).toBe('700')
      await backend.close()
    })

    it('is for our group as well where the config is', async () => {
      const root = newPlace()
      const backend = await direct(root)
      await backend.create()
      await backend.write(CONFIG, BYTES)
      chmodSync(join(root, 'config'), 0o440)
      rmSync(join(root, 'data', 'ab'), { recursive: true })
      const other = await direct(root)
      await other.write(PACK, BYTES)
      expect(modeOf(join(root, 'data', 'ab', NAME))).toBe('440')
      expect(modeOf(join(root, 'data', 'ab'))).toBe('770')
      for (const each of [backend, other]) await each.close()
    })

    it('leaves nothing else beside it, and none when writing fails', async () => {
      const root = newPlace()
      const backend = await direct(root)
      await backend.create()
      await backend.write(PACK, BYTES)
      // A folder in its place cannot be replaced.
      mkdirSync(join(root, 'keys', NAME, 'in-the-way'), { recursive: true })
      await expect(backend.write({ type: 'key', name: NAME }, BYTES)).rejects.toMatchObject({
        code: 'BACKEND',
      })
      expect(readdirSync(join(root, 'data', 'ab'))).toEqual([NAME])
      expect(readdirSync(join(root, 'keys'))).toEqual([NAME])
      await backend.close()
    })

    it.each([0, 1, 2, 5, 10])('leaves nothing when writing is aborted after %i ms and we go', async (ms) => {
      const root = newPlace()
      const backend = await direct(root)
      await backend.create()
      const writing = backend.write(PACK, new Uint8Array(5_000_000), AbortSignal.timeout(ms))
      await writing.catch(() => undefined)
      await backend.close()
      expect(readdirSync(join(root, 'data', 'ab')).filter((name) => name !== NAME)).toEqual([])
    })

    it('may be a link to a file, but not to a folder or to nothing', async () => {
      const root = newPlace()
      const backend = await direct(root)
      await backend.create()
      writeFileSync(join(root, 'elsewhere'), BYTES)
      symlinkSync('../elsewhere', join(root, 'keys', NAME))
      symlinkSync('../data', join(root, 'keys', NAME.replaceAll('ab', 'cd')))
      symlinkSync('../nowhere', join(root, 'keys', NAME.replaceAll('ab', 'ef')))
      const listed = []
      for await (const file of backend.list('key')) listed.push(file)
      expect(listed).toEqual([{ name: NAME, size: BYTES.length }])
      await backend.close()
    })
  })

  it('is connected to again when the connection is lost', async () => {
    const root = newPlace()
    const pidFile = join(work, 'pid')
    const script = join(work, 'server.sh')
    writeFileSync(script, `#!/bin/sh\necho $$ > ${pidFile}\nexec ${SFTP_SERVER}\n`, { mode: 0o755 })
    const backend = await openStore(`sftp:nowhere:${root}`, { options: { 'sftp.command': script } })
    await backend.create()
    await backend.write(CONFIG, BYTES)
    process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL')
    // Whether the loss is noticed before or after the next request is sent is a matter of luck.
    const first = await backend.read(CONFIG).catch((error: unknown) => error)
    expect([BYTES, expect.objectContaining({ code: 'BACKEND', transient: true })]).toContainEqual(first)
    expect(await backend.read(CONFIG)).toEqual(BYTES)
    await backend.close()
  })

  it.each([
    ['a command that does not exist', '/nowhere/ssh', /not found/, false],
    ['a command that says something else', 'echo welcome to this server', /does not speak SFTP/, false],
    ['a command that ends at once', 'true', /exit code 0/, false],
  ])('is not reached by %s', async (_name, command, message, transient) => {
    const error = await failureOf(openStore('sftp:nowhere:x', { options: { 'sftp.command': command } }))
    expect(error).toMatchObject({ code: 'BACKEND', transient })
    expect(String(error)).toMatch(message)
  })

  it('is given up when it does not answer', async () => {
    const options = { 'sftp.command': 'sleep 60' }
    const error = await failureOf(openStore('sftp:nowhere:x', { options, idleMs: 200 }))
    expect(error).toMatchObject({ code: 'BACKEND', transient: true })
    expect(String(error)).toContain('no answer')
  })

  it('can be interrupted while it is being connected to', async () => {
    const backend = await openStore('sftp:nowhere:x', { options: { 'sftp.command': 'sleep 60' } })
    const start = Date.now()
    await expect(backend.stat(CONFIG, AbortSignal.timeout(100))).rejects.toMatchObject({ code: 'ABORTED' })
    expect(Date.now() - start).toBeLessThan(5000)
    await backend.close()
  })

  it('does not keep a process alive that has forgotten to close it', () => {
    expect(leaveOpen(`sftp:nowhere:${newPlace()}`, { 'sftp.command': SFTP_SERVER })).toBe('done')
  })

  it('outlives a Ctrl-C long enough for the lock to be taken away', async () => {
    const root = newPlace()
    const starts = join(work, 'starts')
    const script = join(work, 'counting.sh')
    writeFileSync(script, `#!/bin/sh\necho x >> ${starts}\nexec ${SFTP_SERVER}\n`, { mode: 0o755 })
    const flags = ['-r', `sftp:nowhere:${root}`, '-o', `sftp.command=${script}`]
    await must('ours', [...flags, 'init'])
    rmSync(starts)
    const { code, stderr } = await interruptBackup(flags, () => hasLock(root))
    expect(stderr).not.toMatch(/lock/)
    expect(code).toBe(130)
    expect(readdirSync(join(root, 'locks'))).toEqual([])
    // A second connection might have been impossible without a question.
    expect(readFileSync(starts, 'utf8')).toBe('x\n')
  })

  describe('over ssh', () => {
    let sshd: TestSshd
    beforeAll(async () => {
      mkdirSync(join(work, 'sshd'))
      sshd = await startSshd(join(work, 'sshd'))
    })
    afterAll(() => sshd.stop())

    const open = (root: string, args = sshd.args): Promise<Backend> =>
      openStore(`sftp://${sshd.authority}/${root}`, { options: { 'sftp.args': args } })

    it('stores, lists and reads', async () => {
      const backend = await open(newPlace())
      await backend.create()
      await backend.write(PACK, BYTES)
      expect(await backend.read(PACK)).toEqual(BYTES)
      await backend.close()
    })

    it('is not trusted when its key is not the known one, for good', async () => {
      const strangers = join(work, 'strangers')
      const [, type = '', key = ''] = readFileSync(join(work, 'sshd', 'client.pub'), 'utf8').split(/ /)
      writeFileSync(strangers, `[127.0.0.1]:${sshd.port} ssh-ed25519 ${type === '' ? key : type}\n`)
      const args = sshd.args.replace(sshd.knownHosts, strangers)
      const error = await failureOf(open('/nowhere', args))
      expect(error).toMatchObject({ code: 'BACKEND', transient: false })
      expect(String(error)).toContain('Host key verification failed')
    })

    it('is not trusted when it is not known at all', async () => {
      const error = await failureOf(open('/nowhere', sshd.args.replace(sshd.knownHosts, '/dev/null')))
      expect(error).toMatchObject({ code: 'BACKEND', transient: false })
      expect(String(error)).toContain('Host key verification failed')
    })

    it('refuses strangers for good', async () => {
      const args = sshd.args.replace(join(work, 'sshd', 'client'), join(work, 'sshd', 'host'))
      const error = await failureOf(open('/nowhere', args))
      expect(error).toMatchObject({ code: 'BACKEND', transient: false })
      expect(String(error)).toContain('Permission denied')
    })

    it('may come back when nobody is there', async () => {
      const other = sshd.authority.replace(String(sshd.port), '1')
      const options = { 'sftp.args': sshd.args }
      const error = await failureOf(openStore(`sftp://${other}/nowhere`, { options }))
      expect(error).toMatchObject({ code: 'BACKEND', transient: true })
      expect(String(error)).toContain('Connection refused')
    })

    describe.skipIf(!hasRestic())('shared with real restic', () => {
      it.each([
        ['ours', '0.19.1'],
        ['0.19.1', 'ours'],
      ] as const)('takes what %s writes and %s reads and prunes', async (writer, reader) => {
        const location = `sftp://${sshd.authority}/${newPlace()}`
        const args = ['-o', `sftp.args=${sshd.args}`]
        expect(await writeThenRead({ location, args, work }, [writer, reader])).toBe(1)
      })
    })
  })
})
