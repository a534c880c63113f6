/** `sftp:[user@]host:path` and `sftp://[user@]host[:port]/path`, and the command that reaches them (command spec §1.6). */
import { posix } from 'node:path'
import { InvalidInputError } from '../errors.ts'
import { shellWords } from './shell-words.ts'
import { checkOptions } from './store-settings.ts'

/** Where a repository lies. A relative `path` begins in the home of the user. */
export interface SftpLocation {
  readonly user: string
  readonly host: string
  readonly port: string
  readonly path: string
}

type Options = Readonly<Record<string, string>>

const FORM = 'write sftp:USER@HOST:PATH or sftp://USER@HOST:PORT//ABSOLUTE/PATH'
const URL_PARTS = /^(?:(.*)@)?(\[[^\]]*\]|[^:]*)(?::(\d*))?$/s

/** @param rest what follows `sftp:`. @throws InvalidInputError */
export function parseSftpLocation(rest: string): SftpLocation {
  const location = rest.startsWith('//') ? parseUrl(rest.slice(2)) : parseShort(rest)
  const { user, host, path } = location
  if (host === '') throw malformed('the host is missing')
  // To ssh they would be options, and some of those run commands.
  if (host.startsWith('-') || user.startsWith('-')) throw malformed('user and host must not begin with "-"')
  if (path.startsWith('~')) {
    throw malformed(
      'most servers do not know "~"',
      'leave it out: a path without a slash at its start begins in the home of the user',
    )
  }
  return { ...location, path: path === '' ? '.' : withoutSlash(posix.normalize(path)) }
}

/**
 * Program and arguments that connect us to the server's SFTP subsystem.
 * @throws InvalidInputError
 */
export function sftpCommand({ user, host, port }: SftpLocation, options: Options): string[] {
  checkOptions('sftp', options, ['args', 'command', 'connections'])
  const { 'sftp.command': command = '', 'sftp.args': args = '' } = options
  if (command !== '' && args !== '')
    throw new InvalidInputError('cannot specify both sftp.command and sftp.args options')
  if (command !== '') return shellWords(command, 'sftp.command')
  return [
    'ssh',
    host,
    ...(port === '' ? [] : ['-p', port]),
    ...(user === '' ? [] : ['-l', user]),
    ...(args === '' ? [] : shellWords(args, 'sftp.args')),
    '-s',
    'sftp',
  ]
}

function parseShort(text: string): SftpLocation {
  const colon = text.indexOf(':')
  if (colon < 0) throw malformed('there is no ":" between host and path')
  const authority = text.slice(0, colon)
  const at = authority.lastIndexOf('@')
  const user = authority.slice(0, Math.max(0, at))
  return { user, host: authority.slice(at + 1), port: '', path: text.slice(colon + 1) }
}

function parseUrl(text: string): SftpLocation {
  const slash = text.indexOf('/')
  if (slash < 0) throw malformed('the path is missing')
  const match = URL_PARTS.exec(text.slice(0, slash))
  if (match === null) throw malformed('host and port cannot be told apart')
  const [, userInfo = '', host = '', port = ''] = match
  // A password is no use to ssh; keys and agents are.
  const user = userInfo.split(':', 1)[0] ?? ''
  return {
    user: decode(user),
    host: decode(host.replace(/^\[(.*)\]$/, '$1')),
    port,
    path: decode(text.slice(slash + 1)),
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function withoutSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
}

function malformed(problem: string, hint: string = FORM): InvalidInputError {
  return new InvalidInputError(`sftp: location: ${problem}`, { hint })
}
