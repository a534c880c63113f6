/** Commands that change a repository: what they print in text and as JSON, and how they end. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { filesOf } from '../support/repositories.ts'
import { makeSample, normalise, type Sample } from './sample.ts'
import {
  containing,
  jsonLines,
  matching,
  transcript,
  type Transcript,
  type TranscriptOptions,
} from './transcript.ts'

// A lock waits a moment to see whether another came at the same time. Here none does.
vi.mock('node:timers/promises', async (load) => ({
  ...(await load<object>()),
  setTimeout: () => Promise.resolve(),
}))

let sample: Sample

beforeAll(async () => {
  sample = await makeSample()
})
afterAll(() => sample.remove())

/** Runs a command on the sample's repository, or on another. */
function run(args: string, repository?: string, options?: TranscriptOptions): Promise<Transcript> {
  return transcript(['-r', repository ?? sample.repository, ...args.split(' ')], options)
}

async function printed(args: string, repository?: string, options?: TranscriptOptions): Promise<string> {
  const { code, stdout, stderr } = await run(args, repository, options)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
}

async function json<T>(args: string, repository?: string): Promise<T> {
  return JSON.parse(await printed(`--json ${args}`, repository)) as T
}

describe('init', () => {
  it('makes a repository and warns of a lost password', async () => {
    const text = await printed('init', 'made')
    expect(text).toMatch(/^created restic repository [0-9a-f]{10} at made\n\nPlease note that knowledge/)
    expect(await printed('snapshots --json', 'made')).toBe('[]\n')
    expect(await printed('snapshots', 'made')).toBe('')
  })

  it('says what it made as JSON, in the version asked for', async () => {
    const made = await json('init --repository-version 1', 'made-1')
    const { id, version } = await json<{ id: string; version: number }>('cat config', 'made-1')
    expect(made).toEqual({ message_type: 'initialized', id, repository: 'made-1' })
    expect(version).toBe(1)
  })

  it('takes over the chunker polynomial of another repository', async () => {
    const args = `init --copy-chunker-params --from-repo ${sample.repository}`
    const text = await printed(args, 'made-alike', { env: { RESTIC_FROM_PASSWORD: 'test' } })
    expect(text).toContain('\n with chunker parameters copied from secondary repository\n')
    const [made, other] = [
      await json<{ chunker_polynomial: string }>('cat config', 'made-alike'),
      await json<{ chunker_polynomial: string }>('cat config'),
    ]
    expect(made.chunker_polynomial).toBe(other.chunker_polynomial)
  })

  it.each([
    ['init', /^Fatal: create repository at .* failed: config file already exists\n$/],
    ['init --repository-version 3', /only 1 and 2 are allowed/],
    ['init --from-repo x', /Secondary repository must only be specified when copying the chunker parameters/],
    ['init --copy-chunker-params', /Please specify repository location \(--from-repo or --from-repository-f/],
  ])('refuses %s', async (args, message) => {
    const { code, stderr } = await run(args)
    expect(code).toBe(1)
    expect(stderr).toMatch(message)
  })
})

describe('backup', () => {
  it('sums up what it did', async () => {
    expect(normalise(await printed('backup --host two source', sample.copy()))).toBe(
      [
        'using parent snapshot <id>',
        '',
        'Files:           0 new,     0 changed,     3 unmodified',
        'Dirs:            0 new,     0 changed,     2 unmodified',
        'Added to the repository: 0 B   (0 B   stored)',
        '',
        'processed 3 files, 12 B in 0:00',
        'snapshot <id> saved',
        '',
      ].join('\n'),
    )
  })

  it('says more with -v and -vv', async () => {
    const lines = (await printed('backup -vv --host three source', sample.copy())).split('\n')
    expect(lines.slice(0, 5)).toEqual([
      'open repository',
      'no parent snapshot found, will read all files',
      'load index files',
      'start scan on [source]',
      'start backup on [source]',
    ])
    expect(lines).toContainEqual(matching(/^scan finished in \d\.\d{3}s: 3 files, 12 B$/))
    expect(lines).toContainEqual(matching(/^new {7}\/source\/a.txt, saved in .*s \(0 B added, 0 B stored\)$/))
    expect(lines).toContain('Tree Blobs:      0 new')
    const verbose = await printed('backup -v --host two source', sample.copy())
    expect(verbose).toContain('Data Blobs:      0 new\n')
    expect(verbose).not.toContain('unchanged')
  })

  it('says nothing with -q', async () => {
    expect(await printed('backup -q source', sample.copy())).toBe('')
  })

  it('speaks JSON', async () => {
    const repository = sample.copy()
    const lines = jsonLines(await printed('backup --json -v --host two source', repository))
    const [latest] = (await json<{ id: string }[]>('snapshots latest', repository)).slice(-1)
    const verbose = lines.filter((line) => line['message_type'] === 'verbose_status')
    expect(verbose.map((line) => `${String(line['action'])} ${String(line['item'])}`).toSorted()).toEqual([
      'scan_finished ',
      'unchanged /source/',
      'unchanged /source/a.txt',
      'unchanged /source/empty',
      'unchanged /source/sub/',
      'unchanged /source/sub/b.txt',
    ])
    expect(lines.at(-1)).toMatchObject({
      message_type: 'summary',
      files_unmodified: 3,
      total_bytes_processed: 12,
      backup_start: matching(/^\d{4}-\d\d-\d\dT.*Z$/),
      snapshot_id: latest!.id,
    })
  })

  it('writes nothing in a dry run', async () => {
    const repository = sample.copy()
    writeFileSync('source/later', 'x')
    try {
      const text = await printed('backup --dry-run source', repository)
      expect(text).toContain('\nWould add to the repository: ')
      expect(text).not.toContain('saved')
      expect(filesOf(repository, '')).toEqual(filesOf(sample.repository, '').map((file) => file.replace(sample.repository, repository))) // prettier-ignore
      const [summary] = jsonLines(await printed('backup -q --dry-run --json source', repository))
      expect(summary).toMatchObject({ message_type: 'summary', files_new: 4, dry_run: true })
    } finally {
      rmSync('source/later')
    }
  })

  it('skips a snapshot where nothing changed', async () => {
    const repository = sample.copy()
    await printed('backup source', repository)
    const before = filesOf(repository, 'snapshots')
    const text = await printed('backup --skip-if-unchanged source', repository)
    expect(text).toMatch(/\nskipped creating snapshot\n$/)
    const lines = jsonLines(await printed('backup --skip-if-unchanged source --json', repository))
    expect(lines.at(-1)).toMatchObject({ message_type: 'summary' })
    expect(lines.at(-1)).not.toHaveProperty('snapshot_id')
    expect(filesOf(repository, 'snapshots')).toEqual(before)
  })

  it('warns of what is not there and ends with 3', async () => {
    const text = await run('backup nix source', sample.copy())
    expect(text).toMatchObject({
      code: 3,
      stderr: 'nix does not exist, skipping\nWarning: at least one source file could not be read\n',
    })
    expect(text.stdout).toMatch(/snapshot [0-9a-f]{8} saved\n$/)
    const { code, stderr } = await run('backup --json nix source', sample.copy())
    expect({ code, stderr }).toEqual({
      code: 3,
      stderr:
        'nix does not exist, skipping\n' +
        '{"message_type":"exit_error","code":3,"message":"Warning: at least one source file could not be read"}\n',
    })
  })

  it('takes a stream', async () => {
    const repository = sample.copy()
    await printed('backup --stdin --stdin-filename dir/dump.sql', repository, { input: 'select 1' })
    await printed('restore latest --target streamed', repository)
    expect(readFileSync('streamed/dir/dump.sql', 'utf8')).toBe('select 1')
  })

  it('takes the output of a command, and only whole', async () => {
    const repository = sample.copy()
    const sh = (script: string): Promise<Transcript> =>
      transcript(['-r', repository, 'backup', '-q', '--stdin-from-command', '--', 'sh', '-c', script])
    expect(await sh('echo out; echo note >&2')).toMatchObject({ code: 0, stderr: 'subprocess sh: note\n' })
    await printed('restore latest --target from-command', repository)
    expect(readFileSync('from-command/stdin', 'utf8')).toBe('out\n')
    expect(await sh('echo half; exit 7')).toMatchObject({
      code: 1,
      stderr: 'Fatal: command "sh" failed: exit status 7\n',
    })
    expect(await json('snapshots', repository)).toHaveLength(4)
  })

  it('reads what to back up from files', async () => {
    const repository = sample.copy()
    writeFileSync('patterns', '# a list\n\nsource/*.txt\nnix*\n')
    writeFileSync('verbatim', 'source/empty\n')
    const { code, stderr } = await run(
      'backup -q --files-from patterns --files-from-verbatim verbatim',
      repository,
    )
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: 'pattern "nix*" does not match any files, skipping\n',
    })
    const raw = await run('backup -q --files-from-raw -', repository, { input: 'source/sub\0source/a.txt\0' })
    expect(raw).toMatchObject({ code: 0, stderr: '' })
    const [patterns, list] = (await json<{ paths: string[] }[]>('snapshots', repository)).slice(-2)
    const inSource = (...names: string[]): string[] => names.map((name) => join(sample.source, name))
    expect(patterns!.paths).toEqual(inSource('a.txt', 'empty'))
    expect(list!.paths).toEqual(inSource('a.txt', 'sub'))
  })

  it('records what it was told', async () => {
    const repository = sample.copy()
    writeFileSync('excludes', '*.bin\n')
    const flags = ['--tag', 'x,y', '--tag', 'z', '--exclude', '*.tmp', '--exclude-file', 'excludes']
    const time = ['--time', '2020-02-29 12:34:56']
    await transcript(['-r', repository, 'backup', '-q', 'source', ...flags, ...time], {
      env: { RESTIC_HOST: 'env' },
    })
    const [snapshot] = await json<Record<string, unknown>[]>('snapshots --host env', repository)
    expect(snapshot).toMatchObject({
      time: '2020-02-29T12:34:56Z',
      tags: ['x', 'y', 'z'],
      excludes: ['*.tmp'],
      hostname: 'env',
      program_version: matching(/^restic-ts \d/),
    })
  })

  it.each([
    ['backup', 'nothing to backup, please specify source files/dirs'],
    ['backup nix', 'all source directories/files do not exist'],
    ['backup --parent 0000 source', 'no matching ID found for prefix "0000"'],
    ['backup --stdin source', '--stdin was specified and files/dirs were listed as arguments'],
    ['backup --stdin --files-from patterns', '--stdin and --files-from cannot be used together'],
    ['backup --stdin-from-command', 'no command given'],
    ['backup --exclude-larger-than 1.5M source', 'invalid size "1.5M"'],
    ['backup --group-by colour source', 'unknown grouping option: "colour"'],
    ['backup --read-concurrency many source', 'invalid value for --read-concurrency "many"'],
    ['backup --time 2020-02-30 source', 'error in time option: "2020-02-30" is not'],
    [
      'backup --exclude-file nix source',
      'failed to read patterns from file "nix": open nix: no such file or directory',
    ],
    ['backup --files-from nix', 'open nix: no such file or directory'],
  ])('refuses %s', async (args, message) => {
    const { code, stderr } = await run(args)
    expect(code).toBe(1)
    expect(stderr).toContain(`Fatal: ${message}`)
  })
})

