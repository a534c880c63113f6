/** ROMix of scrypt in WebAssembly: loads and feeds what scrypt-kernel.as is compiled to. */
import { load, SIMD } from './scrypt-kernel.generated.ts'

interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number }
  readonly BLOCKS: { readonly value: number }
  readonly BLOCKS_BEFORE_TABLES: { readonly value: number }
  mix(lanes: number, N: number, r: number, thinning: number): void
}

const PAGE_BYTES = 65_536
/**
 * All tables together have the size of a whole one, shifted by this: a half, which two lanes share or one has. Three
 * lanes of 32 MiB take a thread 165 ms (2 cores of an AMD EPYC), and 160 with a whole table for each: the entries left
 * out are mixed again in about the time that fresh pages for them and their way from memory would take. With a quarter it
 * would be 240.
 */
const THINNING = 1

/**
 * Mixes blocks of 128·r bytes end to end, in place, two at a time.
 * @throws RangeError where there is no memory for tables of 64·N·r bytes
 */
export type MixBlocks = (blocks: Uint8Array, N: number, r: number) => void

/** @returns undefined where this machine or runtime cannot run it */
export function createMixBlocks(): MixBlocks | undefined {
  const kernel = load<Kernel>(SIMD)
  if (kernel === undefined) return undefined
  const { BLOCKS, BLOCKS_BEFORE_TABLES, memory } = kernel
  return (blocks, N, r) => {
    const size = 128 * r
    for (let i = 0; i < blocks.length; i += 2 * size) {
      const some = blocks.subarray(i, i + 2 * size)
      const lanes = some.length / size
      const thinning = Math.min(THINNING + lanes - 1, Math.log2(N))
      const needed = BLOCKS.value + (BLOCKS_BEFORE_TABLES.value + lanes * (N >> thinning)) * size
      const missing = needed - memory.buffer.byteLength
      if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES))
      new Uint8Array(memory.buffer, BLOCKS.value).set(some)
      kernel.mix(lanes, N, r, thinning)
      some.set(new Uint8Array(memory.buffer, BLOCKS.value, some.length))
    }
  }
}
