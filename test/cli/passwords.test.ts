/** Where a password comes from, which source wins, and that none is shown. */
import { chmodSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { filesOf } from '../support/repositories.ts'
import { makeSample, type Sample } from './sample.ts'
import { containing, transcript, type Transcript, type TranscriptOptions } from './transcript.ts'

vi.mock('node:timers/promises', async (load) => ({
  ...(await load<object>()),
  setTimeout: () => Promise.resolve(),
}))

let sample: Sample

beforeAll(async () => {
  sample = await makeSample()
  writeFileSync('right', 'test\n')
  writeFileSync('wrong', 'not it\n')
  writeFileSync('blank', ' \n')
})
afterAll(() => sample.remove())

/** Opens the sample's repository without the password tests have by default. */
function open(flags = '', options: TranscriptOptions = {}): Promise<Transcript> {
  const env = { RESTIC_PASSWORD: undefined, ...options.env }
  const words = [
    '-r',
    'repository',
    '--no-lock',
    ...flags.split(' ').filter((word) => word !== ''),
    'cat',
    'config',
  ]
  return transcript(words, { ...options, env })
}

describe('a password is taken', () => {
  it.each<[string, string, TranscriptOptions]>([
    ['from a file', '-p right', {}],
    ['from a command', '--password-command echo&test', {}],
    ['from a variable', '', { env: { RESTIC_PASSWORD: 'test' } }],
    ['from a file a variable names', '', { env: { RESTIC_PASSWORD_FILE: 'right' } }],
    ['from a command a variable holds', '', { env: { RESTIC_PASSWORD_COMMAND: 'echo test' } }],
    ['from the terminal', '', { answers: ['test'] }],
    ['from the first line of standard input', '', { input: 'test\nmore' }],
    ['from standard input without a line end', '', { input: 'test' }],
    ['from standard input with a CR', '', { input: 'test\r\n' }],
    ['from a flag rather than its variable', '-p right', { env: { RESTIC_PASSWORD_FILE: 'wrong' } }],
    [
      'from a file rather than a variable',
      '',
      { env: { RESTIC_PASSWORD: 'no', RESTIC_PASSWORD_FILE: 'right' } },
    ],
    [
      'from a command rather than a variable',
      '--password-command echo&test',
      { env: { RESTIC_PASSWORD: 'no' } },
    ],
    ['from a variable rather than the terminal', '', { env: { RESTIC_PASSWORD: 'test' }, answers: ['no'] }],
    [
      'from the terminal where the variable is empty',
      '',
      { env: { RESTIC_PASSWORD: '' }, answers: ['test'] },
    ],
    ['from the terminal where the file is empty', '-p blank', { answers: ['test'] }],
    ['from the terminal at the third try', '', { answers: ['no', '', 'test'] }],
  ])('%s', async (_way, flags, options) => {
    const words = flags.split(' ').map((word) => word.replace('&', ' '))
    const { code, stdout, prompts } = await transcript(
      ['-r', 'repository', '--no-lock', ...words.filter((word) => word !== ''), 'cat', 'config'],
      { ...options, env: { RESTIC_PASSWORD: undefined, ...options.env } },
    )
    expect(code).toBe(0)
    expect(stdout).toContain('"version": 2')
    const isAsked = options.answers?.at(-1) === 'test'
    expect(prompts).toEqual(isAsked ? options.answers.map(() => 'enter password for repository: ') : [])
  })

  it.each([
    ['UTF-8 with a byte order mark', Buffer.from('\ufefftest\n')],
    ['UTF-16, little-endian', Buffer.from('\ufefftest\r\n', 'utf16le')],
    ['UTF-16, big-endian', Buffer.from('\ufefftest\r\n', 'utf16le').swap16()],
    ['blanks around it', Buffer.from('\t test \n\n')],
  ])('from a file in %s', async (_name, bytes) => {
    writeFileSync('encoded', bytes)
    expect(await open('-p encoded')).toMatchObject({ code: 0 })
  })
})

describe('a password is refused', () => {
  const EMPTY =
    'an empty password is not allowed by default. Pass the flag `--insecure-no-password` to restic-ts to disable this check'
  const wrong = 'wrong password or no key found'

  it.each<[string, string, TranscriptOptions, number, string]>([
    ['wrong', '-p wrong', {}, 12, wrong],
    ['with blanks from standard input', '', { input: 'test \n' }, 12, wrong],
    ['with blanks from a variable', '', { env: { RESTIC_PASSWORD: 'test ' } }, 12, wrong],
    ['of a missing file', '-p nix', {}, 1, 'Resolving password failed: nix does not exist'],
    ['of a folder', '-p source', {}, 1, 'Resolving password failed: read source: is a directory'],
    [
      'of a command that fails',
      '--password-command false',
      {},
      1,
      'Resolving password failed: exit status 1',
    ],
    ['of a command that is not there', '--password-command nix-da', {}, 1, 'Resolving password failed: nix-da: command not found'], // prettier-ignore
    ['of a command that makes no sense', "--password-command 'x", {}, 1, 'Resolving password failed: single-quoted string not terminated'], // prettier-ignore
    ['from two sources', '-p right --password-command true', {}, 1, 'Resolving password failed: Password file and command are mutually exclusive options'], // prettier-ignore
    ['empty on standard input', '', { input: '' }, 1, EMPTY],
    ['empty on standard input, first line', '', { input: '\ntest\n' }, 1, EMPTY],
    ['empty on the terminal, for the third time', '', { answers: ['', '', ''] }, 1, EMPTY],
    ['wrong on the terminal, for the third time', '', { answers: ['a', 'b', 'c'] }, 12, wrong],
    ['where none is to be', '-p right --insecure-no-password', {}, 1, '--insecure-no-password must not be specified together with providing a password'], // prettier-ignore
    ['where none opens it', '--insecure-no-password', {}, 12, wrong],
  ])('%s', async (_why, flags, options, ...[code, message]) => {
    const result = await open(flags, options)
    expect(result).toMatchObject({ code, stdout: '', stderr: containing(`Fatal: ${message}`) })
  })

  it('but nobody is asked where there is no repository', async () => {
    const options = { env: { RESTIC_PASSWORD: undefined }, answers: [] }
    expect(await transcript('-r nix snapshots', options)).toMatchObject({ code: 10, prompts: [] })
  })
})

it('an empty password is one, where it is asked for', async () => {
  const flags = ['-r', 'open-to-all', '--insecure-no-password']
  const env = { RESTIC_PASSWORD: undefined }
  expect(await transcript([...flags, 'init'], { env })).toMatchObject({ code: 0, stderr: '' })
  expect(await transcript([...flags, 'snapshots'], { env })).toMatchObject({ code: 0, stderr: '' })
  expect(await transcript('-r open-to-all snapshots', { env, input: '\n' })).toMatchObject({ code: 1 })
})

it('a new password is asked for twice', async () => {
  const env = { RESTIC_PASSWORD: undefined }
  expect(await transcript('-r mistyped init', { env, answers: ['new', 'knew'] })).toMatchObject({
    code: 1,
    stderr: 'Fatal: passwords do not match\n',
    prompts: ['enter password for new repository: ', 'enter password again: '],
  })
  expect(filesOf('mistyped', 'keys')).toEqual([])
  expect(await transcript('-r mistyped init', { env, answers: [''] })).toMatchObject({ code: 1 })
})

it('password and new password may both come from standard input', async () => {
  const repository = sample.copy()
  const env = { RESTIC_PASSWORD: undefined }
  const added = await transcript(['-r', repository, 'key', 'add'], { env, input: 'test\nsecond\n' })
  expect(added).toMatchObject({ code: 0, stderr: '' })
  const opened = await transcript(['-r', repository, 'cat', 'config'], { env: { RESTIC_PASSWORD: 'second' } })
  expect(opened.code).toBe(0)
})

it('standard input is either password or data', async () => {
  const env = { RESTIC_PASSWORD: undefined }
  expect(await transcript('-r repository backup --stdin', { env, input: 'test\n' })).toMatchObject({
    code: 1,
    stderr: 'Fatal: cannot read both password and data from stdin\n',
  })
  expect(await transcript('-r repository backup --files-from -', { env, input: 'test\n' })).toMatchObject({
    code: 1,
    stderr: containing('unable to read password from stdin when data is to be read from stdin'),
  })
})

it('the key of the hint is tried first', async () => {
  const [key] = filesOf('repository', 'keys')
  const id = key!.slice(-64)
  for (const flags of [`--key-hint ${id}`, `--key-hint ${id.slice(0, 6)}`])
    expect(await open(flags, { input: 'test' })).toMatchObject({ code: 0 })
  const env = { RESTIC_KEY_HINT: id }
  expect(await open('', { env, input: 'test' })).toMatchObject({ code: 0 })
})

it('no password is ever printed', async () => {
  const secret = 'hunter2-of-the-test'
  writeFileSync('secret', `${secret}\n`)
  writeFileSync('tell', `#!/bin/sh\necho ${secret}\n`)
  chmodSync('tell', 0o755)
  const runs = [
    await open('-p secret'),
    await open('-v -p secret'),
    await open('', { env: { RESTIC_PASSWORD: secret } }),
    await open('--json', { env: { RESTIC_PASSWORD: secret } }),
    await open('--password-command ./tell'),
    await open('', { answers: [secret, secret, secret] }),
    await open('', { input: secret }),
    await open('-p secret --insecure-no-password'),
    await transcript('-r http://user:hunter2-of-the-test@host/ snapshots'),
    await transcript('-r rest:http://user:hunter2-of-the-test@[bad/ snapshots'),
  ]
  for (const { code, stdout, stderr } of runs) {
    expect(code).not.toBe(0)
    expect(stdout + stderr).not.toContain(secret)
  }
})