describe('forget', () => {
  it('says what it keeps and why, and removes the rest', async () => {
    const repository = sample.copy()
    const text = await printed('forget --keep-last 1 --group-by host', repository)
    expect(text.split('\n').filter((line) => !/^(ID|-+$|Timestamps)/.test(line))).toEqual([
      'Applying Policy: keep 1 latest snapshots',
      'keep 1 snapshots:',
      matching(`^${sample.ids[1]} .* last snapshot  `),
      '1 snapshots',
      '',
      'remove 1 snapshots:',
      matching(`^${sample.ids[0]} `),
      '1 snapshots',
      '',
      'keep 1 snapshots:',
      matching(`^${sample.ids[2]} .* last snapshot  `),
      '1 snapshots',
      '',
      '[0:00] 100.00%  1 / 1 files deleted',
      '',
    ])
    expect(await json('snapshots', repository)).toHaveLength(2)
  })

  it('speaks JSON, newest snapshots first', async () => {
    const [one, two] = await json<Record<string, unknown>[]>('forget --dry-run --keep-last 2 --group-by host')
    expect(one).toMatchObject({
      tags: null,
      host: 'one',
      paths: null,
      keep: [{ short_id: sample.ids[1] }, { short_id: sample.ids[0] }],
      remove: null,
      reasons: [{ snapshot: { short_id: sample.ids[1] }, matches: ['last snapshot'] }, {}],
    })
    expect(two).toMatchObject({ host: 'two', remove: null })
  })

  it('removes snapshots by ID without a word of JSON', async () => {
    const repository = sample.copy()
    expect(await printed(`forget --json ${sample.ids[0]} ${sample.ids[1]}`, repository)).toBe('')
    expect(await json('snapshots', repository)).toMatchObject([{ short_id: sample.ids[2] }])
  })

  it('prunes on request, where there was something to remove', async () => {
    const repository = sample.copy()
    const text = await printed('forget --keep-last 1 --group-by host --prune', repository)
    expect(text).toContain('\n1 snapshots have been removed, running prune\nloading all snapshots...\n')
    expect(text).toMatch(/\ndone\n$/)
    const again = await printed('forget --keep-last 1 --group-by host --prune', repository)
    expect(again).not.toContain('prune')
    expect(await printed('check', repository)).toMatch(/no errors were found\n$/)
  })

  it('shows in a dry run what it would do', async () => {
    const text = await printed('forget --keep-last 1 --group-by host --prune --dry-run')
    expect(text).toContain(`Would have removed the following snapshots:\n{${sample.ids[0]}}\n\n`)
    expect(text).toContain('1 snapshots would be removed, running prune dry run\n')
    expect(text).toContain('\nWould have made the following changes:\n')
    expect(await json('snapshots')).toHaveLength(3)
  })

  it.each([
    ['forget', 'no policy was specified, no snapshots will be removed'],
    ['forget --keep-last 0', 'no policy was specified, no snapshots will be removed'],
    ['forget --keep-last -2', 'negative values not allowed'],
    ['forget --keep-last few', 'invalid count "few"'],
    ['forget --keep-within 1w', 'invalid duration "1w"'],
    ['forget --keep-tag nix', 'refusing to delete last snapshot of snapshot group'],
    ['forget --unsafe-allow-remove-all', '--unsafe-allow-remove-all is not allowed unless a snapshot filter'],
    [
      'forget --no-lock --keep-last 1',
      '--no-lock is only applicable in combination with --dry-run for forget',
    ],
    ['forget --keep-last 1 --prune --max-unused 200%', 'percentage for --max-unused must be below 100%'],
  ])('refuses %s', async (args, message) => {
    const { code, stderr } = await run(args)
    expect({ code, stderr }).toEqual({ code: 1, stderr: containing(`Fatal: ${message}`) })
    expect(await json('snapshots')).toHaveLength(3)
  })
})

