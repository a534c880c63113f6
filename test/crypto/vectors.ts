/** The keys of the specification's vectors (§20.1) and small helpers around bytes. */
import type { SealKey } from '../../src/crypto/seal.ts'

export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'hex'))
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

/** first, first + 1, … */
export function count(first: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => first + i)
}

/** One byte over and over: the vectors' IVs. */
export function repeat(byte: number, length: number): Uint8Array {
  return new Uint8Array(length).fill(byte)
}

export const MASTER_KEY: SealKey = { encrypt: count(0x00, 32), k: count(0x20, 16), r: count(0x30, 16) }
