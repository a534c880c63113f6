/** Files of patterns, one a line, as --exclude-file and its kin read them (command spec, "backup"). */

import { decodeRawName } from '../format/raw-name.ts'

/** Environment variables by name, as process.env holds them. */
export type Environment = Readonly<Record<string, string | undefined>>

/** What Go's strings.TrimSpace takes off: Unicode's white space, which has U+0085 but not U+FEFF. */
const SPACES = '[\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+'
const OUTER_SPACE = new RegExp(`^${SPACES}|${SPACES}$`, 'gu')

/**
 * The patterns in the text of a pattern file: lines are trimmed, empty ones and those beginning with `#` are left
 * out, `$NAME` and `${NAME}` stand for variables of `environment`, `$$` for a dollar sign. A byte order mark
 * selects UTF-8 or UTF-16.
 */
export function parsePatternFile(bytes: Uint8Array, environment: Environment): string[] {
  const patterns: string[] = []
  for (const line of decodeText(bytes).split('\n')) {
    const text = line.replace(OUTER_SPACE, '')
    if (text === '' || text.startsWith('#')) continue
    patterns.push(expandVariables(text, environment))
  }
  return patterns
}

function decodeText(bytes: Uint8Array): string {
  const [first, second, third] = bytes
  if (first === 0xef && second === 0xbb && third === 0xbf) return decodeRawName(bytes.subarray(3))
  if (first === 0xff && second === 0xfe) return new TextDecoder('utf-16le').decode(bytes)
  if (first === 0xfe && second === 0xff) return new TextDecoder('utf-16le').decode(swapPairs(bytes))
  return decodeRawName(bytes)
}

/** Only builds of Node with all of ICU decode big-endian UTF-16, so the bytes are turned around first. */
function swapPairs(bytes: Uint8Array): Uint8Array {
  const swapped = bytes.slice()
  for (let index = 0; index + 1 < bytes.length; index += 2) {
    swapped[index] = bytes[index + 1] ?? 0
    swapped[index + 1] = bytes[index] ?? 0
  }
  return swapped
}

/** A reference as Go's os.Expand sees it: braces round anything, broken braces, a single sign or digit, or a name. */
const REFERENCE = /\$(\{[^}]+\}|\{\}|\{|[*#$@!?\-0-9]|\w+)/gu

function expandVariables(line: string, environment: Environment): string {
  return line.replace(REFERENCE, (_whole, reference: string): string => {
    const name = reference.startsWith('{') ? reference.slice(1, -1) : reference
    if (name === '$') return '$'
    return Object.hasOwn(environment, name) ? (environment[name] ?? '') : ''
  })
}
