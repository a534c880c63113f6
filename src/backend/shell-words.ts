/** Command lines of `-o sftp.command` and the like split into words as restic does; there is no shell. */
import { InvalidInputError } from '../errors.ts'

const BLANK = /[\s\u0085]/

/**
 * Blanks and quotes end a word; within quotes blanks are kept. A backslash ends a word as well, and takes from the
 * quote after it its meaning. There are no empty words.
 * @param option whose value this is, for the error
 * @throws InvalidInputError where a quote is not closed or nothing is left
 */
export function shellWords(text: string, option: string): string[] {
  const words: string[] = []
  let word = ''
  let openQuote: string | undefined
  let previous = ''
  for (const character of text) {
    const isQuote = previous !== '\\' && (character === '"' || character === "'")
    const closes = isQuote && character === openQuote
    const opens = isQuote && openQuote === undefined
    const parts = openQuote === undefined && (character === '\\' || BLANK.test(character))
    if (closes || opens || parts) {
      if (word !== '') words.push(word)
      word = ''
      if (closes) openQuote = undefined
      if (opens) openQuote = character
    } else {
      word += character
    }
    previous = character
  }
  if (word !== '') words.push(word)
  if (openQuote !== undefined)
    throw new InvalidInputError(`option ${option}: there is a ${openQuote} without its second one`)
  if (words.length === 0) throw new InvalidInputError(`option ${option}: it is empty`)
  return words
}
