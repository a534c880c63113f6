/** The same command lines to real restic 0.19.1 and to ours, on copies of one repository: what both print and how they end. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { randomBytes } from '../support/many-files.ts'
import { must, run, start } from '../support/programs.ts'
import { hasRestic } from '../support/real-restic.ts'
import {
  copyRepository,
  filesOf,
  listSnapshots,
  makeRepository,
  makeWorkFolder,
} from '../support/repositories.ts'
import { jsonLines, transcript } from './transcript.ts'

vi.mock('node:timers/promises', async (load) => ({
  ...(await load<object>()),
  setTimeout: () => Promise.resolve(),
}))

const RESTIC = '0.19.1'
process.env['TZ'] = 'UTC'

let work = ''
let repository = ''
/** Snapshots, oldest first. */
let ids: string[] = []
const before = process.cwd()

beforeAll(async () => {
  if (!hasRestic(RESTIC)) return
  work = makeWorkFolder('like-restic')
  process.chdir(work)
  repository = await makeRepository('repository')
  mkdirSync('source/odd', { recursive: true })
  writeFileSync('source/a.txt', 'hello\n')
  writeFileSync('source/empty', '')
  writeFileSync('source/odd/line\nend', 'x')
  writeFileSync('source/odd/größe <&>', 'y')
  // 1.0625 KiB, as near to 1.062 as to 1.063.
  writeFileSync('source/tie.bin', randomBytes(3, 1088))
  writeFileSync('source/big.bin', randomBytes(1, 300_000))
  const save = async (...args: string[]): Promise<void> => {
    await must(RESTIC, ['-r', repository, 'backup', '-q', ...args])
  }
  await save('--host', 'one', '--tag', 'a,b', '--time', '2024-01-01 10:00:00', '--exclude', '*.tmp', 'source')
  rmSync('source/big.bin')
  writeFileSync('source/more.bin', randomBytes(2, 200_000))
  await save('--host', 'one', '--tag', 'größe', '--time', '2024-01-02 10:00:00', 'source')
  rmSync('source/more.bin')
  await save('--host', 'two', '--time', '2024-02-02 10:00:00', 'source')
  await save('--host', 'two', '--time', '2024-02-03 11:00:00', 'source', 'source/odd')
  ids = (await listSnapshots(RESTIC, repository)).map((snapshot) => snapshot.id)
})
afterAll(() => {
  process.chdir(before)
  if (work !== '') rmSync(work, { recursive: true, force: true })
})

