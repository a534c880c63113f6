/** Small files of text that people write with an editor: passwords, repository locations, patterns. */
import { readFile } from 'node:fs/promises'
import { InvalidInputError, nativePath } from '../index.ts'
import { describeError, isMissing } from './describe-error.ts'

/** What Go's strings.TrimSpace takes off: Unicode's white space, which has U+0085 but not U+FEFF. */
const SPACES = '[\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+'
const OUTER_SPACE = new RegExp(`^${SPACES}|${SPACES}$`, 'g')

export function trimSpace(text: string): string {
  return text.replace(OUTER_SPACE, '')
}

/** Text in UTF-8, or in UTF-16 where a byte order mark says so. The mark itself is no part of the text. */
export function decodeText(bytes: Uint8Array): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder('utf-16le').decode(bytes)
  // Not every Node decodes big-endian UTF-16, so the bytes are turned around first.
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder('utf-16le').decode(swapPairs(bytes))
  return new TextDecoder().decode(bytes)
}

/** @throws InvalidInputError */
export async function readInputFile(path: string): Promise<Uint8Array> {
  try {
    return await readFile(nativePath(path))
  } catch (error) {
    throw new InvalidInputError(describeError(error, path), { cause: error })
  }
}

/** The text of a file that holds one setting, such as a password, without white space around it. @throws InvalidInputError */
export async function readSettingFile(path: string): Promise<string> {
  try {
    return trimSpace(decodeText(await readInputFile(path)))
  } catch (error) {
    if (!(error instanceof InvalidInputError && isMissing(error.cause))) throw error
    throw new InvalidInputError(`${path} does not exist`, { cause: error })
  }
}

function swapPairs(bytes: Uint8Array): Uint8Array {
  const swapped = Buffer.from(bytes.subarray(0, bytes.length & ~1))
  return swapped.swap16()
}
