/** From a password to a key (format spec §3), within limits: a key file's parameters are anybody's. */
import { UnsupportedError } from '../errors.ts'
import type { CryptoProvider, ScryptParams } from './provider.ts'
import type { SealKey } from './seal.ts'

/** What restic writes on a fast machine; about half a second. */
export const DEFAULT_SCRYPT: ScryptParams = { N: 32768, r: 8, p: 6 }

/** restic's own parameters need 32 MiB; nothing honest needs more than this. */
const MAX_MEMORY_BYTES = 1 << 30
/** Block mixes, N·r·p: restic's come to 1.6 million. This bounds the time to about two minutes. */
const MAX_WORK = 2 ** 29

/** @throws UnsupportedError where the parameters are not scrypt's or would exhaust memory or patience */
export function checkScryptParams(params: ScryptParams): void {
  const { N, r, p } = params
  const isPositive = [N, r, p].every((value) => Number.isSafeInteger(value) && value >= 1)
  if (!isPositive || N < 2 || !Number.isInteger(Math.log2(N))) {
    throw new UnsupportedError(`the key file has the invalid scrypt parameters N=${N} r=${r} p=${p}`)
  }
  if (128 * N * r > MAX_MEMORY_BYTES || 128 * r * p > MAX_MEMORY_BYTES || N * r * p > MAX_WORK) {
    throw new UnsupportedError(
      `the key file asks for too much work: scrypt parameters N=${N} r=${r} p=${p}`,
      {
        hint: 'if you trust the repository, open it with another key (--key-hint)',
      },
    )
  }
}

/** @throws UnsupportedError as `checkScryptParams` */
export async function deriveKey(
  crypto: CryptoProvider,
  password: Uint8Array,
  salt: Uint8Array,
  params: ScryptParams,
): Promise<SealKey> {
  checkScryptParams(params)
  const derived = await crypto.scrypt(password, salt, params, 64)
  return { encrypt: derived.subarray(0, 32), k: derived.subarray(32, 48), r: derived.subarray(48, 64) }
}
