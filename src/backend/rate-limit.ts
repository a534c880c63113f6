/** How fast bytes may pass, all transfers of a process taken together (`--limit-upload`, `--limit-download`). */
import { throwIfAborted } from '../errors.ts'
import { systemClock, type Clock } from './clock.ts'

/** What is not limited is undefined. */
export interface RateLimits {
  readonly upload: RateLimit | undefined
  readonly download: RateLimit | undefined
}

/** Time that was not used may be made up for this far: timers wake late, and small files need not wait. */
const CREDIT_MS = 200
/** What one transfer may hold in its buffers. */
const BUFFERED_BYTES = 512 * 1024
/** Of a remote store, unless chosen. */
const CONNECTIONS = 5

/** @param kibPerSecond as the flags give them; 0 or undefined for no limit */
export function rateLimits(
  kibPerSecond: { readonly upload?: number | undefined; readonly download?: number | undefined },
  clock: Clock = systemClock,
): RateLimits {
  const limit = (kib: number | undefined): RateLimit | undefined =>
    kib === undefined || kib <= 0 ? undefined : new RateLimit(kib * 1024, clock)
  return { upload: limit(kibPerSecond.upload), download: limit(kibPerSecond.download) }
}

/**
 * How long bytes that a program has handed on may wait for their turn below, so that nothing seems to happen: what
 * transfers hold in their buffers, all before one of them.
 */
export function waitingMs({ upload, download }: RateLimits, connections: number = CONNECTIONS): number {
  const rates = [upload, download].map((limit) => limit?.bytesPerSecond ?? Infinity)
  return ((connections * BUFFERED_BYTES) / Math.min(...rates)) * 1000
}

/** A bucket of tokens, one for a byte. Who comes first is served first. */
export class RateLimit {
  readonly bytesPerSecond: number
  readonly #clock: Clock
  /** When all bytes that were asked for up to now will have passed. */
  #busyUntilMs = -Infinity

  constructor(bytesPerSecond: number, clock: Clock = systemClock) {
    this.bytesPerSecond = bytesPerSecond
    this.#clock = clock
  }

  /** Resolves when so many bytes more may have passed. @throws AbortedError; those bytes then count no more */
  async pass(bytes: number, signal?: AbortSignal): Promise<void> {
    throwIfAborted(signal)
    const nowMs = this.#clock.now()
    const costMs = (bytes / this.bytesPerSecond) * 1000
    this.#busyUntilMs = Math.max(this.#busyUntilMs, nowMs - CREDIT_MS) + costMs
    const waitMs = this.#busyUntilMs - nowMs
    if (waitMs <= 0) return
    try {
      await this.#clock.sleep(waitMs, signal)
    } catch (error) {
      this.#busyUntilMs -= costMs
      throw error
    }
  }
}
