/**
 * The repositories one backup goes to. The source is read, cut and hashed once; each repository gets the blobs it
 * lacks, under its own key, and a snapshot of its own. One that fails is left behind, and the others go on.
 */
import { AbortedError, InvalidInputError, RepositoryLockedError, ResticError } from '../../errors.ts'
import type { SavedBlob } from '../blob-writer.ts'
import type { Id } from '../format/id.ts'
import { PackHeaderCursor, plaintextLengthOf, type BlobType } from '../format/pack-header.ts'
import type { Node } from '../format/tree.ts'
import type { Lock } from '../locks.ts'
import type { FinishedPack } from '../pack-builder.ts'
import type { Repository } from '../repository.ts'
import type { SnapshotRecord } from './snapshots.ts'

/** Blobs and bytes that went into one repository; `plain` before compression, `stored` with all that packs add. */
export interface AddedToRepository {
  dataBlobs: number
  treeBlobs: number
  plainBytes: number
  storedBytes: number
}

export interface BackupMember {
  readonly repository: Repository
  readonly added: AddedToRepository
  /** Its own snapshot that the new one follows. */
  parent: SnapshotRecord | undefined
  lock: Lock | undefined
  /** Resolves when the repository may be written to. Of one that is written to without a lock, at once. */
  mayWrite: Promise<void>
  /** Why it is left behind. */
  failure: Error | undefined
}

export interface BackupGroupOptions {
  readonly signal?: AbortSignal | undefined
  /** Called at once when a repository is left behind. */
  readonly onFailure?: ((repository: Repository, error: Error) => void) | undefined
}

async function settleMember(repository: Repository, lock: Lock): Promise<void> {
  await lock.settled
  if (await repository.isIndexCurrent(lock.signal)) return
  throw new RepositoryLockedError('the repository was pruned while it was being locked', {
    hint: 'nothing was lost; run the command again',
  })
}

export class BackupGroup {
  readonly members: readonly BackupMember[]
  readonly #options: BackupGroupOptions
  /** Those that are not left behind. */
  #alive: readonly BackupMember[]
  /** Those whose locks had not settled when reading began. */
  readonly #ahead = new Set<BackupMember>()

  /** @throws InvalidInputError without repositories */
  constructor(repositories: readonly Repository[], options: BackupGroupOptions) {
    if (repositories.length === 0) throw new InvalidInputError('there is no repository to back up to')
    this.members = repositories.map((repository) => ({
      repository,
      added: { dataBlobs: 0, treeBlobs: 0, plainBytes: 0, storedBytes: 0 },
      parent: undefined,
      lock: undefined,
      mayWrite: Promise.resolve(),
      failure: undefined,
    }))
    this.#alive = this.members
    this.#options = options
  }

  /** The one whose parent snapshot shows what changed and whose parameters cut large files. */
  get leader(): BackupMember {
    const first = this.members[0]
    const leader = this.#alive[0] ?? first
    if (leader === undefined) throw new RangeError('no repository')
    return leader
  }

