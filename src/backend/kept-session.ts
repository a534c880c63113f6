/** One session with a helper program for all calls: begun when first needed, and begun again when it was lost. */
import { SharedCall } from './shared-call.ts'

export interface Session {
  /** Whether calls still have a chance. */
  readonly isUsable: boolean
  close(): Promise<void>
}

export class KeptSession<S extends Session> {
  readonly #starting: SharedCall<S>
  #current: S | undefined

  constructor(start: (signal: AbortSignal) => Promise<S>) {
    this.#starting = new SharedCall(async (signal) => {
      this.#current = await start(signal)
      return this.#current
    })
  }

  /** @throws whatever beginning it throws; AbortedError */
  async get(signal: AbortSignal | undefined): Promise<S> {
    return this.#current?.isUsable === true ? this.#current : this.#starting.join(signal)
  }

  async close(): Promise<void> {
    const current = this.#current
    this.#current = undefined
    await current?.close()
  }
}
