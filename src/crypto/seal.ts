/**
 * Sealed buffers (format spec §2): IV (16 bytes) || AES-256-CTR ciphertext || Poly1305-AES MAC of the ciphertext (16).
 */
import { CorruptDataError } from '../errors.ts'
import type { CryptoProvider } from './provider.ts'

/** A repository's master key, or a key derived from a password: encryption key and the two parts of the MAC key. */
export interface SealKey {
  /** 32 bytes, AES-256. */
  readonly encrypt: Uint8Array
  /** 16 bytes, AES-128: encrypts the IV into the one-time part of the MAC key. */
  readonly k: Uint8Array
  /** 16 bytes, stored unclamped. */
  readonly r: Uint8Array
}

const IV_BYTES = 16
const MAC_BYTES = 16

/** Stored bytes beyond the plaintext. */
export const SEAL_OVERHEAD: number = IV_BYTES + MAC_BYTES

/**
 * A new buffer of `plaintext.length + 32` bytes; `plaintext` is not kept.
 * @param iv 16 bytes, for tests with fixed vectors; random by default
 */
export function seal(
  crypto: CryptoProvider,
  key: SealKey,
  plaintext: Uint8Array,
  iv?: Uint8Array,
): Uint8Array {
  const sealed = new Uint8Array(plaintext.length + SEAL_OVERHEAD)
  const ciphertext = sealed.subarray(IV_BYTES, IV_BYTES + plaintext.length)
  sealWith(crypto, key, iv ?? freshIv(crypto), { plaintext, ciphertext, sealed })
  return sealed
}

/**
 * Seals into `destination`. `plaintext` may lie where its ciphertext will: at `destination[16 …]`.
 * @throws RangeError where `destination` is not exactly `plaintext.length + 32` bytes long
 */
export function sealInto(
  crypto: CryptoProvider,
  key: SealKey,
  plaintext: Uint8Array,
  destination: Uint8Array,
): void {
  checkLength(destination, plaintext.length + SEAL_OVERHEAD)
  const ciphertext = destination.subarray(IV_BYTES, IV_BYTES + plaintext.length)
  sealWith(crypto, key, freshIv(crypto), { plaintext, ciphertext, sealed: destination })
}

/**
 * As `sealInto` where the plaintext is `memory[16 … 16 + length)`: nobody needs a view of it, or of what is sealed.
 * @throws RangeError where `memory` is shorter than `length + 32` bytes
 */
export function sealInPlace(crypto: CryptoProvider, key: SealKey, memory: Uint8Array, length: number): void {
  if (memory.length < length + SEAL_OVERHEAD)
    throw new RangeError(`${memory.length} bytes have no room for ${length + SEAL_OVERHEAD}`)
  const text = memory.subarray(IV_BYTES, IV_BYTES + length)
  sealWith(crypto, key, freshIv(crypto), { plaintext: text, ciphertext: text, sealed: memory })
}

function sealWith(
  crypto: CryptoProvider,
  key: SealKey,
  iv: Uint8Array,
  texts: { readonly plaintext: Uint8Array; readonly ciphertext: Uint8Array; readonly sealed: Uint8Array },
): void {
  const { plaintext, ciphertext, sealed } = texts
  if (isZero(iv)) throw new CorruptDataError('initialisation vector', 'it is all zero')
  crypto.aes256Ctr(key.encrypt, iv, plaintext, ciphertext)
  put(sealed, iv, 0)
  put(sealed, mac(crypto, key, iv, ciphertext), IV_BYTES + ciphertext.length)
}

/**
 * The plaintext, in a new buffer. Nothing is decrypted before the MAC is found right.
 * @throws CorruptDataError
 */
export function open(crypto: CryptoProvider, key: SealKey, sealed: Uint8Array): Uint8Array {
  const ciphertext = verify(crypto, key, sealed)
  const plaintext = new Uint8Array(ciphertext.length)
  crypto.aes256Ctr(key.encrypt, verifiedIv, ciphertext, plaintext)
  return plaintext
}

/**
 * Opens into `destination`, which may be where the ciphertext lies: `sealed[16 … −16]`. It is not touched where the MAC
 * is wrong.
 * @throws CorruptDataError
 * @throws RangeError where `destination` is not exactly `sealed.length − 32` bytes long
 */
