/** Splits `--password-command` into words as restic does, so that commands which work there work here; no shell. */
import { InvalidInputError } from '../index.ts'

const SPACE = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/

/**
 * Blanks, quotes and, outside of quotes, backslashes separate words; a quote after a backslash is an ordinary
 * character, and the backslash stays where it stands within quotes. There are no empty words.
 * @throws InvalidInputError where a quote is not closed or nothing is left
 */
export function splitCommand(text: string): string[] {
  const words: string[] = []
  let word = ''
  let quote = ''
  let isEscaped = false
  const end = (): void => {
    if (word !== '') words.push(word)
    word = ''
  }
  for (const character of text) {
    if (!isEscaped && character === quote) {
      quote = ''
      end()
    } else if (!isEscaped && quote === '' && (character === '"' || character === "'")) {
      quote = character
      end()
    } else {
      isEscaped = character === '\\'
      if (quote === '' && (isEscaped || SPACE.test(character))) end()
      else word += character
    }
  }
  end()
  if (quote === "'") throw new InvalidInputError('single-quoted string not terminated')
  if (quote === '"') throw new InvalidInputError('double-quoted string not terminated')
  if (words.length === 0) throw new InvalidInputError('command string is empty')
  return words
}
