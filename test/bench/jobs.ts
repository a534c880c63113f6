/** The jobs that are measured, each on fresh copies of the same repository for both programs. */
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { execFileSync } from 'node:child_process'
import { measure, type Measurement, type Program } from './programs.ts'

export interface Workplace {
  /** The dataset. */
  readonly source: string
  /** For repositories and targets; on the same file system. */
  readonly folder: string
}

export interface JobRun extends Measurement {
  readonly storedMib?: number
}

export interface Job {
  readonly name: string
  readonly description: string
  readonly run: (program: Program, place: Workplace) => JobRun
}

export const JOBS: readonly Job[] = [
  { name: 'backup', description: 'first backup', run: firstBackup },
  { name: 'rescan', description: 'backup again, unchanged', run: rescan },
  { name: 'restore', description: 'restore', run: restore },
  { name: 'check', description: 'check', run: (program, place) => onFull(program, place, ['check']) },
  { name: 'read-data', description: 'check --read-data', run: (program, place) => onFull(program, place, ['check', '--read-data']) }, // prettier-ignore
  { name: 'prune', description: 'forget --prune that repacks half', run: prune },
  { name: 'list', description: 'list the snapshots', run: (program, place) => onFull(program, place, ['snapshots']) }, // prettier-ignore
]

function firstBackup(program: Program, place: Workplace): JobRun {
  const repository = copyOf(template(place, 'empty', makeEmpty), join(place.folder, `repository-${program}`))
  const measured = measure(program, ['-r', repository, 'backup', '.'], place.source)
  return { ...measured, storedMib: diskMib(repository) }
}

function rescan(program: Program, place: Workplace): JobRun {
  const repository = copyOf(template(place, 'full', makeFull), join(place.folder, `repository-${program}`))
  return measure(program, ['-r', repository, 'backup', '.'], place.source)
}

/**
 * To a new folder each time, and none is removed before the dataset is done: for minutes after many files were removed,
 * ext4 passes over the inodes of each of them whenever a file is made, which takes it ten times as long.
 */
function restore(program: Program, place: Workplace): JobRun {
  const repository = template(place, 'full', makeFull)
  const target = mkdtempSync(join(place.folder, 'target-'))
  return measure(program, ['-r', repository, 'restore', 'latest', '--target', target])
}

function onFull(program: Program, place: Workplace, args: readonly string[]): JobRun {
  return measure(program, ['-r', template(place, 'full', makeFull), ...args])
}

function prune(program: Program, place: Workplace): JobRun {
  const repository = copyOf(
    template(place, 'halved', makeHalved),
    join(place.folder, `repository-${program}`),
  )
  const args = ['--keep-last', '1', '--group-by', '', '--prune', '--max-unused', '0']
  return measure(program, ['-r', repository, 'forget', ...args])
}

function makeEmpty(repository: string): void {
  measure('restic', ['-r', repository, 'init'])
}

function makeFull(repository: string, place: Workplace): void {
  copyOf(template(place, 'empty', makeEmpty), repository)
  measure('restic', ['-r', repository, 'backup', '.'], place.source)
}

/** A second snapshot has every other file only, so that half of nearly every pack is unused once the first one goes. */
function makeHalved(repository: string, place: Workplace): void {
  copyOf(template(place, 'full', makeFull), repository)
  const excludes = ['*[02468].*', '*[bdfhjlnprtvxz].?', '*[02468]'].flatMap((pattern) => [
    '--exclude',
    pattern,
  ])
  measure('restic', ['-r', repository, 'backup', ...excludes, '.'], place.source)
}

function template(
  place: Workplace,
  name: string,
  make: (repository: string, place: Workplace) => void,
): string {
  const path = join(place.folder, `template-${name}`)
  if (!existsSync(path)) make(path, place)
  return path
}

function copyOf(from: string, to: string): string {
  rmSync(to, { recursive: true, force: true })
  cpSync(from, to, { recursive: true })
  return to
}

function diskMib(folder: string): number {
  const printed = execFileSync('du', ['-s', '--apparent-size', '-B1', folder], { encoding: 'utf8' })
  return Number(printed.split('\t')[0]) / 2 ** 20
}
