/** Commands that read a repository: what they print in text and as JSON, and how they end. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { PROJECT } from '../support/cli.ts'
import { filesOf, overwrite } from '../support/repositories.ts'
import { makeSample, normalise, type Sample } from './sample.ts'
import {
  containing,
  jsonLines,
  matching,
  succeed,
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

describe('version', () => {
  it('is the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as { version: string }
    const text = await succeed('version')
    expect(text).toMatch(new RegExp(`^restic-ts ${version} on node \\d+\\.\\d+\\.\\d+ linux/\\w+\\n$`))
    expect(JSON.parse(await succeed('version --json'))).toEqual({
      message_type: 'version',
      version,
      go_version: `node${process.versions.node}`,
      go_os: 'linux',
      go_arch: process.arch === 'x64' ? 'amd64' : process.arch,
    })
  })
})

describe('snapshots and list', () => {
  it('prints a table', async () => {
    const path = sample.source
    const first = `${sample.ids[0]}  2024-01-01 10:00:00  one         a,b         ${path}  97.668 KiB`
    const line = '-'.repeat(first.length)
    expect(await printed('snapshots')).toBe(
      [
        `ID        Time                 Host        Tags        ${'Paths'.padEnd(path.length)}  Size`,
        line,
        first,
        `${sample.ids[1]}  2024-01-02 10:00:00  one         c           ${path}  48.840 KiB`,
        `${sample.ids[2]}  2024-02-02 10:00:00  two                     ${path}  12 B`,
        line,
        'Timestamps shown in UTC',
        '3 snapshots',
        '',
      ].join('\n'),
    )
    expect(await printed('list')).toBe(await printed('snapshots'))
  })

  it.each([
    ['--host one', [0, 1]],
    ['--host one --latest 1', [1]],
    ['--tag a,b', [0]],
    ['--tag a --tag c', [0, 1]],
    ['--path /nix', []],
    ['--latest 1', [1, 2]],
    ['--last', [1, 2]],
    ['', [0, 1, 2]],
  ])('selects by %s', async (flags, expected) => {
    const selected = await json<{ short_id: string }[]>(`snapshots ${flags}`.trim())
    expect(selected.map((snapshot) => snapshot.short_id)).toEqual(expected.map((i) => sample.ids[i]))
    expect(await json(`list ${flags}`.trim())).toEqual(selected)
  })

  it('selects by ID, by latest, and by RESTIC_HOST', async () => {
    const ids = async (args: string, env = {}): Promise<string[]> => {
      const listed = JSON.parse(await printed(`snapshots --json ${args}`, undefined, { env })) as object[]
      return listed.map((snapshot) => (snapshot as { short_id: string }).short_id)
    }
    expect(await ids(`${sample.ids[0]} latest`)).toEqual([sample.ids[0], sample.ids[2]])
    expect(await ids('-q', { RESTIC_HOST: 'two' })).toEqual([sample.ids[2]])
    expect(await ids('--host one', { RESTIC_HOST: 'two' })).toEqual(sample.ids.slice(0, 2))
    const all = await transcript(['-r', sample.repository, 'snapshots', '--json', '--host', ''], {
      env: { RESTIC_HOST: 'two' },
    })
    expect(JSON.parse(all.stdout)).toHaveLength(3)
  })

  it('takes the latest of each host and path', async () => {
    const repository = sample.copy()
    await printed('backup -q --host one source/sub', repository)
    const latest = await json<{ hostname: string; paths: string[] }[]>('snapshots --latest 1', repository)
    expect(latest.map(({ hostname, paths }) => [hostname, ...paths])).toEqual([
      ['one', sample.source],
      ['two', sample.source],
      ['one', join(sample.source, 'sub')],
    ])
    const ofHost = await json<{ snapshots: object[] }[]>('snapshots --latest 1 --group-by host', repository)
    expect(ofHost.map(({ snapshots }) => snapshots.length)).toEqual([1, 1])
  })

  it('groups', async () => {
    const text = await printed('snapshots --group-by host')
    expect(text.match(/^snapshots for .*$/gm)).toEqual([
      'snapshots for (host [one]):',
      'snapshots for (host [two]):',
    ])
    const groups = await json<{ group_key: object; snapshots: object[] }[]>('list --group-by tags,host')
    expect(groups.map(({ group_key, snapshots }) => [group_key, snapshots.length])).toEqual([
      [{ hostname: 'one', paths: null, tags: ['a', 'b'] }, 1],
      [{ hostname: 'one', paths: null, tags: ['c'] }, 1],
      [{ hostname: 'two', paths: null, tags: null }, 1],
    ])
  })

  it('is compact on request', async () => {
    const [title, , first] = (await printed('snapshots --compact')).split('\n')
    expect(title).toBe('ID        Time                 Host  Tags    Size')
    expect(first).toBe(`${sample.ids[0]}  2024-01-01 10:00:00  one   a       97.668 KiB`)
  })

  it('prints whole objects as JSON', async () => {
    const [first] = await json<Record<string, unknown>[]>('snapshots')
    expect(Object.keys(first!)).toEqual(
      'time tree paths hostname username tags program_version summary id short_id'.split(' '),
    )
  })

  it('warns of unknown IDs and goes on', async () => {
    const result = await run('snapshots 0000')
    expect(result).toMatchObject({
      code: 0,
      stdout: '',
      stderr: 'Ignoring "0000": no matching ID found for prefix "0000"\n',
    })
  })

  it.each(['--latest many', '--group-by colour'])('refuses %s', async (flags) => {
    expect(await run(`snapshots ${flags}`)).toMatchObject({
      code: 1,
      stderr: matching(/^Fatal: /),
    })
  })

  it.each(['packs', 'index', 'snapshots', 'keys', 'locks'])('lists %s', async (type) => {
    const folder = type === 'packs' ? 'data' : type
    const onDisk = filesOf(sample.repository, folder).map((file) => file.slice(-64))
    const lines = (await printed(`list ${type}`)).split('\n').filter((line) => line !== '')
    expect(lines.toSorted()).toEqual(onDisk.toSorted())
    const objects = jsonLines(await printed(`list --json ${type}`))
    expect(objects.map((object) => String(object['id'])).toSorted()).toEqual(onDisk.toSorted())
  })

  it('lists blobs with their types', async () => {
    const lines = (await printed('list blobs')).trim().split('\n')
    expect(lines.filter((line) => /^(data|tree) [0-9a-f]{64}$/.test(line))).toEqual(lines)
    expect(lines.length).toBeGreaterThan(6)
    const objects = jsonLines(await printed('list --json blobs'))
    expect(objects.map(({ type, id }) => `${String(type)} ${String(id)}`).toSorted()).toEqual(
      lines.toSorted(),
    )
  })

  it('refuses a type nobody knows', async () => {
    expect(await run('list colours')).toMatchObject({
      code: 1,
      stderr: 'Fatal: invalid type "colours": must be one of blobs, packs, index, snapshots, keys, locks\n',
    })
  })
})

describe('cat', () => {
  it('prints config, master key, keys, snapshots and locks laid out', async () => {
    const config = await printed('cat config')
    expect(config).toMatch(
      /^\{\n {2}"version": 2,\n {2}"id": "[0-9a-f]{64}",\n {2}"chunker_polynomial": ".*"\n\}\n$/,
    )
    expect(Object.keys(JSON.parse(await printed('cat masterkey')) as object)).toEqual(['mac', 'encrypt'])
    const [key] = filesOf(sample.repository, 'keys')
    expect(JSON.parse(await printed(`cat key ${key!.slice(-64)}`))).toMatchObject({ kdf: 'scrypt' })
    expect(JSON.parse(await printed('cat snapshot latest'))).toMatchObject({ hostname: 'two' })
  })

  it('prints trees, blobs, indexes and packs as they are', async () => {
    const { tree } = JSON.parse(await printed('cat snapshot latest')) as { tree: string }
    const root = JSON.parse(await printed(`cat blob ${tree}`)) as {
      nodes: { name: string; subtree: string }[]
    }
    expect(root.nodes.map((node) => node.name)).toEqual(['source'])
    expect(await printed('cat tree latest')).toBe(await printed(`cat blob ${tree}`))
    expect(await printed('cat tree latest:/source')).toBe(await printed(`cat blob ${root.nodes[0]!.subtree}`))
    for (const file of filesOf(sample.repository, 'index')) {
      expect(JSON.parse(await printed(`cat index ${file.slice(-64)}`))).toHaveProperty('packs')
    }
    const [pack] = filesOf(sample.repository, 'data')
    const { stdoutBytes } = await run(`cat pack ${pack!.slice(-64)}`)
    expect(stdoutBytes.equals(readFileSync(pack!))).toBe(true)
  })

  it.each([
    ['cat', "missing required argument 'type'"],
    ['cat colour', 'Fatal: invalid type "colour"'],
    ['cat blob', 'Fatal: ID not specified'],
    ['cat pack 1234', 'Fatal: ID "1234" is not 64 hexadecimal digits'],
    [`cat blob ${'0'.repeat(64)}`, 'Fatal: blob not found'],
    [`cat index ${'0'.repeat(64)}`, 'Fatal: '],
    ['cat snapshot 0000', 'Fatal: no matching ID found for prefix "0000"'],
    ['cat tree latest:/nix', 'Fatal: path /nix: not found'],
  ])('refuses %s', async (args, message) => {
    const { code, stdout, stderr } = await run(args)
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: '',
      stderr: containing(message),
    })
  })
})

describe('check', () => {
  it('finds a sound repository sound', async () => {
    expect(normalise(await printed('check'))).toBe(
      [
        'create exclusive lock for repository',
        'load indexes',
        'check all packs',
        'check snapshots, trees and blobs',
        '[0:00] 100.00%  3 / 3 snapshots',
        'no errors were found',
        '',
      ].join('\n'),
    )
    expect(await json('check')).toEqual({
      message_type: 'summary',
      num_errors: 0,
      broken_packs: null,
      suggest_repair_index: false,
      suggest_prune: false,
    })
  })

  it.each([
    ['--read-data', /^read all data$/m],
    ['--read-data-subset 1/1', /^read group #1 of \d data packs \(out of total (\d) packs in 1 groups\)$/m],
    ['--read-data-subset 50%', /^read 50\.0% of packfiles$/m],
    ['--read-data-subset 1G', /^read 1073741824 bytes/m],
    ['--read-data latest', /^read all filtered data$/m],
  ])('reads data with %s', async (flags, title) => {
    const text = await printed(`check ${flags}`)
    expect(text).toMatch(title)
    expect(text).toMatch(/^\[0:00\] 100\.00% {2}\d+ \/ \d+ packs$/m)
  })

  it('names what is broken, in text and as JSON', async () => {
    const repository = sample.copy()
    const [pack] = filesOf(repository, 'data')
    const id = pack!.slice(-64)
    overwrite(pack!, (bytes) => bytes.fill(0, 5, 9))
    const text = await run('check --read-data', repository)
    expect(text.code).toBe(1)
    expect(text.stderr).toContain(`pack ${id}`)
    expect(text.stderr).toContain(`restic repair packs ${id}\n`)
    expect(text.stderr).toMatch(/Fatal: repository contains errors\n$/)
    const result = await run('check --read-data --json', repository)
    expect(result.code).toBe(1)
    expect(JSON.parse(result.stdout)).toMatchObject({ message_type: 'summary', broken_packs: [id] })
    const errors = jsonLines(result.stderr)
    expect(errors.at(-1)).toEqual({
      message_type: 'exit_error',
      code: 1,
      message: 'Fatal: repository contains errors',
    })
    expect(errors.slice(0, -1).every((line) => line['message_type'] === 'error')).toBe(true)
  })

  it('sums up as JSON even where it could not begin', async () => {
    const { code, stdout } = await run('check --json', 'nix')
    expect(code).toBe(10)
    expect(JSON.parse(stdout)).toMatchObject({ message_type: 'summary', num_errors: 1 })
  })

  it.each([
    [
      '--read-data --read-data-subset 1/2',
      'check flags --read-data and --read-data-subset cannot be used together',
    ],
    ['--read-data-subset 3/2', 'check flag --read-data-subset=n/t'],
    ['--read-data-subset 0%', 'check flag --read-data-subset=x%'],
    ['--read-data-subset some', 'check flag --read-data-subset has invalid value'],
  ])('refuses %s before anything else', async (flags, message) => {
    const { code, stdout, stderr } = await run(`check ${flags}`)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(`Fatal: ${message}`)
  })
})

describe('restore', () => {
  it('brings back a snapshot and sums it up', async () => {
    const text = await printed(`restore ${sample.ids[2]} --target restored`)
    expect(text).toBe(
      `restoring snapshot ${sample.ids[2]} of [${sample.source}] at 2024-02-02 10:00:00 +0000 UTC by root@two to restored\n` +
        'Summary: Restored 6 files/dirs (12 B) in 0:00\n',
    )
    expect(readdirSync('restored/source').toSorted()).toEqual(['a.txt', 'empty', 'link', 'sub'])
    expect(await printed('restore latest --target restored')).toMatch(
      /Summary: Restored 3 files\/dirs \(0 B\) in 0:00, skipped 3 files\/dirs 12 B\n$/,
    )
  })

  it('takes --restore-dir, a subfolder, filters and patterns', async () => {
    await printed('restore --host one latest:/source --restore-dir sub --include *.txt --include more*')
    expect(readdirSync('sub').toSorted()).toEqual(['a.txt', 'more.bin', 'sub'])
    await printed('restore latest --target less --exclude *.txt')
    expect(readdirSync('less/source').toSorted()).toEqual(['empty', 'link', 'sub'])
  })

  it('says more with -vv, and what is deleted', async () => {
    await printed('restore latest --target more')
    writeFileSync('more/source/extra', 'x')
    writeFileSync('more/source/a.txt', 'changed')
    const lines = (await printed('restore -vv latest --target more --delete')).split('\n')
    expect(lines).toContain('updated   /source/a.txt with size 6 B')
    expect(lines).toContain('unchanged /source/sub/b.txt with size 6 B')
    expect(lines).toContain('deleted   more/source/extra')
    expect(lines.at(-2)).toMatch(/, deleted 1 files\/dirs$/)
    expect(existsSync('more/source/extra')).toBe(false)
  })

  it('speaks JSON', async () => {
    const lines = jsonLines(await printed('restore --json -vv latest --target json'))
    expect(lines.at(-1)).toEqual({
      message_type: 'summary',
      total_files: 6,
      files_restored: 6,
      total_bytes: 12,
      bytes_restored: 12,
    })
    expect(lines).toContainEqual({
      message_type: 'verbose_status',
      action: 'restored',
      item: '/source/sub/b.txt',
      size: 6,
    })
  })

  it('verifies on request, and prints its summary even with -q', async () => {
    expect((await printed('restore latest --target verified --verify')).split('\n').slice(-3)).toEqual([
      'verifying files in verified',
      matching(/^finished verifying 3 files in verified \(took .*s\)$/),
      '',
    ])
    expect(await printed('restore -q latest --target verified')).toMatch(/^Summary: Restored/)
  })

  it('writes nothing in a dry run', async () => {
    await printed('restore latest --target dry --dry-run')
    expect(existsSync('dry')).toBe(false)
  })

  it('goes on after trouble with one item and ends with 1', async () => {
    const repository = sample.copy()
    const blob = (await printed('list blobs', repository)).match(/^data .*$/m)
    expect(blob).not.toBeNull()
    for (const pack of filesOf(repository, 'data')) overwrite(pack, (bytes) => bytes.fill(0, 0, 40))
    const { code, stderr } = await run(`restore ${sample.ids[0]} --target damaged`, repository)
    expect(code).toBe(1)
    expect(stderr).toMatch(/Fatal: /)
    expect(stderr).not.toMatch(/\n\s+at /)
  })

  it.each([
    ['restore latest', 'please specify a directory to restore to (--target)'],
    ['restore 0000 --target x', 'failed to find snapshot: no matching ID found for prefix "0000"'],
    ['restore latest --host zz --target x', 'failed to find snapshot: snapshot filter (Paths:[] Tags:[] Hosts:[zz]): no snapshot found'], // prettier-ignore
    ['restore latest --target x --restore-dir y', '--target and --restore-dir mean the same: give only one'],
    [
      'restore latest --target x --include a --exclude b',
      'exclude and include patterns are mutually exclusive',
    ],
  ])('refuses %s', async (args, message) => {
    const { code, stderr } = await run(args)
    expect({ code, stderr }).toEqual({ code: 1, stderr: containing(`Fatal: ${message}`) })
    expect(existsSync('x')).toBe(false)
  })
})