interface Printed {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

interface Case {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  /** Each program has a copy of its own. Whatever they write to `out` is theirs anyway. */
  readonly writes?: boolean
  /** Called before each program runs. */
  readonly prepare?: (repository: string) => void
}

let runs = 0

async function both(
  args: string,
  { writes = false, prepare, ...options }: Case = {},
): Promise<[Printed, Printed]> {
  const name = `run-${runs++}`
  const words = args.replaceAll(/#(\d)/g, (_, number: string) => ids[Number(number)]!).split(' ')
  const line = words.map((word) => (word === 'out' ? `${name}-out` : word))
  const fresh = (): string[] => {
    rmSync(`${name}-out`, { recursive: true, force: true })
    if (!writes) return ['-r', 'repository', '--no-lock']
    rmSync(name, { recursive: true, force: true })
    copyRepository('repository', name)
    prepare?.(name)
    return ['-r', name]
  }
  const theirs = await run(RESTIC, [...fresh(), ...line], options)
  const ours = await transcript([...fresh(), ...line], options)
  return [ours, theirs]
}

/** What differs from run to run and from program to program, made the same. */
function comparable({ code, stdout, stderr }: Printed): Printed {
  return { code, stdout: inOrder(withoutChance(stdout)), stderr: withoutChance(stderr) }
}

function withoutChance(text: string): string {
  return (
    text
      .replace('warning: running prune without a cache, this may be very slow!\n', '')
      .replaceAll(/^snapshot [0-9a-f]{8} saved$/gm, 'snapshot <id> saved')
      .replaceAll(/\[\d+:\d\d\]/g, '[0:00]')
      .replaceAll(/ in \d+:\d\d/g, ' in 0:00')
      .replaceAll(/\d+\.\d{3}s/g, '<seconds>s')
      .replaceAll(/\(took \S+\)/g, '(took <time>)')
      // Which restic says of empty files, but not of links and folders.
      .replaceAll(' with size 0 B\n', '\n')
  )
}

/** Restic prints groups of snapshots in an order of chance. */
function inOrder(text: string): string {
  const groups = text.match(/^(snapshots for |keep \d+ snapshots:)/gm) ?? []
  return groups.length > 1 ? lines(text).join('\n') : text
}

function lines(text: string): string[] {
  return text.trim().split('\n').toSorted()
}

/** Keys with the types of their values, as deep as they go; of lists the first element. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(shapeOf)
  if (typeof value !== 'object' || value === null) return value === null ? null : typeof value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shapeOf(inner)]))
}

describe.skipIf(!hasRestic(RESTIC))('as restic 0.19.1', { concurrent: true }, () => {
  it.each([
    'snapshots',
    'snapshots --compact',
    'snapshots --json',
    'snapshots --latest 1',
    'snapshots --latest 1 --json',
    'snapshots --host one --tag a,b',
    'snapshots --host nobody',
    'snapshots --host nobody --json',
    'snapshots --group-by host',
    'snapshots --group-by host,tags,paths',
    'snapshots latest #0',
    'snapshots 0000',
    'snapshots --json 0000',
    'key list',
    'key list --json',
    'cat config',
    'cat masterkey',
    'cat snapshot #0',
    'cat tree #1',
    'cat tree #1:/source/odd',
    'cat colour',
    'cat blob',
    'check',
    'check --json',
    'check --read-data',
    'check --read-data-subset 50%',
    'check latest',
    'check --host one --read-data',
    'check --read-data-subset 0/2',
    'check --read-data-subset 3/2',
    'check --read-data-subset 1/257',
    'check --read-data-subset 0%',
    'check --read-data-subset 101%',
    'check --read-data --read-data-subset 1/2',
    'restore latest --target out',
    'restore latest --target out --verify',
    'restore #0 --target out --dry-run -vv --include *.txt --include empty',
    'restore #0:/source --target out -vv --exclude odd',
    'restore #0 --target out --include *.txt',
    'restore latest -q --target out',
    'restore latest',
    'restore 0000 --target out',
    'restore 0000 --target out --json',
    'restore latest --host nobody --target out',
    'restore latest --target out --include a --exclude b',
    'restore latest --target out --dry-run --verify',
    'forget --keep-last 1 --dry-run',
    'forget --keep-last 1 --dry-run --compact --group-by host',
    'forget --keep-daily 1 --keep-tag a --dry-run --json --host one',
    'forget --keep-within 40d --dry-run --group-by paths',
    'forget --dry-run --keep-monthly unlimited -v --host two',
    'forget --keep-last 1',
    'prune --dry-run',
    'prune --dry-run -v --repack-cacheable-only --max-unused 0',
    'prune --dry-run --max-unused unlimited',
    'prune',
    'prune --dry-run --max-unused 100%',
    'unlock',
    '--quiet --verbose snapshots',
  ])('%s', async (args) => {
    const [ours, theirs] = (await both(args)).map(comparable)
    expect(ours).toEqual(theirs)
  })

  it.each([
    'forget --keep-last 1',
    'forget --keep-last 1 --compact',
    'forget --keep-last 1 --json --host one',
    'forget --keep-last 1 --group-by host --prune',
    'forget --keep-last 1 --group-by host --prune --dry-run -v',
    'forget --keep-last 1 --group-by host --prune --json --host two',
    'forget #0 #1',
    'forget #0 0000',
    'forget #0 --json',
    'forget',
    'forget --keep-last 0',
    'forget --unsafe-allow-remove-all',
    'forget --unsafe-allow-remove-all --host one',
    'prune',
    'prune --max-unused 0 -v',
    'backup --host two source',
    'backup --host new source',
    'backup --host two --skip-if-unchanged source',
    'backup --host two --dry-run source',
    'backup --host two --force source',
    'backup --host two -v source',
    'backup nix source --host two',
    'backup nix',
    'backup',
    'backup --stdin source',
    'unlock --remove-all',
    'key list',
  ])('on a copy: %s', async (args) => {
    const [ours, theirs] = (await both(args, { writes: true })).map(comparable)
    expect(ours).toEqual(theirs)
  })

  it('backup -vv, in whatever order', async () => {
    const [ours, theirs] = (await both('backup -vv --host new source', { writes: true })).map(comparable)
    expect(lines(ours!.stdout)).toEqual(lines(theirs!.stdout))
  })

  it('prune after a snapshot has gone', async () => {
    const prepare = (copy: string): void => rmSync(join(copy, 'snapshots', ids[0]!))
    const [ours, theirs] = (await both('prune', { writes: true, prepare })).map(comparable)
    expect(ours).toEqual(theirs)
    expect(ours!.stdout).toMatch(/^repacking packs$/m)
  })

  it.each(['snapshots', 'packs', 'index', 'keys', 'blobs', 'locks'])(
    'list %s, in whatever order',
    async (type) => {
      const [ours, theirs] = await both(`list ${type}`)
      expect(lines(ours.stdout)).toEqual(lines(theirs.stdout))
      expect(ours.code).toBe(theirs.code)
    },
  )

  it('cat of keys, indexes and packs', async () => {
    for (const [type, folder] of [
      ['key', 'keys'],
      ['index', 'index'],
      ['pack', 'data'],
    ] as const) {
      const [ours, theirs] = await both(`cat ${type} ${filesOf('repository', folder)[0]!.slice(-64)}`)
      expect(ours.stdout).toBe(theirs.stdout)
    }
  })

  it.each([
    ['RESTIC_PASSWORD', 'snapshots', { RESTIC_PASSWORD: 'wrong' }],
    ['RESTIC_PASSWORD', 'snapshots --json', { RESTIC_PASSWORD: 'wrong' }],
    ['RESTIC_PASSWORD', 'check --json', { RESTIC_PASSWORD: 'wrong' }],
    ['RESTIC_PASSWORD_COMMAND', 'snapshots', { RESTIC_PASSWORD: '', RESTIC_PASSWORD_COMMAND: 'false' }],
    ['RESTIC_HOST', 'snapshots --compact', { RESTIC_HOST: 'one' }],
    ['RESTIC_REPOSITORY', 'snapshots --repository-file x', { RESTIC_REPOSITORY: 'y' }],
  ] as const)('%s, for %s', async (_name, args, env) => {
    const [ours, theirs] = await both(args, { env })
    expect(comparable(ours)).toEqual(comparable(theirs))
  })

  it.each([
    ['nothing there', 'nix', 'snapshots'],
    ['nothing there', 'nix', 'check --json'],
    ['init', 'repository', 'init'],
  ])('how it ends with %s: %s %s', async (_what, path, args) => {
    const theirs = await run(RESTIC, ['-r', path, ...args.split(' ')])
    const ours = await transcript(['-r', path, ...args.split(' ')])
    expect(ours).toMatchObject({ code: theirs.code, stdout: theirs.stdout })
    const plain = (text: string): string =>
      text.replace('Fatal: Fatal: ', 'Fatal: ').replace(/(stat|open) \S*nix\/config/, 'stat nix/config')
    expect(plain(ours.stderr)).toBe(plain(theirs.stderr))
  })

  it('a lock in the way', async () => {
    copyRepository('repository', 'locked')
    const holder = start(RESTIC, ['-r', 'locked', 'backup', '--stdin', '--host', 'holder'])
    try {
      await vi.waitFor(() => expect(filesOf('locked', 'locks')).toHaveLength(1), { timeout: 10_000 })
      for (const args of ['prune', 'prune --json', 'check --json']) {
        const theirs = await run(RESTIC, ['-r', 'locked', ...args.split(' ')])
        const ours = await transcript(['-r', 'locked', ...args.split(' ')])
        const plain = ({ code, stdout, stderr }: Printed): Printed => ({
          code,
          // Nobody asked to wait.
          stdout: stdout.replace('repo already locked, waiting up to 0s for the lock\n', ''),
          stderr: stderr.replace('Fatal: ', '').replaceAll(/\([\d.]+m?s ago\)/g, '(<age> ago)'),
        })
        expect(plain(ours)).toEqual(plain(theirs))
        expect(ours.code).toBe(11)
      }
    } finally {
      holder.kill('SIGKILL')
    }
  })

  it.each([
    ['restore latest:/nix --target out', 'nix: not found'],
    ['restore', ''],
    ['cat', 'type'],
    ['cat snapshot 0000', 'no matching ID found for prefix "0000"'],
    ['cat blob 1234', '1234'],
    ['cat pack #0', ''],
    [
      'forget --keep-tag nix --host one',
      'refusing to delete last snapshot of snapshot group "host one, path [',
    ],
    ['forget --keep-last -2', "negative values not allowed, use 'unlimited' instead"],
    ['forget --keep-within 1w', "invalid unit 'w' found after number 1"],
    ['forget --keep-last few', 'few'],
    ['prune --max-unused lots', '"lots"'],
    ['backup --parent 0000 source', 'no matching ID found for prefix "0000"'],
    [
      'backup --exclude-file nix source',
      'failed to read patterns from file "nix": open nix: no such file or directory',
    ],
    ['backup --files-from nix', 'open nix: no such file or directory'],
    ['backup --stdin-from-command -- false', 'exit status 1'],
    ['backup --group-by colour source', 'unknown grouping option: "colour"'],
    ['backup --time now source', 'error in time option: '],
    ['key remove 0000', 'no matching ID found for prefix "0000"'],
    ['snapshots --compression colour', 'must be one of (auto|off|fastest|better|max)'],
    ['snapshots --retry-lock soon', 'invalid duration "soon"'],
    ['snapshots --pack-size 3', 'pack size'],
    ['snapshots -o local.connections=many', '"many"'],
    ['snapshots --colour', '--colour'],
    ['colour', 'unknown command'],
    ['init --repository-version 3', 'version'],
  ])('ends as it does, in words of its own, for %s', async (args, message) => {
    const [ours, theirs] = await both(args, { writes: true })
    expect(ours.code).toBe(1)
    expect(theirs.code).toBe(1)
    for (const { stderr } of [ours, theirs]) expect(stderr).toContain(message)
  })

  it('init, in text and as JSON', async () => {
    for (const flags of [[], ['--json'], ['--repository-version', '1']]) {
      const make = async (print: (args: string[]) => Promise<Printed>): Promise<Printed> => {
        rmSync('made', { recursive: true, force: true })
        const { code, stdout, stderr } = await print(['-r', 'made', 'init', ...flags])
        return { code, stdout: stdout.replace(/[0-9a-f]{64}|[0-9a-f]{10} /, '<id>'), stderr }
      }
      expect(await make(transcript)).toEqual(await make((args) => run(RESTIC, args)))
    }
  })

  it.each([
    ['backup --json --host two source', { writes: true }],
    ['backup --json -v --host new source', { writes: true }],
    ['backup --json --dry-run --host two source', {}],
    ['restore --json latest --target out', {}],
    ['restore --json -vv latest --target out', {}],
    ['version --json', {}],
  ] as [string, Case][])('the JSON of %s has the same members', async (args, options) => {
    const [ours, theirs] = await both(args, options)
    expect(ours.code).toBe(theirs.code)
    const shapes = (text: string): string[] =>
      [
        ...new Set(
          jsonLines(text).map((line) =>
            JSON.stringify([line['message_type'], line['action'], shapeOf(line)]),
          ),
        ),
      ]
        .filter((shape) => !shape.startsWith('["status"'))
        .toSorted()
    // A dry run of restic names a snapshot that does not exist.
    const theirShapes = shapes(
      args.includes('--dry-run') ? theirs.stdout.replace(/"snapshot_id":"\w+",/, '') : theirs.stdout,
    )
    expect(shapes(ours.stdout)).toEqual(theirShapes)
  })
})
