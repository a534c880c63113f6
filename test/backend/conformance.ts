/**
 * The contract of src/backend/backend.ts as tests, for every backend and every decorator alike:
 *
 *     describeBackend('local', async () => ({ backend, reopen, putStray, cleanup }))
 */
import { createCipheriv, createHash } from 'node:crypto'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Backend, FileInfo, Handle } from '../../src/backend/backend.ts'
import { FILE_TYPES, type NamedFileType } from '../../src/backend/layout.ts'
import {
  AbortedError,
  BackendError,
  FileNotFoundError,
  InvalidInputError,
  LockLostError,
} from '../../src/errors.ts'

/** A place of its own for one test: nothing is in it, not even folders, and `create` was not called. */
export interface BackendPlace {
  readonly backend: Backend
  /** Another backend on the same place, as another process would open it. The suite closes it. */
  reopen(): Promise<Backend>
  /** Puts a file that is none of a repository at a path below the root, such as `keys/README`. */
  putStray?(path: string, data: Uint8Array): Promise<void>
  /** Called after the suite has closed `backend`. */
  cleanup(): Promise<void>
}

/** What a kind of store cannot do. */
export interface BackendQuirks {
  /** A server that never overwrites: `write` on an existing name with other bytes is an error, the old file stays. */
  readonly refusesOverwrite?: boolean
  /** A server for tests that shows files before they are whole, and keeps what there is of an aborted write. */
  readonly storesInPlace?: boolean
  /** Bytes of the large file; 20 MB unless that is too much for the store under test. */
  readonly largeBytes?: number
}

/** Bytes without a pattern, the same for the same seed; fast also for many of them. */
function noise(seed: number, length: number): Uint8Array {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, `seed ${seed}`), Buffer.alloc(16))
  return new Uint8Array(cipher.update(new Uint8Array(length)))
}

const CONFIG: Handle = { type: 'config', name: '' }
const LARGE_BYTES = 20_000_000

/** A handle named by a few hex digits. */
export function handleOf(type: NamedFileType, digits: string): Handle & { readonly type: NamedFileType } {
  return { type, name: digits.padEnd(64, '0') }
}

/** A handle named by the hash of its bytes, as in a repository. */
export function hashedHandle(type: NamedFileType, data: Uint8Array): Handle {
  return { type, name: createHash('sha256').update(data).digest('hex') }
}

/** All that a listing says, by name. */
export async function listed(
  backend: Backend,
  type: NamedFileType,
  signal?: AbortSignal,
): Promise<FileInfo[]> {
  const files: FileInfo[] = []
  for await (const file of backend.list(type, signal)) files.push(file)
  return files.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

const PACK = handleOf('pack', 'ab')
const KEY = handleOf('key', 'ab')

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

/** Undefined where there is no such file. */
async function readIfThere(backend: Backend, handle: Handle): Promise<Uint8Array | undefined> {
  try {
    return await backend.read(handle)
  } catch (error) {
    if (error instanceof FileNotFoundError) return undefined
    throw error
  }
}

/** The error a call fails with. */
async function errorOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => 'no error at all',
    (error: unknown) => error,
  )
}

/** False for what was aborted; any other failure is thrown. */
function endedWell(outcome: unknown): boolean {
  if (outcome instanceof AbortedError) return false
  if (outcome instanceof Error) throw outcome
  return true
}

/** Something going on beside the test. */
function follow(work: Promise<unknown>): {
  readonly isUnderWay: () => boolean
  readonly result: Promise<void>
} {
  let isUnderWay = true
  const result = (async () => {
    try {
      await work
    } finally {
      isUnderWay = false
    }
  })()
  return { isUnderWay: () => isUnderWay, result }
}

