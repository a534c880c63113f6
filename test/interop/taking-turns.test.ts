/** restic and restic-ts take turns on one repository, round after round, and it stays whole. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { editRandomly, makeManyFiles } from '../support/many-files.ts'
import { must } from '../support/programs.ts'
import { hasRestic } from '../support/real-restic.ts'
import {
  copyRepository,
  filesOf,
  listObjects,
  listSnapshots,
  makeRepository,
  makeWorkFolder,
} from '../support/repositories.ts'
import { listTree } from '../support/rich-tree.ts'

const ROUNDS = 4
/** Packs small enough that every prune has some to repack. */
const SMALL_PACKS = { RESTIC_PACK_SIZE: '4' }

let work = ''

beforeAll(() => {
  work = makeWorkFolder('turns')
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

describe.skipIf(!hasRestic())('taking turns on one repository', () => {
  it.each([1, 2] as const)(
    'keeps a version %i repository whole',
    async (version) => {
      const repository = await makeRepository(join(work, `v${version}`), version)
      const folder = join(work, `folder-${version}`)
      mkdirSync(folder)
      makeManyFiles(folder, { files: 1200, seed: 40 + version })
      const states = new Map<string, string[]>()
      const use = (program: 'ours' | '0.19.1', ...args: string[]): Promise<string> =>
        must(program, ['-r', repository, ...args], { env: SMALL_PACKS })
      const backUp = async (program: 'ours' | '0.19.1', seed: number): Promise<void> => {
        editRandomly(folder, seed)
        await use(program, 'backup', '--host', program, folder)
        states.set((await listSnapshots('0.19.1', repository)).at(-1)!.id, listTree(folder))
      }
      for (let round = 0; round < ROUNDS; round++) {
        await backUp('0.19.1', 100 * version + 4 * round)
        await backUp('ours', 100 * version + 4 * round + 1)
        await use('0.19.1', 'forget', '--keep-last', '2', '--group-by', '', '--prune', '--max-unused', '1%')
        await use('ours', 'check', '--read-data')
        await backUp('ours', 100 * version + 4 * round + 2)
        await backUp('0.19.1', 100 * version + 4 * round + 3)
        await use('ours', 'forget', '--keep-last', '2', '--group-by', '', '--prune', '--max-unused', '0')
        await use('0.19.1', 'check', '--read-data')
      }
      const left = await listSnapshots('0.19.1', repository)
      expect(left).toHaveLength(2)
      for (const [i, { id }] of left.entries()) {
        const target = join(work, `out-${version}-${i}`)
        await use(i === 0 ? 'ours' : '0.19.1', 'restore', id, '--target', target)
        expect(listTree(join(target, folder))).toEqual(states.get(id))
      }
    },
    240_000,
  )

  it('leaves the same blobs whoever prunes', async () => {
    const repository = await makeRepository(join(work, 'pruned'))
    const folder = join(work, 'pruned-folder')
    mkdirSync(folder)
    makeManyFiles(folder, { files: 400, seed: 50 })
    for (const seed of [1, 2, 3]) {
      editRandomly(folder, seed)
      await must('0.19.1', ['-r', repository, 'backup', folder])
    }
    const pruned: string[][] = []
    for (const program of ['ours', '0.19.1'] as const) {
      const copy = copyRepository(repository, join(work, `pruned-by-${program}`))
      await must(program, ['-r', copy, 'forget', '--keep-last', '1', '--prune', '--max-unused', '0'])
      pruned.push(await listObjects('0.19.1', copy, 'blobs'))
      expect(filesOf(copy, 'locks')).toEqual([])
    }
    expect(pruned[0]).toEqual(pruned[1])
  })
})
