/** What is written past the page cache, and what is left to an ordinary write. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DIRECT_BYTES_MIN, DirectWriter } from '../../src/backend/direct-write.ts'
import { LocalBackend } from '../../src/backend/local.ts'
import { allocatePages, PAGE_BYTES } from '../../src/direct-io.ts'
import { randomBytes } from '../support/many-files.ts'

let folder: string
let path: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'restic-ts-direct-'))
  path = join(folder, 'file')
  writeFileSync(path, '')
})

afterEach(() => rmSync(folder, { recursive: true }))

const SIZES = [
  DIRECT_BYTES_MIN,
  DIRECT_BYTES_MIN + 1,
  DIRECT_BYTES_MIN + PAGE_BYTES - 1,
  4 << 20,
  (4 << 20) + PAGE_BYTES,
  (9 << 20) + 12_345,
]

describe.runIf(process.platform === 'linux')('writing past the page cache', () => {
  it.each(SIZES)('writes whole pages of %i bytes', async (size) => {
    const data = randomBytes(size, size)
    const written = await new DirectWriter().write(path, data)
    expect(written).toBe(size - (size % PAGE_BYTES))
    expect(Buffer.compare(readFileSync(path), data.subarray(0, written))).toBe(0)
  })

  it('leaves small files alone', async () => {
    expect(await new DirectWriter().write(path, randomBytes(1, DIRECT_BYTES_MIN - 1))).toBe(0)
    expect(readFileSync(path)).toHaveLength(0)
  })

  it('keeps files apart that are written at once', async () => {
    const writer = new DirectWriter()
    const files = [1, 2, 3, 4].map((seed) => ({ path: `${path}${seed}`, data: randomBytes(seed, 8 << 20) }))
    await Promise.all(
      files.map((file) => {
        writeFileSync(file.path, '')
        return writer.write(file.path, file.data)
      }),
    )
    for (const file of files) expect(Buffer.compare(readFileSync(file.path), file.data)).toBe(0)
  })

  it('gives up for good where the system refuses', async () => {
    const misaligned = (): Uint8Array => allocatePages((4 << 20) + PAGE_BYTES).subarray(1)
    const writer = new DirectWriter(misaligned)
    const data = randomBytes(5, 2 << 20)
    const written = await writer.write(path, data)
    // Some file systems take any memory.
    expect(written === 0 || Buffer.compare(readFileSync(path), data) === 0).toBe(true)
    expect(await writer.write(path, data)).toBe(written)
  })

  it('says what the system says otherwise', async () => {
    const data = randomBytes(6, 2 << 20)
    await expect(new DirectWriter().write(join(folder, 'missing'), data)).rejects.toMatchObject({
      code: 'ENOENT',
    })
  })
})

describe('a local repository', () => {
  it.each(SIZES)('stores %i bytes as they are', async (size) => {
    const backend = new LocalBackend(folder)
    await backend.create()
    const data = randomBytes(size, size)
    const handle = { type: 'pack', name: 'ab'.repeat(32) } as const
    await backend.write(handle, data)
    expect(Buffer.compare(await backend.read(handle), data)).toBe(0)
    expect(await backend.stat(handle)).toMatchObject({ size })
  })
})
