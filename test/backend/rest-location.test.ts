import { describe, expect, it } from 'vitest'
import { displayLocation, openBackend } from '../../src/backend/location.ts'
import { parseRestLocation } from '../../src/backend/rest-location.ts'
import { InvalidInputError } from '../../src/errors.ts'

const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`

describe('a rest: location', () => {
  it.each([
    ['http://host', 'host', undefined, false, '/'],
    ['http://host:8000/', 'host', 8000, false, '/'],
    ['https://host:8000/a/b', 'host', 8000, true, '/a/b/'],
    ['https://host/a%20b/', 'host', undefined, true, '/a%20b/'],
    ['http://[::1]:8000/a', '::1', 8000, false, '/a/'],
  ])('%s has its host, port and path', (text, ...expected) => {
    const [host, port, isHttps, path] = expected
    const location = parseRestLocation(text)
    expect(location.target).toEqual({ host, port, isHttps, socketPath: undefined })
    expect(location.path).toBe(path)
    expect(location.authorization).toBeUndefined()
  })

  it.each([
    [
      'http+unix:///tmp/rest.socket:/my_backup_repo/',
      '/tmp/rest.socket',
      '/my_backup_repo/',
      false,
      undefined,
    ],
    ['http+unix:///tmp/rest.socket:/repo', '/tmp/rest.socket', '/repo/', false, undefined],
    ['https+unix://u:p@/run/s:/', '/run/s', '/', true, basic('u:p')],
  ])('%s has its socket and path', (text, ...expected) => {
    const [socketPath, path, isHttps, authorization] = expected
    const location = parseRestLocation(text)
    expect(location.target).toEqual({ host: 'localhost', port: undefined, isHttps, socketPath })
    expect(location).toMatchObject({ path, authorization })
  })

  it.each([
    ['http://u:p@host', {}, 'u:p'],
    ['http://u@host', {}, 'u:'],
    ['http://us%40er:p%2Fw%3A@host', {}, 'us@er:p/w:'],
    ['http://u:100%@host', {}, 'u:100%'],
    ['http://host', { RESTIC_REST_USERNAME: 'e', RESTIC_REST_PASSWORD: 'f' }, 'e:f'],
    ['http://u@host', { RESTIC_REST_USERNAME: 'e', RESTIC_REST_PASSWORD: 'f' }, 'u:'],
  ])('%s with %j says who we are', (text, env, pair) => {
    expect(parseRestLocation(text, env).authorization).toBe(basic(pair))
  })

  it.each([
    '',
    'host/path',
    'ftp://host/',
    'http://',
    'http://host:port/',
    'http://user:top/secret@host/',
    'http://user:top?secret@host/',
    'http://user:top#secret@host/',
    'http+unix://socket/path',
    'http+unix:///socket',
  ])('%s is refused without being shown', (text) => {
    const parse = (): unknown => parseRestLocation(text)
    expect(parse).toThrow(InvalidInputError)
    expect(parse).not.toThrow(/secret/)
  })

  it('is refused with an option that is not known', async () => {
    const options = { 'rest.conections': '3' }
    await expect(openBackend('rest:http://host/', { options })).rejects.toThrow(
      'option rest.conections is not known',
    )
  })
})

describe('a location shown to people', () => {
  it.each([
    ['rest:http://host:8000/path/', 'rest:http://host:8000/path/'],
    ['rest:http://user@host/', 'rest:http://user@host/'],
    ['rest:http://user:secret@host:8000/', 'rest:http://user:***@host:8000/'],
    ['rest:http://user:@host/', 'rest:http://user:***@host/'],
    ['rest:http://user:sec/ret@host/', 'rest:http://user:***@host/'],
    ['rest:http://user:s:e/c@ret@host/', 'rest:http://user:***@host/'],
    ['rest:http+unix://user:secret@/socket:/path/', 'rest:http+unix://user:***@/socket:/path/'],
    ['rest:http://host:8000/some@path/', 'rest:http://host:8000/some@path/'],
    ['sftp:user@host:path', 'sftp:user@host:path'],
    ['sftp://user:secret@host/path', 'sftp://user:***@host/path'],
  ])('%s is %s', (text, shown) => {
    expect(displayLocation(text)).toBe(shown)
  })
})
