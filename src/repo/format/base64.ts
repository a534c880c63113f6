/** Standard base64 with padding (RFC 4648 §4), as Go writes byte slices into JSON. */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const PADDING = 0x3d
const CHUNK_BYTES = 0x6000

const digits = new TextEncoder().encode(ALPHABET)
const values = makeValues()
const decoder = new TextDecoder()

function makeValues(): Int8Array {
  const table = new Int8Array(256).fill(-1)
  for (let value = 0; value < 64; value++) table[digits[value] ?? 0] = value
  return table
}

export function encodeBase64(bytes: Uint8Array): string {
  let text = ''
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
    text += encodeChunk(bytes.subarray(start, start + CHUNK_BYTES))
  }
  return text
}

/** `CHUNK_BYTES` is a multiple of 3, so that only the last chunk is padded. */
function encodeChunk(bytes: Uint8Array): string {
  const out = new Uint8Array(Math.ceil(bytes.length / 3) * 4)
  let length = 0
  for (let i = 0; i < bytes.length; i += 3) {
    const group = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
    out[length++] = digits[group >>> 18] ?? 0
    out[length++] = digits[(group >>> 12) & 63] ?? 0
    out[length++] = i + 1 < bytes.length ? (digits[(group >>> 6) & 63] ?? 0) : PADDING
    out[length++] = i + 2 < bytes.length ? (digits[group & 63] ?? 0) : PADDING
  }
  return decoder.decode(out)
}

/** The bytes `text` stands for, or undefined where it is not base64. Line breaks in it are ignored, as Go does. */
export function decodeBase64(text: string): Uint8Array | undefined {
  const compact = text.includes('\n') || text.includes('\r') ? text.replaceAll(/[\r\n]/g, '') : text
  if (compact.length % 4 !== 0) return undefined
  const padding = compact.endsWith('==') ? 2 : compact.endsWith('=') ? 1 : 0
  const bytes = new Uint8Array((compact.length / 4) * 3 - padding)
  const digitCount = compact.length - padding
  let length = 0
  let bits = 0
  for (let i = 0; i < digitCount; i++) {
    const value = values[Math.min(compact.charCodeAt(i), 255)] ?? -1
    if (value < 0) return undefined
    bits = (bits << 6) | value
    if (i % 4 === 0) continue
    // A digit completes a byte except in the first place of four: 2, 4 and 6 bits are left over in turn.
    bytes[length++] = bits >>> (6 - 2 * (i % 4))
    bits &= (1 << (6 - 2 * (i % 4))) - 1
  }
  return bytes
}
