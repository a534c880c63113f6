/** What we write real restic reads, and the other way round, metadata included. */
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cli, runCli } from '../support/cli.ts'
import { hasRestic, restic, runRestic, type ResticVersion } from '../support/real-restic.ts'
import { listTree, makeRichTree } from '../support/rich-tree.ts'

const VERSIONS: readonly ResticVersion[] = ['0.14.0', '0.18.0', '0.19.1']
const UTC = { TZ: 'UTC' }

let work: string
let rich: string

beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'restic-ts-interop-'))
  rich = join(work, 'rich')
  makeRichTree(rich)
  mkdirSync(join(work, 'many'))
  for (let i = 0; i < 3000; i++) {
    const dir = join(work, 'many', `d${i % 50}`)
    mkdirSync(dir, { recursive: true })
    writeFileSync(join(dir, `file-${i}`), `content of file ${i}\n`.repeat(i % 97))
  }
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

function fresh(name: string): string {
  return mkdtempSync(join(work, `${name}-`))
}

function treeOf(repository: string): string[] {
  const snapshots: unknown = JSON.parse(restic(['-r', repository, 'snapshots', '--json']))
  if (!Array.isArray(snapshots)) throw new Error('no snapshots')
  return snapshots.map((snapshot: { tree: string }) => snapshot.tree)
}

/** The first stored file of a type, by name. */
function pick(repository: string, type: string): string {
  const dir = join(repository, type)
  const names = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((entry) =>
    /[0-9a-f]{64}$/.test(entry),
  )
  const [name] = names.toSorted()
  if (name === undefined) throw new Error(`nothing in ${dir}`)
  return join(dir, name)
}

function overwrite(path: string, change: (bytes: Buffer) => Uint8Array): void {
  const bytes = readFileSync(path)
  rmSync(path)
  writeFileSync(path, change(bytes))
}

function blobIds(repository: string): string[] {
  return restic(['-r', repository, 'list', 'blobs']).trim().split('\n').toSorted()
}

describe.each([1, 2] as const)('a version %i repository that we wrote', (version) => {
  let repository: string

  beforeAll(() => {
    repository = join(fresh('ours'), 'repository')
    cli(['-r', repository, 'init', '--repository-version', String(version)])
    cli(['-r', repository, 'backup', 'rich', 'many'], { cwd: work })
    cli(['-r', repository, 'backup', 'rich'], { cwd: work })
  })

  it.each(VERSIONS.map((resticVersion) => ({ resticVersion })))(
    'passes check --read-data of restic $resticVersion and is restored by it as it was',
    ({ resticVersion }) => {
      if (!hasRestic(resticVersion)) return
      const options = { version: resticVersion, env: UTC }
      restic(['-r', repository, 'check', '--read-data'], options)
      expect(restic(['-r', repository, 'snapshots'], options)).toContain('2 snapshots')
      const target = join(fresh('restored'), 'out')
      restic(
        ['-r', repository, 'restore', 'latest', '--path', join(work, 'rich'), '--target', target],
        options,
      )
      const restored = listTree(join(target, 'rich'))
      // 0.14 knows no linktarget_raw: a link target that is not UTF-8 comes back changed.
      const relevant = (line: string): boolean => resticVersion !== '0.14.0' || !line.includes('not-utf8')
      expect(restored.filter(relevant)).toEqual(listTree(rich).filter(relevant))
    },
  )

  it('is listed, compared and rewritten by restic 0.19.1', () => {
    if (!hasRestic()) return
    const options = { env: UTC }
    expect(restic(['-r', repository, 'ls', 'latest'], options)).toContain('/rich/empty-dir')
    const ids = restic(['-r', repository, 'list', 'snapshots'], options).trim().split('\n')
    expect(restic(['-r', repository, 'diff', ids[0]!, ids[1]!], options)).toContain('Files:')
    restic(['-r', repository, 'rewrite', '--exclude', '/rich/random', '--dry-run', 'latest'], options)
  })
})

describe.each([
  { resticVersion: '0.14.0', version: '1' },
  { resticVersion: '0.14.0', version: '2' },
  { resticVersion: '0.18.0', version: '2' },
  { resticVersion: '0.19.1', version: '1' },
  { resticVersion: '0.19.1', version: '2' },
] as const)(
  'a version $version repository that restic $resticVersion wrote',
  ({ resticVersion, version }) => {
    it('is listed, checked and restored by us as it was', () => {
      if (!hasRestic(resticVersion)) return
      const repository = join(fresh('theirs'), 'repository')
      const options = { version: resticVersion, cwd: work, env: UTC }
      restic(['-r', repository, 'init', '--repository-version', version], options)
      restic(['-r', repository, 'backup', 'rich', 'many'], options)
      expect(cli(['-r', repository, 'list'])).toContain('1 snapshots')
      expect(cli(['-r', repository, 'check', '--read-data'])).toContain('no errors were found')
      const target = join(fresh('restored'), 'out')
      cli(['-r', repository, 'restore', 'latest', '--target', target, '--verify'])
      const relevant = (line: string): boolean => resticVersion !== '0.14.0' || !line.includes('not-utf8')
      expect(listTree(join(target, 'rich')).filter(relevant)).toEqual(listTree(rich).filter(relevant))
      expect(listTree(join(target, 'many'))).toEqual(listTree(join(work, 'many')))
    })
  },
)

