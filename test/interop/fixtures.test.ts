/** The repositories in fixtures/ were made by real restic; what it restored from them, we restore. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { PROJECT } from '../support/cli.ts'
import { must } from '../support/programs.ts'
import { copyRepository, makeWorkFolder } from '../support/repositories.ts'
import { listTree } from '../support/rich-tree.ts'

const PASSWORD = { env: { RESTIC_PASSWORD: 'geheim' } }
const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('SKIPPED: only root can restore devices and owners of the fixtures\n')

const work = makeWorkFolder('fixtures')
afterAll(() => rmSync(work, { recursive: true, force: true }))

describe.each(['v1-restic-0.14.0', 'v2-restic-0.19.1'])('%s', (name) => {
  const repository = copyRepository(join(PROJECT, 'fixtures', name), join(work, name))

  it('is checked in full', async () => {
    expect(await must('ours', ['-r', repository, 'check', '--read-data'], PASSWORD)).toContain('no errors')
  })

  it.skipIf(!isRoot).each([
    ['first', ['latest', '--tag', 'first']],
    ['latest', ['latest']],
  ] as const)('is restored as real restic restored it: %s', async (which, snapshot) => {
    const target = join(work, `${name}-${which}`)
    await must('ours', ['-r', repository, 'restore', ...snapshot, '--target', target, '--verify'], PASSWORD)
    const listing = gunzipSync(readFileSync(join(PROJECT, 'fixtures', `${name}.${which}.gz`)))
    expect(listTree(join(target, 'rich'))).toEqual(listing.toString().trimEnd().split('\n'))
  })
})
