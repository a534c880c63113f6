/** Ends a request that makes no progress: a silent server would otherwise keep it for ever. */
import { onAbort } from './abort-listener.ts'

/** One request's time-out, joined with the caller's signal. `end` must be called when it is over. */
export class IdleWatch {
  readonly #controller = new AbortController()
  readonly #stopListening: () => void
  readonly #timer: NodeJS.Timeout
  #timedOut = false
  #isOver = false

  /** @param idleMs how long nothing may happen */
  constructor(outer: AbortSignal | undefined, idleMs: number) {
    this.#timer = setTimeout(() => {
      this.#timedOut = true
      this.#controller.abort()
    }, idleMs)
    if (outer?.aborted === true) this.#controller.abort()
    this.#stopListening = onAbort(outer, () => this.#controller.abort())
  }

  /** Fires when the caller gave up or nothing happened for too long. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get timedOut(): boolean {
    return this.#timedOut
  }

  /** Something happened: the time starts anew. */
  touch(): void {
    if (!this.#isOver && !this.#controller.signal.aborted) this.#timer.refresh()
  }

  end(): void {
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#stopListening()
  }
}
