/** `rest:http(s)://[user[:password]@]host[:port]/path/` and `rest:http(s)+unix:///socket:/path/` (command spec §1.6). */
import { InvalidInputError } from '../errors.ts'
import type { Http1Target } from './http1-transport.ts'

/** Where a REST server is and who we are to it. Holds a password: never show it. */
export interface RestLocation {
  readonly target: Http1Target
  /** Path of the repository on the server, percent-encoded, with a slash at both ends. */
  readonly path: string
  /** Value of the header Authorization; undefined: nobody in particular. */
  readonly authorization: string | undefined
}

type Environment = Readonly<Record<string, string | undefined>>

interface Credentials {
  readonly user: string
  readonly password: string
}

const FORM =
  'write rest:http://HOST:PORT/PATH/, rest:https://USER:PASSWORD@HOST/ or rest:http+unix:///SOCKET:/PATH/'
const UNIX = /^(https?)\+unix:\/\/(?:([^/]*)@)?(\/[^:]*):(\/.*)$/s

/**
 * Name and password of the location go before those of RESTIC_REST_USERNAME and RESTIC_REST_PASSWORD.
 * @param rest what follows `rest:`
 * @throws InvalidInputError, never with the location in it: where it is malformed nobody knows what is the password
 */
export function parseRestLocation(rest: string, env: Environment = {}): RestLocation {
  const unix = UNIX.exec(rest)
  if (unix !== null) {
    const [, protocol, userInfo = '', socketPath = '', path = ''] = unix
    const target = { isHttps: protocol === 'https', host: 'localhost', port: undefined, socketPath }
    const { pathname } = parseUrl(`http://localhost${path}`)
    return { target, path: withSlash(pathname), authorization: authorizationOf(splitUser(userInfo), env) }
  }
  if (!/^https?:\/\//.test(rest)) throw malformed('it does not begin with http:// or https://')
  const url = parseUrl(rest)
  if (url.search !== '' || url.hash !== '')
    throw malformed('it has a "?" or "#"', 'in a user name or password write them as %3F and %23')
  const target = {
    isHttps: url.protocol === 'https:',
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? undefined : Number(url.port),
    socketPath: undefined,
  }
  const given = { user: decode(url.username), password: decode(url.password) }
  return { target, path: withSlash(url.pathname), authorization: authorizationOf(given, env) }
}

function parseUrl(text: string): URL {
  if (URL.canParse(text)) return new URL(text)
  throw malformed('it is no URL', 'in a user name or password write "/" as %2F, "@" as %40 and ":" as %3A')
}

function withSlash(path: string): string {
  return path.endsWith('/') ? path : `${path}/`
}

function splitUser(text: string): Credentials {
  const colon = text.indexOf(':')
  return colon < 0
    ? { user: decode(text), password: '' }
    : { user: decode(text.slice(0, colon)), password: decode(text.slice(colon + 1)) }
}

/** A stray percent sign stands for itself. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function authorizationOf(given: Credentials, env: Environment): string | undefined {
  const isGiven = given.user !== '' || given.password !== ''
  const user = isGiven ? given.user : (env['RESTIC_REST_USERNAME'] ?? '')
  const password = isGiven ? given.password : (env['RESTIC_REST_PASSWORD'] ?? '')
  if (user === '' && password === '') return undefined
  if (user.includes(':')) throw malformed('a user name has no colon')
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

function malformed(problem: string, hint: string = FORM): InvalidInputError {
  return new InvalidInputError(`rest: location: ${problem}`, { hint })
}
