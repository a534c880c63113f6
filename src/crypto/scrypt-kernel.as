/**
 * ROMix of scrypt (RFC 7914 §5) in AssemblyScript with SIMD, for one lane or for two beside each other: Salsa20/8 is one
 * long chain of dependent steps, so a second chain costs little where the first one waits.
 *
 * A table may keep every second, fourth … entry only. Those between are mixed again from the one before when they are
 * asked for, by each lane at its own pace: while one mixes its block, the other may be mixing an entry.
 *
 * Words lie in the order of Salsa20's diagonals while they are worked on: each of the four vectors of 64 bytes is one.
 * Layout, in blocks of 128·r bytes from `BLOCKS` on: those of two lanes (given and taken there), one of zeros, one that
 * nobody reads, three of scratch for each lane; then the tables.
 */

export const BLOCKS: usize = 1024
/** How many blocks lie before the tables. */
export const BLOCKS_BEFORE_TABLES: u32 = 10

const SALSA: usize = 64
const ZEROS: usize = 2
const NOWHERE: usize = 3
const SCRATCH: usize = 4

/** Where a lane is in the second half of ROMix. */
@unmanaged
class Lane {
  table: usize
  /** The block, and where it is mixed to; they change places with every mix. */
  block: usize
  mixed: usize
  /** How often the block is still to be mixed. */
  left: u32
  /** What the block is mixed with next, when `missing` is 0; until then the last one before that is known. */
  entry: usize
  /** How many entries further on the one wanted is. */
  missing: u32
  /** Where entries are mixed, in turn. */
  next: usize
  spare: usize
  /** Keeps what fetches an entry from being left out as useless. */
  fetched: u32
}

/**
 * Mixes the blocks at `BLOCKS` of so many lanes, 1 or 2, with tables of every `1 << thinning`th entry. N is 2 or more and
 * no less than that. The memory must have room for `BLOCKS_BEFORE_TABLES` and a table of N >> thinning blocks a lane.
 */
export function mix(lanes: u32, n: u32, r: u32, thinning: u32): void {
  const size = <usize>r * 128
  const a = laneAt(0, size, n >> thinning)
  const b = lanes == 2 ? laneAt(1, size, n >> thinning) : a
  memory.fill(BLOCKS + ZEROS * size, 0, size)
  toDiagonals(a.block, size, a.mixed)
  if (a != b) toDiagonals(b.block, size, b.mixed)
  fillTables(a, b, n, r, thinning)
  begin(a, n, size, thinning)
  if (a != b) begin(b, n, size, thinning)
  while (a.left > 0 || b.left > 0) {
    if (a == b) mixBlock(sourceOf(a), partnerOf(a, size), targetOf(a, size), r)
    else mixBlocks(sourceOf(a), sourceOf(b), partnerOf(a, size), partnerOf(b, size), targetOf(a, size), targetOf(b, size), r)
    goOn(a, n, size, thinning)
    if (a != b) goOn(b, n, size, thinning)
  }
  fromDiagonals(a.block, size, a.mixed)
  if (a != b) fromDiagonals(b.block, size, b.mixed)
}

function laneAt(number: usize, size: usize, entries: usize): Lane {
  const lane = changetype<Lane>(number * offsetof<Lane>())
  const scratch = BLOCKS + (SCRATCH + 3 * number) * size
  lane.block = BLOCKS + number * size
  lane.mixed = scratch
  lane.next = scratch + size
  lane.spare = scratch + 2 * size
  lane.table = BLOCKS + (BLOCKS_BEFORE_TABLES + number * entries) * size
  return lane
}

/** The first half of ROMix. N is even: blocks end where they began. */
function fillTables(a: Lane, b: Lane, n: u32, r: u32, thinning: u32): void {
  const size = <usize>r * 128
  for (let i: u32 = 0; i < n; i++) {
    if ((i & ((1 << thinning) - 1)) == 0) {
      const at = <usize>(i >> thinning) * size
      memory.copy(a.table + at, a.block, size)
      if (a != b) memory.copy(b.table + at, b.block, size)
    }
    if (a == b) mixBlock(a.block, 0, a.mixed, r)
    else mixBlocks(a.block, b.block, 0, 0, a.mixed, b.mixed, r)
    turn(a)
    if (a != b) turn(b)
  }
}

function turn(lane: Lane): void {
  const block = lane.block
  lane.block = lane.mixed
  lane.mixed = block
}

function begin(lane: Lane, n: u32, size: usize, thinning: u32): void {
  lane.left = n
  choose(lane, n, size, thinning)
}

/** Lets the block say which entry it is mixed with next. */
function choose(lane: Lane, n: u32, size: usize, thinning: u32): void {
  const wanted = load<u32>(lane.block + size - SALSA) & (n - 1)
  lane.entry = lane.table + <usize>(wanted >> thinning) * size
  lane.missing = wanted & ((1 << thinning) - 1)
  // Its lines come from far away: asked for at once, they come at once, and not each when it is wanted.
  let any: u32 = 0
  for (let p: usize = 0; p < size; p += SALSA) any |= load<u32>(lane.entry + p)
  lane.fetched = any
}

// What a lane mixes next: an entry that is missing, its block with an entry, or, when it is done, nothing of interest.

function sourceOf(lane: Lane): usize {
  return lane.missing > 0 ? lane.entry : lane.block
}

function partnerOf(lane: Lane, size: usize): usize {
  return lane.missing > 0 ? BLOCKS + ZEROS * size : lane.entry
}

function targetOf(lane: Lane, size: usize): usize {
  if (lane.missing > 0) return lane.next
  return lane.left > 0 ? lane.mixed : BLOCKS + NOWHERE * size
}

