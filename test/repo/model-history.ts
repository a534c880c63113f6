/** A history of one repository, and a model of it that knows nothing but which snapshot holds which files. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Backend } from '../../src/backend/backend.ts'
import { MemoryBackend } from '../../src/backend/memory.ts'
import { ResticError } from '../../src/errors.ts'
import { parseId, type Id } from '../../src/repo/format/id.ts'
import { addKey, listKeys, removeKey } from '../../src/repo/keys.ts'
import { backup } from '../../src/repo/ops/backup.ts'
import { check } from '../../src/repo/ops/check.ts'
import { forget } from '../../src/repo/ops/forget.ts'
import { prune } from '../../src/repo/ops/prune.ts'
import { Repository } from '../../src/repo/repository.ts'
import { namesOf, openQuietly, removeAllLocks } from '../support/fault-loop.ts'
import { FaultyBackend } from '../support/faulty-backend.ts'
import { noise, seededRandom } from '../support/sample-data.ts'
import { createTestRepositoryIn, TEST_PASSWORD } from '../support/test-repository.ts'

const FAST_SCRYPT = { N: 2, r: 1, p: 1 }
export const PATHS = ['a', 'b', 'c', 'sub/a', 'sub/d', 'sub/deep/e'] as const
export const SIZES = [0, 1, 300, 70_000] as const

/** When the process dies: with its n-th change of the store, before or after that has taken effect. */
export interface Death {
  readonly change: number
  readonly after: boolean
}

export type Command =
  | {
      readonly do: 'write'
      readonly path: (typeof PATHS)[number]
      readonly seed: number
      readonly size: number
    }
  | { readonly do: 'delete'; readonly path: (typeof PATHS)[number] }
  | { readonly do: 'backup'; readonly death: Death | undefined }
  | {
      readonly do: 'forget'
      readonly which: number
      readonly andPrune: boolean
      readonly death: Death | undefined
    }
  | { readonly do: 'keep'; readonly last: number; readonly death: Death | undefined }
  | { readonly do: 'prune'; readonly maxUnused: number | 'unlimited'; readonly death: Death | undefined }
  | { readonly do: 'add-key'; readonly password: string }
  | { readonly do: 'remove-key'; readonly which: number }

/** Files by their paths: hashes of their contents. */
type Files = ReadonlyMap<string, string>

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** One history: the folder, the repository, and what the model says of them. */
export class History {
  readonly #folder: string
  readonly #store = new MemoryBackend()
  readonly #files = new Map<string, string>()
  readonly #snapshots = new Map<Id, Files>()
  readonly #passwords = [TEST_PASSWORD]
  /** Makes answers come late and in another order, the same in each run of a history. */
  readonly #random: () => number
  #time = Date.parse('2026-01-01T00:00:00Z')

  constructor(folder: string, seed: number) {
    this.#folder = folder
    this.#random = seededRandom(seed)
  }

  async begin(): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    await createTestRepositoryIn(this.#store)
  }

