/** What all operations have in common: how they report trouble with single items, and how they share the thread. */
import { setImmediate } from 'node:timers/promises'
import { throwIfAborted } from '../../errors.ts'

/** Trouble with one file, snapshot or pack; the operation goes on and counts it. */
export interface ItemError {
  /** A path, an ID, or whatever names the item. */
  readonly item: string
  /** The phase: `archival`, `scan`, `restore`, `check` … */
  readonly during: string
  readonly error: Error
}

/** What most operations can be given. */
export interface OperationOptions<Progress = never> {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: Progress) => void) | undefined
  readonly onError?: ((error: ItemError) => void) | undefined
}

/**
 * What a promise comes to, unless the signal fires first; what it comes to after that is nobody's concern.
 * @throws AbortedError, or the ResticError that is the signal's reason
 */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  const listening = new AbortController()
  const stopped = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { signal: listening.signal })
  })
  try {
    throwIfAborted(signal)
    await Promise.race([promise, stopped])
    throwIfAborted(signal)
    return await promise
  } finally {
    listening.abort()
  }
}

/** Longest stretch of synchronous work between two looks at signals, timers and sockets. */
const STRETCH_MS = 25

/** Lets the event loop run now and then during long synchronous work. */
export class Pacer {
  readonly #signal: AbortSignal | undefined
  readonly #onTurn: (() => void) | undefined
  readonly #stretchMs: number
  #lastMs = performance.now()

  /**
   * @param onTurn called at each pause: a good moment to report progress
   * @param stretchMs shorter where threads are to be given work meanwhile
   */
  constructor(signal?: AbortSignal, onTurn?: () => void, stretchMs: number = STRETCH_MS) {
    this.#signal = signal
    this.#onTurn = onTurn
    this.#stretchMs = stretchMs
  }

  /** Whether it is time for `pause`: cheap enough to ask after every file. */
  get isDue(): boolean {
    return performance.now() - this.#lastMs >= this.#stretchMs
  }

  /** @throws AbortedError */
  async pause(): Promise<void> {
    this.#onTurn?.()
    await setImmediate()
    this.#lastMs = performance.now()
    throwIfAborted(this.#signal)
  }
}
