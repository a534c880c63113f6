import { describe, expect, it } from 'vitest'
import { parseSftpLocation, sftpCommand } from '../../src/backend/sftp-location.ts'
import { InvalidInputError } from '../../src/errors.ts'

describe('an sftp: location', () => {
  it.each([
    ['//user@host/dir/subdir', 'user', 'host', '', 'dir/subdir'],
    ['//host/dir/subdir', '', 'host', '', 'dir/subdir'],
    ['//host//dir/subdir', '', 'host', '', '/dir/subdir'],
    ['//host:10022//dir/subdir', '', 'host', '10022', '/dir/subdir'],
    ['//user@host:10022//dir/subdir', 'user', 'host', '10022', '/dir/subdir'],
    ['//user@host/dir/subdir/../other', 'user', 'host', '', 'dir/other'],
    ['//user@host/dir///subdir', 'user', 'host', '', 'dir/subdir'],
    ['//user@host/', 'user', 'host', '', '.'],
    ['//us%40er@host/with%20space', 'us@er', 'host', '', 'with space'],
    ['//user:secret@host/dir', 'user', 'host', '', 'dir'],
    ['//user@[::1]/dir', 'user', '::1', '', 'dir'],
    ['//user@[::1]:22/dir', 'user', '::1', '22', 'dir'],
    ['//user@[::1%25lo0]:22/dir', 'user', '::1%lo0', '22', 'dir'],
    ['user@host:/dir/subdir', 'user', 'host', '', '/dir/subdir'],
    ['user@domain@host:/dir/subdir', 'user@domain', 'host', '', '/dir/subdir'],
    ['host:../dir/subdir', '', 'host', '', '../dir/subdir'],
    ['user@host:dir/subdir:suffix', 'user', 'host', '', 'dir/subdir:suffix'],
    ['user@host:dir/subdir/../other/', 'user', 'host', '', 'dir/other'],
    ['user@host:/', 'user', 'host', '', '/'],
    ['user@host:', 'user', 'host', '', '.'],
  ])('%s has its user, host, port and path', (text, ...expected) => {
    const { user, host, port, path } = parseSftpLocation(text)
    expect([user, host, port, path]).toEqual(expected)
  })

  it.each([
    '',
    'host',
    ':path',
    '//host',
    '///path',
    '//host:port/dir',
    '//host:dir',
    'host:~/dir',
    '//host/~user/dir',
    '-oProxyCommand=reboot:dir',
    '//-oProxyCommand=reboot/dir',
    '-l@host:dir',
  ])('%j is refused', (text) => {
    expect(() => parseSftpLocation(text)).toThrow(InvalidInputError)
  })
})

describe('the command', () => {
  it.each([
    ['user@host:dir', {}, ['ssh', 'host', '-l', 'user', '-s', 'sftp']],
    ['host:dir', {}, ['ssh', 'host', '-s', 'sftp']],
    ['//host:10022//dir', {}, ['ssh', 'host', '-p', '10022', '-s', 'sftp']],
    ['//user@host:10022//dir', {}, ['ssh', 'host', '-p', '10022', '-l', 'user', '-s', 'sftp']],
    [
      '//u@h:1/d',
      { 'sftp.args': "-i '/a key'" },
      ['ssh', 'h', '-p', '1', '-l', 'u', '-i', '/a key', '-s', 'sftp'],
    ],
    ['//u@h:1/d', { 'sftp.command': 'ssh -4 "my host" -s sftp' }, ['ssh', '-4', 'my host', '-s', 'sftp']],
    [
      '//u@h:1/d',
      { 'sftp.command': '', 'sftp.connections': '3' },
      ['ssh', 'h', '-p', '1', '-l', 'u', '-s', 'sftp'],
    ],
  ] as [string, Record<string, string>, string[]][])(
    'for %s with %j is restic’s',
    (text, options, command) => {
      expect(sftpCommand(parseSftpLocation(text), options)).toEqual(command)
    },
  )

  it.each([
    { 'sftp.command': 'ssh x', 'sftp.args': '-i key' },
    { 'sftp.command': '"ssh' },
    { 'sftp.arg': '-i key' },
  ] as Record<string, string>[])('with %j is refused', (options) => {
    expect(() => sftpCommand(parseSftpLocation('h:d'), options)).toThrow(InvalidInputError)
  })
})
