/** Bounds how much runs at once; who waits is served in order. */
import { AbortedError, throwIfAborted } from '../errors.ts'
import { onAbort } from './abort-listener.ts'

export class Semaphore {
  readonly #waiting = new Set<() => void>()
  #free: number

  /** @param limit at least 1 */
  constructor(limit: number) {
    this.#free = limit
  }

  /** Runs `work` once there is room for it. @throws AbortedError when `signal` fires before that */
  async run<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    throwIfAborted(signal)
    if (this.#free > 0) this.#free -= 1
    else await this.#turn(signal)
    try {
      return await work()
    } finally {
      this.#pass()
    }
  }

  /** Resolves holding a place, which `#pass` handed over. */
  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const onTurn = (): void => {
        stopListening()
        resolve()
      }
      const stopListening = onAbort(signal, () => {
        this.#waiting.delete(onTurn)
        reject(abortReason(signal))
      })
      this.#waiting.add(onTurn)
    })
  }

  #pass(): void {
    const [next] = this.#waiting
    if (next === undefined) this.#free += 1
    else {
      this.#waiting.delete(next)
      next()
    }
  }
}

function abortReason(signal: AbortSignal | undefined): Error {
  try {
    throwIfAborted(signal)
  } catch (error) {
    if (error instanceof Error) return error
  }
  return new AbortedError()
}
