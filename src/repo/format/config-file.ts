/** The config file: what a repository is, fixed when it was made (format spec §4). */
import { UnsupportedError } from '../../errors.ts'
import { isId } from './id.ts'
import { encodeJsonString } from './json.ts'
import { JsonFields } from './json-fields.ts'

export interface Config {
  readonly version: 1 | 2
  /** 64 random hexadecimal digits. */
  readonly id: string
  /** Bit i is the coefficient of x^i. */
  readonly chunkerPolynomial: bigint
}

const WHAT = 'config file'
const POLYNOMIAL = /^[0-9a-fA-F]{1,16}$/

/**
 * Parses the config's JSON. Whether the polynomial is irreducible is for the chunker's owner to check.
 * @throws CorruptDataError
 * @throws UnsupportedError for a version other than 1 and 2
 */
export function parseConfig(bytes: Uint8Array): Config {
  const fields = JsonFields.parse(bytes, WHAT)
  const version = fields.uint('version')
  if (version !== 1 && version !== 2) {
    throw new UnsupportedError(`repository version ${version} is not supported`, {
      hint: 'this program reads and writes versions 1 and 2',
    })
  }
  const polynomial = fields.string('chunker_polynomial')
  if (!POLYNOMIAL.test(polynomial))
    fields.fail('chunker_polynomial', 'is not a hexadecimal number of 64 bits')
  const id = fields.string('id')
  // Caches name directories after it: it must not be able to lead anywhere else.
  if (!isId(id)) fields.fail('id', 'is not 64 hexadecimal digits')
  return { version, id, chunkerPolynomial: BigInt(`0x${polynomial}`) }
}

/** The config's JSON. */
export function encodeConfig(config: Config): Uint8Array {
  return new TextEncoder().encode(
    `{"version":${config.version},"id":${encodeJsonString(config.id)}` +
      `,"chunker_polynomial":"${config.chunkerPolynomial.toString(16)}"}`,
  )
}
