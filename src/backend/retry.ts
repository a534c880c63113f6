/**
 * Any store with patience (format spec §15): what failed and may succeed later is tried again after 1, 2, 4 … 60
 * seconds, more or less, for up to 15 minutes. What will fail again fails at once. A file that could not be read in all
 * that time is refused for an hour, so that a command that meets it often comes to its end.
 */
import { BackendError, FileNotFoundError, throwIfAborted } from '../errors.ts'
import type { Backend, ByteRange, FileInfo, Handle } from './backend.ts'
import { systemClock, type Clock } from './clock.ts'
import { ForwardingBackend } from './forwarding.ts'
import type { NamedFileType } from './layout.ts'
import { describeCall, describeMs } from './retry-text.ts'

/** Something the user may want to know while they wait. */
export interface RetryNotice {
  /** `retrying` comes before each wait, `recovered` after the try that succeeds, `failed` after the last one. */
  readonly kind: 'retrying' | 'recovered' | 'failed'
  /** A line in restic's words. */
  readonly message: string
}

export interface RetryOptions {
  readonly onNotice?: ((notice: RetryNotice) => void) | undefined
  /** How long to go on trying, in ms. */
  readonly budgetMs?: number | undefined
  readonly clock?: Clock | undefined
}

const BUDGET_MS = 15 * 60_000
const FIRST_WAIT_MS = 1000
const LONGEST_WAIT_MS = 60_000
/** A wait is drawn from half to one and a half times its length, so that many processes do not come back at once. */
const JITTER = 0.5
const REFUSED_MS = 60 * 60_000

export class RetryBackend extends ForwardingBackend {
  readonly #onNotice: (notice: RetryNotice) => void
  readonly #budgetMs: number
  readonly #clock: Clock
  /** Files that could not be read, by their paths in words, and until when they are refused. */
  readonly #refusedUntilMs = new Map<string, number>()

  constructor(inner: Backend, options: RetryOptions = {}) {
    super(inner)
    this.#onNotice = options.onNotice ?? (() => undefined)
    this.#budgetMs = options.budgetMs ?? BUDGET_MS
    this.#clock = options.clock ?? systemClock
    const prepare = inner.prepareRemoval?.bind(inner)
    if (prepare !== undefined) {
      this.prepareRemoval = (type, names, signal) =>
        this.#retry(`List(${type})`, signal, () => prepare(type, names, signal))
    }
  }

  override create(signal?: AbortSignal): Promise<void> {
    return this.#retry('Create()', signal, () => this.inner.create(signal))
  }

  override stat(handle: Handle, signal?: AbortSignal): Promise<FileInfo> {
    return this.#retry(describeCall('Stat', handle), signal, () => this.inner.stat(handle, signal))
  }

  /** Files that were listed before a failure are not listed again, and each one found is a new beginning. */
  override async *list(type: NamedFileType, signal?: AbortSignal): AsyncGenerator<FileInfo> {
    const tries = this.#begin(`List(${type})`)
    const listed = new Set<string>()
    for (;;) {
      try {
        for await (const file of this.inner.list(type, signal)) {
          if (listed.has(file.name)) continue
          listed.add(file.name)
          tries.succeeded()
          yield file
          tries.restart()
        }
        tries.succeeded()
        return
      } catch (error) {
        await tries.failed(error, signal)
      }
    }
  }

  override async read(handle: Handle, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    const file = `${handle.type}/${handle.name}`
    const refusedUntilMs = this.#refusedUntilMs.get(file)
    if (refusedUntilMs !== undefined && this.#clock.now() < refusedUntilMs) {
      throw new BackendError(
        `${describeCall('Load', handle)}: it could not be read before, and is not tried again`,
        {
          hint: 'run the command again when the store is well',
        },
      )
    }
    const onGivenUp = (): void => {
      this.#refusedUntilMs.set(file, this.#clock.now() + REFUSED_MS)
    }
    const tries = this.#begin(describeCall('Load', handle, range), onGivenUp)
    return repeat(tries, signal, () => this.inner.read(handle, range, signal))
  }