/** @param factory called once for each test */
export function describeBackend(
  name: string,
  factory: () => Promise<BackendPlace>,
  quirks: BackendQuirks = {},
): void {
  describe(`${name} backend`, () => {
    let place: BackendPlace
    let backend: Backend
    const reopened: Backend[] = []

    beforeEach(async () => {
      place = await factory()
      backend = place.backend
    })

    afterEach(async () => {
      for (const other of reopened.splice(0)) await other.close()
      await backend.close()
      await place.cleanup()
    })

    async function reopen(): Promise<Backend> {
      const other = await place.reopen()
      reopened.push(other)
      return other
    }

    const context: Context = { backend: () => backend, place: () => place, reopen, quirks }
    describeCreate(context)
    describeStatAndList(context)
    describeRead(context)
    describeWrite(context)
    describeRemove(context)
    describeConcurrency(context)
    describeAbort(context)
    describeNames(context)
  })
}

interface Context {
  readonly backend: () => Backend
  readonly place: () => BackendPlace
  readonly reopen: () => Promise<Backend>
  readonly quirks: BackendQuirks
}

function describeCreate({ backend, reopen }: Context): void {
  describe('a place', () => {
    it('says where it is and how many transfers it takes', () => {
      expect(backend().location).not.toBe('')
      expect(Number.isInteger(backend().connections)).toBe(true)
      expect(backend().connections).toBeGreaterThanOrEqual(1)
    })

    it('lists nothing and has no config before it is made', async () => {
      for (const type of FILE_TYPES) expect(await listed(backend(), type)).toEqual([])
      await expect(backend().stat(CONFIG)).rejects.toThrow(FileNotFoundError)
      await expect(backend().read(CONFIG)).rejects.toThrow(FileNotFoundError)
    })

    it('lists nothing and has no config when it is made', async () => {
      await backend().create()
      for (const type of FILE_TYPES) expect(await listed(backend(), type)).toEqual([])
      await expect(backend().stat(CONFIG)).rejects.toThrow(FileNotFoundError)
      await expect(backend().read(CONFIG)).rejects.toThrow(FileNotFoundError)
    })

    it('keeps what is in it when it is made again', async () => {
      await backend().create()
      await backend().write(CONFIG, noise(1, 100))
      await backend().write(PACK, noise(2, 200))
      await backend().create()
      await (await reopen()).create()
      expect(equal(await backend().read(CONFIG), noise(1, 100))).toBe(true)
      expect(await listed(backend(), 'pack')).toEqual([{ name: PACK.name, size: 200 }])
    })

    it('keeps everything when a backend is closed', async () => {
      await backend().create()
      const other = await reopen()
      await other.write(PACK, noise(1, 1000))
      await other.close()
      expect(equal(await backend().read(PACK), noise(1, 1000))).toBe(true)
      expect(equal(await (await reopen()).read(PACK), noise(1, 1000))).toBe(true)
    })
  })
}

