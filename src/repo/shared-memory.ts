/** Memory that every thread can see. Where a runtime forbids it there are no threads to share with either. */

export function allocateShared(bytes: number): ArrayBufferLike {
  return typeof SharedArrayBuffer === 'undefined' ? new ArrayBuffer(bytes) : new SharedArrayBuffer(bytes)
}
