/** Key files, and the master key sealed in them (format spec §3). */
import { encodeBase64 } from './base64.ts'
import { encodeJsonString } from './json.ts'
import { JsonFields } from './json-fields.ts'
import { formatTime, type Time } from './time.ts'

/** A key file: how to derive a key from a password, and the master key sealed with that key. */
export interface KeyFile {
  readonly created: Time
  readonly username: string
  readonly hostname: string
  /** The key derivation function, `scrypt` in all files there are. */
  readonly kdf: string
  readonly N: number
  readonly r: number
  readonly p: number
  readonly salt: Uint8Array
  /** The sealed master key. */
  readonly data: Uint8Array
}

/** The three secrets a repository is sealed with. */
export interface MasterKey {
  /** 32 bytes, for AES-256. */
  readonly encrypt: Uint8Array
  /** 16 bytes, for the AES-128 in Poly1305-AES. */
  readonly k: Uint8Array
  /** 16 bytes, for Poly1305; not clamped. */
  readonly r: Uint8Array
}

const KEY_FILE = 'key file'
const MASTER_KEY = 'master key'
const ENCRYPT_BYTES = 32
const MAC_KEY_BYTES = 16

/**
 * Parses a key file. Whether its parameters are sane is for the key derivation to check.
 * @throws CorruptDataError
 */
export function parseKeyFile(bytes: Uint8Array): KeyFile {
  const fields = JsonFields.parse(bytes, KEY_FILE)
  return {
    created: fields.time('created'),
    username: fields.string('username'),
    hostname: fields.string('hostname'),
    kdf: fields.string('kdf'),
    N: fields.uint('N'),
    r: fields.uint('r'),
    p: fields.uint('p'),
    salt: fields.bytes('salt'),
    data: fields.bytes('data'),
  }
}

/** The JSON of a key file. */
export function encodeKeyFile(file: KeyFile): Uint8Array {
  return new TextEncoder().encode(
    `{"created":"${formatTime(file.created)}","username":${encodeJsonString(file.username)}` +
      `,"hostname":${encodeJsonString(file.hostname)},"kdf":${encodeJsonString(file.kdf)}` +
      `,"N":${file.N},"r":${file.r},"p":${file.p}` +
      `,"salt":"${encodeBase64(file.salt)}","data":"${encodeBase64(file.data)}"}`,
  )
}

/**
 * Parses what a key file's `data` opens to.
 * @throws CorruptDataError
 */
export function parseMasterKey(bytes: Uint8Array): MasterKey {
  const fields = JsonFields.parse(bytes, MASTER_KEY)
  const mac = fields.object('mac') ?? fields.fail('mac', 'is missing')
  return {
    encrypt: secret(fields, 'encrypt', ENCRYPT_BYTES),
    k: secret(mac, 'k', MAC_KEY_BYTES),
    r: secret(mac, 'r', MAC_KEY_BYTES),
  }
}

/** The JSON of a master key. */
export function encodeMasterKey(key: MasterKey): Uint8Array {
  return new TextEncoder().encode(
    `{"mac":{"k":"${encodeBase64(key.k)}","r":"${encodeBase64(key.r)}"},"encrypt":"${encodeBase64(key.encrypt)}"}`,
  )
}

function secret(fields: JsonFields, name: string, length: number): Uint8Array {
  const bytes = fields.bytes(name)
  return bytes.length === length ? bytes : fields.fail(name, `is not ${length} bytes of base64`)
}
