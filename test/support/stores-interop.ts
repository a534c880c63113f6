/** One repository in a store, used by ours and by real restic in turns: what either writes, the other takes. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { writeRandomFile } from './many-files.ts'
import { must, type Program } from './programs.ts'
import { listTree } from './rich-tree.ts'

export interface StoreUnderTest {
  readonly location: string
  readonly env?: Readonly<Record<string, string>>
  /** Flags that both programs take. */
  readonly args?: readonly string[]
  /** A folder of the test's own. */
  readonly work: string
}

const CLEAN = 'no errors were found'
const MIB = 1 << 20

/**
 * The writer makes the repository and backs up, the reader checks and restores, adds a snapshot and prunes.
 * @returns how many snapshots are left; 1
 */
export async function writeThenRead(
  { location, env = {}, args = [], work }: StoreUnderTest,
  [writer, reader]: readonly [Program, Program],
): Promise<number> {
  const call = (program: Program, ...command: string[]): Promise<string> =>
    must(program, ['-r', location, ...args, ...command], { env, cwd: work })
  mkdirSync(join(work, 'source', 'sub'), { recursive: true })
  writeRandomFile(join(work, 'source', 'large.bin'), 5, 3 * MIB)
  writeFileSync(join(work, 'source', 'sub', 'small.txt'), 'small')
  const expected = listTree(join(work, 'source'))
  try {
    await call(writer, 'init')
    await call(writer, 'backup', 'source')
    expect(await call(reader, 'check', '--read-data')).toContain(CLEAN)
    await call(reader, 'restore', 'latest', '--target', 'target')
    expect(listTree(join(work, 'target', 'source'))).toEqual(expected)
    writeFileSync(join(work, 'source', 'sub', 'small.txt'), 'changed')
    await call(reader, 'backup', 'source')
    await call(reader, 'forget', '--keep-last', '1', '--prune')
    expect(await call(writer, 'check', '--read-data')).toContain(CLEAN)
    return (JSON.parse(await call(writer, 'snapshots', '--json')) as unknown[]).length
  } finally {
    for (const name of ['source', 'target']) rmSync(join(work, name), { recursive: true, force: true })
  }
}