/** After a mix. */
function goOn(lane: Lane, n: u32, size: usize, thinning: u32): void {
  if (lane.missing > 0) {
    lane.entry = lane.next
    lane.next = lane.spare
    lane.spare = lane.entry
    lane.missing -= 1
  } else if (lane.left > 0) {
    turn(lane)
    lane.left -= 1
    if (lane.left > 0) choose(lane, n, size, thinning)
  }
}

/** BlockMix of two blocks, each XORed with its partner first unless that is 0; outputs must lie elsewhere. */
function mixBlocks(
  inA: usize,
  inB: usize,
  partnerA: usize,
  partnerB: usize,
  outA: usize,
  outB: usize,
  r: u32,
): void {
  const half = <usize>r * SALSA
  const last = 2 * half - SALSA
  const isMixed = partnerA != 0
  let a0 = v128.load(inA + last), a1 = v128.load(inA + last, 16), a2 = v128.load(inA + last, 32), a3 = v128.load(inA + last, 48)
  let b0 = v128.load(inB + last), b1 = v128.load(inB + last, 16), b2 = v128.load(inB + last, 32), b3 = v128.load(inB + last, 48)
  if (isMixed) {
    a0 = v128.xor(a0, v128.load(partnerA + last)); a1 = v128.xor(a1, v128.load(partnerA + last, 16))
    a2 = v128.xor(a2, v128.load(partnerA + last, 32)); a3 = v128.xor(a3, v128.load(partnerA + last, 48))
    b0 = v128.xor(b0, v128.load(partnerB + last)); b1 = v128.xor(b1, v128.load(partnerB + last, 16))
    b2 = v128.xor(b2, v128.load(partnerB + last, 32)); b3 = v128.xor(b3, v128.load(partnerB + last, 48))
  }
  for (let p: usize = 0; p < 2 * half; p += SALSA) {
    a0 = v128.xor(a0, v128.load(inA + p)); a1 = v128.xor(a1, v128.load(inA + p, 16))
    a2 = v128.xor(a2, v128.load(inA + p, 32)); a3 = v128.xor(a3, v128.load(inA + p, 48))
    b0 = v128.xor(b0, v128.load(inB + p)); b1 = v128.xor(b1, v128.load(inB + p, 16))
    b2 = v128.xor(b2, v128.load(inB + p, 32)); b3 = v128.xor(b3, v128.load(inB + p, 48))
    if (isMixed) {
      a0 = v128.xor(a0, v128.load(partnerA + p)); a1 = v128.xor(a1, v128.load(partnerA + p, 16))
      a2 = v128.xor(a2, v128.load(partnerA + p, 32)); a3 = v128.xor(a3, v128.load(partnerA + p, 48))
      b0 = v128.xor(b0, v128.load(partnerB + p)); b1 = v128.xor(b1, v128.load(partnerB + p, 16))
      b2 = v128.xor(b2, v128.load(partnerB + p, 32)); b3 = v128.xor(b3, v128.load(partnerB + p, 48))
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

/** The same of one block. */
function mixBlock(source: usize, partner: usize, target: usize, r: u32): void {
  const half = <usize>r * SALSA
  const last = 2 * half - SALSA
  const isMixed = partner != 0
  let a0 = v128.load(source + last), a1 = v128.load(source + last, 16), a2 = v128.load(source + last, 32), a3 = v128.load(source + last, 48)
  if (isMixed) {
    a0 = v128.xor(a0, v128.load(partner + last)); a1 = v128.xor(a1, v128.load(partner + last, 16))
    a2 = v128.xor(a2, v128.load(partner + last, 32)); a3 = v128.xor(a3, v128.load(partner + last, 48))
  }
  for (let p: usize = 0; p < 2 * half; p += SALSA) {
    a0 = v128.xor(a0, v128.load(source + p)); a1 = v128.xor(a1, v128.load(source + p, 16))
    a2 = v128.xor(a2, v128.load(source + p, 32)); a3 = v128.xor(a3, v128.load(source + p, 48))
    if (isMixed) {
      a0 = v128.xor(a0, v128.load(partner + p)); a1 = v128.xor(a1, v128.load(partner + p, 16))
      a2 = v128.xor(a2, v128.load(partner + p, 32)); a3 = v128.xor(a3, v128.load(partner + p, 48))
    }
    const c0 = a0, c1 = a1, c2 = a2, c3 = a3
    for (let round = 0; round < 4; round++) {
      a1 = v128.xor(a1, rotate(i32x4.add(a0, a3), 7))
      a2 = v128.xor(a2, rotate(i32x4.add(a1, a0), 9))
      a3 = v128.xor(a3, rotate(i32x4.add(a2, a1), 13))
      a0 = v128.xor(a0, rotate(i32x4.add(a3, a2), 18))
      a1 = turnRight(a1); a2 = turnHalf(a2); a3 = turnLeft(a3)
      a3 = v128.xor(a3, rotate(i32x4.add(a0, a1), 7))
      a2 = v128.xor(a2, rotate(i32x4.add(a3, a0), 9))
      a1 = v128.xor(a1, rotate(i32x4.add(a2, a3), 13))
      a0 = v128.xor(a0, rotate(i32x4.add(a1, a2), 18))
      a1 = turnLeft(a1); a2 = turnHalf(a2); a3 = turnRight(a3)
    }
    a0 = i32x4.add(a0, c0); a1 = i32x4.add(a1, c1); a2 = i32x4.add(a2, c2); a3 = i32x4.add(a3, c3)
    // Even ones to the first half, odd ones to the second.
    const to = (p >> 7) * SALSA + (p & SALSA ? half : 0)
    v128.store(target + to, a0); v128.store(target + to, a1, 16); v128.store(target + to, a2, 32); v128.store(target + to, a3, 48)
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
