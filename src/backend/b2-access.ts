/**
 * The way into one bucket: the account token, renewed once for all who find it expired, and what the application key
 * may do there, found out before anything else is tried (B2 spec §2, §4, §6).
 */
import { BackendError, FileNotFoundError } from '../errors.ts'
import type { B2Allowance } from './b2-answers.ts'
import type { B2Api, B2Session } from './b2-api.ts'
import { B2Error } from './b2-errors.ts'
import type { B2Location } from './b2-location.ts'
import { SharedCall } from './shared-call.ts'

/** How a key may take files away: for good, by hiding them, or not at all. */
export type Removal = 'delete' | 'hide' | 'none'

/** What calls are made with. `bucketId` is undefined as long as the bucket does not exist. */
export interface B2Connection {
  readonly session: B2Session
  readonly bucketId: string | undefined
}

/** How often one call may find its token expired before that is no accident. */
const RENEWALS_MAX = 2
/** Where nobody says why a call was refused, one new token is worth a try. */
const RENEWALS_MAX_UNEXPLAINED = 1

export class B2Access {
  readonly #api: B2Api
  readonly #location: B2Location
  readonly #connecting: SharedCall<B2Connection>
  #current: B2Connection | undefined
  /** Does not change with the token, and to ask again would cost. */
  #bucketId: string | undefined

  constructor(api: B2Api, location: B2Location) {
    this.#api = api
    this.#location = location
    this.#connecting = new SharedCall((signal) => this.#connect(signal))
  }

  /**
   * Makes a call, again with a new token where the old one had expired.
   * @throws B2Error; BackendError where the key does not fit the repository; AbortedError
   */
  async use<T>(signal: AbortSignal | undefined, call: (connection: B2Connection) => Promise<T>): Promise<T> {
    for (let renewals = 0; ; renewals += 1) {
      let connection = this.#current
      try {
        connection ??= await this.#connecting.join(signal)
        return await call(connection)
      } catch (error) {
        const isExpired = error instanceof B2Error && error.kind === 'auth'
        const limit = isExpired && error.code === undefined ? RENEWALS_MAX_UNEXPLAINED : RENEWALS_MAX
        if (!isExpired || renewals >= limit) throw error
        // Who comes late finds a newer token and must not throw that away as well.
        if (this.#current?.session === connection?.session) this.#current = undefined
      }
    }
  }

  /** As `use`, with the bucket's ID. @throws FileNotFoundError where there is no bucket */
  inBucket<T>(
    signal: AbortSignal | undefined,
    call: (session: B2Session, bucketId: string) => Promise<T>,
  ): Promise<T> {
    return this.use(signal, ({ session, bucketId }) => {
      if (bucketId === undefined) throw new FileNotFoundError(`bucket "${this.#location.bucket}"`)
      return call(session, bucketId)
    })
  }

  /** Makes the bucket where there is none. */
  async createBucket(signal: AbortSignal | undefined): Promise<void> {
    const { bucket } = this.#location
    const bucketId = await this.use(signal, async ({ session, bucketId: known }) => {
      if (known !== undefined) return known
      requireCapability(
        session.allowance,
        'writeBuckets',
        `make the bucket "${bucket}", which does not exist`,
      )
      try {
        return await session.createBucket(bucket, signal)
      } catch (error) {
        if (!(error instanceof B2Error) || error.code !== 'duplicate_bucket_name') throw error
        // Our own, made by somebody at the same moment? Names are shared by all users of B2.
        const found = await session.findBucket(bucket, signal)
        if (found === undefined) throw takenError(bucket)
        return found
      }
    })
    this.#bucketId = bucketId
    if (this.#current !== undefined) this.#current = { ...this.#current, bucketId }
  }

  /** What the key may do. */
  allowance(signal: AbortSignal | undefined): Promise<B2Allowance> {
    return this.use(signal, ({ session }) => Promise.resolve(session.allowance))
  }

  async #connect(signal: AbortSignal): Promise<B2Connection> {
    const session = await this.#api.authorize(signal)
    const { bucket, prefix } = this.#location
    checkKey(session.allowance, { bucket, prefix })
    const known = this.#bucketId ?? session.allowance.buckets?.find(({ name }) => name === bucket)?.id
    const bucketId = known ?? (await this.#findBucket(session, signal))
    this.#bucketId = bucketId
    this.#current = { session, bucketId }
    return this.#current
  }

  #findBucket(session: B2Session, signal: AbortSignal): Promise<string | undefined> {
    const { bucket } = this.#location
    requireCapability(session.allowance, 'listBuckets', `look for the bucket "${bucket}"`)
    return session.findBucket(bucket, signal)
  }
}

/** How this key takes files away. */
export function removalOf({ capabilities }: B2Allowance): Removal {
  if (capabilities.includes('deleteFiles')) return 'delete'
  return capabilities.includes('writeFiles') ? 'hide' : 'none'
}

/** @throws BackendError, permanent, where the key has no such capability */
export function requireCapability({ capabilities }: B2Allowance, capability: string, what: string): void {
  if (capabilities.includes(capability)) return
  throw keyError(`may not ${what}`, `use an application key with the capability ${capability}`)
}

/** B2 answers a key that does not fit with refusals that look like expired tokens, so it is looked at before. */
function checkKey(allowance: B2Allowance, { bucket, prefix }: B2Location): void {
  const { buckets, namePrefix } = allowance
  if (buckets !== undefined && !buckets.some(({ name }) => name === bucket)) {
    const names = buckets.map(({ name }) => (name === undefined ? 'one that was deleted' : `"${name}"`))
    const hint = 'use one of these buckets, or an application key for this one'
    throw keyError(`may not use the bucket "${bucket}", only ${names.join(', ') || 'none that exists'}`, hint)
  }
  if (!(prefix === '' ? '' : `${prefix}/`).startsWith(namePrefix)) {
    const hint = `write b2:${bucket}:${namePrefix.replace(/\/+$/, '')}, or use another application key`
    throw keyError(`may only use names that begin with "${namePrefix}"`, hint)
  }
  requireCapability(allowance, 'listFiles', 'list files')
  requireCapability(allowance, 'readFiles', 'read files')
}

function keyError(problem: string, hint: string): BackendError {
  return new BackendError(`the application key of B2_ACCOUNT_ID ${problem}`, { hint })
}

function takenError(bucket: string): BackendError {
  return new BackendError(`the bucket "${bucket}" belongs to another user of Backblaze B2`, {
    hint: 'choose another bucket name: they are shared by all users',
  })
}
