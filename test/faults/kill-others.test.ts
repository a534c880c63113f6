/** The commands beside backup, forget and prune (kill.test.ts), killed at any moment: init, key passwd, restore. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeManyFiles, writeRandomFile } from '../support/many-files.ts'
import { must, run, type Run } from '../support/programs.ts'
import { hasRestic, isSlow } from '../support/real-restic.ts'
import { copyRepository, filesOf, makeRepository, makeWorkFolder } from '../support/repositories.ts'
import { listTree } from '../support/rich-tree.ts'
import { TEST_PASSWORD } from '../support/test-repository.ts'
import { chooseSteps, countSteps, runInterrupted } from './steps.ts'

let work = ''
let repository = ''
let copies = 0

beforeAll(async () => {
  work = makeWorkFolder('kill-others')
  repository = await makeRepository(join(work, 'repository'))
  mkdirSync(join(work, 'source'))
  writeRandomFile(join(work, 'source', 'large'), 1, 3_000_000)
  makeManyFiles(join(work, 'source', 'many'), { files: 20 })
  await must('ours', ['-r', repository, 'backup', 'source'], { cwd: work })
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

function nextPath(name: string): string {
  return join(work, `${name}-${copies++}`)
}

describe('kill -9', () => {
  it('of init leaves what init goes on from, or a whole repository', async () => {
    // Making the folders takes 262 steps, all alike; the key and the config take five each.
    const steps = await countSteps(['-r', nextPath('init'), 'init'], { cwd: work })
    for (const step of isSlow ? chooseSteps(steps, 0, 0) : [100, steps - 6, steps - 5, steps]) {
      const path = nextPath('init')
      await runInterrupted(['-r', path, 'init'], { step, signal: 'SIGKILL' })
      expect(await run('ours', ['-r', path, 'snapshots'])).toMatchObject({ code: 10 })
      const isKeyThere = filesOf(path, 'keys').length > 0
      expect(isKeyThere).toBe(step > steps - 5)
      // A key without a config is refused, as restic does: it could be what a lost repository left.
      expect(await run('ours', ['-r', path, 'init'])).toMatchObject(
        isKeyThere
          ? { code: 1, stderr: expect.stringContaining('repository already contains keys') as unknown }
          : { code: 0 },
      )
    }
  })

  describe.skipIf(!hasRestic())('with restic as judge', () => {
    it('of key passwd leaves a password that opens', async () => {
      writeFileSync(join(work, 'new'), 'new')
      const change = (path: string): string[] => ['-r', path, 'key', 'passwd', '--new-password-file', 'new']
      const open = (path: string, password: string): Promise<Run> =>
        run('0.19.1', ['-r', path, '--no-lock', 'cat', 'config'], { env: { RESTIC_PASSWORD: password } })
      const seen = new Set<string>()
      const copy = (): string => copyRepository(repository, nextPath('passwd'))
      const steps = await countSteps(change(copy()), { cwd: work })
      for (const step of chooseSteps(steps, steps, 0).slice(isSlow ? 0 : -3)) {
        const path = copy()
        await runInterrupted(change(path), { step, signal: 'SIGKILL' }, { cwd: work })
        const codes = [await open(path, TEST_PASSWORD), await open(path, 'new')].map(({ code }) => code)
        expect([[0, 12], [0, 0], [12, 0]]).toContainEqual(codes) // prettier-ignore
        seen.add(codes.join())
      }
      expect(seen).toEqual(new Set(['0,12', '0,0', '12,0']))
    })
  })
})

it('a restore that was killed is finished by the next one', async () => {
  const args = (target: string): string[] => ['-r', repository, 'restore', 'latest', '--target', target]
  const steps = await countSteps(args(nextPath('target')), { cwd: work })
  const original = listTree(join(work, 'source'))
  for (const step of chooseSteps(steps, 3, 1)) {
    const target = nextPath('target')
    const killed = await runInterrupted(args(target), { step, signal: 'SIGKILL' })
    expect(killed.signal).toBe('SIGKILL')
    await must('ours', args(target))
    expect(listTree(join(target, 'source'))).toEqual(original)
    expect(readFileSync(join(target, 'source', 'large')).length).toBe(3_000_000)
  }
})
