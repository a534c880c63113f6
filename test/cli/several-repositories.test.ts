/** backup with -r given more than once. */
import { writeFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { filesOf, makeRepository } from '../support/repositories.ts'
import { makeSample, type Sample } from './sample.ts'
import { jsonLines, transcript, type Transcript, type TranscriptOptions } from './transcript.ts'

vi.mock('node:timers/promises', async (load) => ({
  ...(await load<object>()),
  setTimeout: () => Promise.resolve(),
}))

let sample: Sample
let names: readonly [string, string]
let count = 0

beforeAll(async () => {
  sample = await makeSample()
  writeFileSync('right', 'test\n')
  writeFileSync('other', 'another\n')
})
afterAll(() => sample.remove())

beforeEach(async () => {
  names = [`first-${count}`, `second-${count}`]
  count += 1
  await makeRepository(names[0])
  await transcript(['-r', names[1], 'init'], { env: { RESTIC_PASSWORD: 'another' } })
})

const snapshots = (name: string): number => filesOf(name, 'snapshots').length

/** A backup of a file to both, without the password tests have by default. */
function backupTo(flags: string, options: TranscriptOptions = {}): Promise<Transcript> {
  const words = `-r ${names[0]} backup -r ${names[1]} right ${flags}`.trim().split(' ')
  return transcript(words, { ...options, env: { RESTIC_PASSWORD: undefined, ...options.env } })
}

describe('a backup to two repositories', () => {
  it.each([
    ['files', '-p right --password-file other'],
    ['commands', '--password-command echo&test --password-command echo&another'],
  ])('takes its passwords from %s in the same order', async (_name, flags) => {
    const { code, stdout } = await transcript(
      [
        '-r',
        names[0],
        'backup',
        '-r',
        names[1],
        'right',
        ...flags.split(' ').map((word) => word.replace('&', ' ')),
      ],
      { env: { RESTIC_PASSWORD: undefined } },
    )
    expect(code).toBe(0)
    expect(stdout).toMatch(
      new RegExp(
        `^Added to \\S*${names[0]}: [^]*^Added to \\S*${names[1]}: [^]*^snapshot [0-9a-f]{8} saved in \\S*${names[0]}\nsnapshot [0-9a-f]{8} saved in \\S*${names[1]}\n$`,
        'm',
      ),
    )
    expect([snapshots(names[0]), snapshots(names[1])]).toEqual([1, 1])
  })

  it('asks for each password by the name of the repository', async () => {
    const { code, prompts } = await backupTo('', { answers: ['test', 'another'] })
    expect(code).toBe(0)
    expect(prompts).toEqual([
      expect.stringMatching(`repository \\S*${names[0]}: $`),
      expect.stringMatching(`repository \\S*${names[1]}: $`),
    ])
  })

  it('goes on without one that cannot be opened, and ends with 3', async () => {
    const { code, stdout, stderr } = await backupTo('-p right')
    expect(code).toBe(3)
    expect(stderr).toMatch(
      new RegExp(
        `^going on without repository ${names[1]}: wrong password or no key found[^]*1 of 2 repositories got no snapshot`,
      ),
    )
    expect(stdout).toMatch(/^snapshot [0-9a-f]{8} saved$/m)
    expect([snapshots(names[0]), snapshots(names[1])]).toEqual([1, 0])
  })

  it('fails as usual where none can be opened', async () => {
    const { code, stderr } = await transcript('-r nowhere -r nowhere-else backup right')
    expect(code).toBe(10)
    expect(stderr).toContain('Fatal: repository does not exist')
    const { code: wrong } = await backupTo('', { env: { RESTIC_PASSWORD: 'neither' } })
    expect(wrong).toBe(12)
  })

  it('says of each as JSON what was added to it', async () => {
    const { code, stdout } = await backupTo('-p right -p other --json')
    expect(code).toBe(0)
    const summaries = jsonLines(stdout).filter((line) => line['message_type'] === 'summary')
    expect(summaries.map(({ repository }) => String(repository))).toEqual([
      expect.stringContaining(names[0]),
      expect.stringContaining(names[1]),
    ])
    expect(new Set(summaries.map((line) => line['snapshot_id'])).size).toBe(2)
  })

  it.each([
    ['-p right -p other -p right', /--password-file was given 3 times for 2 repositories/],
    ['-p right -p other --password-command true', /mutually exclusive/],
    ['--repository-file right', /mutually exclusive/],
  ])('with %s is refused', async (flags, message) => {
    const { code, stderr } = await backupTo(flags)
    expect(code).toBe(1)
    expect(stderr).toMatch(message)
    expect([snapshots(names[0]), snapshots(names[1])]).toEqual([0, 0])
  })
})

it('other commands take the last repository and password, as restic does', async () => {
  const { code, stdout } = await transcript(
    ['-r', 'nowhere', '-p', 'right', '-r', names[1], 'snapshots', '-p', 'other'],
    { env: { RESTIC_PASSWORD: undefined } },
  )
  expect([code, stdout]).toEqual([0, ''])
})
