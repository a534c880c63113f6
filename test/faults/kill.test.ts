/**
 * A command killed at any moment loses nothing: real restic finds no error, every older snapshot is restored byte for
 * byte, and the same command run again succeeds, past the lock of its dead predecessor.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeManyFiles, writeRandomFile } from '../support/many-files.ts'
import { finish, must, run, start } from '../support/programs.ts'
import { hasRestic, isSlow } from '../support/real-restic.ts'
import {
  copyRepository,
  filesOf,
  listSnapshots,
  makeRepository,
  makeWorkFolder,
} from '../support/repositories.ts'
import { listTree } from '../support/rich-tree.ts'
import { seededRandom } from '../support/sample-data.ts'
import { chooseSteps, countSteps, runInterrupted } from './steps.ts'

const SMALL_PACKS = ['--pack-size', '4']
const FOLDERS = ['keys', 'data', 'index', 'snapshots', 'locks']

let work = ''
let copies = 0
/** Repositories with no snapshot and with three, and what each of the three holds. */
let empty = ''
let three = ''
/** Two snapshots, and packs that are half needed. */
let forgotten = ''
const contents: string[][] = []
let ids: string[] = []

beforeAll(async () => {
  work = makeWorkFolder('kill')
  const source = join(work, 'source')
  mkdirSync(source)
  empty = await makeRepository(join(work, 'empty'))
  three = copyRepository(empty, join(work, 'three'))
  for (let round = 0; round < 3; round++) {
    // Each round keeps one large file of the one before, so that packs are half needed once a snapshot is forgotten.
    writeRandomFile(join(source, `large-${round % 2}`), 100 * round, 3_000_000)
    makeManyFiles(join(source, `round-${round}`), { files: 15, seed: round })
    await must('ours', ['-r', three, ...SMALL_PACKS, 'backup', 'source'], { cwd: work })
    contents.push(listTree(source))
  }
  forgotten = copyRepository(three, join(work, 'forgotten'))
  ids = (await listSnapshots('ours', three)).map(({ id }) => id)
  await must('ours', ['-r', forgotten, 'forget', ids[0]!])
  writeFileSync(join(work, 'new-password'), 'test2')
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

interface Scenario {
  readonly name: string
  readonly repository: () => string
  readonly args: readonly string[]
  /** Which of the three snapshots are there whatever happens. */
  readonly kept: readonly number[]
  readonly isExclusive: boolean
  /** Whether it is also killed at a random moment without SLOW=1. */
  readonly isRaced: boolean
  readonly seed: number
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: 'a first backup',
    repository: () => empty,
    args: [...SMALL_PACKS, 'backup', 'source'],
    kept: [],
    isExclusive: false,
    isRaced: true,
    seed: 1,
  },
  {
    name: 'a later backup',
    repository: () => forgotten,
    args: [...SMALL_PACKS, 'backup', '--tag', 'later', 'source/large-0', 'source/round-1', 'new-password'],
    kept: [1, 2],
    isExclusive: false,
    isRaced: false,
    seed: 2,
  },
  {
    name: 'forget',
    repository: () => three,
    args: ['forget', '--keep-last', '1'],
    kept: [2],
    isExclusive: true,
    isRaced: false,
    seed: 3,
  },
  {
    name: 'prune with repacking',
    repository: () => forgotten,
    args: [...SMALL_PACKS, 'prune', '--max-unused', '0'],
    kept: [1, 2],
    isExclusive: true,
    isRaced: true,
    seed: 4,
  },
  {
    name: 'forget --prune',
    repository: () => three,
    args: [...SMALL_PACKS, 'forget', '--keep-last', '2', '--prune', '--max-unused', '0'],
    kept: [1, 2],
    isExclusive: true,
    isRaced: false,
    seed: 5,
  },
]

function copyOf(repository: string): string {
  return copyRepository(repository, join(work, `copy-${copies++}`))
}

/** A file under its final name is whole, or not there. */
function expectWholeFiles(repository: string): void {
  for (const folder of FOLDERS) {
    for (const path of filesOf(repository, folder)) {
      expect(createHash('sha256').update(readFileSync(path)).digest('hex')).toBe(path.slice(-64))
    }
  }
}

/** What restic thinks of it. Packs nobody needs are no error. */
async function expectSound(repository: string): Promise<void> {
  const args = ['-r', repository, '--no-lock', 'check', '--read-data']
  const { code, stdout, stderr } = await run('0.19.1', args)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toContain('no errors were found')
}

async function expectRestorable(repository: string, kept: readonly number[]): Promise<void> {
  for (const number of kept) {
    const target = join(work, `restored-${copies++}`)
    await must('0.19.1', ['-r', repository, '--no-lock', 'restore', ids[number]!, '--target', target])
    expect(listTree(join(target, 'source'))).toEqual(contents[number])
    rmSync(target, { recursive: true })
  }
}

/** After the kill: everything that was there before it, and the way on. */
async function expectNothingLost(scenario: Scenario, repository: string): Promise<void> {
  expectWholeFiles(repository)
  await expectSound(repository)
  await expectRestorable(repository, scenario.kept.slice(0, isSlow ? undefined : 1))

  const left = filesOf(repository, 'locks').length
  const before = filesOf(repository, 'snapshots').length
  const again = await run('ours', ['-r', repository, ...scenario.args], { cwd: work })
  expect(again.code).toBe(0)
  const notices = again.stderr.match(/removed the stale lock [0-9a-f]{8} of process \d+/g) ?? []
  expect(notices).toHaveLength(scenario.isExclusive ? left : 0)
  // A dead backup's lock is in nobody's way but that of commands that want to be alone.
  expect(filesOf(repository, 'locks')).toHaveLength(scenario.isExclusive ? 0 : left)
  const check = await run('ours', ['-r', repository, 'check', '--read-data'])
  expect(check.code).toBe(0)
  expect(check.stderr.includes('removed the stale lock')).toBe(!scenario.isExclusive && left > 0)
  expect(filesOf(repository, 'locks')).toEqual([])
  // A backup may have been killed when its snapshot was there already.
  expect(filesOf(repository, 'snapshots')).toHaveLength(
    scenario.isExclusive ? scenario.kept.length : before + 1,
  )
  if (isSlow) await expectSound(repository)
}

describe.skipIf(!hasRestic())('kill -9', () => {
  describe.each(SCENARIOS)('of $name', (scenario) => {
    it('between any two steps', { timeout: 3_600_000 }, async () => {
      const command = (repository: string): string[] => ['-r', repository, ...scenario.args]
      const steps = await countSteps(command(copyOf(scenario.repository())), { cwd: work })
      for (const step of chooseSteps(steps, 3, scenario.seed)) {
        const repository = copyOf(scenario.repository())
        const killed = await runInterrupted(command(repository), { step, signal: 'SIGKILL' }, { cwd: work })
        // Threads finish when they like, so that the last steps may be fewer this time.
        if (step < steps - 5) expect(killed.signal).toBe('SIGKILL')
        await expectNothingLost(scenario, repository)
        rmSync(repository, { recursive: true })
      }
    })

    it('at a random moment', { timeout: 3_600_000 }, async () => {
      const random = seededRandom(scenario.seed)
      for (let round = 0; round < (isSlow ? 20 : Number(scenario.isRaced)); round++) {
        const repository = copyOf(scenario.repository())
        const child = start('ours', ['-r', repository, ...scenario.args], { cwd: work })
        const end = finish(child, scenario.name)
        await sleep(300 + random() * 600)
        child.kill('SIGKILL')
        await end
        await expectNothingLost(scenario, repository)
        rmSync(repository, { recursive: true })
      }
    })
  })
})
