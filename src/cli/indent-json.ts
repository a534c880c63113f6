/** JSON laid out for reading as Go does it, with its numbers as they are: JSON.parse would round 64-bit ones. */

/** @param json without blanks outside of strings, as the encoders of this library make it and restic's does */
export function indentJson(json: Uint8Array): string {
  let result = ''
  let depth = 0
  for (const [token] of new TextDecoder().decode(json).trim().matchAll(TOKENS)) {
    if (token === '{' || token === '[') depth += 1
    if (token === '}' || token === ']') depth -= 1
    const newLine = `\n${'  '.repeat(depth)}`
    if (token === ',') result += `,${newLine}`
    else if (token === ':') result += ': '
    else if (token === '{' || token === '[') result += token + newLine
    else if (token === '}' || token === ']') result += newLine + token
    else result += token
  }
  return `${result}\n`
}

/** Strings, empty containers, single signs, and everything between: numbers and words. */
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|\{\s*\}|\[\s*\]|[{}[\],:]|[^\s{}[\],:"]+/gs
