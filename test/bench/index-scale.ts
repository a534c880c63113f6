/** How long it takes to open a repository and load its index, and in how much memory, by number of blobs. */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { LocalBackend } from '../../src/backend/local.ts'
import { encodeIndexFile } from '../../src/repo/format/index-file.ts'
import { idFromBytes } from '../../src/repo/format/id.ts'
import type { PackedBlob } from '../../src/repo/format/pack-header.ts'
import { Repository } from '../../src/repo/repository.ts'
import { measure, type Measurement, type Program } from './programs.ts'

const MILLION = 1_000_000
const PACKS_PER_FILE = 500
const BLOBS_PER_PACK = 100
/** No blob's ID, so that all of the index is looked through for nothing. */
const NOBODY = '0'.repeat(64)

/** Commands that load all of the index, and how they end where no pack is there. */
export const INDEX_JOBS: readonly {
  readonly name: string
  readonly args: string[]
  readonly status: number
}[] = [
  { name: 'load index', args: ['cat', 'blob', NOBODY], status: 1 },
  { name: 'list blobs', args: ['list', 'blobs'], status: 0 },
  { name: 'check', args: ['check'], status: 1 },
  { name: 'prune --dry-run', args: ['prune', '--dry-run'], status: 0 },
]

/** A made-up repository of so many million blobs; there are no packs behind its index. */
export async function prepareIndex(root: string, millions: number): Promise<string> {
  const repository = join(root, `index-${millions}m`)
  if (!existsSync(repository)) await makeRepository(repository, millions * MILLION)
  return repository
}

// oxlint-disable-next-line max-params -- who does what, and where
export function measureIndexJob(
  program: Program,
  repository: string,
  job: (typeof INDEX_JOBS)[number],
): Measurement {
  return measure(program, ['-r', repository, '--no-lock', ...job.args], undefined, job.status)
}

async function makeRepository(path: string, blobCount: number): Promise<void> {
  const unfinished = `${path}.unfinished`
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { recursive: true })
  const repository = await Repository.create(new LocalBackend(unfinished), { password: 'test' })
  for (let made = 0; made < blobCount; made += PACKS_PER_FILE * BLOBS_PER_PACK) {
    const packs = Array.from({ length: PACKS_PER_FILE }, () => ({ id: randomId(), blobs: makeBlobs() }))
    await repository.saveUnpacked('index', encodeIndexFile(packs))
  }
  await repository.close()
  renameSync(unfinished, path)
}

function makeBlobs(): PackedBlob[] {
  let offset = 0
  return Array.from({ length: BLOBS_PER_PACK }, () => {
    const length = 1000 + Math.floor(Math.random() * 400_000)
    const blob: PackedBlob = { type: 'data', id: randomId(), offset, length, uncompressedLength: 2 * length }
    offset += length
    return blob
  })
}

function randomId(): ReturnType<typeof idFromBytes> {
  return idFromBytes(randomBytes(32))
}
