/**
 * A small repository that command lines are tried on: three snapshots of a folder, made by our own backup. Until it is
 * removed its folder is the working directory.
 */
import { mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { randomBytes } from '../support/many-files.ts'
import { copyRepository, makeRepository, makeWorkFolder } from '../support/repositories.ts'
import { succeed } from './transcript.ts'

// Times in tables are local ones.
process.env['TZ'] = 'UTC'

export interface Sample {
  /** Everything is below this folder. */
  readonly work: string
  readonly source: string
  readonly repository: string
  /** Short IDs of the snapshots, oldest first. */
  readonly ids: readonly string[]
  /** A copy of the repository, to be changed at will. */
  readonly copy: () => string
  readonly remove: () => void
}

export async function makeSample(): Promise<Sample> {
  const work = makeWorkFolder('cli')
  const source = join(work, 'source')
  const before = process.cwd()
  // Relative paths keep the folders above out of the snapshots.
  process.chdir(work)
  const repository = await makeRepository(join(work, 'repository'))
  const ids: string[] = []
  const save = async (...flags: string[]): Promise<void> => {
    const output = await succeed(['-r', repository, 'backup', 'source', ...flags])
    ids.push(/snapshot ([0-9a-f]{8}) saved/.exec(output)![1]!)
  }
  writeTree(source)
  await save('--host', 'one', '--tag', 'a,b', '--time', '2024-01-01 10:00:00')
  rmSync(join(source, 'big.bin'))
  writeFileSync(join(source, 'more.bin'), randomBytes(2, 50_000))
  await save('--host', 'one', '--tag', 'c', '--time', '2024-01-02 10:00:00')
  rmSync(join(source, 'more.bin'))
  await save('--host', 'two', '--time', '2024-02-02 10:00:00')
  let copies = 0
  return {
    work,
    source,
    repository,
    ids,
    copy: () => copyRepository(repository, join(work, `copy-${copies++}`)),
    remove: () => {
      process.chdir(before)
      rmSync(work, { recursive: true, force: true })
    },
  }
}

function writeTree(source: string): void {
  mkdirSync(join(source, 'sub'), { recursive: true })
  writeFileSync(join(source, 'a.txt'), 'hello\n')
  writeFileSync(join(source, 'empty'), '')
  writeFileSync(join(source, 'sub', 'b.txt'), 'below\n')
  writeFileSync(join(source, 'big.bin'), randomBytes(1, 100_000))
  symlinkSync('a.txt', join(source, 'link'))
  for (const name of ['a.txt', 'empty', 'big.bin', 'sub/b.txt']) utimesSync(join(source, name), 1.7e9, 1.7e9)
}

/** Text with IDs and times of this run made the same for every run. */
export function normalise(text: string): string {
  return text
    .replaceAll(/\b[0-9a-f]{64}\b/g, '<ID>')
    .replaceAll(/\b[0-9a-f]{8}\b(?!-)/g, '<id>')
    .replaceAll(/\[\d+:\d\d\]/g, '[0:00]')
    .replaceAll(/ in \d+:\d\d/g, ' in 0:00')
}