describe('the same folder in the same zone', () => {
  it.each(['UTC', 'America/New_York', 'Asia/Kolkata'])('has the same tree and blob IDs in %s', (zone) => {
    if (!hasRestic()) return
    const dir = fresh('same')
    const ours = join(dir, 'ours')
    const theirs = join(dir, 'theirs')
    restic(['-r', ours, 'init'])
    cpSync(ours, theirs, { recursive: true })
    cli(['-r', ours, 'backup', 'rich', 'many'], { cwd: work, env: { TZ: zone } })
    restic(['-r', theirs, 'backup', 'rich', 'many'], { cwd: work, env: { TZ: zone } })
    expect(treeOf(ours)).toEqual(treeOf(theirs))
    expect(blobIds(ours)).toEqual(blobIds(theirs))
  })
})

describe('taking turns on one repository', () => {
  it('keeps it whole over rounds of backups, edits, forgetting and pruning', () => {
    if (!hasRestic()) return
    const dir = fresh('turns')
    const repository = join(dir, 'repository')
    const folder = join(dir, 'folder')
    cpSync(join(work, 'many'), folder, { recursive: true })
    cli(['-r', repository, 'init'])
    const edit = (round: number): void => {
      for (let i = round; i < 3000; i += 61)
        appendFileSync(join(folder, `d${i % 50}`, `file-${i}`), `round ${round}\n`)
      writeFileSync(join(folder, `big-${round}`), Buffer.alloc(3_000_000, `round ${round} `))
      if (round > 1) rmSync(join(folder, `big-${round - 2}`), { force: true })
    }
    for (let round = 0; round < 3; round++) {
      edit(round)
      restic(['-r', repository, 'backup', folder])
      edit(round + 10)
      cli(['-r', repository, 'backup', folder])
      restic(['-r', repository, 'forget', '--keep-last', '2', '--prune', '--max-unused', '0'])
      cli(['-r', repository, 'check', '--read-data'])
      cli(['-r', repository, 'forget', '--keep-last', '1', '--prune', '--max-unused', '0'])
      restic(['-r', repository, 'check', '--read-data'])
    }
    const target = join(dir, 'out')
    cli(['-r', repository, 'restore', 'latest', '--target', target])
    expect(listTree(join(target, folder))).toEqual(listTree(folder))
  })
})

describe('a damaged repository', () => {
  const damages: Record<string, (repository: string) => void> = {
    'a missing pack': (repository) => rmSync(pick(repository, 'data')),
    'a truncated pack': (repository) =>
      overwrite(pick(repository, 'data'), (bytes) => bytes.subarray(0, bytes.length - 10)),
    'a flipped bit in a pack': (repository) =>
      overwrite(pick(repository, 'data'), (bytes) => {
        bytes[20] = bytes[20]! ^ 1
        return bytes
      }),
    'a missing index': (repository) => rmSync(pick(repository, 'index')),
    'a corrupt index': (repository) => overwrite(pick(repository, 'index'), (bytes) => bytes.subarray(1)),
    'a corrupt snapshot': (repository) =>
      overwrite(pick(repository, 'snapshots'), (bytes) => bytes.subarray(1)),
    'a corrupt key': (repository) => overwrite(pick(repository, 'keys'), (bytes) => bytes.subarray(1)),
    'a corrupt config': (repository) => overwrite(join(repository, 'config'), (bytes) => bytes.subarray(1)),
  }

  it.each(Object.keys(damages))('with %s: check ends as restic ends it, without a stack trace', (name) => {
    if (!hasRestic()) return
    const repository = join(fresh('damaged'), 'repository')
    cli(['-r', repository, 'init'])
    cli(['-r', repository, 'backup', 'rich'], { cwd: work })
    damages[name]!(repository)
    const theirs = runRestic(['-r', repository, 'check', '--read-data'])
    const ours = runCli(['-r', repository, 'check', '--read-data'])
    expect({ code: ours.code, stderr: ours.stderr }).toMatchObject({ code: theirs.code })
    expect(ours.stderr).not.toMatch(/\n\s+at /)
    expect(ours.stderr).toContain('Fatal: ')
  })
})
