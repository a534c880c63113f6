import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { CCtx, CParameter } from 'zstd-napi/binding.js'
import { CorruptDataError } from '../../src/errors.ts'
import { createZstd } from '../../src/repo/compression.ts'

const CONTENT = new TextEncoder().encode('{"packs":[]} '.repeat(200_000))
const LIMIT = 10 << 20

function frame(content: Uint8Array, saysLength: boolean): Uint8Array {
  const context = new CCtx()
  context.setParameter(CParameter.contentSizeFlag, saysLength ? 1 : 0)
  const frameBytes = new Uint8Array(content.length + 1000)
  return frameBytes.slice(0, context.compress2(frameBytes, content))
}

/** What a frame unpacks to, and whether that lies in memory that was asked for. */
function unpack(source: Uint8Array, limit = LIMIT): { readonly plain: Buffer; readonly taken: number[] } {
  const taken: number[] = []
  const plain = createZstd('auto').decompress(source, limit, (length) => {
    taken.push(length)
    return new Uint8Array(length)
  })
  return { plain: Buffer.from(plain), taken }
}

describe('a zstd frame', () => {
  it('that says how long it is takes that much memory', () => {
    const { plain, taken } = unpack(frame(CONTENT, true))
    expect(plain.equals(CONTENT)).toBe(true)
    expect(taken).toEqual([CONTENT.length])
  })

  it('that does not is unpacked all the same', () => {
    const { plain, taken } = unpack(frame(CONTENT, false))
    expect(plain.equals(CONTENT)).toBe(true)
    expect(taken).toEqual([])
  })

  it.each([1 << 20, 2 << 20])('of unknown length may end where a step does, at %i bytes', (length) => {
    const content = CONTENT.subarray(0, length)
    expect(unpack(frame(content, false)).plain.equals(content)).toBe(true)
  })

  it('may be followed by another', () => {
    const both = Buffer.concat([frame(CONTENT, true), frame(CONTENT, true)])
    expect(unpack(both).plain.equals(Buffer.concat([CONTENT, CONTENT]))).toBe(true)
  })

  it('is not believed to be longer than zstd can make it', () => {
    const lying = frame(CONTENT, true)
    // Four bytes of length end the header (RFC 8878, §3.1.1.1).
    const lengthAt = Buffer.from(lying).indexOf(Uint8Array.from([0x40, 0xac, 0x27, 0x00]))
    expect(lengthAt).toBeGreaterThan(4)
    new DataView(lying.buffer).setUint32(lengthAt, 0x7fff_ffff, true)
    const taken: number[] = []
    const take = (length: number): Uint8Array => {
      taken.push(length)
      return new Uint8Array(length)
    }
    expect(() => createZstd('auto').decompress(lying, 2 ** 31, take)).toThrow(CorruptDataError)
    expect(taken).toEqual([])
  })

  it.each([true, false])('that is too long is refused, whether it says so (%s)', (saysLength) => {
    expect(() => unpack(frame(CONTENT, saysLength), CONTENT.length - 1)).toThrow(
      `is larger than ${CONTENT.length - 1} bytes`,
    )
  })

  it.each([true, false])('that is cut is damaged, whether it says its length (%s)', (saysLength) => {
    expect(() => unpack(frame(CONTENT, saysLength).subarray(0, -4))).toThrow(
      'compressed data is damaged: ends too early',
    )
  })
})

describe('what a frame holds is compared with', () => {
  const compressed = frame(CONTENT, true)
  const holds = (expected: Uint8Array, source = compressed): boolean =>
    createZstd('auto').decompressesTo(source, expected)

  it.each([0, 1, 1 << 20, CONTENT.length])('what it was made of, %i bytes', (length) => {
    const content = CONTENT.subarray(0, length)
    expect(holds(content, frame(content, true))).toBe(true)
    expect(holds(content, frame(content, false))).toBe(true)
  })

  it.each([0, 1_048_575, 1_048_576, CONTENT.length - 1])('bytes that differ at %i', (at) => {
    const other = Uint8Array.from(CONTENT)
    other[at] = other[at]! ^ 1
    expect(holds(other)).toBe(false)
  })

  it('a part of it, or more', () => {
    for (const length of [0, 1, 1 << 20, (2 << 20) - 1, CONTENT.length - 1])
      expect(holds(CONTENT.subarray(0, length))).toBe(false)
    expect(holds(Buffer.concat([CONTENT, CONTENT.subarray(0, 1)]))).toBe(false)
    expect(holds(Buffer.concat([CONTENT, CONTENT]))).toBe(false)
  })

  it('what is damaged: cut, or no frame', () => {
    expect(() => holds(CONTENT, compressed.subarray(0, -4))).toThrow(CorruptDataError)
    expect(() => holds(CONTENT, CONTENT)).toThrow(CorruptDataError)
  })
})

describe('JSON full of hashes', () => {
  const nodes = Array.from({ length: 1500 }, (_, i) => {
    const hash = createHash('sha256').update(String(i)).digest('hex')
    return `{"name":"file-${i}","type":"file","mode":420,"inode":${i + 7_000_000},"content":["${hash}"]}`
  })
  const json = new TextEncoder().encode(`{"nodes":[${nodes.join(',')}]}\n`)
  const pack = (mode: 'auto' | 'max', kind: 'data' | 'json'): Uint8Array => {
    const zstd = createZstd(mode, kind)
    const packed = new Uint8Array(zstd.bound(json.length))
    return packed.slice(0, zstd.compressInto(packed, json))
  }

  it('becomes smaller than as data, and is unpacked like anything else', () => {
    const packed = pack('auto', 'json')
    expect(packed.length).toBeLessThan(pack('auto', 'data').length * 0.95)
    expect(Buffer.from(unpack(packed).plain).equals(json)).toBe(true)
  })

  it('is left to the higher levels, which find the best matches themselves', () => {
    expect(pack('max', 'json')).toEqual(pack('max', 'data'))
  })
})
