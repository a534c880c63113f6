/** SIGINT and SIGTERM at any moment: exit code 130, no lock, nothing half-written, and the next run succeeds. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { BIN, cleanEnvironment } from '../support/cli.ts'
import { makeManyFiles, writeRandomFile } from '../support/many-files.ts'
import { must } from '../support/programs.ts'
import {
  copyRepository,
  filesOf,
  listSnapshots,
  makeRepository,
  makeWorkFolder,
} from '../support/repositories.ts'
import { listTree } from '../support/rich-tree.ts'
import { chooseSteps, countSteps, runInterrupted } from './steps.ts'

let work = ''
let repository = ''
let copies = 0

beforeAll(async () => {
  work = makeWorkFolder('signals')
  repository = await makeRepository(join(work, 'repository'))
  const source = join(work, 'source')
  mkdirSync(source)
  for (let round = 0; round < 2; round++) {
    writeRandomFile(join(source, `large-${round % 2}`), 100 * round, 3_000_000)
    makeManyFiles(join(source, `round-${round}`), { files: 20, seed: round })
    await must('ours', ['-r', repository, '--pack-size', '4', 'backup', 'source'], { cwd: work })
  }
  await must('ours', ['-r', repository, 'forget', (await listSnapshots('ours', repository))[1]!.id])
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

function nextPath(name: string): string {
  return join(work, `${name}-${copies++}`)
}

/** Files under other names than their own: what a writer leaves that was stopped. */
function temporaryFiles(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('-tmp-'))
}

it.each([
  ['SIGINT', 'backup', ['backup', '--force', 'source/round-1', 'source/large-1']],
  ['SIGTERM', 'backup', ['backup', 'source']],
  ['SIGINT', 'prune', ['prune', '--max-unused', '0']],
  ['SIGTERM', 'forget', ['forget', '--keep-last', '1', '--prune']],
  ['SIGTERM', 'check', ['check', '--read-data']],
] as const)('%s in the middle of %s', async (signal, name, args) => {
  const command = (path: string): string[] => ['-r', path, '--pack-size', '4', ...args]
  const copy = (): string => copyRepository(repository, nextPath(name))
  const steps = await countSteps(command(copy()), { cwd: work })
  let aborted = 0
  for (const step of chooseSteps(steps, 3, signal.length)) {
    const path = copy()
    const { code, stderr } = await runInterrupted(command(path), { step, signal }, { cwd: work })
    const word = signal === 'SIGINT' ? 'interrupt' : 'terminated'
    const heard = `\rsignal ${word} received, cleaning up\n`
    // After the last change there is nothing to abort any more: the command has done its work, and says so.
    const isAborted = code !== 0
    expect({ code, stderr }).toEqual(
      isAborted ? { code: 130, stderr: `${heard}Fatal: operation aborted\n` } : { code: 0, stderr: heard },
    )
    aborted += isAborted ? 1 : 0
    expect(filesOf(path, 'locks')).toEqual([])
    expect(temporaryFiles(path)).toEqual([])
    await must('ours', command(path), { cwd: work })
    await must('ours', ['-r', path, 'check', '--read-data'])
    rmSync(path, { recursive: true })
  }
  expect(aborted).toBeGreaterThan(0)
})

it('SIGINT in the middle of restore', async () => {
  const args = (target: string): string[] => ['-r', repository, 'restore', 'latest', '--target', target]
  const whole = nextPath('target')
  const steps = await countSteps(args(whole), { cwd: work })
  let aborted = 0
  for (const step of chooseSteps(steps, 3, 1)) {
    const target = nextPath('target')
    const { code } = await runInterrupted(args(target), { step, signal: 'SIGINT' })
    // What comes within the last stretch of work finds nothing to abort any more: then all must be there.
    expect([0, 130]).toContain(code)
    if (code === 0) expect(listTree(join(target, 'source'))).toEqual(listTree(join(whole, 'source')))
    else aborted += 1
    expect(filesOf(repository, 'locks')).toEqual([])
    await must('ours', args(target))
    expect(listTree(join(target, 'source'))).toEqual(listTree(join(whole, 'source')))
  }
  expect(aborted).toBeGreaterThan(0)
})

it.each(['SIGINT', 'SIGTERM'] as const)('%s while a stream has nothing to give', async (signal) => {
  const path = copyRepository(repository, nextPath('stream'))
  const child = spawn(process.execPath, [BIN, '-r', path, 'backup', '--stdin'], {
    env: cleanEnvironment(),
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  const ended = once(child, 'close')
  while (filesOf(path, 'locks').length === 0) await sleep(20)
  // Long enough for the lock to have settled, and for the stream to be waited for.
  await sleep(600)
  child.kill(signal)
  expect(await ended).toEqual([130, null])
  expect(filesOf(path, 'locks')).toEqual([])
})
