/** What may happen to a file's bytes, for property tests. */
import * as fc from 'fast-check'

/** One thing that happens to bytes. */
export type Damage = (bytes: number[]) => void

const position = fc.double({ min: 0, max: 0.999_999, noNaN: true })
const at = (bytes: number[], where: number): number => Math.floor(where * bytes.length)
const fragment = fc.constantFrom(
  '"',
  '\\',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  'null',
  '-',
  '.',
  'e',
  '0',
  '9'.repeat(30),
  '\\u',
  '\\ud800',
  '\n',
)
const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.tuple(position, fc.integer({ min: 1, max: 255 })).map(([where, bits]): Damage => (bytes) => {
    bytes[at(bytes, where)]! ^= bits
  }),
  position.map(
    (where): Damage =>
      (bytes) =>
        bytes.splice(at(bytes, where)),
  ),
  fc.tuple(position, fc.integer({ min: 1, max: 40 })).map(([where, count]): Damage => (bytes) => {
    bytes.splice(at(bytes, where), count)
  }),
  fc.tuple(position, fragment).map(([where, text]): Damage => (bytes) => {
    bytes.splice(at(bytes, where), 0, ...Buffer.from(text))
  }),
  fc
    .tuple(position, fc.uint8Array({ minLength: 1, maxLength: 4 }))
    .map(([where, more]): Damage => (bytes) => {
      bytes.splice(at(bytes, where), 0, ...more)
    }),
  fc
    .tuple(position, position, fc.integer({ min: 1, max: 60 }))
    .map(([from, to, count]): Damage => (bytes) => {
      bytes.splice(at(bytes, to), 0, ...bytes.slice(at(bytes, from), at(bytes, from) + count))
    }),
)
export const damages: fc.Arbitrary<Damage[]> = fc.array(damage, { minLength: 1, maxLength: 3 })
