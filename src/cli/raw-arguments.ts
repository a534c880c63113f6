/** The arguments as they were given: Node makes U+FFFD of bytes that are not UTF-8, and file names may have such. */
import { readFileSync } from 'node:fs'

const REPLACEMENT = '\ufffd'
const NUL = 0

/** The arguments after node and script, bytes that are not UTF-8 as lone surrogates, where the system can tell. */
export async function processArguments(): Promise<string[]> {
  const args = process.argv.slice(2)
  // A genuine U+FFFD looks the same: only the system knows.
  if (!args.some((arg) => arg.includes(REPLACEMENT))) return args
  const raw = readCommandLine().slice(-args.length)
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  const isSame = raw.length === args.length && raw.every((bytes, i) => decoder.decode(bytes) === args[i])
  if (!isSame) return args
  const { decodeRawName } = await import('../index.ts')
  return raw.map(decodeRawName)
}

/** All arguments in bytes, those of node itself first. Only Linux has them in a file. */
function readCommandLine(): Uint8Array[] {
  try {
    return splitAtNul(readFileSync('/proc/self/cmdline'))
  } catch {
    return []
  }
}

function splitAtNul(bytes: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = []
  let start = 0
  for (let end = bytes.indexOf(NUL); end >= 0; end = bytes.indexOf(NUL, start)) {
    parts.push(bytes.subarray(start, end))
    start = end + 1
  }
  return parts
}
