/**
 * Runs `work` over all items, at most `limit` at once. After the first failure no more is started; what runs is waited
 * for, then the failure is thrown.
 */
export async function forEachParallel<T>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  let failed = false
  let failure: unknown
  const fail = (error: unknown): void => {
    if (!failed) failure = error
    failed = true
  }
  const worker = async (): Promise<void> => {
    for (;;) {
      const step = failed ? undefined : await iterator.next()
      if (step === undefined || step.done === true) return
      await work(step.value)
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, limit) }, () => worker().catch(fail)))
  if (failed) {
    await iterator.return?.()
    throw failure
  }
}

/** Lets so many pieces of work be under way at once; others wait. */
export class Turns {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = Math.max(1, count)
  }

  /** @throws what the work throws */
  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free += 1
      else next()
    }
  }
}
