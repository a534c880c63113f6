/**
 * What writing past the page cache takes: a flag, memory that begins on a page boundary (what a runtime gives otherwise may
 * not), and how to tell that a system will not have it.
 */
import { constants } from 'node:fs'

/** The little that is used here; TypeScript declares it for browsers only. */
declare const WebAssembly:
  | { readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer } }
  | undefined

/** Undefined where the system has no such flag. */
export const O_DIRECT: number | undefined = (constants as Partial<typeof constants>).O_DIRECT
/** How file systems and disks say that they cannot do it, or not from this memory. */
const REFUSALS = new Set(['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])

/** Whether a direct write failed for being one: another kind of write may do. */
export function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'code' in error && REFUSALS.has(String(error.code))
}

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
