/** The same restore over the same target, by us and by real restic: the same files, the same sums, the same exit code. */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  linkSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { jsonLines, transcript } from '../../cli/transcript.ts'
import { randomBytes } from '../../support/many-files.ts'
import { hasRestic, restic, runRestic } from '../../support/real-restic.ts'
import { makeRepository, makeWorkFolder } from '../../support/repositories.ts'
import { listTree } from '../../support/rich-tree.ts'

vi.mock(import('node:timers/promises'), async (load) => ({
  ...(await load()),
  setTimeout: (() => Promise.resolve()) as never,
}))

const MTIME = 1_600_000_000
/** More than one blob. */
const LARGE = 9_000_000

let work = ''
let repository = ''
let targets = 0

beforeAll(async () => {
  work = makeWorkFolder('restore-restic')
  repository = await makeRepository(join(work, 'repository'))
  if (!hasRestic()) return
  makeSource(join(work, 'source'))
  restic(['-r', repository, 'backup', '-q', 'source'], { cwd: work })
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

const FILES: Readonly<Record<string, string | Uint8Array>> = {
  a: 'content of a',
  b: 'content of b',
  c: 'content of c',
  empty: '',
  large: randomBytes(3, LARGE),
  'dir/a': 'a in dir',
  'dir/inner/b': 'b in inner',
  'dir/UPPER.TXT': 'upper',
  'other/x.txt': 'x',
}

function makeSource(root: string): void {
  for (const [name, content] of Object.entries(FILES)) {
    mkdirSync(join(root, name, '..'), { recursive: true })
    writeFileSync(join(root, name), content)
    utimesSync(join(root, name), MTIME, MTIME)
  }
  linkSync(join(root, 'dir', 'a'), join(root, 'dir', 'a-again'))
  linkSync(join(root, 'dir', 'a'), join(root, 'a-elsewhere'))
  symlinkSync('a', join(root, 'link'))
  execFileSync('mkfifo', [join(root, 'fifo')])
  mkdirSync(join(root, 'empty-dir'))
  for (const name of ['dir/inner', 'dir', 'other', 'empty-dir']) utimesSync(join(root, name), MTIME, MTIME)
}

/** Targets as they can be found. */
const TARGETS: Readonly<Record<string, (root: string) => void>> = {
  'a missing folder': () => undefined,
  'the source itself': (root) => makeSource(join(root, 'source')),
  'a changed source': (root) => {
    const at = (name: string): string => join(root, 'source', name)
    makeSource(join(root, 'source'))
    const change = (name: string, content: string | Uint8Array, time: number): void => {
      writeFileSync(at(name), content)
      utimesSync(at(name), time, time)
    }
    change('a', 'CONTENT OF A', MTIME)
    change('b', 'newer', MTIME + 1000)
    change('c', 'older and longer than it was', MTIME - 1000)
    change('empty', 'no longer empty', MTIME)
    const content = Buffer.from(FILES['large']!)
    content[5] = 0
    change('large', content, MTIME)
    truncateSync(at('dir/inner/b'), 3)
    rmSync(at('other/x.txt'))
    rmSync(at('link'))
    symlinkSync('elsewhere', at('link'))
    rmSync(at('dir/a-again'))
    writeFileSync(at('dir/a-again'), 'by itself')
    chmodSync(at('dir/inner'), 0o700)
    for (const name of ['extra', 'dir/extra', 'dir/inner/extra.txt', 'other/extra'])
      writeFileSync(at(name), '')
    mkdirSync(at('extra-dir/sub'), { recursive: true })
    writeFileSync(at('extra-dir/sub/file'), '')
    writeFileSync(join(root, 'beside'), '')
  },
}

const FLAGS = [
  '',
  '--overwrite always',
  '--overwrite if-changed',
  '--overwrite if-newer',
  '--overwrite never',
  '--delete',
  '--delete --overwrite never',
  '--verify',
  '--sparse',
  '--dry-run',
  '--dry-run --delete --overwrite if-changed',
  '--include /source/dir',
  '--include /source/dir/inner/b --delete',
  '--include *.txt --delete',
  '--iinclude *.txt --delete',
  '--exclude /source/dir --exclude large --delete',
  '--iexclude upper* --delete',
  '--include nothing --delete',
]

interface Outcome {
  readonly code: number | null
  readonly summary: unknown
  readonly files: readonly string[]
}

async function outcome(
  program: 'ours' | 'restic',
  makeTarget: (root: string) => void,
  flags: string,
): Promise<Outcome> {
  const target = join(work, `target-${targets++}`)
  mkdirSync(target)
  makeTarget(target)
  const args = ['-r', repository, '--no-lock', '--json', 'restore', 'latest', '--target', target]
  if (flags !== '') args.push(...flags.split(' '))
  const { code, stdout } = program === 'ours' ? await transcript(args) : runRestic(args)
  const lines = jsonLines(
    stdout
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .join('\n'),
  )
  const { seconds_elapsed: _, ...summary } = lines.find((line) => line['message_type'] === 'summary') ?? {}
  // What was made or changed just now has a time of its own.
  const files = listTree(target).map((line) =>
    line.replace(/ 1[6-9]\d{17} /, (time) => (time.startsWith(' 160000') ? time : ' now ')),
  )
  rmSync(target, { recursive: true })
  return { code, summary, files }
}

describe.skipIf(!hasRestic()).each(Object.entries(TARGETS))('over %s', (_name, makeTarget) => {
  it.each(FLAGS)('restore %s does as restic does', async (flags) => {
    expect(await outcome('ours', makeTarget, flags)).toEqual(await outcome('restic', makeTarget, flags))
  })
})
