/** Splits `--password-command` into words, without a shell: blanks separate, quotes and backslashes keep together. */
import { InvalidInputError } from '../index.ts'

/** @throws InvalidInputError where a quote is not closed or nothing is left */
export function splitCommand(text: string): string[] {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (let i = 0; i < text.length; i++) {
    const character = text.charAt(i)
    if (character === '\\' && quote !== "'") {
      i += 1
      word = (word ?? '') + text.charAt(i)
    } else if (quote !== '') {
      if (character === quote) quote = ''
      else word = (word ?? '') + character
    } else if (character === '"' || character === "'") {
      quote = character
      word ??= ''
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else {
      word = (word ?? '') + character
    }
  }
  if (quote === "'") throw new InvalidInputError('single-quoted string not terminated')
  if (quote === '"') throw new InvalidInputError('double-quoted string not terminated')
  if (word !== undefined) words.push(word)
  if (words.length === 0) throw new InvalidInputError('command string is empty')
  return words
}