  /** Ends what works for the whole group. */
  get signal(): AbortSignal | undefined {
    const [only, ...others] = this.members
    return others.length === 0 ? (only?.lock?.signal ?? this.#options.signal) : this.#options.signal
  }

  /**
   * Locks all repositories. Snapshots and index are read while the locks settle, where index files can then be listed a
   * second time for nothing.
   * @throws the first failure where no repository is left
   */
  async lock(): Promise<void> {
    await this.forEach(async (member) => {
      const { repository } = member
      const readsAhead = repository.backend.listsForFree === true
      member.lock = await repository.lock(false, this.#options.signal, readsAhead)
      if (readsAhead) this.#ahead.add(member)
    })
  }

  /**
   * Begins what `mayWrite` then says: that a repository's lock has settled, and that nobody who held the repository
   * before has removed what its index was loaded from. Call it when that is loaded.
   */
  settle(): void {
    for (const member of this.#ahead) {
      if (member.lock === undefined) continue
      member.mayWrite = settleMember(member.repository, member.lock)
      // Whoever writes hears of it; until then it must not pass for unhandled.
      member.mayWrite.catch(() => undefined)
    }
  }

  /** Does something for each repository, all at once. @throws the first failure where no repository is left */
  async forEach(work: (member: BackupMember) => Promise<void>): Promise<void> {
    await Promise.all(this.#alive.map((member) => this.#attempt(member, () => work(member))))
    this.#throwIfNoneLeft()
  }

  startWriting(onStored: (bytes: number) => void): void {
    for (const { repository, lock, added, mayWrite } of this.#alive) {
      repository.startWriting({
        mayBegin: mayWrite,
        signal: lock?.signal ?? this.#options.signal,
        onStored,
        onPack: ({ type, header, blobCount, bytes }) => {
          added.storedBytes += bytes.length
          added[type === 'data' ? 'dataBlobs' : 'treeBlobs'] += blobCount
          const blob = new PackHeaderCursor(header)
          while (blob.next()) added.plainBytes += plaintextLengthOf(blob)
        },
      })
    }
  }

  /**
   * A tree of the leader's parent snapshot. Who takes its place may not have it: then nothing is known of the past.
   * @throws as `Repository.loadTree`
   */
  async loadTree(id: Id, signal: AbortSignal | undefined): Promise<readonly Node[]> {
    const { repository } = this.leader
    if (this.members[0]?.failure !== undefined && !repository.hasBlob('tree', id)) return []
    return repository.loadTree(id, signal)
  }

  /** Whether no repository lacks a blob. */
  hasBlob(type: BlobType, id: Id): boolean {
    return this.#alive.every(({ repository }) => repository.hasBlob(type, id))
  }

  /** Saves a blob to each repository that lacks it. @returns what it came to in the leader */
  async saveBlob(type: BlobType, plaintext: Uint8Array): Promise<SavedBlob> {
    let first: SavedBlob | undefined
    for (const member of this.#alive) {
      await this.#attempt(member, async () => {
        const saved = await member.repository.saveBlob(type, plaintext, first?.id)
        first ??= saved
      })
    }
    this.#throwIfNoneLeft()
    return first ?? { id: this.leader.repository.codec.idOf(plaintext), isNew: false, packedLength: 0 }
  }

  /**
   * Takes a pack that a thread made. Packs for repositories that were left behind are dropped.
   * @returns resolves when its bytes are not needed any more
   */
  async storePack(pack: FinishedPack, number: number): Promise<void> {
    const member = this.members[number]
    if (member !== undefined && member.failure === undefined) await member.repository.storePack(pack)
  }

  /** Resolves when every store can take another pack; undefined where they can at once. @throws as `forEach` */
  storing(): Promise<void> | undefined {
    const busy = this.#alive.flatMap((member) => {
      const waiting = member.repository.storing()
      return waiting === undefined ? [] : [this.#attempt(member, () => waiting)]
    })
    return busy.length === 0 ? undefined : Promise.all(busy).then(() => this.#throwIfNoneLeft())
  }

  /** Ends all writing, finished or not, and lets go of the locks. */
  async release(): Promise<void> {
    await Promise.all(
      this.members.map(async ({ repository, lock }) => {
        await repository.abandonWriting()
        await lock?.release()
      }),
    )
  }

  async #attempt(member: BackupMember, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      const isOwn = error instanceof ResticError && this.#options.signal?.aborted !== true
      if (!isOwn || error instanceof AbortedError) throw error
      if (member.failure !== undefined) return
      member.failure = error
      this.#alive = this.members.filter(({ failure }) => failure === undefined)
      if (this.members.length > 1) this.#options.onFailure?.(member.repository, error)
    }
  }

  #throwIfNoneLeft(): void {
    const [failure] = this.members.flatMap((member) => member.failure ?? [])
    if (this.#alive.length === 0 && failure !== undefined) throw failure
  }
}
