/** The same primitives for any JavaScript runtime, on audited libraries. The native provider is tested against it. */
import { poly1305 } from '@noble/ciphers/_poly1305.js'
import { ctr, ecb } from '@noble/ciphers/aes.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import scryptJs from 'scrypt-js'
import type { CryptoProvider, ScryptParams, Sha256 } from './provider.ts'

/** What one call of getRandomValues may ask for. */
const RANDOM_STEP = 65_536

class PortableSha256 implements Sha256 {
  readonly #hash = sha256.create()

  update(data: Uint8Array): this {
    this.#hash.update(data)
    return this
  }

  digest(): Uint8Array {
    return this.#hash.digest()
  }
}

export const portableCrypto: CryptoProvider = {
  name: 'portable',

  sha256(data: Uint8Array): Uint8Array {
    return sha256(data)
  },

  sha256Hex(data: Uint8Array): string {
    return bytesToHex(sha256(data))
  },

  createSha256(): Sha256 {
    return new PortableSha256()
  },

  randomBytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let i = 0; i < length; i += RANDOM_STEP)
      globalThis.crypto.getRandomValues(bytes.subarray(i, i + RANDOM_STEP))
    return bytes
  },

  scrypt(password: Uint8Array, salt: Uint8Array, params: ScryptParams, length: number): Promise<Uint8Array> {
    return scryptJs.scrypt(password, salt, params.N, params.r, params.p, length)
  },

  aes256Ctr(key: Uint8Array, iv: Uint8Array, source: Uint8Array, destination: Uint8Array): void {
    destination.set(ctr(key, iv).encrypt(source))
  },

  aes128Block(key: Uint8Array, block: Uint8Array): Uint8Array {
    return ecb(key, { disablePadding: true }).encrypt(block)
  },

  poly1305(oneTimeKey: Uint8Array, message: Uint8Array): Uint8Array {
    return poly1305(message, oneTimeKey)
  },
}