describe('prune', () => {
  it('removes what nobody needs', async () => {
    const repository = sample.copy()
    await printed(`forget ${sample.ids[0]}`, repository)
    const text = normalise(await printed('prune', repository))
    expect(text.split('\n').map((line) => line.replaceAll(/\d+(\.\d+)?( blobs| (B|KiB)\b)/g, 'N$2'))).toEqual(
      [
        'loading all snapshots...',
        'finding data that is still in use for 2 snapshots',
        '[0:00] 100.00%  2 / 2 snapshots',
        'searching used packs...',
        'collecting packs for deletion and repacking',
        matching(/^\[0:00\] 100.00% {2}\d+ \/ \d+ packs processed$/),
        '',
        matching(/^to repack: +N blobs \/ N/),
        matching(/^this removes: +N blobs \/ N/),
        matching(/^to delete: +N blobs \/ N/),
        matching(/^total prune: +N blobs \/ N/),
        matching(/^remaining: +N blobs \/ N/),
        matching(/^unused size after prune: N B \(0\.00% of remaining size\)$/),
        '',
        'repacking packs',
        matching(/packs repacked$/),
        'rebuilding index',
        matching(/indexes processed$/),
        matching(/old indexes deleted$/),
        matching(/^removing \d+ old packs$/),
        matching(/files deleted$/),
        'done',
        '',
      ],
    )
    const sizeOf = async (path: string): Promise<number> => (await printed('list blobs', path)).length
    expect(await sizeOf(repository)).toBeLessThan(await sizeOf(sample.repository))
  })

  it('names in a dry run with -v the packs it would remove', async () => {
    const repository = sample.copy()
    const before = filesOf(repository, 'data').map((pack) => pack.slice(-64, -56))
    await printed(`forget ${sample.ids[0]} ${sample.ids[1]}`, repository)
    writeFileSync(join(repository, 'data', before[0]!.slice(0, 2), '0'.repeat(64)), 'not named by any index')
    const text = await printed('prune --dry-run -v --max-unused 0', repository)
    const listed = (title: string): string[] => {
      const [, ids = '?'] = new RegExp(`^Would have ${title}:\\n\\{(.*)\\}$`, 'm').exec(text) ?? []
      return ids.split(' ').filter((id) => id !== '')
    }
    expect(listed('removed the following unreferenced packs')).toEqual(['00000000'])
    const repacked = listed('repacked and removed the following packs')
    const unused = listed('removed the following no longer used packs')
    expect(repacked.length).toBeGreaterThan(0)
    expect(unused.length).toBeGreaterThan(0)
    expect(repacked.filter((id) => unused.includes(id))).toEqual([])
    for (const id of [...repacked, ...unused]) expect(before).toContain(id)
    expect(await printed('prune --dry-run --max-unused 0', repository)).not.toContain('Would have re')
  })

  it('prints the plan as JSON', async () => {
    const repository = sample.copy()
    await printed(`forget ${sample.ids[0]}`, repository)
    const dry = await json<Record<string, Record<string, number>>>('prune --dry-run', repository)
    expect(Object.keys(dry)).toEqual(['message_type', 'blobs', 'bytes', 'packfiles'])
    const { blobs, bytes, packfiles } = dry
    expect(blobs!['total']).toBe(blobs!['used']! + blobs!['unused']! + blobs!['duplicate']!)
    expect(blobs!['remove_total']).toBe(blobs!['remove']! + blobs!['repack_remove']!)
    expect(bytes!['remaining']).toBe(bytes!['total']! - bytes!['remove_total']!)
    expect(packfiles!['total']).toBe(filesOf(repository, 'data').length)
    expect(await json('prune', repository)).toEqual(dry)
    const after = await json<{ blobs: object; packfiles: object }>('prune', repository)
    expect(after.blobs).toMatchObject({ total: blobs!['remaining'], unused: 0, remove_total: 0 })
    expect(after.packfiles).toMatchObject({ remove_total: 0 })
  })

  it.each([
    ['prune --max-unused lots', 'invalid size "lots"'],
    ['prune --max-unused 101%', 'percentage for --max-unused must be below 100%'],
    ['prune --max-repack-size lots', 'invalid size "lots"'],
    ['prune --no-lock', '--no-lock is only applicable in combination with --dry-run for prune command'],
    ['prune --unsafe-recover-no-free-space xyz', 'must pass id'],
    ['prune --host one', 'prune only selects snapshots by a policy'],
    ['prune --unsafe-allow-remove-all', 'prune only selects snapshots by a policy'],
    ['prune --keep-tag nix', 'refusing to delete last snapshot'],
  ])('refuses %s', async (args, message) => {
    const { code, stderr } = await run(args)
    expect({ code, stderr }).toEqual({ code: 1, stderr: containing(`Fatal: ${message}`) })
  })

  it('with a policy forgets first', async () => {
    const repository = sample.copy()
    const text = await printed('prune --keep-last 1 --group-by host', repository)
    expect(text).toMatch(/^Applying Policy: keep 1 latest snapshots\n/)
    expect(text).toContain('\n1 snapshots have been removed, running prune\n')
    expect(text).toMatch(/\ndone\n$/)
    expect(await json('snapshots', repository)).toHaveLength(2)
    expect(await printed('check', repository)).toMatch(/no errors were found\n$/)
  })

  it('with a policy prunes even where nothing was to forget', async () => {
    const repository = sample.copy()
    await printed(`forget ${sample.ids[0]}`, repository)
    const text = await printed('prune --keep-last 5 --dry-run', repository)
    expect(text).toMatch(/^Applying Policy/)
    expect(text).toContain('\nloading all snapshots...\n')
    expect(text).not.toContain('running prune')
    const lines = jsonLines(await printed('prune --keep-last 5 --json', repository))
    expect(lines).toHaveLength(2)
    expect(lines[1]).toMatchObject({ message_type: 'summary' })
    expect(await json('prune', repository)).toMatchObject({ blobs: { unused: 0, remove_total: 0 } })
  })

  it('with a policy asks for one password and takes one lock', async () => {
    const repository = sample.copy()
    const locked: string[] = []
    const result = await transcript(['-r', repository, 'prune', '--keep-last', '1'], {
      env: { RESTIC_PASSWORD: undefined },
      answers: ['test'],
      onWrite: () => locked.push(...filesOf(repository, 'locks')),
    })
    expect(result).toMatchObject({ code: 0, stderr: '', prompts: ['enter password for repository: '] })
    expect(result.stdout).toMatch(/^Applying[^]*done\n$/)
    expect(new Set(locked).size).toBe(1)
    expect(filesOf(repository, 'locks')).toEqual([])
  })
})