function describeStatAndList({ backend, place, reopen }: Context): void {
  describe('stat and list', () => {
    beforeEach(() => backend().create())

    it.each([0, 1, 4096, 70_001])('tell the size of %i bytes', async (size) => {
      await backend().write(PACK, noise(size, size))
      expect(await backend().stat(PACK)).toEqual({ name: PACK.name, size })
      expect(await listed(backend(), 'pack')).toEqual([{ name: PACK.name, size }])
    })

    it('tell the size of the config', async () => {
      await backend().write(CONFIG, noise(1, 155))
      expect(await backend().stat(CONFIG)).toEqual({ name: '', size: 155 })
      expect((await (await reopen()).stat(CONFIG)).size).toBe(155)
    })

    it('keep the types apart', async () => {
      for (const [i, type] of FILE_TYPES.entries())
        await backend().write(handleOf(type, `c${i}`), noise(i, 10 + i))
      await backend().write(CONFIG, noise(9, 9))
      for (const [i, type] of FILE_TYPES.entries()) {
        const { name } = handleOf(type, `c${i}`)
        expect(await listed(backend(), type)).toEqual([{ name, size: 10 + i }])
        for (const other of FILE_TYPES.filter((each) => each !== type))
          await expect(backend().stat({ type: other, name })).rejects.toThrow(FileNotFoundError)
      }
    })

    it('know every file once, wherever its name puts it', async () => {
      const packs = ['00', '01', '7f', '80', 'ab', 'aba', 'abb', 'ff'].map((digits) =>
        handleOf('pack', digits),
      )
      await Promise.all(packs.map((handle, i) => backend().write(handle, noise(i, i + 1))))
      const expected = packs
        .map(({ name }, i) => ({ name, size: i + 1 }))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      expect(await listed(backend(), 'pack')).toEqual(expected)
      expect(await listed(await reopen(), 'pack')).toEqual(expected)
    })

    it('are told apart from absent files', async () => {
      await backend().write(PACK, noise(1, 10))
      for (const type of FILE_TYPES) {
        const error = await errorOf(backend().stat(handleOf(type, 'abc')))
        expect(error).toBeInstanceOf(FileNotFoundError)
        expect((error as FileNotFoundError).file).toContain(handleOf(type, 'abc').name)
      }
    })

    it('pass over strays', async (test) => {
      if (place().putStray === undefined) return test.skip('nobody can put strays here')
      const { name } = PACK
      const strays = [
        'keys/README',
        `keys/${name}-tmp-0123456789abcdef`,
        `keys/${name.slice(1)}`,
        `keys/${name}0`,
        `keys/${name.replace('ab', 'AB')}`,
        `index/.${name}`,
        `locks/${name}.tmp`,
        `snapshots/${name}~`,
        'data/README',
        `data/ab/${name}-restic-temp-1`,
        'data/ab/short',
      ]
      for (const path of strays) await place().putStray?.(path, noise(1, 10))
      await backend().write(PACK, noise(2, 20))
      await backend().write(KEY, noise(2, 30))
      expect(await listed(backend(), 'pack')).toEqual([{ name, size: 20 }])
      expect(await listed(backend(), 'key')).toEqual([{ name, size: 30 }])
      for (const type of ['index', 'lock', 'snapshot'] as const)
        expect(await listed(backend(), type)).toEqual([])
    })
  })
}

