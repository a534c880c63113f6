import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../../src/errors.ts'
import {
  formatDuration,
  isNegativeDuration,
  isZeroDuration,
  parseDuration,
} from '../../../src/repo/ops/duration.ts'

const NONE = { years: 0, months: 0, days: 0, hours: 0 }

describe('parseDuration', () => {
  it.each([
    ['9h', { ...NONE, hours: 9 }],
    ['3d', { ...NONE, days: 3 }],
    ['7m31h', { ...NONE, months: 7, hours: 31 }],
    ['5y7m2d', { ...NONE, years: 5, months: 7, days: 2 }],
    [' 1y5m7d2h ', { years: 1, months: 5, days: 7, hours: 2 }],
    ['2h1d', { ...NONE, days: 1, hours: 2 }],
    ['1d2d', { ...NONE, days: 2 }],
    ['-3h', { ...NONE, hours: -3 }],
    ['-0h', NONE],
    ['', NONE],
    ['007d', { ...NONE, days: 7 }],
  ])('reads %j', (text, duration) => {
    expect(parseDuration(text)).toStrictEqual(duration)
  })

  it.each([
    ['h', 'no number found'],
    ['d1', 'no number found'],
    ['-', 'no number found'],
    ['1d 2h', 'no number found'],
    ['5', 'no unit found after number 5'],
    ['1h-3', 'no unit found after number -3'],
    ['2w', "invalid unit 'w' found after number 2"],
    ['3Y', "invalid unit 'Y' found after number 3"],
    ['1.5d', "invalid unit '.' found after number 1"],
    ['99999999999999999999d', 'is too large'],
  ])('refuses %j', (text, problem) => {
    expect(() => parseDuration(text)).toThrow(InvalidInputError)
    expect(() => parseDuration(text)).toThrow(problem)
  })

  it('reads back what formatDuration writes', () => {
    expect(formatDuration(parseDuration('2h7d5m1y'))).toBe('1y5m7d2h')
    expect(formatDuration(NONE)).toBe('')
    expect(formatDuration(parseDuration('-1d'))).toBe('-1d')
  })

  it('tells nothing and negative apart', () => {
    expect(isZeroDuration(NONE)).toBe(true)
    expect(isZeroDuration({ ...NONE, months: 1 })).toBe(false)
    expect(isNegativeDuration({ ...NONE, months: 1, hours: -1 })).toBe(true)
    expect(isNegativeDuration({ ...NONE, months: 1 })).toBe(false)
  })
})
