/** `--cacert`, `--tls-client-cert` and `--insecure-tls` (command spec §1.3): files of the user, read and checked. */
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { InvalidInputError } from '../errors.ts'

/** What the user said about TLS. */
export interface TlsFiles {
  /** Files of PEM certificates that are trusted instead of the system's. */
  readonly caCertFiles?: readonly string[] | undefined
  /** A PEM file with a client certificate and its private key. */
  readonly clientCertFile?: string | undefined
  /** Any certificate will do. */
  readonly insecure?: boolean | undefined
}

/** As `node:tls` takes them. Holds a private key: never show it. */
export interface TlsSettings {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly rejectUnauthorized?: boolean
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g

/** @throws InvalidInputError for files that cannot be read or do not hold what they should */
export async function readTlsFiles(files: TlsFiles): Promise<TlsSettings> {
  const { caCertFiles = [], clientCertFile, insecure } = files
  let ca = ''
  // One after the other: of several that are wrong the first is told of.
  for (const path of caCertFiles) ca += await readCas(path)
  return {
    ...(caCertFiles.length === 0 ? {} : { ca }),
    ...(clientCertFile === undefined ? {} : await readClientCertificate(clientCertFile)),
    ...(insecure === true ? { rejectUnauthorized: false } : {}),
  }
}

async function readCas(path: string): Promise<string> {
  const blocks = blocksOf(await readText(path)).filter(({ type }) => type === 'CERTIFICATE')
  if (blocks.length === 0)
    throw new InvalidInputError(`${path} holds no certificate`, { hint: 'give a PEM file with --cacert' })
  for (const { text } of blocks) checkPart(path, () => new X509Certificate(text))
  return blocks.map(({ text }) => text).join('')
}

async function readClientCertificate(path: string): Promise<{ cert: string; key: string }> {
  const blocks = blocksOf(await readText(path))
  const certificates = blocks.filter(({ type }) => type.endsWith('CERTIFICATE'))
  const [key, ...others] = blocks.filter(({ type }) => type.endsWith('PRIVATE KEY'))
  const hint = 'put the client certificate and its private key into one PEM file'
  if (certificates.length === 0) throw new InvalidInputError(`${path} holds no certificate`, { hint })
  if (key === undefined) throw new InvalidInputError(`${path} holds no private key`, { hint })
  if (others.length > 0) throw new InvalidInputError(`${path} holds more than one private key`, { hint })
  const pair = { cert: certificates.map(({ text }) => text).join(''), key: key.text }
  checkPart(path, () => createSecureContext(pair))
  return pair
}

function blocksOf(text: string): { type: string; text: string }[] {
  return Array.from(text.matchAll(BLOCK), ([block, type = '']) => ({ type, text: `${block}\n` }))
}

/** OpenSSL's words name the kind of damage and never the content. */
function checkPart(path: string, parse: () => unknown): void {
  try {
    parse()
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    throw new InvalidInputError(`${path} cannot be used: ${problem}`)
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'latin1')
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    throw new InvalidInputError(`the certificate file cannot be read: ${problem}`, { cause: error })
  }
}