  async run(command: Command): Promise<void> {
    switch (command.do) {
      case 'write':
        return this.#write(command.path, noise(command.seed, command.size))
      case 'delete':
        this.#files.delete(command.path)
        return rm(join(this.#folder, command.path), { force: true })
      case 'backup':
        return this.#backup(command.death)
      case 'forget':
        return this.#forget(command)
      case 'keep':
        return this.#keep(command.last, command.death)
      case 'prune':
        return this.#prune(command.maxUnused, command.death)
      case 'add-key':
        return this.#addKey(command.password)
      case 'remove-key':
        return this.#removeKey(command.which)
    }
  }

  /** Compares all that can be read with the model, and checks every byte: what is wrong. */
  async problems(): Promise<string[]> {
    const repository = await openQuietly(this.#store)
    const { errors } = await check(repository, { readData: true })
    const problems = errors.map(({ message }) => message)
    const present = new Map<Id, Files>()
    for (const name of await namesOf(this.#store, 'snapshot')) {
      const id = parseId(name)
      const { tree } = await repository.loadSnapshot(id)
      present.set(id, await this.#filesIn(repository, tree))
    }
    if (!isDeepStrictEqual(present, this.#snapshots))
      problems.push('the snapshots are not those of the model')
    if ((await namesOf(this.#store, 'lock')).length > 0) problems.push('a lock was left behind')
    for (const password of this.#passwords) await Repository.open(this.#store, { password })
    const keys = await namesOf(this.#store, 'key')
    if (keys.length !== this.#passwords.length) problems.push(`there are ${keys.length} keys`)
    return problems
  }

  async #write(path: string, bytes: Uint8Array): Promise<void> {
    const file = join(this.#folder, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, bytes)
    this.#files.set(path, sha256(bytes))
  }

  async #backup(death: Death | undefined): Promise<void> {
    const files = new Map(this.#files)
    this.#time += 60_000
    await this.#inProcess(death, async (repository) => {
      const time = new Date(this.#time)
      const { errorCount } = await backup(repository, { paths: [this.#folder], time, noScan: true })
      assert.equal(errorCount, 0)
    })
    const added = (await namesOf(this.#store, 'snapshot')).filter(
      (name) => !this.#snapshots.has(parseId(name)),
    )
    assert.ok(added.length === 1 || (added.length === 0 && death !== undefined))
    for (const name of added) this.#snapshots.set(parseId(name), files)
  }

  async #forget({ which, andPrune, death }: Command & { readonly do: 'forget' }): Promise<void> {
    const ids = [...this.#snapshots.keys()]
    const id = ids[which % Math.max(1, ids.length)]
    if (id === undefined) return
    await this.#inProcess(death, async (repository) => {
      await forget(repository, { ids: [id], ...(andPrune ? { prune: { maxUnused: { bytes: 0 } } } : {}) })
    })
    await this.#reconcile([id], death)
  }

  async #keep(last: number, death: Death | undefined): Promise<void> {
    // They were made one after another, of one folder on one host.
    const doomed = [...this.#snapshots.keys()].slice(0, -last)
    await this.#inProcess(death, async (repository) => {
      await forget(repository, { policy: { last } })
    })
    await this.#reconcile(doomed, death)
  }

  async #prune(maxUnused: number | 'unlimited', death: Death | undefined): Promise<void> {
    await this.#inProcess(death, async (repository) => {
      await prune(repository, { maxUnused: maxUnused === 'unlimited' ? maxUnused : { bytes: maxUnused } })
    })
  }

  async #addKey(password: string): Promise<void> {
    const { keyStore, masterKey } = await openQuietly(this.#store)
    await addKey(keyStore, masterKey, { password, scrypt: FAST_SCRYPT })
    this.#passwords.push(password)
  }

  /** Not the first one: it is what this test opens the repository with. */
  async #removeKey(which: number): Promise<void> {
    const password = this.#passwords[1 + which]
    if (password === undefined) return
    const { keyStore, keyId } = await openQuietly(this.#store)
    const opened = await Repository.open(this.#store, { password })
    assert.ok((await listKeys(keyStore)).some(({ id }) => id === opened.keyId))
    await removeKey(keyStore, opened.keyId, keyId)
    this.#passwords.splice(1 + which, 1)
  }

  /** Runs a command in a process that may die. Its locks are removed then, as `unlock` would. */
  async #inProcess(death: Death | undefined, work: (repository: Repository) => Promise<void>): Promise<void> {
    const store: Backend = new FaultyBackend(this.#store, {
      turns: () => Math.floor(this.#random() * 3),
      faultOf: ({ change }) =>
        death !== undefined && change === death.change ? { kind: 'kill', after: death.after } : undefined,
    })
    const repository = await Repository.open(store, { password: TEST_PASSWORD, workers: 0 })
    try {
      await work(repository)
    } catch (error) {
      if (death === undefined || !(error instanceof ResticError)) throw error
    }
    if (death !== undefined) await removeAllLocks(this.#store)
  }

  /** Takes those away that were to be removed; a process that died may have left some. */
  async #reconcile(doomed: readonly Id[], death: Death | undefined): Promise<void> {
    const left = new Set(await namesOf(this.#store, 'snapshot'))
    for (const id of doomed) if (!left.has(id) || death === undefined) this.#snapshots.delete(id)
  }

  async #filesIn(repository: Repository, tree: Id): Promise<Files> {
    await repository.loadIndex()
    const files = new Map<string, string>()
    const visit = async (id: Id, path: string): Promise<void> => {
      for (const { name, content, subtree } of await repository.loadTree(id)) {
        const here = `${path}/${name}`
        if (subtree !== null) await visit(subtree, here)
        if (content === null) continue
        const blobs: Uint8Array[] = []
        for (const blob of content) blobs.push(await repository.loadBlob('data', blob))
        assert.ok(here.startsWith(`${this.#folder}/`))
        files.set(here.slice(this.#folder.length + 1), sha256(Buffer.concat(blobs)))
      }
    }
    await visit(tree, '')
    return files
  }
}