  override async write(handle: Handle, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    let isRepeated = false
    await this.#retry(describeCall('Save', handle), signal, async () => {
      // What the first try left may be in the way of the second. A config may be one from before.
      const isInTheWay = isRepeated && !this.hasAtomicReplace && handle.type !== 'config'
      if (isInTheWay) await this.inner.remove(handle, signal).catch(() => undefined)
      isRepeated = true
      await this.inner.write(handle, data, signal)
    })
  }

  override async remove(handle: Handle, signal?: AbortSignal): Promise<void> {
    let isRepeated = false
    await this.#retry(describeCall('Remove', handle), signal, async () => {
      try {
        await this.inner.remove(handle, signal)
      } catch (error) {
        // The try before has removed it, and only its answer was lost.
        if (isRepeated && error instanceof FileNotFoundError) return
        isRepeated = true
        throw error
      }
    })
  }

  #retry<T>(what: string, signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> {
    return repeat(this.#begin(what), signal, call)
  }

  #begin(what: string, onGivenUp: () => void = () => undefined): Tries {
    return new Tries({
      what,
      onGivenUp,
      budgetMs: this.#budgetMs,
      clock: this.#clock,
      onNotice: this.#onNotice,
    })
  }
}

async function repeat<T>(tries: Tries, signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> {
  for (;;) {
    throwIfAborted(signal)
    try {
      const result = await call()
      tries.succeeded()
      return result
    } catch (error) {
      await tries.failed(error, signal)
    }
  }
}

interface TriesOptions {
  readonly what: string
  readonly budgetMs: number
  readonly clock: Clock
  readonly onNotice: (notice: RetryNotice) => void
  /** Called when the budget is used up. */
  readonly onGivenUp: () => void
}

/** The tries of one call. */
class Tries {
  readonly #options: TriesOptions
  #startMs: number
  #failures = 0

  constructor(options: TriesOptions) {
    this.#options = options
    this.#startMs = options.clock.now()
  }

  /** Something was achieved: time and patience start anew. */
  restart(): void {
    this.#startMs = this.#options.clock.now()
  }

  succeeded(): void {
    const { what, onNotice } = this.#options
    if (this.#failures > 0) {
      const message = `${what} operation successful after ${this.#failures} retries`
      onNotice({ kind: 'recovered', message })
    }
    this.#failures = 0
  }

  /** Resolves when it is time to try again. @throws the error where there is no sense in that; AbortedError */
  async failed(error: unknown, signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal)
    const { what, onNotice, onGivenUp, clock } = this.#options
    if (!(error instanceof BackendError) || !error.transient) {
      if (this.#failures > 0) onNotice({ kind: 'failed', message: `${what} failed: ${messageOf(error)}` })
      throw error
    }
    const waitMs = this.#nextWaitMs(error)
    if (waitMs === undefined) {
      onNotice({ kind: 'failed', message: `${what} failed: ${error.message}` })
      onGivenUp()
      throw error
    }
    this.#failures += 1
    const message = `${what} returned error, retrying after ${describeMs(waitMs)}: ${error.message}`
    onNotice({ kind: 'retrying', message })
    await clock.sleep(waitMs, signal)
  }

  /** Undefined where the time is up. One more try there always is, however long the first one took. */
  #nextWaitMs({ retryAfterMs = 0 }: BackendError): number | undefined {
    const { clock, budgetMs } = this.#options
    const meanMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(this.#failures, 30))
    const drawnMs = meanMs * (1 - JITTER + 2 * JITTER * clock.random())
    const waitMs = Math.max(drawnMs, retryAfterMs)
    const elapsedMs = clock.now() - this.#startMs
    if (elapsedMs + waitMs <= budgetMs) return waitMs
    return this.#failures === 0 && waitMs <= budgetMs ? waitMs : undefined
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
