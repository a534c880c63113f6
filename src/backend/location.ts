/** Repository locations as people write them (command spec §1.6), and the backends they stand for. */
import { InvalidInputError, UnsupportedError } from '../errors.ts'
import type { Backend } from './backend.ts'

/** A parsed location. `rest` is what follows the scheme. */
export interface Location {
  readonly scheme: 'local' | 'b2' | 's3' | 'rest' | 'sftp' | 'rclone' | 'azure' | 'gs' | 'swift'
  readonly rest: string
}

export interface OpenBackendOptions {
  /** `-o` options: `local.connections` and so on. Those of other schemes are ignored. */
  readonly options?: Readonly<Record<string, string>> | undefined
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
}

const SCHEMES = ['local', 'b2', 's3', 'rest', 'sftp', 'rclone', 'azure', 'gs', 'swift'] as const
const DRIVE_LETTER = /^[a-zA-Z]:[\\/]/
const URL_PASSWORD = /(\/\/[^/:@]*):[^/@]*@/

/** @throws InvalidInputError for a scheme nobody knows */
export function parseLocation(text: string): Location {
  if (text === '') throw new InvalidInputError('Please specify repository location (-r or --repository-file)')
  const colon = text.indexOf(':')
  const scheme = SCHEMES.find((name) => name === text.slice(0, Math.max(0, colon)))
  if (scheme !== undefined) return { scheme, rest: text.slice(colon + 1) }
  const isPath = colon < 0 || (text.indexOf('/') >= 0 && text.indexOf('/') < colon) || DRIVE_LETTER.test(text)
  if (isPath) return { scheme: 'local', rest: text }
  throw new InvalidInputError(`invalid backend: ${displayLocation(text)}`, {
    hint: 'a local path that contains a colon can be written as local:PATH or ./PATH',
  })
}

/** A location without the password it may hold. */
export function displayLocation(text: string): string {
  return text.replace(URL_PASSWORD, '$1:***@')
}

/**
 * The backend for a location; its code is loaded now.
 * @throws InvalidInputError; UnsupportedError for stores this version does not reach
 */
export async function openBackend(text: string, options: OpenBackendOptions = {}): Promise<Backend> {
  const location = parseLocation(text)
  const connections = parseConnections(location.scheme, options.options ?? {})
  if (location.scheme === 'local') {
    const { LocalBackend } = await import('./local.ts')
    return new LocalBackend(location.rest, { connections })
  }
  throw new UnsupportedError(`this version cannot reach ${location.scheme}: repositories yet`, {
    hint: 'use a repository in a local folder',
  })
}

function parseConnections(scheme: string, options: Readonly<Record<string, string>>): number | undefined {
  const text = options[`${scheme}.connections`]
  if (text === undefined) return undefined
  const connections = Number(text)
  if (!/^\d+$/.test(text) || connections < 1) {
    throw new InvalidInputError(`option ${scheme}.connections: "${text}" is not a positive number`)
  }
  return connections
}