function describeRead({ backend, reopen, quirks }: Context): void {
  describe('read', () => {
    const data = noise(5, 10_000)
    const size = data.length

    beforeEach(async () => {
      await backend().create()
      await backend().write(PACK, data)
    })

    it('gives the whole file', async () => {
      expect(equal(await backend().read(PACK), data)).toBe(true)
      expect(equal(await (await reopen()).read(PACK), data)).toBe(true)
    })

    it.each([
      ['the first byte', 0, 1],
      ['the last byte', size - 1, 1],
      ['the middle', 1234, 5678],
      ['all but the first byte', 1, size - 1],
      ['all', 0, size],
      ['nothing', 17, 0],
    ])('gives %s', async (_what, offset, length) => {
      const bytes = await backend().read(PACK, { offset, length })
      expect(bytes.length).toBe(length)
      expect(equal(bytes, data.subarray(offset, offset + length))).toBe(true)
    })

    it.each([
      ['one byte past the end', 0, size + 1],
      ['from within to past the end', size - 1, 2],
      ['from the end', size, 1],
      ['from far beyond the end', size + 1_000_000, 10],
    ])('does not give less: %s', async (_what, offset, length) => {
      const error = await errorOf(backend().read(PACK, { offset, length }))
      expect(error).toBeInstanceOf(BackendError)
      expect((error as BackendError).transient).toBe(false)
      expect((error as BackendError).message).toContain(PACK.name)
    })

    it('knows that an empty file has no bytes', async () => {
      await backend().write(KEY, new Uint8Array(0))
      expect(await backend().read(KEY)).toHaveLength(0)
      expect(await backend().read(KEY, { offset: 0, length: 0 })).toHaveLength(0)
      const error = await errorOf(backend().read(KEY, { offset: 0, length: 1 }))
      expect(error).toBeInstanceOf(BackendError)
      expect((error as BackendError).transient).toBe(false)
    })

    it.each([undefined, { offset: 0, length: 10 }, { offset: 0, length: 0 }])(
      'does not find what is not there (range %o)',
      async (range) => {
        for (const handle of [CONFIG, ...FILE_TYPES.map((type) => handleOf(type, 'abc'))])
          await expect(backend().read(handle, range)).rejects.toThrow(FileNotFoundError)
      },
    )

    it.each([undefined, { offset: 100, length: 50 }])(
      'gives bytes that are the caller’s own (range %o)',
      async (range) => {
        const first = await backend().read(PACK, range)
        const expected = first.slice()
        // No Buffer, whose slice() shares its memory; and nothing else in the memory, so that a thread can take it.
        expect(Object.getPrototypeOf(first)).toBe(Uint8Array.prototype)
        expect([first.byteOffset, first.buffer.byteLength]).toEqual([0, first.length])
        const second = await backend().read(PACK, range)
        first.fill(0)
        expect(equal(second, expected)).toBe(true)
        structuredClone(second, { transfer: [second.buffer as ArrayBuffer] })
        expect(equal(await backend().read(PACK, range), expected)).toBe(true)
      },
    )

    it('gives a large file and any part of it', async () => {
      const large = noise(6, quirks.largeBytes ?? LARGE_BYTES)
      const handle = hashedHandle('pack', large)
      await backend().write(handle, large)
      const other = await reopen()
      expect((await other.stat(handle)).size).toBe(large.length)
      expect(hashedHandle('pack', await other.read(handle))).toEqual(handle)
      const offset = large.length - 3_000_000
      const part = await other.read(handle, { offset, length: 2_500_000 })
      expect(equal(part, large.subarray(offset, offset + 2_500_000))).toBe(true)
    })
  })
}

function describeWrite({ backend, reopen, quirks }: Context): void {
  describe('write', () => {
    beforeEach(() => backend().create())

    it.each([0, 1, 65_536, 1_000_001])('stores %i bytes', async (length) => {
      const data = noise(length, length)
      await backend().write(PACK, data)
      expect(equal(await (await reopen()).read(PACK), data)).toBe(true)
    })

    it('stores every type', async () => {
      const handles = [CONFIG, ...FILE_TYPES.map((type) => handleOf(type, 'd4'))]
      for (const [i, handle] of handles.entries()) await backend().write(handle, noise(i, 50))
      const other = await reopen()
      for (const [i, handle] of handles.entries())
        expect(equal(await other.read(handle), noise(i, 50))).toBe(true)
    })

    it('stores the part of memory that it is given, and keeps none of it', async () => {
      const memory = noise(7, 1000)
      const expected = memory.slice(100, 200)
      await backend().write(PACK, memory.subarray(100, 200))
      memory.fill(0)
      expect(equal(await backend().read(PACK), expected)).toBe(true)
    })

    it('stores what lies in memory that threads share', async () => {
      const shared = new Uint8Array(new SharedArrayBuffer(5000))
      shared.set(noise(8, 5000))
      await backend().write(PACK, shared)
      expect(equal(await backend().read(PACK), noise(8, 5000))).toBe(true)
    })

    it.skipIf(quirks.refusesOverwrite)('replaces what was there', async () => {
      for (const [handle, lengths] of [
        [KEY, [300, 200, 400]],
        [CONFIG, [155, 155, 1]],
      ] as const) {
        for (const length of lengths) {
          await backend().write(handle, noise(length, length))
          expect(equal(await backend().read(handle), noise(length, length))).toBe(true)
          expect((await backend().stat(handle)).size).toBe(length)
        }
      }
      expect(await listed(backend(), 'key')).toEqual([{ name: KEY.name, size: 400 }])
    })

    it('can be repeated', async () => {
      const data = noise(9, 30_000)
      await backend().write(PACK, data)
      await backend().write(PACK, data)
      expect(equal(await backend().read(PACK), data)).toBe(true)
      expect(await listed(backend(), 'pack')).toHaveLength(1)
    })

    it.runIf(quirks.refusesOverwrite)('leaves other bytes under the same name alone', async () => {
      await backend().write(PACK, noise(1, 100))
      await expect(backend().write(PACK, noise(2, 100))).rejects.toThrow(BackendError)
      expect(equal(await backend().read(PACK), noise(1, 100))).toBe(true)
    })
  })
}

