/** On a damaged repository our check finds what restic's finds and ends as it ends; nothing shows a stack trace. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeManyFiles, writeRandomFile } from '../support/many-files.ts'
import { must, run } from '../support/programs.ts'
import { hasRestic } from '../support/real-restic.ts'
import { copyRepository, filesOf, makeWorkFolder, overwrite } from '../support/repositories.ts'

const work = makeWorkFolder('damaged')
const sound = join(work, 'sound')

beforeAll(async () => {
  const source = join(work, 'source')
  mkdirSync(source)
  writeRandomFile(join(source, 'big'), 1, 3_000_000)
  makeManyFiles(join(source, 'many'), { seed: 1, files: 40 })
  await must('ours', ['-r', sound, 'init'])
  await must('ours', ['-r', sound, 'backup', 'source'], { cwd: work })
  makeManyFiles(join(source, 'more'), { seed: 2, files: 20 })
  await must('ours', ['-r', sound, 'backup', 'source'], { cwd: work })
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

type Damage = (repository: string) => void

function remove(folder: string): Damage {
  return (repository) => rmSync(filesOf(repository, folder)[0]!)
}

function change(folder: string, edit: (bytes: Buffer) => Uint8Array): Damage {
  return (repository) => overwrite(filesOf(repository, folder)[0]!, edit)
}

function flip(position: number): (bytes: Buffer) => Buffer {
  return (bytes) => {
    const at = position < 0 ? bytes.length + position : position
    bytes[at] = bytes[at]! ^ 1
    return bytes
  }
}

const DAMAGES: Readonly<Record<string, Damage>> = {
  'a missing pack': remove('data'),
  'every pack missing': (repository) => filesOf(repository, 'data').forEach((path) => rmSync(path)),
  'a truncated pack': change('data', (bytes) => bytes.subarray(0, bytes.length - 10)),
  'an empty pack': change('data', (bytes) => bytes.subarray(0, 0)),
  'a flipped bit in a blob': change('data', flip(20)),
  'a flipped bit in a pack header': change('data', flip(-10)),
  'a missing index': remove('index'),
  'a corrupt index': change('index', (bytes) => bytes.subarray(1)),
  'a missing snapshot': remove('snapshots'),
  'a corrupt snapshot': change('snapshots', (bytes) => bytes.subarray(1)),
  'a corrupt key': change('keys', (bytes) => bytes.subarray(1)),
  'no key': remove('keys'),
  'a corrupt config': (repository) => overwrite(join(repository, 'config'), (bytes) => bytes.subarray(1)),
  'no config': (repository) => rmSync(join(repository, 'config')),
}

describe.skipIf(!hasRestic())('a repository with', () => {
  it.each(Object.keys(DAMAGES))('%s ends check as restic ends it', async (name) => {
    const repository = copyRepository(sound, join(work, name))
    DAMAGES[name]!(repository)
    const theirs = await run('0.19.1', ['-r', repository, 'check', '--read-data'])
    const ours = await run('ours', ['-r', repository, 'check', '--read-data'])
    expect(ours).toMatchObject({ code: theirs.code })
    expect(ours.stderr.includes('Fatal: ')).toBe(ours.code !== 0)
    rmSync(repository, { recursive: true })
  })
})
