import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { LocalBackend } from '../../src/backend/local.ts'
import { ReadMemory } from '../../src/backend/read-memory.ts'

const MIB = 1 << 20

it('memory given back serves the next read that fits', () => {
  const memory = new ReadMemory()
  const first = memory.take(6 * MIB)
  memory.give(first)
  const second = memory.take(5 * MIB)
  expect(second).toHaveLength(5 * MIB)
  expect(second.buffer).toBe(first.buffer)
  expect(memory.take(5 * MIB).buffer).not.toBe(first.buffer)
})

it('small reads have memory of their own, and what is too small is passed over', () => {
  const memory = new ReadMemory()
  const large = memory.take(9 * MIB)
  memory.give(memory.take(5 * MIB))
  memory.give(large)
  expect(memory.take(MIB).buffer.byteLength).toBe(MIB)
  expect(memory.take(9 * MIB).buffer).toBe(large.buffer)
  expect(memory.take(9 * MIB).buffer).not.toBe(large.buffer)
})

it('the three largest are kept', () => {
  const memory = new ReadMemory()
  const pieces = [8, 12, 16, 20].map((size) => memory.take(size * MIB))
  for (const piece of pieces.toReversed()) memory.give(piece)
  const kept = [5, 5, 5, 5].map((size) => memory.take(size * MIB).buffer)
  expect(kept.slice(0, 3)).toEqual(pieces.slice(1).map(({ buffer }) => buffer))
  expect(pieces.map(({ buffer }) => buffer)).not.toContain(kept[3])
})

it('reads into used memory give what is stored', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'restic-ts-memory-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const backend = new LocalBackend(folder)
  await backend.create()
  const files = [9, 7, 5].map((size) => randomBytes(size * MIB))
  const handles = files.map((_, i) => ({ type: 'pack' as const, name: `${i}`.repeat(64) }))
  for (const [i, file] of files.entries()) await backend.write(handles[i]!, file)
  for (let round = 0; round < 3; round++) {
    const both = await Promise.all(handles.map((handle) => backend.read(handle)))
    for (const [i, bytes] of both.entries()) expect(Buffer.compare(bytes, files[i]!)).toBe(0)
    for (const bytes of both) backend.reuse(bytes)
  }
  const range = await backend.read(handles[0]!, { offset: 100, length: 6 * MIB })
  expect(Buffer.compare(range, files[0]!.subarray(100, 100 + 6 * MIB))).toBe(0)
})
