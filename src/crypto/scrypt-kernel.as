/**
 * ROMix of scrypt (RFC 7914 §5) for two blocks beside each other, in AssemblyScript with SIMD: Salsa20/8 is one long
 * chain of dependent steps, so the second chain costs little where the first one waits.
 *
 * Words lie in the order of Salsa20's diagonals while they are worked on: each of the four vectors of 64 bytes is one.
 * Layout: two blocks of 128·r bytes at `BLOCKS` (given and taken there), two of scratch, then the two tables.
 */

export const BLOCKS: usize = 1024

const SALSA: usize = 64

/** Mixes the two blocks at `BLOCKS`. The memory must have room for 2·(N + 2)·128·r bytes after `BLOCKS`. */
export function mixTwo(n: u32, r: u32): void {
  const size = <usize>r * 128
  const a = BLOCKS
  const b = a + size
  const scratchA = b + size
  const scratchB = scratchA + size
  const tableA = scratchB + size
  const tableB = tableA + <usize>n * size
  toDiagonals(a, size, tableA)
  toDiagonals(b, size, tableA)
  for (let i: u32 = 0; i < n; i += 2) {
    const at = <usize>i * size
    memory.copy(tableA + at, a, size)
    memory.copy(tableB + at, b, size)
    blockMix(a, b, 0, 0, tableA + at + size, tableB + at + size, r)
    blockMix(tableA + at + size, tableB + at + size, 0, 0, a, b, r)
  }
  const mask = n - 1
  const last = size - SALSA
  for (let i: u32 = 0; i < n; i += 2) {
    let j = <usize>(load<u32>(a + last) & mask) * size
    let k = <usize>(load<u32>(b + last) & mask) * size
    blockMix(a, b, tableA + j, tableB + k, scratchA, scratchB, r)
    j = <usize>(load<u32>(scratchA + last) & mask) * size
    k = <usize>(load<u32>(scratchB + last) & mask) * size
    blockMix(scratchA, scratchB, tableA + j, tableB + k, a, b, r)
  }
  fromDiagonals(a, size, tableA)
  fromDiagonals(b, size, tableA)
}

