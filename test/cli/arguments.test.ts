/** Flags and variables every command takes, the calls of the script we replace, and arguments that make no sense. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { filesOf, makeRepository } from '../support/repositories.ts'
import { makeSample, type Sample } from './sample.ts'
import { containing, jsonLines, matching, succeed, transcript } from './transcript.ts'

vi.mock('node:timers/promises', async (load) => ({
  ...(await load<object>()),
  setTimeout: () => Promise.resolve(),
}))

let sample: Sample

beforeAll(async () => {
  sample = await makeSample()
})
afterAll(() => sample.remove())

async function count(args: string, env: Record<string, string | undefined> = {}): Promise<number> {
  return (JSON.parse(await succeed(args, { env })) as unknown[]).length
}

describe('global flags', () => {
  it('may stand before and after the command', async () => {
    expect(await count('-r repository --json snapshots')).toBe(3)
    expect(await count('snapshots --json -r repository')).toBe(3)
    expect(await count('--json snapshots --repo=repository')).toBe(3)
    expect(await count('--json snapshots -rrepository')).toBe(3)
  })

  it('of the inner command win', async () => {
    expect(await count('-r nix snapshots --json -r repository')).toBe(3)
    expect(await transcript('-r repository snapshots -r nix')).toMatchObject({ code: 10 })
  })

  it('add up where they may be repeated', async () => {
    const text = await succeed('-v -r repository backup -v --host two --dry-run source')
    expect(text).toContain('\nunchanged /source/a.txt\n')
    for (const flags of ['--verbose=2', '--verbose --verbose', '-vv', '-v=2']) {
      expect(await succeed(`-r repository backup ${flags} --host two --dry-run source`)).toContain(
        '\nunchanged ',
      )
    }
    for (const flags of ['-v', '--verbose=1', '-v=1']) {
      const less = await succeed(`-r repository backup ${flags} --host two --dry-run source`)
      expect(less).toContain('\nTree Blobs: ')
      expect(less).not.toContain('\nunchanged ')
    }
    expect(await succeed('-r repository backup --verbose=0 --dry-run source')).not.toContain('Tree Blobs')
    expect(
      await transcript('-r repository -o local.connections=1 snapshots -o local.connections=2'),
    ).toMatchObject({ code: 1, stderr: 'Fatal: key "local.connections" present more than once\n' })
  })

  it('cannot contradict each other', async () => {
    expect(await transcript('-q -r repository snapshots -v')).toMatchObject({
      code: 1,
      stderr: 'Fatal: --quiet and --verbose cannot be specified at the same time\n',
    })
    expect(await transcript('-r x snapshots --repository-file y')).toMatchObject({
      code: 1,
      stderr: 'Fatal: Options -r and --repository-file are mutually exclusive, please specify only one\n',
    })
  })

  it('that only matter to other stores are taken', async () => {
    const flags =
      '--no-cache --cache-dir x --cleanup-cache --limit-upload 1 --limit-download 1 --cacert x --tls-client-cert x ' +
      '--insecure-tls --http-user-agent x --stuck-request-timeout 5m --no-extra-verify --retry-lock 1h30m -o s3.region=x'
    expect(await count(`-r repository --json snapshots ${flags}`)).toBe(3)
  })

  it.each([
    [
      '--compression colour',
      'invalid value for --compression "colour": must be one of (auto|off|fastest|better|max)',
    ],
    ['--pack-size big', 'invalid value for --pack-size "big": give a whole number of MiB'],
    ['--pack-size 3', 'the pack size must be between 4 MiB and 128 MiB'],
    ['--pack-size 129', 'the pack size must be between 4 MiB and 128 MiB'],
    ['--retry-lock soon', 'invalid duration "soon": give something like 5m or 1h30m'],
    ['--stuck-request-timeout soon', 'invalid duration "soon": give something like 5m or 1h30m'],
    ['-o local.connections=0', 'option local.connections: "0" is not a positive number'],
    ['-o =1', 'empty key is not a valid option'],
  ])('refuse %s', async (flags, message) => {
    expect(await transcript(`-r repository snapshots ${flags}`)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: `Fatal: ${message}\n`,
    })
  })

  it('are heard: compression', async () => {
    const repository = sample.copy()
    writeFileSync('source/text', 'all the same '.repeat(1000))
    try {
      const saved: number[] = []
      for (const mode of ['off', 'max']) {
        const args = `-r ${repository} backup --json --host ${mode} --force --tag ${mode} --compression ${mode} source`
        writeFileSync('source/text', `${mode} all the same `.repeat(1000))
        saved.push(Number(jsonLines(await succeed(args)).at(-1)!['data_added_packed']))
      }
      expect(saved[0]).toBeGreaterThan(10_000)
      expect(saved[1]).toBeLessThan(4000)
    } finally {
      rmSync('source/text')
    }
  })

  it.each([
    ['--cacert', '--cacert nix', {}],
    ['RESTIC_CACERT', '', { RESTIC_CACERT: 'nix,other' }],
    ['--tls-client-cert', '--tls-client-cert nix', {}],
    ['RESTIC_TLS_CLIENT_CERT', '', { RESTIC_TLS_CLIENT_CERT: 'nix' }],
  ])('reach stores: %s', async (_name, flags, env) => {
    const args = `-r rest:https://127.0.0.1:1/ snapshots ${flags}`.trim()
    expect(await transcript(args, { env })).toMatchObject({ code: 1, stderr: matching(/^Fatal: .*nix/) })
    expect(await count(`--json snapshots -r repository ${flags}`.trim(), env)).toBe(3)
  })

  it('are heard: a pack size of 0 is that of restic', async () => {
    expect(await count('-r repository --json snapshots --pack-size 0')).toBe(3)
    expect(await count('-r repository --json snapshots', { RESTIC_PACK_SIZE: '' })).toBe(3)
  })

  it('are heard: --no-lock', async () => {
    const repository = sample.copy()
    const seen: string[] = []
    const onWrite = (): void => void seen.push(...filesOf(repository, 'locks'))
    await succeed(`-r ${repository} cat config --no-lock`, { onWrite })
    expect(seen).toEqual([])
    await succeed(`-r ${repository} cat config`, { onWrite })
    expect(seen).toHaveLength(1)
  })
})

describe('the repository', () => {
  beforeAll(() => {
    writeFileSync('location', '\ufeff  repository \r\n')
  })

  it.each([
    ['RESTIC_REPOSITORY', { RESTIC_REPOSITORY: 'repository' }, ''],
    ['RESTIC_REPOSITORY_FILE', { RESTIC_REPOSITORY_FILE: 'location' }, ''],
    ['--repository-file', {}, '--repository-file location'],
    ['local:', {}, '-r local:repository'],
    [
      'the flag rather than the variables',
      { RESTIC_REPOSITORY: 'nix', RESTIC_REPOSITORY_FILE: 'nix' },
      '-r repository',
    ],
    ['the file rather than the variables', { RESTIC_REPOSITORY: 'nix' }, '--repository-file location'],
    ['a variable that is not empty', { RESTIC_REPOSITORY: '', RESTIC_REPOSITORY_FILE: 'location' }, ''],
  ])('is named by %s', async (_way, env, flags) => {
    expect(await count(`--json snapshots ${flags}`.trim(), env)).toBe(3)
  })

  it.each([
    ['', {}, 'Please specify repository location (-r or --repository-file)'],
    [
      '',
      { RESTIC_REPOSITORY: 'a', RESTIC_REPOSITORY_FILE: 'b' },
      'Options -r and --repository-file are mutually',
    ],
    ['--repository-file nix', {}, 'nix does not exist'],
    ['--repository-file source', {}, 'read source: is a directory'],
    ['-r nowhere:x', {}, 'invalid backend: nowhere:x'],
  ])('is not to be found with %s %j', async (flags, env, message) => {
    const result = await transcript(`snapshots ${flags}`.trim(), { env })
    expect(result).toMatchObject({ code: 1, stdout: '', stderr: containing(`Fatal: ${message}`) })
  })
})

describe('variables', () => {
  it.each([
    ['RESTIC_COMPRESSION', 'colour', 'invalid value for RESTIC_COMPRESSION "colour"'],
    ['RESTIC_PACK_SIZE', 'big', 'invalid value for RESTIC_PACK_SIZE "big"'],
    ['RESTIC_READ_CONCURRENCY', 'many', 'invalid value for RESTIC_READ_CONCURRENCY "many"'],
    ['RESTIC_FEATURES', 'nix', 'unknown feature flag "nix"'],
    ['RESTIC_FEATURES', 's3-restore=maybe', 'failed to parse value "maybe" for feature flag s3-restore'],
  ])('%s=%s is refused', async (name, value, message) => {
    const result = await transcript('-r repository backup --dry-run source', { env: { [name]: value } })
    expect(result).toMatchObject({ code: 1, stdout: '', stderr: containing(`Fatal: ${message}`) })
  })

  it('give way to flags', async () => {
    const env = { RESTIC_COMPRESSION: 'colour', RESTIC_PACK_SIZE: 'big', RESTIC_READ_CONCURRENCY: 'many' }
    const flags = '--compression auto --pack-size 16 --read-concurrency 2'
    expect(await succeed(`-r repository backup -q --dry-run source ${flags}`, { env })).toBe('')
  })

  it('of features are checked before anything else, and those without effect warned of', async () => {
    expect(await transcript('version', { env: { RESTIC_FEATURES: 'nix' } })).toMatchObject({ code: 1 })
    const env = { RESTIC_FEATURES: 'device-id-for-hardlinks,s3-restore=true,deprecate-legacy-index=false' }
    expect(await transcript('version', { env })).toMatchObject({
      code: 0,
      stderr:
        'feature flag "deprecate-legacy-index" is always enabled and will be removed in a future release\n',
    })
  })
})

describe('help', () => {
  it('is what there is without arguments', async () => {
    const { code, stdout, stderr } = await transcript([])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^Usage: restic-ts \[options\] \[command\]\n/)
    for (const name of [
      'init',
      'backup',
      'restore',
      'snapshots',
      'list',
      'check',
      'forget',
      'prune',
      'key',
      'cat',
      'unlock',
      'version',
    ])
      // prettier-ignore
      expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'))
    expect(await succeed('--help')).toBe(stdout)
  })

  it('of a command names its flags and the global ones', async () => {
    const text = await succeed('restore --help')
    for (const flag of ['--target', '--restore-dir', '--password-file', '--cache-dir', '--json'])
      expect(text).toContain(flag)
    expect(await succeed('help restore')).toBe(text)
  })
})

describe('arguments that make no sense', () => {
  it.each([
    ['colour', "error: unknown command 'colour'\n"],
    ['snapshot', "error: unknown command 'snapshot'\n(Did you mean snapshots?)\n"],
    ['colour --deep', "error: unknown command 'colour'\n"],
    ['stats', 'unknown command "stats": restic has it, this version of restic-ts does not yet\n'],
    [
      '-r x ls --long latest',
      'unknown command "ls": restic has it, this version of restic-ts does not yet\n',
    ],
    ['snapshots --colour', "error: unknown option '--colour'\n"],
    ['--colour snapshots', "error: unknown option '--colour'\n"],
    ['snapshots -Z', "error: unknown option '-Z'\n"],
    ['--json snapshots --repo', "error: option '-r, --repo <location>' argument missing\n"],
    ['restore', "error: missing required argument 'snapshot'\n"],
    ['restore a b --target c', "error: too many arguments for 'restore'. Expected 1 argument but got 2.\n"],
    ['restore a --overwrite maybe', "error: option '--overwrite <when>' argument 'maybe' is invalid. Allowed choices are always, if-changed, if-newer, never.\n"], // prettier-ignore
    ['unlock everything', "error: too many arguments for 'unlock'. Expected 0 arguments but got 1.\n"],
    ['--command colour', "error: unknown option '--command'\n"],
  ])('%s', async (args, stderr) => {
    expect(await transcript(args)).toMatchObject({ code: 1, stdout: '', stderr })
    // In text whatever is asked for, as restic does.
    expect(await transcript(`--json ${args}`)).toMatchObject({ code: 1, stdout: '', stderr })
  })

  it('are safe to show', async () => {
    const { stderr } = await transcript(['\u001b[31mred\u0007'])
    expect(stderr).toBe("error: unknown command '\\x1b[31mred\\a'\n")
  })
})

describe('the script we replace', () => {
  const env = { RESTIC_REPOSITORY: 'script' }
  beforeEach(() => rmSync('backup', { recursive: true, force: true }))

  it('is called as ever', async () => {
    mkdirSync('backup')
    writeFileSync(join('backup', 'file'), 'content')
    expect(await succeed('--command init', { env: { RESTIC_REPOSITORY: 'script-init' } })).toMatch(
      /^created /,
    )
    await makeRepository('script')
    expect(await succeed('--command backup', { env })).toMatch(/\nsnapshot [0-9a-f]{8} saved\n$/)
    expect(await succeed('--command=backup --restore-dir unused', { env })).toMatch(/using parent snapshot/)
    expect(await succeed('--command list', { env })).toMatch(/\n2 snapshots\n$/)
    expect(await succeed('--command check', { env })).toMatch(/no errors were found\n$/)
    expect(await succeed('--command prune --keep-last 1', { env })).toMatch(/^Applying Policy[^]*\ndone\n$/)
    expect(await succeed('--command prune', { env })).toMatch(/\ndone\n$/)
    expect(await succeed('--command restore', { env })).toMatch(/to \.\/restore\nSummary: Restored 2 files/)
    expect(readdirSync('restore/backup')).toEqual(['file'])
    expect(await succeed('--command restore --restore-dir other', { env })).toMatch(/to other\n/)
    expect(await succeed('--restore-dir=third --command restore', { env })).toMatch(/to third\n/)
    expect(await succeed('--command restore -t fourth', { env })).toMatch(/to fourth\n/)
  })

  it('needs something to back up', async () => {
    expect(await transcript('--command backup', { env })).toMatchObject({
      code: 1,
      stderr: 'Fatal: nothing to backup, please specify source files/dirs\n',
    })
  })

  it('leaves what a command is to run alone', async () => {
    const repository = sample.copy()
    const args = [
      '-r',
      repository,
      'backup',
      '-q',
      '--stdin-from-command',
      '--',
      'echo',
      '--command',
      'restore',
    ]
    await succeed(args)
    await succeed(['-r', repository, 'restore', 'latest', '-q', '--target', 'echoed'])
    expect(readdirSync('echoed')).toEqual(['stdin'])
    expect((await transcript(['-r', repository, 'cat', 'tree', 'latest'])).stdout).toMatch(/"size":18/)
  })
})

it('an ID that fits several is not taken', async () => {
  const repository = sample.copy()
  const firsts = new Set<string>()
  let shared: string | undefined
  for (let i = 0; shared === undefined; i++) {
    const [, id] = /snapshot (\w+) saved/.exec(await succeed(`-r ${repository} backup --tag ${i} source`))!
    if (firsts.has(id![0]!)) shared = id![0]!
    firsts.add(id![0]!)
  }
  const message = `multiple IDs with prefix "${shared}" found`
  expect(await transcript(`-r ${repository} restore ${shared} --target x`)).toMatchObject({
    code: 1,
    stderr: containing(message),
  })
  expect(await transcript(`-r ${repository} snapshots ${shared}`)).toMatchObject({
    code: 0,
    stdout: '',
    stderr: matching(`^Ignoring "${shared}": ${message}`),
  })
})
