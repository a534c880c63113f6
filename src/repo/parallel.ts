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