export function openInto(
  crypto: CryptoProvider,
  key: SealKey,
  sealed: Uint8Array,
  destination: Uint8Array,
): void {
  const ciphertext = verify(crypto, key, sealed)
  checkLength(destination, ciphertext.length)
  crypto.aes256Ctr(key.encrypt, verifiedIv, ciphertext, destination)
}

/** A copy of what was verified last: a view each time costs more than 16 bytes take to copy. */
const verifiedIv = new Uint8Array(new ArrayBuffer(IV_BYTES))

/** The ciphertext, if its MAC is right; its IV is in `verifiedIv` then. */
function verify(crypto: CryptoProvider, key: SealKey, sealed: Uint8Array): Uint8Array {
  if (sealed.length < SEAL_OVERHEAD)
    throw new CorruptDataError('sealed data', `${sealed.length} bytes are too few`)
  for (let i = 0; i < IV_BYTES; i++) verifiedIv[i] = sealed[i]!
  const end = sealed.length - MAC_BYTES
  const ciphertext = sealed.subarray(IV_BYTES, end)
  if (isZero(verifiedIv) || !isAtInConstantTime(mac(crypto, key, verifiedIv, ciphertext), sealed, end)) {
    throw new CorruptDataError('sealed data', 'ciphertext verification failed')
  }
  return ciphertext
}

/** @throws CorruptDataError for keys no writer makes: wrong lengths or all zero */
export function validateSealKey(key: SealKey): void {
  const isValid =
    key.encrypt.length === 32 &&
    key.k.length === 16 &&
    key.r.length === 16 &&
    ![key.encrypt, key.k, key.r].some(isZero)
  if (!isValid) throw new CorruptDataError('master key', 'it is not a valid key')
}

export function generateSealKey(crypto: CryptoProvider): SealKey {
  return { encrypt: crypto.randomBytes(32), k: crypto.randomBytes(16), r: crypto.randomBytes(16) }
}

const oneTimeKey = new Uint8Array(new ArrayBuffer(32))

/** Poly1305-AES: the one-time key is r || AES-128(k, IV). */
function mac(crypto: CryptoProvider, key: SealKey, iv: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  put(oneTimeKey, key.r, 0)
  put(oneTimeKey, crypto.aes128Block(key.k, iv), 16)
  return crypto.poly1305(oneTimeKey, ciphertext)
}

const IVS_DRAWN = 64
const drawnIvs = new WeakMap<CryptoProvider, { bytes: Uint8Array; used: number }>()
const lastIv = new Uint8Array(new ArrayBuffer(IV_BYTES))

/** Random bytes are drawn for many IVs at once: a draw costs as much as encrypting a small blob. Valid until the next. */
function freshIv(crypto: CryptoProvider): Uint8Array {
  let drawn = drawnIvs.get(crypto)
  if (drawn === undefined || drawn.used === drawn.bytes.length) {
    drawn = { bytes: crypto.randomBytes(IVS_DRAWN * IV_BYTES), used: 0 }
    drawnIvs.set(crypto, drawn)
  }
  for (let i = 0; i < IV_BYTES; i++) lastIv[i] = drawn.bytes[drawn.used + i]!
  drawn.used += IV_BYTES
  return lastIv
}

/** A few bytes: `set` takes longer to call than they take to copy. */
function put(destination: Uint8Array, bytes: Uint8Array, offset: number): void {
  for (let i = 0; i < bytes.length; i++) destination[offset + i] = bytes[i]!
}

function checkLength(destination: Uint8Array, length: number): void {
  if (destination.length !== length) {
    throw new RangeError(`the destination has ${destination.length} bytes where ${length} are needed`)
  }
}

function isZero(bytes: Uint8Array): boolean {
  let seen = 0
  for (let i = 0; i < bytes.length; i++) seen |= bytes[i]!
  return seen === 0
}

/** Whether `bytes[start …]` are those of the tag. */
function isAtInConstantTime(tag: Uint8Array, bytes: Uint8Array, start: number): boolean {
  let difference = 0
  for (let i = 0; i < MAC_BYTES; i++) difference |= tag[i]! ^ bytes[start + i]!
  return difference === 0
}
