/**
 * Keeps the young generation of V8 small. Left alone it grows with what survives, to 32 MiB, and stays there: memory for
 * garbage, and for what lies outside the heap as long as its garbage does. Its limit is set when V8 starts, where a command
 * has no say; how far it grows at a time can be said later.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

/** Both halves. With this much, collections take no more time than with all. */
const ENOUGH_BYTES = 8 << 20

/** From the collection on that finds it large enough it does not grow any more, in none of the process's threads. */
export function limitYoungGeneration(): void {
  const observer = new PerformanceObserver(() => {
    if (youngGenerationBytes() < ENOUGH_BYTES) return
    setFlagsFromString('--semi-space-growth-factor=1')
    observer.disconnect()
  })
  observer.observe({ entryTypes: ['gc'] })
}

function youngGenerationBytes(): number {
  const space = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')
  return space?.space_size ?? 0
}
