/**
 * Taking files out of Backblaze B2, where every bucket keeps versions: all of them must go, or an older one comes back
 * (B2 spec §1.3).
 */
import { FileNotFoundError } from '../errors.ts'
import { removalOf, requireCapability, type B2Access, type Removal } from './b2-access.ts'
import type { B2Page } from './b2-answers.ts'
import type { B2Session } from './b2-api.ts'
import { B2Error } from './b2-errors.ts'

/** IDs of a file's versions, oldest first. `isComplete`: a listing has shown that there are no others. */
interface KnownVersions {
  readonly fileIds: readonly string[]
  readonly isComplete: boolean
}

export class B2Removal {
  readonly #access: B2Access
  readonly #bucket: string
  readonly #known = new Map<string, KnownVersions>()
  /** Set when B2 refuses to delete although the key should be able to. */
  #mayDelete = true

  constructor(access: B2Access, bucket: string) {
    this.#access = access
    this.#bucket = bucket
  }

  /** Notes a version just stored: to remove it, nobody needs to ask for its ID. */
  remember(name: string, fileId: string): void {
    this.#known.set(name, { fileIds: [fileId], isComplete: false })
  }

  /** A version of this file may be added that is not known. */
  forget(name: string): void {
    this.#known.delete(name)
  }

  /** Finds out the versions of these files from one listing of all that begins with `prefix`. */
  async prepare(prefix: string, names: ReadonlySet<string>, signal?: AbortSignal): Promise<void> {
    if ((await this.#way(signal)) !== 'delete') return
    const found = new Map<string, string[]>()
    for await (const { name, fileId } of this.#listVersions(prefix, signal)) {
      if (names.has(name)) found.set(name, [...(found.get(name) ?? []), fileId])
    }
    for (const [name, fileIds] of found)
      this.#known.set(name, { fileIds: fileIds.toReversed(), isComplete: true })
  }

  /** @throws FileNotFoundError where there is no such file */
  async remove(name: string, signal?: AbortSignal): Promise<void> {
    const way = await this.#way(signal)
    if (way === 'none')
      return requireCapability(await this.#access.allowance(signal), 'deleteFiles', 'remove files')
    if (way === 'hide') return this.#hide(name, signal)
    try {
      await this.#delete(name, signal)
    } catch (error) {
      // What Object Lock protects (access_denied) cannot be hidden in good faith; a missing capability is what hiding
      // is there for.
      if (!(error instanceof B2Error) || error.code !== 'unauthorized') throw error
      this.#mayDelete = false
      await this.#hide(name, signal)
    }
  }

  async #way(signal: AbortSignal | undefined): Promise<Removal> {
    const removal = removalOf(await this.#access.allowance(signal))
    return removal === 'delete' && !this.#mayDelete ? 'hide' : removal
  }

  async #delete(name: string, signal: AbortSignal | undefined): Promise<void> {
    const known = this.#known.get(name)
    this.#known.delete(name)
    const versions = known ?? (await this.#newest(name, signal))
    if (versions === undefined) throw new FileNotFoundError(name)
    const deleted = await this.#deleteVersions(name, versions.fileIds, signal)
    const isLeft = !versions.isComplete && (await this.#newest(name, signal)) !== undefined
    // What was there a moment ago and is gone is removed; of what we only remember, somebody else may have been first.
    if (!isLeft && deleted === 0 && known !== undefined) throw new FileNotFoundError(name)
    if (!isLeft) return
    const left: string[] = []
    for await (const version of this.#listVersions(name, signal))
      if (version.name === name) left.push(version.fileId)
    await this.#deleteVersions(name, left.toReversed(), signal)
  }

  /** Oldest first: as long as any is left the newest is, and a hidden file stays hidden. @returns how many were there */
  async #deleteVersions(
    name: string,
    oldestFirst: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<number> {
    let deleted = 0
    for (const fileId of oldestFirst) {
      try {
        await this.#access.use(signal, ({ session }) => session.deleteVersion(name, fileId, signal))
        deleted += 1
      } catch (error) {
        if (!isGone(error)) throw error
      }
    }
    return deleted
  }

  async #newest(name: string, signal: AbortSignal | undefined): Promise<KnownVersions | undefined> {
    try {
      const file = { bucket: this.#bucket, name }
      const { fileId } = await this.#access.inBucket(signal, (session) => session.head(file, signal))
      return { fileIds: [fileId], isComplete: false }
    } catch (error) {
      if (isGone(error)) return undefined
      throw error
    }
  }

  #hide(name: string, signal: AbortSignal | undefined): Promise<void> {
    return this.#access.inBucket(signal, (session, bucketId) => session.hide(bucketId, name, signal))
  }

  async *#listVersions(
    prefix: string,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<B2Page['files'][number]> {
    const list = (session: B2Session, bucketId: string, from: B2Page['next']): Promise<B2Page> =>
      session.listVersions({ bucketId, prefix, from }, signal)
    let from: B2Page['next']
    do {
      const page = await this.#access.inBucket(signal, (session, bucketId) => list(session, bucketId, from))
      yield* page.files
      from = page.next
    } while (from !== undefined)
  }
}

function isGone(error: unknown): boolean {
  return error instanceof B2Error && error.kind === 'not-found'
}
