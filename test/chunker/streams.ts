/** Inputs and outputs of the chunker's vectors (format spec §20.3). */
import { createHash } from 'node:crypto'
import type { Chunker } from '../../src/chunker/chunker.ts'
import { polynomialMod } from '../../src/chunker/polynomial.ts'

/** SHA-256(seed || 0) || SHA-256(seed || 1) || …, the numbers as 64 bits little-endian. */
export function stream(seed: string, length: number): Uint8Array {
  const out = new Uint8Array(length + 32)
  const counter = Buffer.alloc(8)
  for (let i = 0; i * 32 < length; i++) {
    counter.writeBigUInt64LE(BigInt(i))
    out.set(createHash('sha256').update(seed).update(counter).digest(), i * 32)
  }
  return out.subarray(0, length)
}

/** Lengths of the chunks of `data`, given to the chunker `slice` bytes at a time. */
export function chunkLengths(chunker: Chunker, data: Uint8Array, slice: number = data.length): number[] {
  const lengths: number[] = []
  let chunkStart = 0
  chunker.reset()
  for (let start = 0; start < data.length;) {
    const end = Math.min(data.length, start + slice)
    const cut = chunker.next(data, start, end)
    if (cut >= 0) {
      lengths.push(cut - chunkStart)
      chunkStart = cut
    }
    start = cut >= 0 ? cut : end
  }
  if (chunkStart < data.length) lengths.push(data.length - chunkStart)
  return lengths
}

/** As `chunkLengths`, each slice being copied to the chunker's own room. */
export function chunkLengthsInRoom(chunker: Chunker, data: Uint8Array, slice: number): number[] {
  const lengths: number[] = []
  const { room } = chunker
  let chunkStart = 0
  chunker.reset()
  for (let start = 0; start < data.length; start += slice) {
    const piece = data.subarray(start, start + slice)
    room.set(piece)
    for (let from = 0; from < piece.length;) {
      const cut = chunker.next(room, from, piece.length)
      if (cut >= 0) {
        lengths.push(start + cut - chunkStart)
        chunkStart = start + cut
      }
      from = cut < 0 ? piece.length : cut
    }
  }
  if (chunkStart < data.length) lengths.push(data.length - chunkStart)
  return lengths
}

export function idHead(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex').slice(0, 8)
}

/** Changes the three bytes before `end` so that the window ending there allows a cut. */
export function plantCut(data: Uint8Array, end: number, polynomial: bigint): void {
  let window = 0n
  for (const byte of data.subarray(end - 64, end - 3)) window = (window << 8n) | BigInt(byte)
  // The last 24 bits are below the degree: they enter the digest as they are, so equal bits cancel.
  const last = polynomialMod(window << 24n, polynomial) & 0xffffffn
  data.set([Number(last >> 16n), Number((last >> 8n) & 0xffn), Number(last & 0xffn)], end - 3)
}
