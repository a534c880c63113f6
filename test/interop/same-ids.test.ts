/** The same folder in the same zone becomes the same trees and blobs, given the same chunker polynomial. */
import { rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { editRandomly, makeManyFiles, writeRandomFile } from '../support/many-files.ts'
import { must, run } from '../support/programs.ts'
import { hasRestic } from '../support/real-restic.ts'
import {
  copyRepository,
  listObjects,
  listSnapshots,
  makeRepository,
  makeWorkFolder,
} from '../support/repositories.ts'
import { makeRichTree } from '../support/rich-tree.ts'

let work = ''
/** Made by restic. */
let empty = ''
/** Made by us, with a key that costs nothing. */
let quick = ''
let counter = 0

beforeAll(async () => {
  if (!hasRestic()) return
  work = makeWorkFolder('same')
  makeRichTree(join(work, 'rich'), 30)
  makeManyFiles(join(work, 'many'), { files: 1500, seed: 13 })
  writeRandomFile(join(work, 'large'), 21, 60 << 20)
  // Both sides of a change to summer time, and times before zones were law.
  for (const [i, seconds] of [1_710_054_000, 1_710_061_200, 1_730_613_600, -3_000_000_000].entries()) {
    writeFileSync(join(work, 'many', `summer-${i}`), '')
    utimesSync(join(work, 'many', `summer-${i}`), seconds, seconds)
  }
  empty = join(work, 'empty')
  await must('0.19.1', ['-r', empty, 'init'])
  quick = await makeRepository(join(work, 'quick'))
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

interface Outcome {
  readonly codes: readonly (number | null)[]
  readonly trees: readonly string[]
  readonly blobs: readonly string[]
  readonly excludes: readonly unknown[]
}

interface Setting {
  readonly env?: Record<string, string>
  /** The empty repository that is copied for both. */
  readonly from?: string
}

/** Runs the same backups with one program in an empty repository with the common polynomial. */
async function outcome(
  program: 'ours' | '0.19.1',
  backups: readonly (readonly string[])[],
  { env = {}, from = quick }: Setting,
): Promise<Outcome> {
  const repository = copyRepository(from, join(work, `copy-${counter++}`))
  const codes: (number | null)[] = []
  for (const args of backups) {
    codes.push((await run(program, ['-r', repository, 'backup', ...args], { cwd: work, env })).code)
  }
  const snapshots = await listSnapshots('0.19.1', repository)
  const blobs = await listObjects('0.19.1', repository, 'blobs')
  rmSync(repository, { recursive: true })
  return {
    codes,
    trees: snapshots.map(({ tree }) => tree),
    blobs,
    excludes: snapshots.map((snapshot) => Object.entries(snapshot).find(([key]) => key === 'excludes')),
  }
}

async function both(
  backups: readonly (readonly string[])[],
  setting: Setting = {},
): Promise<{ ours: Outcome; theirs: Outcome }> {
  return {
    ours: await outcome('ours', backups, setting),
    theirs: await outcome('0.19.1', backups, setting),
  }
}

describe.skipIf(!hasRestic())('the same folder in the same zone', () => {
  it.each(['UTC', 'America/New_York', 'Asia/Kolkata'])('has the same tree and blob IDs in %s', async (TZ) => {
    const { ours, theirs } = await both([['rich', 'many', 'large']], { env: { TZ }, from: empty })
    expect(ours).toEqual(theirs)
    expect(ours.trees).toHaveLength(1)
    expect(ours.blobs.length).toBeGreaterThan(1000)
  })

  it.each([
    {
      what: 'the folder itself',
      args: ['.', '--exclude', '/empty', '--exclude', '/quick', '--exclude', 'copy-*', '--exclude', 'large'],
    },
    { what: 'paths above and beside', args: ['many/../rich/names', './rich/links'] },
    {
      what: 'patterns',
      args: ['--exclude', '*.bin', '--exclude', 'rich/**/l*', '--exclude', '!*1.bin', 'many', 'rich'],
    },
    {
      what: 'patterns of either case',
      args: ['--iexclude', '*.TXT', '--iexclude', '/RICH', 'many', 'rich/names'],
    },
    { what: 'a size limit', args: ['--exclude-larger-than', '20k', 'many', 'rich'] },
    {
      what: 'a marker file',
      args: ['--exclude-if-present', 'summer-1', '--exclude-if-present', 'one', 'rich', 'many'],
    },
    { what: 'access times', args: ['--with-atime', 'rich/links'] },
    { what: 'one file system', args: ['--one-file-system', 'rich'] },
    { what: 'a missing path beside a good one', args: ['rich/names', 'not-there'] },
    {
      what: 'data from a command',
      // The file's time is the snapshot's.
      args: [
        '--time',
        '2024-02-29 12:34:56',
        '--stdin-from-command',
        '--stdin-filename',
        'dir/dump.sql',
      ].concat(['--', 'cat', 'large']),
    },
  ])('has the same IDs, exit code and excludes with $what', async ({ args }) => {
    const { ours, theirs } = await both([args])
    expect(ours).toEqual(theirs)
    expect(ours.trees).toHaveLength(1)
  })

  it('has the same IDs again after edits, with a parent', async () => {
    const first = await outcome('ours', [['many']], {})
    editRandomly(join(work, 'many'), 31)
    const { ours, theirs } = await both([['many'], ['many', '--force'], ['many', '--ignore-inode']])
    expect(ours).toEqual(theirs)
    expect(ours.trees[0]).not.toBe(first.trees[0])
    expect(new Set(ours.trees).size).toBe(1)
  })
})
