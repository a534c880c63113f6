/** Memory that begins on a page boundary, as files opened with O_DIRECT want it; what a runtime gives otherwise may not. */

/** The little that is used here; TypeScript declares it for browsers only. */
declare const WebAssembly:
  | { readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer } }
  | undefined

/** What direct transfers are aligned to: no disk or file system in use wants more. */
export const PAGE_BYTES = 4096
const WASM_PAGE_BYTES = 1 << 16

/**
 * At least `length` bytes, all zero. It cannot be transferred to another thread, and takes no room before it is written
 * to. Where there is no WebAssembly it begins anywhere, and direct transfers are refused by the system.
 */
export function allocatePages(length: number): Uint8Array<ArrayBuffer> {
  if (typeof WebAssembly !== 'undefined') {
    try {
      return new Uint8Array(new WebAssembly.Memory({ initial: Math.ceil(length / WASM_PAGE_BYTES) }).buffer)
    } catch {
      // Address space is limited, or this much is not to be had in one piece.
    }
  }
  return new Uint8Array(length)
}
