/** Hexadecimal digits, by table. Either case is read, as restic does; lower case is written. */

const DIGITS = '0123456789abcdef'

/** Value of a hexadecimal digit by its character code; -1 for all other bytes. */
export const HEX_VALUES: Int8Array = makeValues()

function makeValues(): Int8Array {
  const values = new Int8Array(256).fill(-1)
  for (let value = 0; value < 16; value++) {
    const digit = DIGITS.charAt(value)
    values[digit.charCodeAt(0)] = value
    values[digit.toUpperCase().charCodeAt(0)] = value
  }
  return values
}

/** Reads 64 hexadecimal digits at `start` into the 32 bytes of `target`; false where one is something else. */
export function readHexId(digits: Uint8Array, start: number, target: Uint8Array): boolean {
  let seen = 0
  for (let i = 0; i < 32; i++) {
    const high = HEX_VALUES[digits[start + 2 * i] ?? 0] ?? -1
    const low = HEX_VALUES[digits[start + 2 * i + 1] ?? 0] ?? -1
    seen |= high | low
    target[i] = (high << 4) | low
  }
  return seen >= 0
}
