import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../../src/errors.ts'
import { idFromBytes, idFromDigits, idToBytes, isId, parseId, shortId } from '../../../src/repo/format/id.ts'
import { propertyRuns } from '../../support/real-restic.ts'

const DIGITS = '00ff10a9bc'.padEnd(64, '5')

describe('IDs', () => {
  it('go from bytes to digits and back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        const id = idFromBytes(bytes)
        expect(id).toBe(Buffer.from(bytes).toString('hex'))
        expect(idToBytes(id)).toEqual(bytes)
      }),
      propertyRuns(),
    )
  })

  it('are read at an offset, and not past the end', () => {
    const bytes = Uint8Array.from({ length: 40 }, (_, i) => i)
    expect(idFromBytes(bytes, 8)).toBe(Buffer.from(bytes.subarray(8)).toString('hex'))
    expect(() => idFromBytes(bytes, 9)).toThrow(InvalidInputError)
    expect(() => idFromBytes(bytes, -1)).toThrow(InvalidInputError)
    expect(() => idFromBytes(bytes, Number.NaN)).toThrow(InvalidInputError)
  })

  it('are parsed in either case and become lower case', () => {
    expect(parseId(DIGITS.toUpperCase())).toBe(DIGITS)
    expect(isId(DIGITS)).toBe(true)
    expect(isId(DIGITS.toUpperCase())).toBe(false)
    expect(shortId(parseId(DIGITS))).toBe('00ff10a9')
  })

  it.each(['', 'abc', `${DIGITS}0`, `${DIGITS.slice(1)}g`, `${DIGITS}\n`])('refuse %j', (text) => {
    expect(() => parseId(text)).toThrow(InvalidInputError)
    expect(() => parseId(text, 'snapshot ID')).toThrow(/^snapshot ID /)
  })

  it('are read from digits among other bytes', () => {
    const bytes = new TextEncoder().encode(`"${DIGITS.toUpperCase()}"`)
    expect(idFromDigits(bytes, 1)).toBe(DIGITS)
    expect(idFromDigits(bytes, 0)).toBeUndefined()
    expect(idFromDigits(bytes, 2)).toBeUndefined()
    expect(idFromDigits(bytes, 60)).toBeUndefined()
  })
})
