/**
 * AES of a few blocks without a new cipher object for each message: making one costs 2 µs, and 20 µs from Node 22 on,
 * more than encrypting a small blob. Block by block (ECB) a cipher keeps no state between calls, so the last key's
 * object is kept.
 */
import { createCipheriv } from 'node:crypto'

const BLOCK_BYTES = 16

/** Beyond this, a cipher object of its own is faster: from 4 KiB on with Node 20, from 32 KiB on with Node 24. */
export const MAX_SHORT_BYTES = 8192

class BlockCipher {
  readonly #algorithm: string
  #key = new Uint8Array(0)
  #cipher: ReturnType<typeof createCipheriv> | undefined

  constructor(algorithm: string) {
    this.#algorithm = algorithm
  }

  encrypt(key: Uint8Array, blocks: Uint8Array): Uint8Array {
    // Part of a block would stay in the cipher and spoil the next message.
    if (blocks.length % BLOCK_BYTES !== 0) throw new RangeError(`${blocks.length} bytes are not whole blocks`)
    if (this.#cipher === undefined || !isSame(key, this.#key)) {
      this.#cipher = createCipheriv(this.#algorithm, key, null).setAutoPadding(false)
      this.#key = Uint8Array.from(key)
    }
    return this.#cipher.update(blocks)
  }
}

const aes128 = new BlockCipher('aes-128-ecb')
const aes256 = new BlockCipher('aes-256-ecb')

/** One block: 16 bytes in, 16 bytes out. */
export function aes128Block(key: Uint8Array, block: Uint8Array): Uint8Array {
  return aes128.encrypt(key, block)
}

const counterBytes = new Uint8Array(MAX_SHORT_BYTES)
const counters = new DataView(counterBytes.buffer)
const textBytes = new Uint8Array(MAX_SHORT_BYTES)
const text = new Int32Array(textBytes.buffer)

/** AES-256-CTR of at most `MAX_SHORT_BYTES`: the counter blocks are encrypted and XORed to the text. */
export function aes256CtrShort(
  key: Uint8Array,
  iv: Uint8Array,
  source: Uint8Array,
  destination: Uint8Array,
): void {
  const { length } = source
  const end = Math.ceil(length / BLOCK_BYTES) * BLOCK_BYTES
  fillCounters(iv, end)
  const stream = words(aes256.encrypt(key, counterBytes.subarray(0, end)))
  textBytes.set(source)
  for (let i = 0; i < stream.length; i++) text[i] = text[i]! ^ stream[i]!
  destination.set(textBytes.subarray(0, length))
}

function words(bytes: Uint8Array): Int32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : Uint8Array.from(bytes)
  return new Int32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4)
}

/** The IV, and what comes after it when counted up as one big-endian number of 128 bits. */
function fillCounters(iv: Uint8Array, end: number): void {
  const start = new DataView(iv.buffer, iv.byteOffset, BLOCK_BYTES)
  let a = start.getInt32(0)
  let b = start.getInt32(4)
  let c = start.getInt32(8)
  let d = start.getInt32(12)
  for (let i = 0; i < end; i += BLOCK_BYTES) {
    counters.setInt32(i, a)
    counters.setInt32(i + 4, b)
    counters.setInt32(i + 8, c)
    counters.setInt32(i + 12, d)
    d = (d + 1) | 0
    if (d !== 0) continue
    c = (c + 1) | 0
    if (c !== 0) continue
    b = (b + 1) | 0
    if (b === 0) a = (a + 1) | 0
  }
}

/** By itself: calling anything costs more than 32 bytes take to compare. */
export function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
