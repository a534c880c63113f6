/** What restic-ts writes, every real restic that knows the version checks, lists, compares, rewrites and restores. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { editRandomly, makeManyFiles, writeRandomFile } from '../support/many-files.ts'
import { must, run } from '../support/programs.ts'
import { hasRestic, type ResticVersion } from '../support/real-restic.ts'
import { listSnapshots, makeRepository, makeWorkFolder } from '../support/repositories.ts'
import { knownToOldRestic, listTree, makeRichTree } from '../support/rich-tree.ts'

const VERSIONS: readonly ResticVersion[] = ['0.14.0', '0.18.0', '0.19.1']
const MIB = 1 << 20

let work = ''
let rich: string[] = []
let many: string[] = []

beforeAll(() => {
  work = makeWorkFolder('ours')
  makeRichTree(join(work, 'rich'), 30)
  makeManyFiles(join(work, 'many'), { files: 3000, seed: 11 })
  rich = listTree(join(work, 'rich'))
  many = listTree(join(work, 'many'))
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

describe.each([1, 2] as const)('a version %i repository that we wrote', (version) => {
  let repository = ''
  const ours = (...args: string[]): Promise<string> =>
    must('ours', ['-r', repository, ...args], { cwd: work })

  beforeAll(async () => {
    repository = join(work, `v${version}`)
    await must('ours', ['-r', repository, 'init', '--repository-version', String(version)])
    await ours('backup', '--tag', 'both', 'rich', 'many')
    await ours('backup', '--tag', 'again', '--compression', version === 1 ? 'off' : 'max', 'rich')
  })

  describe.each(VERSIONS)('with restic %s', (resticVersion) => {
    describe.skipIf(!hasRestic(resticVersion))('at hand', () => {
      const theirs = (...args: string[]): Promise<string> =>
        must(resticVersion, ['-r', repository, ...args], { cwd: work })

      it('passes check --read-data', async () => {
        expect(await theirs('check', '--read-data')).toContain('no errors were found')
      })

      it('is restored as it was, metadata included', async () => {
        const target = join(work, `v${version}-by-${resticVersion}`)
        await theirs('restore', 'latest', '--tag', 'both', '--target', target)
        const known = resticVersion === '0.14.0' ? knownToOldRestic : (lines: readonly string[]) => [...lines]
        expect(known(listTree(join(target, 'rich')))).toEqual(known(rich))
        expect(listTree(join(target, 'many'))).toEqual(many)
        rmSync(target, { recursive: true })
      })

      it('lists its snapshots as we do', async () => {
        const listed = await listSnapshots(resticVersion, repository)
        expect(listed.map(({ tags }) => tags)).toEqual([['both'], ['again']])
        expect(listed.map(({ id }) => id)).toEqual(
          (await listSnapshots('ours', repository)).map(({ id }) => id),
        )
        expect(await theirs('snapshots')).toContain('2 snapshots')
      })

      it('has all names in ls', async () => {
        const [first] = await listSnapshots(resticVersion, repository)
        const lines = (await theirs('ls', '--json', first!.id)).trim().split('\n')
        const listing = lines.filter((line) => line.includes('"struct_type":"node"'))
        const entries = [...rich, ...many].filter((line) => !line.startsWith('hardlinks'))
        expect(listing).toHaveLength(entries.length)
        expect(listing.some((line) => line.includes('/rich/names/quote\\"back\\\\slash'))).toBe(true)
      })

      it('shows what changed between two snapshots', async () => {
        const [first, second] = await listSnapshots(resticVersion, repository)
        const difference = await theirs('diff', first!.id, second!.id)
        expect(difference).toContain('-    /many/')
        expect(difference).not.toMatch(/^[+MTU?] /m)
      })
    })
  })

  describe.skipIf(!hasRestic())('rewritten by restic 0.19.1', () => {
    it('has canonical trees', async () => {
      // Rewriting decodes every tree, encodes it again and refuses one that does not come out byte for byte.
      const copy = join(work, `v${version}-rewritten`)
      await must('0.19.1', ['-r', repository, '--no-lock', 'check'])
      await must('0.19.1', ['-r', repository, 'rewrite', '--exclude', '/rich/names/plain', 'latest'])
      // It has the time of the one it was made of: the two may be listed either way round.
      const snapshots = await listSnapshots('0.19.1', repository)
      const rewritten = snapshots.find(({ tags }) => tags?.includes('rewrite'))
      expect(rewritten?.tags).toEqual(['again', 'rewrite'])
      await ours('check', '--read-data')
      await ours('restore', 'latest', '--tag', 'rewrite', '--target', copy)
      // The excluded file's folder keeps its time; all but the file is as it was.
      const expected = rich.filter((line) => !line.startsWith("b'names/plain'"))
      expect(listTree(join(copy, 'rich'))).toEqual(expected)
    })
  })
})

describe.skipIf(!hasRestic())('large files', () => {
  it('are cut, stored and found again as restic does, also after changes in the middle', async () => {
    const folder = join(work, 'large')
    const repository = await makeRepository(join(work, 'large-repository'))
    mkdirSync(folder)
    writeRandomFile(join(folder, 'noise'), 5, 120 * MIB)
    writeFileSync(join(folder, 'zeros'), Buffer.alloc(50 * MIB))
    await must('ours', ['-r', repository, 'backup', 'large'], { cwd: work })
    const before = listTree(folder)
    editRandomly(folder, 3, 1)
    await must('ours', ['-r', repository, 'backup', 'large'], { cwd: work })
    const after = listTree(folder)
    expect(after).not.toEqual(before)
    await must('0.19.1', ['-r', repository, 'check', '--read-data'])
    const [first, second] = await listSnapshots('0.19.1', repository)
    for (const [snapshot, expected] of [
      [first, before],
      [second, after],
    ] as const) {
      const target = join(work, `large-${snapshot!.id}`)
      await must('0.19.1', ['-r', repository, 'restore', snapshot!.id, '--target', target])
      expect(listTree(join(target, 'large'))).toEqual(expected)
      rmSync(target, { recursive: true })
    }
  })
})

describe.skipIf(!hasRestic())('a repository of ours in use by restic', () => {
  it('takes our password changes and our lock', async () => {
    const repository = join(work, 'keys')
    const password = join(work, 'new-password')
    writeFileSync(password, 'changed\n')
    await must('ours', ['-r', repository, 'init'])
    await must('ours', ['-r', repository, 'key', 'add', '--new-password-file', password])
    const env = { RESTIC_PASSWORD: 'changed' }
    expect(
      JSON.parse(await must('0.19.1', ['-r', repository, 'key', 'list', '--json'], { env })),
    ).toHaveLength(2)
    await must('0.19.1', ['-r', repository, 'key', 'passwd', '--new-password-file', password], { env })
    expect(JSON.parse(await must('ours', ['-r', repository, 'key', 'list', '--json'], { env }))).toHaveLength(
      2,
    )
    expect(
      (await run('0.19.1', ['-r', repository, 'snapshots'], { env: { RESTIC_PASSWORD: 'no' } })).code,
    ).toBe(12)
  })
})