function describeRemove({ backend, reopen }: Context): void {
  describe('remove', () => {
    beforeEach(() => backend().create())

    it('removes one file and no other', async () => {
      for (const type of FILE_TYPES) {
        await backend().write(handleOf(type, 'e1'), noise(1, 10))
        await backend().write(handleOf(type, 'e2'), noise(2, 20))
        await backend().remove(handleOf(type, 'e1'))
        await expect(backend().stat(handleOf(type, 'e1'))).rejects.toThrow(FileNotFoundError)
        await expect(backend().read(handleOf(type, 'e1'))).rejects.toThrow(FileNotFoundError)
        expect(await listed(await reopen(), type)).toEqual([{ name: handleOf(type, 'e2').name, size: 20 }])
      }
    })

    it('removes the config', async () => {
      await backend().write(CONFIG, noise(1, 10))
      await backend().remove(CONFIG)
      await expect(backend().stat(CONFIG)).rejects.toThrow(FileNotFoundError)
    })

    it('does not find what is not there', async () => {
      for (const handle of [CONFIG, ...FILE_TYPES.map((type) => handleOf(type, 'abc'))])
        await expect(backend().remove(handle)).rejects.toThrow(FileNotFoundError)
      await backend().write(PACK, noise(1, 10))
      await backend().remove(PACK)
      await expect(backend().remove(PACK)).rejects.toThrow(FileNotFoundError)
    })

    it('removes what another has written, and what it was replaced by', async () => {
      const other = await reopen()
      await backend().write(KEY, noise(1, 10))
      await other.remove(KEY)
      await backend().write(KEY, noise(2, 20))
      expect(equal(await other.read(KEY), noise(2, 20))).toBe(true)
      await backend().remove(KEY)
      expect(await readIfThere(other, KEY)).toBeUndefined()
    })

    it('can be announced, which removes nothing', async (test) => {
      const packs = ['11', '12', '13'].map((digits) => handleOf('pack', digits))
      for (const handle of packs) await backend().write(handle, noise(1, 10))
      if (backend().prepareRemoval === undefined) return test.skip('this store has no use for it')
      const names = [...packs.map(({ name }) => name), handleOf('pack', '14').name]
      await backend().prepareRemoval?.('pack', names)
      expect(await listed(backend(), 'pack')).toHaveLength(3)
      for (const handle of packs.slice(1)) await backend().remove(handle)
      expect(await listed(backend(), 'pack')).toEqual([{ name: packs[0]!.name, size: 10 }])
      await expect(backend().remove(handleOf('pack', '14'))).rejects.toThrow(FileNotFoundError)
    })
  })
}

