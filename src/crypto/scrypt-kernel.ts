/** ROMix of scrypt in WebAssembly: loads and feeds what scrypt-kernel.as is compiled to. */
import { load, SIMD } from './scrypt-kernel.generated.ts'

interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number }
  readonly BLOCKS: { readonly value: number }
  mixTwo(n: number, r: number): void
}

const PAGE_BYTES = 65_536

/**
 * Mixes blocks of 128·r bytes end to end, in place, two at a time.
 * @throws RangeError where there is no memory for two tables of 128·N·r bytes
 */
export type MixBlocks = (blocks: Uint8Array, N: number, r: number) => void

/** @returns undefined where this machine or runtime cannot run it */
export function createMixBlocks(): MixBlocks | undefined {
  const kernel = load<Kernel>(SIMD)
  if (kernel === undefined) return undefined
  const { BLOCKS, memory } = kernel
  return (blocks, N, r) => {
    const size = 128 * r
    const missing = BLOCKS.value + 2 * (N + 2) * size - memory.buffer.byteLength
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES))
    const room = new Uint8Array(memory.buffer, BLOCKS.value, 2 * size)
    for (let i = 0; i < blocks.length; i += 2 * size) {
      const two = blocks.subarray(i, i + 2 * size)
      room.set(two)
      kernel.mixTwo(N, r)
      two.set(room.subarray(0, two.length))
    }
  }
}
