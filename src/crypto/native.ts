/**
 * Primitives from node:crypto, or straight from its OpenSSL where there is much to do (openssl.ts); Poly1305, which Node
 * does not offer, from our own kernel where OpenSSL cannot be reached.
 */
import * as crypto from 'node:crypto'
import { aes128Block, aes256CtrShort, MAX_SHORT_BYTES } from './native-blocks.ts'
import { openSslFor } from './openssl.ts'
import { fastPoly1305 } from './poly1305-kernel.ts'
import { paysOnThreads, scryptOnThreads } from './scrypt-lanes.ts'
import type { CryptoProvider, ScryptParams, Sha256 } from './provider.ts'

/** scrypt's own accounting is a little above 128·N·r. */
const SCRYPT_MEMORY_SLACK = 1 << 20
/** Below, the way to OpenSSL takes longer than our kernel. */
const MIN_DIRECT_MAC_BYTES = 1536
/** Output buffers of this size are reused by the allocator and stay in the processor's cache; larger ones do not. */
const CIPHER_STEP_BYTES = 32_768

class NativeSha256 implements Sha256 {
  readonly #hash = crypto.createHash('sha256')

  update(data: Uint8Array): this {
    this.#hash.update(data)
    return this
  }

  digest(): Uint8Array {
    return this.#hash.digest()
  }
}

export const nativeCrypto: CryptoProvider = {
  name: 'native',

  sha256(data: Uint8Array): Uint8Array {
    return crypto.hash('sha256', data, 'buffer')
  },

  sha256Hex(data: Uint8Array): string {
    return crypto.hash('sha256', data, 'hex')
  },

  createSha256(): Sha256 {
    return new NativeSha256()
  },

  randomBytes(length: number): Uint8Array {
    return crypto.randomBytes(length)
  },

  async scrypt(
    password: Uint8Array,
    salt: Uint8Array,
    params: ScryptParams,
    length: number,
  ): Promise<Uint8Array> {
    if (paysOnThreads(params)) {
      try {
        return await scryptOnThreads(password, salt, params, length)
      } catch {
        // No memory, no SIMD, no threads allowed: it can be done without.
      }
    }
    const { N, r, p } = params
    const maxmem = 128 * N * r + 128 * r * p + SCRYPT_MEMORY_SLACK
    return new Promise((resolve, reject) => {
      crypto.scrypt(password, salt, length, { N, r, p, maxmem }, (error, key) => {
        if (error === null) resolve(key)
        else reject(error)
      })
    })
  },

  aes256Ctr(key: Uint8Array, iv: Uint8Array, source: Uint8Array, destination: Uint8Array): void {
    const direct = openSslFor(source.length)
    if (direct !== undefined) {
      direct.aes256Ctr(key, iv, source, destination)
      return
    }
    if (source.length <= MAX_SHORT_BYTES) {
      aes256CtrShort(key, iv, source, destination)
      return
    }
    const cipher = crypto.createCipheriv('aes-256-ctr', key, iv)
    for (let i = 0; i < source.length; i += CIPHER_STEP_BYTES) {
      destination.set(cipher.update(source.subarray(i, i + CIPHER_STEP_BYTES)), i)
    }
  },

  aes128Block(key: Uint8Array, block: Uint8Array): Uint8Array {
    return openSslFor(block.length)?.aes128Block(key, block) ?? aes128Block(key, block)
  },

  poly1305(oneTimeKey: Uint8Array, message: Uint8Array): Uint8Array {
    const direct = openSslFor(message.length)
    const isShort = message.length < MIN_DIRECT_MAC_BYTES
    return direct === undefined || isShort
      ? fastPoly1305(oneTimeKey, message)
      : direct.poly1305(oneTimeKey, message)
  },
}
