/** Poly1305 in WebAssembly: loads and feeds what poly1305-kernel.as is compiled to, or falls back to plain TypeScript. */
import { load, SCALAR, SIMD } from './poly1305-kernel.generated.ts'
import { poly1305 } from './poly1305.ts'

interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly KEY: { readonly value: number }
  readonly TAG: { readonly value: number }
  readonly INPUT: { readonly value: number }
  start(): void
  absorb(length: number): void
  finish(): void
}

/** How much is copied to the kernel's memory at a time: little enough to stay in the processor's cache. */
const SLAB_BYTES = 65_536
const TAG_BYTES = 16

let fastest: typeof poly1305 | undefined

/**
 * As `poly1305`, by the fastest code this machine can run, which is compiled at the first call, once a thread. The tag is
 * valid until the next call.
 */
export function fastPoly1305(oneTimeKey: Uint8Array, message: Uint8Array): Uint8Array {
  fastest ??= createKernelPoly1305(SIMD) ?? createKernelPoly1305(SCALAR) ?? poly1305
  return fastest(oneTimeKey, message)
}

/**
 * As `poly1305`, by one build of the kernel. The tag is valid until the next call.
 * @returns undefined where this machine or runtime cannot run it
 */
export function createKernelPoly1305(build: string): typeof poly1305 | undefined {
  const kernel = load<Kernel>(build)
  if (kernel === undefined) return undefined
  // Read once: each look at a global of WebAssembly is a call out of JavaScript.
  const [key, tag, input] = [kernel.KEY.value, kernel.TAG.value, kernel.INPUT.value]
  const memory = new Uint8Array(kernel.memory.buffer)
  const tagBytes = memory.subarray(tag, tag + TAG_BYTES)
  return (oneTimeKey, message) => {
    memory.set(oneTimeKey, key)
    kernel.start()
    for (let i = 0; i < message.length; i += SLAB_BYTES) {
      const slab = message.length <= SLAB_BYTES ? message : message.subarray(i, i + SLAB_BYTES)
      memory.set(slab, input)
      kernel.absorb(slab.length)
    }
    kernel.finish()
    return tagBytes
  }
}
