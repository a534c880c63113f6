/** Blobs written past the page cache must come to the same file as any others, wherever they begin and end. */
import fc from 'fast-check'
import { closeSync, constants, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { allocatePages, PAGE_BYTES } from '../../../src/direct-io.ts'
import { backup } from '../../../src/repo/ops/backup.ts'
import { DirectPlaces, leadOf, openDirectly } from '../../../src/repo/ops/direct-places.ts'
import { restore } from '../../../src/repo/ops/restore.ts'
import { randomBytes, writeRandomFile } from '../../support/many-files.ts'
import { createTestRepository } from '../../support/test-repository.ts'

let folder: string
let path: string
let fd: number
let directFd: number

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'restic-ts-direct-'))
  path = join(folder, 'file')
  fd = openSync(path, constants.O_RDWR | constants.O_CREAT)
  directFd = openDirectly(fd) ?? -1
})

afterEach(() => {
  closeSync(fd)
  if (directFd >= 0) closeSync(directFd)
  rmSync(folder, { recursive: true })
})

/** The bytes as a thread has them once they are decoded for `offset`. */
function inPages(bytes: Uint8Array, offset: number): Uint8Array {
  const lead = leadOf(offset)
  const memory = allocatePages(lead + bytes.length)
  memory.set(bytes, lead)
  return memory.subarray(lead, lead + bytes.length)
}

describe.runIf(process.platform === 'linux')('blobs in places of a large file', () => {
  it('are written directly here, or these tests say nothing', () => {
    expect(directFd).toBeGreaterThan(0)
  })

  it('come to the file they are parts of, in any order', () => {
    const length = fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 60_000, max: 300_000 }))
    const pieces = fc.array(fc.tuple(length, fc.integer()), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(pieces, (drawn) => {
        const size = drawn.reduce((sum, [piece]) => sum + piece, 0)
        const content = randomBytes(size, size)
        ftruncateSync(fd, 0)
        ftruncateSync(fd, size)
        const places = new DirectPlaces()
        let end = 0
        const parts = drawn.map(([piece, order]) => ({ order, start: end, end: (end += piece) }))
        for (const part of parts.toSorted((a, b) => a.order - b.order))
          places.write(fd, directFd, inPages(content.subarray(part.start, part.end), part.start), part.start)
        expect(Buffer.compare(readFileSync(path), content)).toBe(0)
      }),
    )
  })

  it.each([0, 1, PAGE_BYTES - 1])('may lie anywhere in memory (%i bytes off)', (off) => {
    const content = randomBytes(off, 200_000)
    const memory = allocatePages(200_000 + off)
    memory.set(content, off)
    new DirectPlaces().write(fd, directFd, memory.subarray(off, off + 200_000), 100)
    expect(Buffer.compare(readFileSync(path).subarray(100), content)).toBe(0)
  })

  it('go the ordinary way where the disk is slower than that', () => {
    const places = new DirectPlaces(Number.POSITIVE_INFINITY)
    const data = inPages(randomBytes(3, 4 << 20), 0)
    for (let i = 0; i < 10; i++) places.write(fd, directFd, data, i * data.length)
    expect(places.isUseless).toBe(true)
    const written = readFileSync(path)
    for (let i = 0; i < 10; i++)
      expect(Buffer.compare(written.subarray(i * data.length, (i + 1) * data.length), data)).toBe(0)
  })

  it('go the ordinary way where the system refuses', () => {
    const places = new DirectPlaces()
    // Ordinary memory, which begins on a page by chance only.
    const data = randomBytes(4, 1 << 20)
    places.write(fd, directFd, data, 0)
    places.write(fd, directFd, data, data.length)
    expect(Buffer.compare(readFileSync(path), Buffer.concat([data, data]))).toBe(0)
  })

  it('fail as other writes do', () => {
    const places = new DirectPlaces()
    expect(() => places.write(fd, 1_000_000, inPages(randomBytes(5, 1 << 20), 0), 0)).toThrow('EBADF')
  })
})

describe('a large file', () => {
  it('is restored as it was', async () => {
    const { repository } = await createTestRepository()
    const source = join(folder, 'source')
    writeRandomFile(source, 9, (30 << 20) + 4321)
    const { snapshotId = 'latest' } = await backup(repository, { paths: [source] })
    await restore(repository, { snapshot: snapshotId, target: join(folder, 'target') })
    const restored = readFileSync(join(folder, 'target', source))
    expect(Buffer.compare(restored, readFileSync(source))).toBe(0)
  })
})
