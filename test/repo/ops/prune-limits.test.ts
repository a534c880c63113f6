import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../../src/errors.ts'
import {
  maxUnusedBytes,
  parseByteSize,
  parseMaxUnused,
  type MaxUnused,
} from '../../../src/repo/ops/prune-limits.ts'

describe('parseMaxUnused', () => {
  it.each<[string, MaxUnused]>([
    ['5%', { percent: 5 }],
    [' 0.5% ', { percent: 0.5 }],
    ['0%', { percent: 0 }],
    ['99.99%', { percent: 99.99 }],
    ['unlimited', 'unlimited'],
    ['0', { bytes: 0 }],
    ['200M', { bytes: 200 * 2 ** 20 }],
  ])('reads %j', (text, limit) => {
    expect(parseMaxUnused(text)).toEqual(limit)
  })

  it.each(['', ' ', '%', 'x%', '100%', '-1%', '-1', '1.5G', 'Unlimited', '5 %x'])('refuses %j', (text) => {
    expect(() => parseMaxUnused(text)).toThrow(InvalidInputError)
  })
})

describe('maxUnusedBytes', () => {
  it('is a share of all that is left', () => {
    expect(maxUnusedBytes({ percent: 5 }, 950)).toBe(50)
    expect(maxUnusedBytes({ percent: 50 }, 1000)).toBe(1000)
    expect(maxUnusedBytes({ percent: 0 }, 1000)).toBe(0)
    expect(maxUnusedBytes({ bytes: 7 }, 1000)).toBe(7)
    expect(maxUnusedBytes('unlimited', 1000)).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('parseByteSize', () => {
  it.each([
    ['0', 0],
    ['+5b', 5],
    ['1B', 1],
    ['2k', 2048],
    ['3K', 3072],
    ['1m', 2 ** 20],
    ['1G', 2 ** 30],
    ['8t', 2 ** 43],
    ['-0', 0],
  ])('reads %j', (text, bytes) => {
    expect(parseByteSize(text)).toBe(bytes)
  })

  it.each(['', 'k', '1kk', '1.5k', '1 k', '0x10', '-1', '99999999999t', 'ten'])('refuses %j', (text) => {
    expect(() => parseByteSize(text)).toThrow(InvalidInputError)
  })
})
