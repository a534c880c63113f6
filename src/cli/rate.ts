/** How fast an operation is just now: what it did in the last seconds, not since it began. */

const WINDOW_MS = 15_000
const SAMPLE_MS = 250

interface Sample {
  readonly ms: number
  readonly bytes: number
}

export class RateEstimator {
  readonly #samples: Sample[]
  readonly #now: () => number

  /** @param now a clock in ms */
  constructor(now: () => number) {
    this.#now = now
    this.#samples = [{ ms: now(), bytes: 0 }]
  }

  /** Notes how many bytes are done by now; the bytes per second of late. */
  update(bytes: number): number {
    const ms = this.#now()
    const samples = this.#samples
    const last = samples.at(-1)
    if (last === undefined || ms - last.ms >= SAMPLE_MS) samples.push({ ms, bytes })
    while (samples.length > 2 && ms - (samples[0]?.ms ?? ms) > WINDOW_MS) samples.shift()
    const first = samples[0]
    return first === undefined || ms <= first.ms ? 0 : ((bytes - first.bytes) * 1000) / (ms - first.ms)
  }
}

/** Below this an estimate says nothing (restic's limit). */
const SLOWEST_BYTES_PER_SECOND = 1024

/** Whole seconds until `todoBytes` are done; undefined where nothing can be said. */
export function remainingSeconds(todoBytes: number, bytesPerSecond: number): number | undefined {
  if (todoBytes <= 0 || bytesPerSecond <= SLOWEST_BYTES_PER_SECOND) return undefined
  return Math.floor(todoBytes / bytesPerSecond)
}
