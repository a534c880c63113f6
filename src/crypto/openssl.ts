/**
 * AES-256-CTR and Poly1305 by the OpenSSL that Node itself is made with, called directly through koffi. Node's own way
 * to AES makes an object for each message and fresh memory for each piece of it, and there is none to Poly1305; but the
 * functions are there, for native add-ons. What cannot be reached, or gives another answer than our own code, is not used.
 */
import { createCipheriv, randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { isSame } from './native-blocks.ts'
import { poly1305 } from './poly1305.ts'

export interface OpenSsl {
  /** As `CryptoProvider.aes256Ctr`. */
  aes256Ctr(key: Uint8Array, iv: Uint8Array, source: Uint8Array, destination: Uint8Array): void
  /** As `CryptoProvider.aes128Block`. */
  aes128Block(key: Uint8Array, block: Uint8Array): Uint8Array
  /** As `CryptoProvider.poly1305`. */
  poly1305(oneTimeKey: Uint8Array, message: Uint8Array): Uint8Array
}

/** Messages shorter than this altogether are not worth loading it. */
const WORTHWHILE_BYTES = 1 << 20
/** OpenSSL takes lengths as C's int. */
const STEP_BYTES = 1 << 30
const KEY_BYTES = 32
const BLOCK_BYTES = 16
const TAG_BYTES = 16
const TRIAL_BYTES = 1000

interface Koffi {
  load(path: null): { func(declaration: string): (...args: unknown[]) => unknown }
}

let bytesSeen = 0
let loaded: OpenSsl | undefined | null = null

/** OpenSSL, once a thread has enough to do for it. Undefined before, and where it cannot be used. */
export function openSslFor(bytes: number): OpenSsl | undefined {
  if (loaded !== null) return loaded
  bytesSeen += bytes
  return bytesSeen < WORTHWHILE_BYTES ? undefined : loadOpenSsl()
}

/** @returns undefined where it cannot be used; asked for once a thread */
export function loadOpenSsl(): OpenSsl | undefined {
  if (loaded === null) loaded = tryLoad()
  return loaded
}

function tryLoad(): OpenSsl | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- koffi's own function
    const koffi = createRequire(import.meta.url)('koffi') as Koffi
    const library = koffi.load(null)
    const direct = {
      aes256Ctr: bindCtr(library),
      aes128Block: bindBlock(library),
      poly1305: bindPoly1305(library),
    }
    return isRight(direct) ? direct : undefined
  } catch {
    // No koffi for this machine, or a Node with other cryptography in it.
    return undefined
  }
}

type Library = ReturnType<Koffi['load']>

interface Cipher {
  /** Begins a message; without an IV for block by block. */
  begin(key: Uint8Array, iv: Uint8Array | null): void
  update(destination: Uint8Array, source: Uint8Array): void
}

/** The context lives as long as the thread, and knows the last key. */
function bindCipher(library: Library, algorithm: string): Cipher {
  const context = library.func('void *EVP_CIPHER_CTX_new(void)')()
  const type = library.func(`const void *${algorithm}(void)`)()
  const init = library.func(
    'int EVP_EncryptInit_ex(void *context, const void *cipher, void *engine, const void *key, const void *iv)',
  )
  const update = library.func(
    'int EVP_EncryptUpdate(void *context, void *out, void *written, const void *in, int length)',
  )
  const written = new Int32Array(1)
  let lastKey = new Uint8Array(0)
  let hasKey = false
  return {
    begin(key, iv) {
      const isSameKey = hasKey && isSame(key, lastKey)
      if (isSameKey && iv === null) return
      // Where this fails, nobody knows which key the context has.
      hasKey = false
      check(isSameKey ? init(context, null, null, null, iv) : init(context, type, null, key, iv))
      hasKey = true
      if (!isSameKey) lastKey = Uint8Array.from(key)
    },
    update(destination, source) {
      check(update(context, destination, written, source, source.length))
    },
  }
}

function bindCtr(library: Library): OpenSsl['aes256Ctr'] {
  const cipher = bindCipher(library, 'EVP_aes_256_ctr')
  return (key, iv, source, destination) => {
    cipher.begin(key, iv)
    for (let i = 0; i < source.length; i += STEP_BYTES) {
      const step = source.length <= STEP_BYTES ? source : source.subarray(i, i + STEP_BYTES)
      cipher.update(i === 0 ? destination : destination.subarray(i), step)
    }
  }
}

function bindBlock(library: Library): OpenSsl['aes128Block'] {
  const cipher = bindCipher(library, 'EVP_aes_128_ecb')
  const encrypted = new Uint8Array(new ArrayBuffer(BLOCK_BYTES))
  return (key, block) => {
    // Part of a block would stay in the cipher and spoil the next message.
    if (block.length !== BLOCK_BYTES) throw new RangeError(`${block.length} bytes are not one block`)
    cipher.begin(key, null)
    cipher.update(encrypted, block)
    return encrypted
  }
}

function bindPoly1305(library: Library): OpenSsl['poly1305'] {
  const fetch = library.func('void *EVP_MAC_fetch(void *library, const char *name, const char *properties)')
  const mac = fetch(null, 'POLY1305', null)
  if (mac === null) throw new Error('there is no Poly1305')
  const context = library.func('void *EVP_MAC_CTX_new(void *mac)')(mac)
  const init = library.func(
    'int EVP_MAC_init(void *context, const void *key, size_t length, const void *parameters)',
  )
  const update = library.func('int EVP_MAC_update(void *context, const void *data, size_t length)')
  const final = library.func('int EVP_MAC_final(void *context, void *out, void *written, size_t size)')
  const written = new BigUint64Array(1)
  // One for all: of each that C is given, V8 makes more than it would of an array that stays here.
  const tag = new Uint8Array(new ArrayBuffer(TAG_BYTES))
  return (oneTimeKey, message) => {
    check(init(context, oneTimeKey, KEY_BYTES, null))
    check(update(context, message, message.length))
    check(final(context, tag, written, TAG_BYTES))
    return tag
  }
}

function check(status: unknown): void {
  if (status !== 1) throw new Error('a function of OpenSSL failed')
}

/** Whether its answers are those of code that is known to be right. */
function isRight(direct: OpenSsl): boolean {
  const [key, iv, message] = [randomBytes(KEY_BYTES), randomBytes(BLOCK_BYTES), randomBytes(TRIAL_BYTES)]
  const half = key.subarray(0, BLOCK_BYTES)
  const cipher = createCipheriv('aes-256-ctr', key, iv)
  const encrypted = new Uint8Array(TRIAL_BYTES)
  direct.aes256Ctr(key, iv, message, encrypted)
  return (
    Buffer.compare(encrypted, cipher.update(message)) === 0 &&
    Buffer.compare(direct.aes128Block(half, iv), createCipheriv('aes-128-ecb', half, null).update(iv)) ===
      0 &&
    Buffer.compare(direct.poly1305(key, message), poly1305(key, message)) === 0
  )
}
