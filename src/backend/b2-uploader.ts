/**
 * Uploads to Backblaze B2: each needs a URL of its own for as long as it takes, and after a failure another one, at once
 * (B2 spec §2, §4, §6).
 */
import { BackendError } from '../errors.ts'
import type { B2Access } from './b2-access.ts'
import type { UploadTarget } from './b2-answers.ts'
import type { B2Api, B2Upload } from './b2-api.ts'
import { B2Error } from './b2-errors.ts'

export interface B2UploaderOptions {
  readonly api: B2Api
  readonly access: B2Access
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>
  /** In [0, 1). */
  readonly random: () => number
}

/** Backblaze's advice: five different URLs before it is called a failure. */
const URLS_MAX = 5
const PAUSE_MS = 1000

export class B2Uploader {
  readonly #options: B2UploaderOptions
  /** URLs whose last upload went well and that nobody uses: as many as there ever were uploads at once. */
  #idle: UploadTarget[] = []

  constructor(options: B2UploaderOptions) {
    this.#options = options
  }

  /**
   * @returns the ID of the version
   * @throws B2Error; BackendError where there is no bucket; AbortedError
   */
  async upload(file: B2Upload, signal?: AbortSignal): Promise<string> {
    for (let tries = 1; ; tries += 1) {
      const target = (tries === 1 ? this.#idle.pop() : undefined) ?? (await this.#newTarget(signal))
      try {
        const fileId = await this.#options.api.uploadFile(target, file, signal)
        this.#idle.push(target)
        return fileId
      } catch (error) {
        // The URL is not used again, whatever it was: another upload may still be going on there.
        if (!(error instanceof B2Error) || !isWorthAnotherUrl(error) || tries >= URLS_MAX) throw error
        // URLs of the same age have expired as well.
        if (error.kind === 'auth') this.#idle = []
        await this.#pause(tries, signal)
      }
    }
  }

  /** Forgets the URLs. */
  close(): void {
    this.#idle = []
  }

  #newTarget(signal: AbortSignal | undefined): Promise<UploadTarget> {
    return this.#options.access.use(signal, ({ session, bucketId }) => {
      if (bucketId !== undefined) return session.getUploadUrl(bucketId, signal)
      const hint = 'check its name, or make it with `init`'
      throw new BackendError('there is no such bucket to write to', { hint })
    })
  }

  /** None before the second URL, then 1 s, 2 s, 4 s, each ± a half. */
  async #pause(tries: number, signal: AbortSignal | undefined): Promise<void> {
    if (tries === 1) return
    const spread = 0.5 + this.#options.random()
    await this.#options.sleep(PAUSE_MS * 2 ** (tries - 2) * spread, signal)
  }
}

/** Where B2 asks to be left alone, and where waiting was long already, the caller decides. */
function isWorthAnotherUrl({ kind, code, retryAfterMs }: B2Error): boolean {
  if (retryAfterMs !== undefined || code === 'ETIMEDOUT') return false
  return kind === 'auth' || kind === 'server' || kind === 'network'
}
