/** Paths with surrogate-escaped names as node:fs takes them: strings where they are valid UTF-8, else raw bytes. */
import { encodeRawName, isWellFormedName } from '../format/raw-name.ts'

export function nativePath(path: string): string | Buffer {
  if (isWellFormedName(path)) return path
  const bytes = encodeRawName(path)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
