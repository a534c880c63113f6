/** Repositories in folders, for tests that run commands on them. */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LocalBackend } from '../../src/backend/local.ts'
import { must, type Program } from './programs.ts'
import { createTestRepositoryIn } from './test-repository.ts'

/** A folder of the test's own. Its maker removes it. */
export function makeWorkFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `restic-ts-${name}-`))
}

/** An empty repository whose key costs nothing to derive, so that commands start at once. */
export async function makeRepository(path: string, version: 1 | 2 = 2): Promise<string> {
  const repository = await createTestRepositoryIn(new LocalBackend(path), { version })
  await repository.close()
  return path
}

export function copyRepository(from: string, to: string): string {
  cpSync(from, to, { recursive: true })
  return to
}

/** Paths of all files of one type (`data`, `index`, `snapshots`, `keys`, `locks`), in a fixed order. */
export function filesOf(repository: string, folder: string): string[] {
  if (!existsSync(join(repository, folder))) return []
  return readdirSync(join(repository, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /(^|\/)[0-9a-f]{64}$/.test(name))
    .toSorted()
    .map((name) => join(repository, folder, name))
}

/** Replaces a file, write-protected as it is, by a changed copy. */
export function overwrite(path: string, change: (bytes: Buffer) => Uint8Array): void {
  const bytes = readFileSync(path)
  rmSync(path)
  writeFileSync(path, change(bytes))
}

export interface ListedSnapshot {
  readonly id: string
  readonly time: string
  readonly tree: string
  readonly paths: readonly string[]
  readonly tags?: readonly string[]
  readonly parent?: string
}

export async function listSnapshots(program: Program, repository: string): Promise<ListedSnapshot[]> {
  const listed: unknown = JSON.parse(await must(program, ['-r', repository, 'snapshots', '--json']))
  if (!Array.isArray(listed)) throw new Error('snapshots --json is no array')
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the two programs print
  return listed as ListedSnapshot[]
}

/** What `list TYPE` prints, sorted and each line once. */
export async function listObjects(program: Program, repository: string, type: string): Promise<string[]> {
  const lines = (await must(program, ['-r', repository, '--no-lock', 'list', type])).trim().split('\n')
  return [...new Set(lines.filter((line) => line !== ''))].toSorted()
}
