import { describe, expect, it } from 'vitest'
import type { Backend, ByteRange, Handle } from '../../src/backend/backend.ts'
import { MemoryBackend } from '../../src/backend/memory.ts'
import { FileNotFoundError } from '../../src/errors.ts'
import type { PackedBlob } from '../../src/repo/format/pack-header.ts'
import { parseId } from '../../src/repo/format/id.ts'
import { TreeWindows } from '../../src/repo/tree-windows.ts'
import { randomBytes } from '../support/many-files.ts'

const PACK = parseId('ab'.repeat(32))
const MIB = 1 << 20

async function open(size: number): Promise<{ windows: TreeWindows; reads: ByteRange[]; bytes: Uint8Array }> {
  const backend = new MemoryBackend()
  const bytes = randomBytes(1, size)
  await backend.create()
  await backend.write({ type: 'pack', name: PACK }, bytes)
  const reads: ByteRange[] = []
  const counting = new Proxy<Backend>(backend, {
    get(target, key) {
      if (key !== 'read') return Reflect.get(target, key) as unknown
      return (handle: Handle, range?: ByteRange) => {
        if (range !== undefined) reads.push(range)
        return target.read(handle, range)
      }
    },
  })
  return { windows: new TreeWindows(counting), reads, bytes }
}

function blobAt(offset: number, length: number): PackedBlob {
  return { type: 'tree', id: PACK, offset, length, uncompressedLength: 0 }
}

describe('tree windows', () => {
  it('give every blob its bytes with one read for all neighbours', async () => {
    const { windows, reads, bytes } = await open(2 * MIB + 500)
    for (let offset = 0; offset + 100 <= bytes.length; offset += 250) {
      expect(await windows.read(PACK, blobAt(offset, 100), bytes.length)).toEqual(
        bytes.subarray(offset, offset + 100),
      )
    }
    expect(reads.filter(({ length }) => length > 100)).toEqual([
      { offset: 0, length: MIB },
      { offset: MIB, length: MIB },
      { offset: 2 * MIB, length: 500 },
    ])
  })

  it('read by itself what lies across a border', async () => {
    const { windows, reads, bytes } = await open(2 * MIB)
    expect(await windows.read(PACK, blobAt(MIB - 10, 20), bytes.length)).toEqual(
      bytes.subarray(MIB - 10, MIB + 10),
    )
    expect(reads).toEqual([{ offset: MIB - 10, length: 20 }])
  })

  it('share a read that is under way', async () => {
    const { windows, reads, bytes } = await open(MIB)
    await Promise.all([0, 500, 900].map((offset) => windows.read(PACK, blobAt(offset, 50), bytes.length)))
    expect(reads).toHaveLength(1)
  })

  it('forget those not used for long', async () => {
    const { windows, reads, bytes } = await open(40 * MIB)
    for (let i = 0; i < 40; i++) await windows.read(PACK, blobAt(i * MIB, 10), bytes.length)
    await windows.read(PACK, blobAt(39 * MIB, 10), bytes.length)
    expect(reads).toHaveLength(40)
    await windows.read(PACK, blobAt(0, 10), bytes.length)
    expect(reads).toHaveLength(41)
  })

  it('read what lies before the cut of a pack that was cut off', async () => {
    const { windows, bytes } = await open(1000)
    expect(await windows.read(PACK, blobAt(0, 800), 5000)).toEqual(bytes.subarray(0, 800))
    await expect(windows.read(PACK, blobAt(900, 800), 5000)).rejects.toThrow(/short|past|end|bytes/)
  })

  it('say which pack is missing', async () => {
    const windows = new TreeWindows(new MemoryBackend())
    await expect(windows.read(PACK, blobAt(0, 10), 100)).rejects.toBeInstanceOf(FileNotFoundError)
  })
})
