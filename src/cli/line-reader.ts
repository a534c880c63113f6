/** Lines of standard input, taken one by one; what follows them stays there for the next. */
import { InvalidInputError } from '../index.ts'

const NEWLINE = 10
const MAX_LINE_BYTES = 1 << 16

export class LineReader {
  readonly #input: AsyncIterable<Uint8Array>
  #iterator: AsyncIterator<Uint8Array> | undefined
  #rest: Buffer = Buffer.alloc(0)

  constructor(input: AsyncIterable<Uint8Array>) {
    this.#input = input
  }

  /** The next line without its end; empty where there is none. @throws InvalidInputError where it is too long */
  async readLine(): Promise<string> {
    this.#iterator ??= this.#input[Symbol.asyncIterator]()
    let end = this.#rest.indexOf(NEWLINE)
    while (end < 0) {
      const step = await this.#iterator.next()
      if (step.done === true) {
        end = this.#rest.length
        break
      }
      this.#rest = Buffer.concat([this.#rest, step.value])
      end = this.#rest.indexOf(NEWLINE)
      if (end < 0 && this.#rest.length > MAX_LINE_BYTES)
        throw new InvalidInputError('unable to read password: the first line of standard input is too long')
    }
    const line = this.#rest.toString('utf8', 0, end)
    this.#rest = this.#rest.subarray(end + 1)
    return line.endsWith('\r') ? line.slice(0, -1) : line
  }
}
