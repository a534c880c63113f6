/** Runs of zeros: holes in sparse files, unused parts of disk images. */

const ZEROS = new Uint8Array(1 << 16)

/** Whether there are only zeros. */
export function isZero(bytes: Uint8Array): boolean {
  // Nearly all that is not begins with something else.
  if (bytes.length > 0 && bytes[0] !== 0) return false
  for (let i = 0; i < bytes.length; i += ZEROS.length) {
    const step = bytes.subarray(i, i + ZEROS.length)
    if (Buffer.compare(step, step.length === ZEROS.length ? ZEROS : ZEROS.subarray(0, step.length)) !== 0)
      return false
  }
  return true
}
