import { expect, it } from 'vitest'
import { rabinTables } from '../../src/chunker/rabin-tables.ts'

const at = (low: Int32Array, high: Int32Array, i: number): string =>
  BigInt.asUintN(64, (BigInt(high[i]!) << 32n) | BigInt(low[i]! >>> 0)).toString(16)

it('holds the values restic computes', () => {
  const { outLow, outHigh, modLow, modHigh } = rabinTables(0x3da3358b4dc173n)
  expect([0, 1, 255].map((i) => at(outLow, outHigh, i))).toEqual(['0', '17eb4232e19216', 'b80b98cecc39a'])
  expect([0, 1, 255].map((i) => at(modLow, modHigh, i))).toEqual(['0', '3da3358b4dc173', '1ff7ac8a5af476a7'])
})

it('computes each polynomial once', () => {
  expect(rabinTables(0x200f31ee63c863n)).toBe(rabinTables(0x200f31ee63c863n))
  expect(rabinTables(0x200f31ee63c863n)).not.toBe(rabinTables(0x3da3358b4dc173n))
})

it('refuses another degree', () => {
  expect(() => rabinTables(0x1da3358b4dc173n)).toThrow(RangeError)
  expect(() => rabinTables(0x7da3358b4dc173n)).toThrow(RangeError)
})