describe('key', () => {
  it('lists keys, the current one marked', async () => {
    expect(normalise(await printed('key list'))).toMatch(
      /^ ID +User +Host +Created\n-+\n\*<id> +root +.*\n-+\n$/,
    )
    expect(await json('key list')).toEqual([
      {
        current: true,
        id: matching(/^[0-9a-f]{64}$/),
        userName: matching(/./),
        hostName: hostname(),
        created: matching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/),
      },
    ])
  })

  it('adds, changes and removes', async () => {
    const repository = sample.copy()
    writeFileSync('password', 'other\n')
    const added = await printed('key add --new-password-file password --user u --host h', repository)
    expect(added).toMatch(/^saved new key with ID [0-9a-f]{64}\n$/)
    const keys = await json<{ id: string; current: boolean; userName: string }[]>('key list', repository)
    const [other] = keys.filter((key) => !key.current)
    expect(other).toMatchObject({ userName: 'u', hostName: 'h' })
    expect(added).toContain(other!.id)

    const first = keys.find((key) => key.current)!
    const refused = await run(`key remove ${first.id}`, repository)
    expect(refused).toMatchObject({ code: 1, stderr: containing('Fatal: ') })
    const asOther = { env: { RESTIC_PASSWORD: 'other' } }
    const removed = await run(`key remove ${first.id.slice(0, 8)}`, repository, asOther)
    expect(removed).toMatchObject({ code: 0, stdout: `removed key ${first.id}\n`, stderr: '' })
    expect(await run('snapshots', repository)).toMatchObject({ code: 12 })

    const changed = await transcript(['-r', repository, 'key', 'passwd'], {
      ...asOther,
      answers: ['third', 'third'],
    })
    expect(changed.prompts).toEqual(['enter new password: ', 'enter password again: '])
    expect(changed.stdout).toMatch(/^saved new key as [0-9a-f]{64}\n$/)
    expect(await run('snapshots', repository, asOther)).toMatchObject({ code: 12 })
    expect(await run('snapshots', repository, { env: { RESTIC_PASSWORD: 'third' } })).toMatchObject({
      code: 0,
    })
  })

  it.each([
    ['key remove 0000', 'no matching ID found for prefix "0000"'],
    ['key add --new-password-file nix', 'nix does not exist'],
    ['key add --new-password-file password --new-insecure-no-password', 'only either --new-password-file or'],
    ['key add', 'an empty password is not allowed by default. Pass the flag `--new-insecure-no-password`'],
  ])('refuses %s', async (args, message) => {
    const { code, stderr } = await run(args)
    expect({ code, stderr }).toEqual({ code: 1, stderr: containing(`Fatal: ${message}`) })
    expect(filesOf(sample.repository, 'keys')).toHaveLength(1)
  })

  it('needs to be told what to do', async () => {
    expect(await transcript('key')).toMatchObject({ code: 1, stderr: containing('Commands:') })
    expect(await transcript('key turn')).toMatchObject({
      code: 1,
      stderr: containing("unknown command 'turn'"),
    })
  })
})

describe('unlock', () => {
  it('removes stale locks, or all', async () => {
    const repository = sample.copy()
    const lock = async (name: string): Promise<void> => {
      writeFileSync(join(repository, 'locks', name.repeat(64)), 'not a lock')
      await Promise.resolve()
    }
    await lock('a')
    expect(await printed('unlock', repository)).toBe('')
    expect(filesOf(repository, 'locks')).toHaveLength(1)
    expect(await printed('unlock --remove-all', repository)).toBe('successfully removed 1 locks\n')
    expect(filesOf(repository, 'locks')).toEqual([])
    await lock('b')
    expect(await json('unlock --remove-all', repository)).toEqual({
      message_type: 'summary',
      removed_locks: 1,
    })
  })
})