/** BlockMix of two blocks, each XORed with one of a table first unless that is 0; outputs must lie elsewhere. */
function blockMix(
  inA: usize,
  inB: usize,
  tableA: usize,
  tableB: usize,
  outA: usize,
  outB: usize,
  r: u32,
): void {
  const half = <usize>r * SALSA
  const last = 2 * half - SALSA
  const isMixed = tableA != 0
  let a0 = v128.load(inA + last), a1 = v128.load(inA + last, 16), a2 = v128.load(inA + last, 32), a3 = v128.load(inA + last, 48)
  let b0 = v128.load(inB + last), b1 = v128.load(inB + last, 16), b2 = v128.load(inB + last, 32), b3 = v128.load(inB + last, 48)
  if (isMixed) {
    a0 = v128.xor(a0, v128.load(tableA + last)); a1 = v128.xor(a1, v128.load(tableA + last, 16))
    a2 = v128.xor(a2, v128.load(tableA + last, 32)); a3 = v128.xor(a3, v128.load(tableA + last, 48))
    b0 = v128.xor(b0, v128.load(tableB + last)); b1 = v128.xor(b1, v128.load(tableB + last, 16))
    b2 = v128.xor(b2, v128.load(tableB + last, 32)); b3 = v128.xor(b3, v128.load(tableB + last, 48))
  }
  for (let p: usize = 0; p < 2 * half; p += SALSA) {
    a0 = v128.xor(a0, v128.load(inA + p)); a1 = v128.xor(a1, v128.load(inA + p, 16))
    a2 = v128.xor(a2, v128.load(inA + p, 32)); a3 = v128.xor(a3, v128.load(inA + p, 48))
    b0 = v128.xor(b0, v128.load(inB + p)); b1 = v128.xor(b1, v128.load(inB + p, 16))
    b2 = v128.xor(b2, v128.load(inB + p, 32)); b3 = v128.xor(b3, v128.load(inB + p, 48))
    if (isMixed) {
      a0 = v128.xor(a0, v128.load(tableA + p)); a1 = v128.xor(a1, v128.load(tableA + p, 16))
      a2 = v128.xor(a2, v128.load(tableA + p, 32)); a3 = v128.xor(a3, v128.load(tableA + p, 48))
      b0 = v128.xor(b0, v128.load(tableB + p)); b1 = v128.xor(b1, v128.load(tableB + p, 16))
      b2 = v128.xor(b2, v128.load(tableB + p, 32)); b3 = v128.xor(b3, v128.load(tableB + p, 48))
    }
    const c0 = a0, c1 = a1, c2 = a2, c3 = a3
    const d0 = b0, d1 = b1, d2 = b2, d3 = b3
    for (let round = 0; round < 4; round++) {
      a1 = v128.xor(a1, rotate(i32x4.add(a0, a3), 7)); b1 = v128.xor(b1, rotate(i32x4.add(b0, b3), 7))
      a2 = v128.xor(a2, rotate(i32x4.add(a1, a0), 9)); b2 = v128.xor(b2, rotate(i32x4.add(b1, b0), 9))
      a3 = v128.xor(a3, rotate(i32x4.add(a2, a1), 13)); b3 = v128.xor(b3, rotate(i32x4.add(b2, b1), 13))
      a0 = v128.xor(a0, rotate(i32x4.add(a3, a2), 18)); b0 = v128.xor(b0, rotate(i32x4.add(b3, b2), 18))
      a1 = turnRight(a1); a2 = turnHalf(a2); a3 = turnLeft(a3)
      b1 = turnRight(b1); b2 = turnHalf(b2); b3 = turnLeft(b3)
      a3 = v128.xor(a3, rotate(i32x4.add(a0, a1), 7)); b3 = v128.xor(b3, rotate(i32x4.add(b0, b1), 7))
      a2 = v128.xor(a2, rotate(i32x4.add(a3, a0), 9)); b2 = v128.xor(b2, rotate(i32x4.add(b3, b0), 9))
      a1 = v128.xor(a1, rotate(i32x4.add(a2, a3), 13)); b1 = v128.xor(b1, rotate(i32x4.add(b2, b3), 13))
      a0 = v128.xor(a0, rotate(i32x4.add(a1, a2), 18)); b0 = v128.xor(b0, rotate(i32x4.add(b1, b2), 18))
      a1 = turnLeft(a1); a2 = turnHalf(a2); a3 = turnRight(a3)
      b1 = turnLeft(b1); b2 = turnHalf(b2); b3 = turnRight(b3)
    }
    a0 = i32x4.add(a0, c0); a1 = i32x4.add(a1, c1); a2 = i32x4.add(a2, c2); a3 = i32x4.add(a3, c3)
    b0 = i32x4.add(b0, d0); b1 = i32x4.add(b1, d1); b2 = i32x4.add(b2, d2); b3 = i32x4.add(b3, d3)
    // Even ones to the first half, odd ones to the second.
    const to = (p >> 7) * SALSA + (p & SALSA ? half : 0)
    v128.store(outA + to, a0); v128.store(outA + to, a1, 16); v128.store(outA + to, a2, 32); v128.store(outA + to, a3, 48)
    v128.store(outB + to, b0); v128.store(outB + to, b1, 16); v128.store(outB + to, b2, 32); v128.store(outB + to, b3, 48)
  }
}

// @ts-ignore: decorator
@inline
function rotate(x: v128, by: i32): v128 {
  return v128.or(i32x4.shl(x, by), i32x4.shr_u(x, 32 - by))
}

// @ts-ignore: decorator
@inline
function turnRight(x: v128): v128 {
  return v128.shuffle<i32>(x, x, 3, 0, 1, 2)
}

// @ts-ignore: decorator
@inline
function turnHalf(x: v128): v128 {
  return v128.shuffle<i32>(x, x, 2, 3, 0, 1)
}

// @ts-ignore: decorator
@inline
function turnLeft(x: v128): v128 {
  return v128.shuffle<i32>(x, x, 1, 2, 3, 0)
}

/** Puts word 5·i modulo 16 of each 64 bytes in place of word i. */
function toDiagonals(block: usize, size: usize, scratch: usize): void {
  memory.copy(scratch, block, size)
  for (let p: usize = 0; p < size; p += SALSA)
    for (let i: usize = 0; i < 16; i++)
      store<u32>(block + p + 4 * i, load<u32>(scratch + p + 4 * ((5 * i) & 15)))
}

function fromDiagonals(block: usize, size: usize, scratch: usize): void {
  memory.copy(scratch, block, size)
  for (let p: usize = 0; p < size; p += SALSA)
    for (let i: usize = 0; i < 16; i++)
      store<u32>(block + p + 4 * ((5 * i) & 15), load<u32>(scratch + p + 4 * i))
}
