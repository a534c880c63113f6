/** Paths with surrogate-escaped names, and how node:fs takes them: as strings where they are valid UTF-8, else raw bytes. */
import { encodeRawName, isWellFormedName } from '../format/raw-name.ts'

export function nativePath(path: string): string | Buffer {
  if (isWellFormedName(path)) return path
  const bytes = encodeRawName(path)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** As posix.join, without cleaning: it is called for every entry. */
export function joinPath(dir: string, name: string): string {
  return dir.endsWith('/') ? dir + name : `${dir}/${name}`
}
