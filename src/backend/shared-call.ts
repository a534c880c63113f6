/** One call that many wait for: what is under way is joined, not started again. */
import { throwIfAborted } from '../errors.ts'
import { onAbort } from './abort-listener.ts'

interface Running<T> {
  readonly result: Promise<T>
  readonly controller: AbortController
  waiting: number
}

/** Starts a call when somebody wants its result and none is under way; stops it when everybody has gone away. */
export class SharedCall<T> {
  readonly #start: (signal: AbortSignal) => Promise<T>
  #running: Running<T> | undefined

  constructor(start: (signal: AbortSignal) => Promise<T>) {
    this.#start = start
  }

  /** @throws AbortedError when `signal` fires; whatever the call throws */
  async join(signal?: AbortSignal): Promise<T> {
    throwIfAborted(signal)
    const running = (this.#running ??= this.#begin())
    running.waiting += 1
    try {
      return await untilAborted(running.result, signal)
    } finally {
      running.waiting -= 1
      if (running.waiting === 0) this.#end(running)
    }
  }

  #begin(): Running<T> {
    const controller = new AbortController()
    const running: Running<T> = { result: this.#start(controller.signal), controller, waiting: 0 }
    const forget = (): void => {
      if (this.#running === running) this.#running = undefined
    }
    running.result.then(forget, forget)
    return running
  }

  #end(running: Running<T>): void {
    if (this.#running === running) this.#running = undefined
    running.controller.abort()
  }
}

/** The result, or AbortedError as soon as the signal fires; the call itself goes on. */
export function untilAborted<T>(result: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return result
  return new Promise((resolve, reject) => {
    const stopListening = onAbort(signal, () => {
      try {
        throwIfAborted(signal)
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)))
      }
    })
    void result.then(resolve, reject).finally(stopListening)
  })
}
