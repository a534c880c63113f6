/**
 * The primitives the repository format is made of (format spec §2–3). Two providers implement them: `native`
 * (node:crypto) and `portable` (@noble, scrypt-js; any JavaScript runtime), and tests hold the one to the other.
 */

/** scrypt's cost parameters as a key file stores them. */
export interface ScryptParams {
  readonly N: number
  readonly r: number
  readonly p: number
}

/** An incremental SHA-256. */
export interface Sha256 {
  update(data: Uint8Array): this
  /** 32 bytes; the object is spent afterwards. */
  digest(): Uint8Array
}

/** No method keeps or changes what it is given, except `destination`. */
export interface CryptoProvider {
  readonly name: 'native' | 'portable'
  /** 32 bytes. */
  sha256(data: Uint8Array): Uint8Array
  /** 64 lower-case hexadecimal digits: what IDs are, without an array for each. */
  sha256Hex(data: Uint8Array): string
  createSha256(): Sha256
  randomBytes(length: number): Uint8Array
  /** Derives `length` bytes. Parameters must have been checked by the caller (`checkScryptParams`). */
  scrypt(password: Uint8Array, salt: Uint8Array, params: ScryptParams, length: number): Promise<Uint8Array>
  /**
   * AES-256-CTR with the 16-byte `iv` as the initial big-endian counter block, from `source` into `destination` (same
   * length; may be the very same memory).
   */
  aes256Ctr(key: Uint8Array, iv: Uint8Array, source: Uint8Array, destination: Uint8Array): void
  /** One AES-128 block: 16 bytes in, 16 bytes out, which are valid until the next call. */
  aes128Block(key: Uint8Array, block: Uint8Array): Uint8Array
  /**
   * Poly1305 (RFC 8439 §2.5) under the 32-byte one-time key r || s, r clamped here: the 16-byte tag, valid until the next
   * call.
   */
  poly1305(oneTimeKey: Uint8Array, message: Uint8Array): Uint8Array
}
