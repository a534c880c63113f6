/** What we copy restic accepts and knows as copied, and the other way round. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeManyFiles, writeRandomFile } from '../support/many-files.ts'
import { must, run, type Program } from '../support/programs.ts'
import { hasRestic } from '../support/real-restic.ts'
import { filesOf, listObjects, listSnapshots, makeWorkFolder } from '../support/repositories.ts'

const FROM = { env: { RESTIC_FROM_PASSWORD: 'test' } }
const work = makeWorkFolder('copy')
const source = join(work, 'source')

beforeAll(async () => {
  const folder = join(work, 'files')
  mkdirSync(folder)
  makeManyFiles(join(folder, 'many'), { files: 300, seed: 1 })
  writeRandomFile(join(folder, 'large'), 2, 5_000_000)
  await must('ours', ['-r', source, 'init'])
  await must('ours', ['-r', source, 'backup', 'files'], { cwd: work })
  writeFileSync(join(folder, 'later'), 'more')
  await must('ours', ['-r', source, 'backup', '--tag', 'later', 'files'], { cwd: work })
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

async function initAlike(program: Program, name: string): Promise<string> {
  const repository = join(work, name)
  await must(program, ['-r', repository, 'init', '--copy-chunker-params', '--from-repo', source], FROM)
  return repository
}

describe.skipIf(!hasRestic())('copy', () => {
  it('by us is whole for restic, which has nothing left to copy', async () => {
    const repository = await initAlike('ours', 'by-us')
    const printed = await must('ours', ['-r', repository, 'copy', '--from-repo', source], FROM)
    expect(printed.match(/^snapshot [0-9a-f]{8} saved, copied from source snapshot/gm)).toHaveLength(2)
    await must('0.19.1', ['-r', repository, 'check', '--read-data'])
    expect(await listObjects('0.19.1', repository, 'blobs')).toEqual(
      await listObjects('0.19.1', source, 'blobs'),
    )
    const again = await must('0.19.1', ['-r', repository, 'copy', '-v', '--from-repo', source], FROM)
    expect(again.match(/was already copied to snapshot/g)).toHaveLength(2)
    expect(await listSnapshots('ours', repository)).toHaveLength(2)
  })

  it('by restic is known to us, and what it left out we add', async () => {
    const repository = await initAlike('0.19.1', 'by-restic')
    const args = ['-r', repository, 'copy', '--from-repo', source]
    await must('0.19.1', [...args, '--tag', 'later'], FROM)
    const packs = filesOf(repository, 'data')
    const printed = await must('ours', [...args, '-v'], FROM)
    expect(printed.match(/was already copied to snapshot/g)).toHaveLength(1)
    expect(printed.match(/saved, copied from source snapshot/g)).toHaveLength(1)
    // Its data was there: only the trees of the older snapshot were not.
    expect(filesOf(repository, 'data').length - packs.length).toBe(1)
    await must('0.19.1', ['-r', repository, 'check', '--read-data'])
  })

  it('says which of the two repositories is missing or has another password', async () => {
    const nowhere = await run('ours', ['-r', source, 'copy', '--from-repo', join(work, 'nowhere')], FROM)
    expect(nowhere).toMatchObject({ code: 10 })
    expect(nowhere.stderr).toContain(join(work, 'nowhere'))
    const env = { RESTIC_FROM_PASSWORD: 'wrong' }
    expect(await run('ours', ['-r', source, 'copy', '--from-repo', source], { env })).toMatchObject({
      code: 12,
    })
    const unnamed = await run('ours', ['-r', source, 'copy'])
    expect(unnamed.code).toBe(1)
    expect(unnamed.stderr).toContain('--from-repo')
  })
})
