/** What real restic writes, restic-ts lists, checks and restores, metadata included; and says of it what restic says. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { editRandomly, makeManyFiles } from '../support/many-files.ts'
import { must, type Program } from '../support/programs.ts'
import { hasRestic } from '../support/real-restic.ts'
import { listObjects, listSnapshots, makeWorkFolder } from '../support/repositories.ts'
import { knownToOldRestic, listTree, makeRichTree } from '../support/rich-tree.ts'

const MADE_BY = [
  { version: '0.14.0', format: '1' },
  { version: '0.14.0', format: '2' },
  { version: '0.18.0', format: '2' },
  { version: '0.19.1', format: '1' },
  { version: '0.19.1', format: '2' },
] as const

let work = ''

beforeAll(() => {
  work = makeWorkFolder('theirs')
  makeRichTree(join(work, 'rich'), 8)
  makeManyFiles(join(work, 'many'), { files: 1500, seed: 12 })
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

describe.each(MADE_BY)('a version $format repository that restic $version wrote', ({ version, format }) => {
  describe.skipIf(!hasRestic(version))('with it at hand', () => {
    let repository = ''
    let rich: string[] = []
    const many: string[][] = []
    const ours = (...args: string[]): Promise<string> => must('ours', ['-r', repository, ...args])

    beforeAll(async () => {
      repository = join(work, `${version}-v${format}`)
      const theirs = (...args: string[]): Promise<string> =>
        must(version, ['-r', repository, ...args], { cwd: work })
      await theirs('init', '--repository-version', format)
      for (const seed of [1, 2, 3]) {
        editRandomly(join(work, 'many'), seed)
        many.push(listTree(join(work, 'many')))
        await theirs('backup', '--tag', `round-${seed}`, 'rich', 'many')
      }
      rich = listTree(join(work, 'rich'))
      // A second index file set and packs with unused blobs.
      await theirs('forget', '--tag', 'round-2', '--keep-tag', 'nothing', '--keep-last', '1')
    })

    it('is listed', async () => {
      expect(await ours('list')).toContain('3 snapshots')
      expect(await listSnapshots('ours', repository)).toEqual(await listSnapshots(version, repository))
      for (const type of ['blobs', 'packs', 'index', 'snapshots', 'keys']) {
        expect(await listObjects('ours', repository, type)).toEqual(
          await listObjects(version, repository, type),
        )
      }
    })

    it('passes check --read-data', async () => {
      expect(await ours('check', '--read-data')).toContain('no errors were found')
    })

    it('is restored as it was, every snapshot', async () => {
      const snapshots = await listSnapshots('ours', repository)
      const known = version === '0.14.0' ? knownToOldRestic : (lines: readonly string[]) => [...lines]
      for (const [i, { id }] of snapshots.entries()) {
        const target = join(work, `restored-${id}`)
        await ours('restore', id, '--target', target, '--verify')
        expect(known(listTree(join(target, 'rich')))).toEqual(known(rich))
        expect(listTree(join(target, 'many'))).toEqual(many[i])
        rmSync(target, { recursive: true })
      }
    })

    it('is the parent of a backup of ours that reads nothing again', async () => {
      const before = await listObjects('ours', repository, 'blobs')
      const printed = await must('ours', ['-r', repository, 'backup', '--json', 'rich', 'many'], {
        cwd: work,
      })
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a line of our own output
      const summary = JSON.parse(printed.trim().split('\n').at(-1)!) as Record<string, number>
      expect(summary).toMatchObject({ files_new: 0, files_changed: 0, dirs_new: 0, data_blobs: 0 })
      const { tree, parent } = (await listSnapshots('ours', repository)).at(-1)!
      const previous = (await listSnapshots(version, repository)).at(-2)!
      expect(parent).toBe(previous.id)
      const after = await listObjects('ours', repository, 'blobs')
      // 0.14 writes links that are not UTF-8 another way, so its trees differ from ours.
      const isSame = { tree: tree === previous.tree, blobs: after.join() === before.join() }
      const isOld = version === '0.14.0'
      expect(isSame).toEqual({ tree: !isOld, blobs: !isOld })
    })
  })
})

describe.skipIf(!hasRestic())('what the two programs print of one repository', () => {
  let repository = ''

  beforeAll(async () => {
    repository = join(work, 'printed')
    await must('0.19.1', ['-r', repository, 'init'])
    for (const [program, ...args] of [
      ['0.19.1', '--tag', 'a,b', '--host', 'one', '--exclude', '*.bin', 'many'],
      ['ours', '--tag', 'c', '--host', 'two', '--time', '2024-05-06 07:08:09', 'rich/names'],
      ['ours', '--tag', 'a', '--host', 'one', 'many', 'rich/links'],
    ] as const) {
      await must(program, ['-r', repository, 'backup', ...args], { cwd: work })
    }
  })

  async function both(...args: string[]): Promise<[string, string]> {
    const print = (program: Program): Promise<string> =>
      must(program, ['-r', repository, '--no-lock', ...args], { env: { TZ: 'Asia/Kolkata' } })
    return [await print('ours'), await print('0.19.1')]
  }

  const COMMANDS = [
    'snapshots --json',
    'snapshots --json --host one --latest 1',
    'snapshots --json --tag a,b --tag c',
    'key list --json',
    'cat config',
    'snapshots',
    'snapshots --compact',
    'snapshots --host two',
    'forget --keep-last 1 --dry-run --json --group-by host --host one',
    'forget --keep-daily 2 --dry-run --host two',
  ]

  it.each(COMMANDS)('is the same for %s', async (command) => {
    const [ours, theirs] = await both(...command.split(' '))
    expect(ours).toBe(theirs)
  })

  it('is the same for every snapshot, tree and index', async () => {
    for (const { id, tree } of await listSnapshots('ours', repository)) {
      for (const args of [
        ['cat', 'snapshot', id],
        ['cat', 'tree', id],
        ['cat', 'blob', tree],
      ]) {
        const [ours, theirs] = await both(...args)
        expect(ours).toBe(theirs)
      }
    }
    for (const id of await listObjects('ours', repository, 'index')) {
      const [ours, theirs] = await both('cat', 'index', id)
      expect(ours).toBe(theirs)
    }
  })
})