function describeConcurrency({ backend, reopen, quirks }: Context): void {
  describe('many at once', () => {
    beforeEach(() => backend().create())

    it('are more calls than connections, and all are served', async () => {
      const files = Array.from({ length: 4 * backend().connections + 5 }, (_, i) => ({
        data: noise(i, 1000 + i),
        handle: handleOf(FILE_TYPES[i % 5]!, i.toString(16).padStart(2, '0')),
      }))
      await Promise.all(files.map(({ handle, data }) => backend().write(handle, data)))
      const read = await Promise.all(files.map(({ handle }) => backend().read(handle)))
      for (const [i, { data }] of files.entries()) expect(equal(read[i]!, data)).toBe(true)
      const sizes = await Promise.all(files.map(({ handle }) => backend().stat(handle)))
      expect(sizes.map(({ size }) => size)).toEqual(files.map(({ data }) => data.length))
      await Promise.all(files.map(({ handle }) => backend().remove(handle)))
      for (const type of FILE_TYPES) expect(await listed(backend(), type)).toEqual([])
    })

    it.skipIf(quirks.storesInPlace)('never see a part of a file that is being written', async () => {
      const data = noise(3, 4_000_000)
      const other = await reopen()
      const writing = follow(backend().write(PACK, data))
      while (writing.isUnderWay()) {
        for (const { size } of await listed(other, 'pack')) expect(size).toBe(data.length)
        const seen = await readIfThere(other, PACK)
        expect(seen === undefined || equal(seen, data)).toBe(true)
        await nextTurn()
      }
      await writing.result
      expect(equal(await other.read(PACK), data)).toBe(true)
    })

    it('may store the same file', async () => {
      const data = noise(4, 500_000)
      const other = await reopen()
      await Promise.all([backend(), other, backend(), other].map((each) => each.write(PACK, data)))
      expect(await listed(backend(), 'pack')).toEqual([{ name: PACK.name, size: data.length }])
      expect(equal(await backend().read(PACK), data)).toBe(true)
    })

    it('see the old file or the new one where it is replaced', async (test) => {
      if (quirks.refusesOverwrite === true || quirks.storesInPlace === true || !backend().hasAtomicReplace)
        return test.skip('this store does not replace files at a stroke')
      const versions = [noise(1, 300_000), noise(2, 200_000), noise(3, 400_000)]
      await backend().write(KEY, versions[0]!)
      const other = await reopen()
      const replaceAll = async (): Promise<void> => {
        for (let i = 1; i < 10; i++) await backend().write(KEY, versions[i % 3]!)
      }
      const replacing = follow(replaceAll())
      while (replacing.isUnderWay()) {
        const seen = await other.read(KEY)
        expect(versions.some((version) => equal(version, seen))).toBe(true)
      }
      await replacing.result
    })
  })
}

function describeAbort({ backend, reopen, quirks }: Context): void {
  describe('an aborted call', () => {
    const data = noise(1, 3_000_000)

    beforeEach(async () => {
      await backend().create()
      for (const digits of ['a1', 'a2', 'a3'])
        await backend().write(handleOf('key', digits), data.subarray(0, 100))
    })

    it('does nothing where the signal has fired before', async () => {
      const present = handleOf('key', 'a1')
      const signal = AbortSignal.abort()
      const calls = [
        backend().create(signal),
        backend().stat(present, signal),
        listed(backend(), 'key', signal),
        backend().read(present, undefined, signal),
        backend().read(present, { offset: 0, length: 10 }, signal),
        backend().write(PACK, data, signal),
        backend().write(present, data, signal),
        backend().remove(present, signal),
        // Told before anything else is looked at.
        backend().stat(PACK, signal),
        backend().remove(PACK, signal),
      ]
      for (const call of await Promise.all(calls.map(errorOf))) expect(call).toBeInstanceOf(AbortedError)
      const other = await reopen()
      expect(await listed(other, 'pack')).toEqual([])
      expect(await listed(other, 'key')).toHaveLength(3)
      expect((await other.stat(present)).size).toBe(100)
    })

    it('says why where the signal does', async () => {
      const reason = new LockLostError('the lock is gone')
      const signal = AbortSignal.abort(reason)
      expect(await errorOf(backend().stat(PACK, signal))).toBe(reason)
      expect(await errorOf(backend().write(PACK, data, signal))).toBe(reason)
      expect(await errorOf(listed(backend(), 'key', signal))).toBe(reason)
    })

    it('stops listing at once', async () => {
      const controller = new AbortController()
      const seen: string[] = []
      const listing = (async () => {
        for await (const { name } of backend().list('key', controller.signal)) {
          seen.push(name)
          controller.abort()
        }
      })()
      expect(await errorOf(listing)).toBeInstanceOf(AbortedError)
      expect(seen).toHaveLength(1)
    })

    it.skipIf(quirks.storesInPlace).each([0, 1, 3, 10, 30])(
      'leaves all or nothing of a write stopped after %i ms',
      async (ms) => {
        const controller = new AbortController()
        const writing = errorOf(backend().write(PACK, data, controller.signal))
        if (ms > 0) await sleep(ms)
        controller.abort()
        const isWritten = endedWell(await writing)
        const seen = await readIfThere(await reopen(), PACK)
        expect(seen === undefined ? !isWritten : equal(seen, data)).toBe(true)
        for (const { size } of await listed(backend(), 'pack')) expect(size).toBe(data.length)
        await backend().write(PACK, data)
        expect(equal(await backend().read(PACK), data)).toBe(true)
      },
    )

    it.each([0, 1, 3, 10])('of a read stopped after %i ms disturbs no other', async (ms) => {
      await backend().write(PACK, data)
      const controller = new AbortController()
      const stopped = errorOf(backend().read(PACK, undefined, controller.signal))
      const going = backend().read(PACK)
      if (ms > 0) await sleep(ms)
      controller.abort()
      endedWell(await stopped)
      expect(equal(await going, data)).toBe(true)
      expect(equal(await backend().read(PACK), data)).toBe(true)
    })

    it('leaves no listener behind on a signal that does not fire', async () => {
      const { signal, listeners } = countingSignal()
      await backend().write(PACK, data.subarray(0, 1000), signal)
      await Promise.all(Array.from({ length: 20 }, () => backend().read(PACK, undefined, signal)))
      await listed(backend(), 'pack', signal)
      await backend().stat(PACK, signal)
      await backend().remove(PACK, signal)
      await nextTurn()
      expect(listeners()).toBe(0)
    })
  })
}

