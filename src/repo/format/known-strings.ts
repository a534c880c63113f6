/** Recognises the strings a format defines (member names, type names) in JSON bytes without making strings of them. */
import type { JsonScanner } from './json-scanner.ts'

/** A list of strings, in the order they normally come. */
export class KnownStrings {
  readonly #strings: readonly string[]
  readonly #spelled: readonly Uint8Array[]

  constructor(strings: readonly string[]) {
    const encoder = new TextEncoder()
    this.#strings = strings
    this.#spelled = strings.map((string) => encoder.encode(string))
  }

  /**
   * The number of the string the scanner has just passed, or -1. `expected` is tried first: with the number after the
   * last one found, objects written in the normal order cost one comparison a member.
   */
  find(scanner: JsonScanner, expected: number): number {
    if (scanner.hasEscapes) return this.#strings.indexOf(scanner.scannedString())
    const count = this.#spelled.length
    for (let i = 0; i < count; i++) {
      const candidate = expected + i < count ? expected + i : expected + i - count
      if (this.#isSpelled(scanner, candidate)) return candidate
    }
    return -1
  }

  #isSpelled(scanner: JsonScanner, candidate: number): boolean {
    const string = this.#spelled[candidate]
    const start = scanner.stringStart
    if (string === undefined || string.length !== scanner.stringEnd - start) return false
    for (let i = 0; i < string.length; i++) {
      if (scanner.bytes[start + i] !== string[i]) return false
    }
    return true
  }
}
