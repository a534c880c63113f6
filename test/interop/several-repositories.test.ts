/** One backup to several repositories, on threads: each is whole for restic, and goes on with it. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeManyFiles, writeRandomFile } from '../support/many-files.ts'
import { must } from '../support/programs.ts'
import { hasRestic } from '../support/real-restic.ts'
import { listObjects, makeWorkFolder } from '../support/repositories.ts'
import { listTree } from '../support/rich-tree.ts'

const work = makeWorkFolder('several')
const files = join(work, 'files')
const repositories = ['v2', 'v1', 'alike'].map((name) => join(work, name))
const [v2 = '', v1 = '', alike = ''] = repositories

beforeAll(async () => {
  mkdirSync(files)
  makeManyFiles(join(files, 'many'), { files: 2000, seed: 1 })
  writeRandomFile(join(files, 'large'), 2, 30_000_000)
  await must('ours', ['-r', v2, 'init'])
  await must('ours', ['-r', v1, 'init', '--repository-version', '1'])
  await must('ours', ['-r', alike, 'init', '--copy-chunker-params', '--from-repo', v2], {
    env: { RESTIC_FROM_PASSWORD: 'test' },
  })
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

function backupToAll(): Promise<string> {
  const where = repositories.flatMap((repository) => ['-r', repository])
  return must('ours', [...where, '--workers', '2', 'backup', 'files'], { cwd: work })
}

describe.skipIf(!hasRestic())('a backup to three repositories', () => {
  it('is whole in each for restic, round after round', async () => {
    await backupToAll()
    await must('0.19.1', ['-r', v1, 'backup', '-q', 'files'], { cwd: work })
    makeManyFiles(join(files, 'later'), { files: 300, seed: 3 })
    writeFileSync(join(files, 'many', 'changed'), 'changed')
    const printed = await backupToAll()
    expect(printed.match(/^snapshot [0-9a-f]{8} saved in /gm)).toHaveLength(3)
    for (const repository of repositories) {
      await must('0.19.1', ['-r', repository, 'check', '--read-data'])
      const target = join(work, 'target')
      await must('0.19.1', ['-r', repository, 'restore', 'latest', '--target', target])
      expect(listTree(join(target, 'files'))).toEqual(listTree(files))
      rmSync(target, { recursive: true })
    }
    // The same blobs, none of them twice.
    const blobs = await Promise.all(repositories.map((each) => listObjects('0.19.1', each, 'blobs')))
    expect(blobs[2]).toEqual(blobs[0])
    expect(new Set(blobs[0]).size).toBe(blobs[0]!.length)
  })
})