/** A signal that knows how many listen to it. */
function countingSignal(): { readonly signal: AbortSignal; readonly listeners: () => number } {
  const { signal } = new AbortController()
  const present = new Set<unknown>()
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (...args: Parameters<AbortSignal['addEventListener']>): void => {
    present.add(args[1])
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<AbortSignal['removeEventListener']>): void => {
    present.delete(args[1])
    remove(...args)
  }
  return { signal, listeners: () => present.size }
}

function describeNames({ backend, reopen }: Context): void {
  describe('a name', () => {
    const good = handleOf('key', 'ab').name

    it.each([
      ['empty', ''],
      ['the folder itself', '.'],
      ['the folder above', '..'],
      ['a path out of the folder', '../config'],
      ['upper case', good.replace('ab', 'AB')],
      ['too short', good.slice(1)],
      ['too long', `${good}0`],
      ['with a newline', `${good.slice(1)}\n`],
      ['followed by a newline', `${good}\n`],
      ['with a slash', `${good.slice(0, 32)}/${good.slice(33)}`],
      ['with a null byte', `${good.slice(1)}\0`],
    ])('that is %s is refused', async (_what, name) => {
      await backend().create()
      await backend().write(CONFIG, noise(1, 10))
      for (const type of FILE_TYPES) {
        const handle = { type, name }
        for (const call of [
          () => backend().stat(handle),
          () => backend().read(handle),
          () => backend().read(handle, { offset: 0, length: 1 }),
          () => backend().write(handle, noise(2, 20)),
          () => backend().remove(handle),
        ]) {
          // As a rejection: callers await, they do not catch what is thrown before.
          let pending: Promise<unknown>
          try {
            pending = call()
          } catch (error) {
            throw new Error('thrown, not rejected', { cause: error })
          }
          await expect(pending).rejects.toThrow(InvalidInputError)
        }
      }
      const other = await reopen()
      expect(equal(await other.read(CONFIG), noise(1, 10))).toBe(true)
      for (const type of FILE_TYPES) expect(await listed(other, type)).toEqual([])
    })
  })
}
