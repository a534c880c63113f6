import { describe, expect, it } from 'vitest'
import { Semaphore } from '../../src/backend/semaphore.ts'
import { AbortedError } from '../../src/errors.ts'

/** Work that ends when it is told to. */
function gate(): { readonly promise: Promise<void>; open: () => void } {
  let open = (): void => undefined
  const promise = new Promise<void>((resolve) => (open = resolve))
  return { promise, open: () => open() }
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('a semaphore', () => {
  it('lets so many run, the others in order', async () => {
    const semaphore = new Semaphore(2)
    const gates = Array.from({ length: 5 }, gate)
    const started: number[] = []
    const runs = gates.map(({ promise }, i) =>
      semaphore.run(undefined, async () => {
        started.push(i)
        await promise
        return i
      }),
    )
    await settle()
    expect(started).toEqual([0, 1])
    gates[1]!.open()
    await settle()
    expect(started).toEqual([0, 1, 2])
    for (const { open } of gates) open()
    expect(await Promise.all(runs)).toEqual([0, 1, 2, 3, 4])
  })

  it('gives back the place of work that fails', async () => {
    const semaphore = new Semaphore(1)
    await expect(semaphore.run(undefined, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await semaphore.run(undefined, () => Promise.resolve('yes'))).toBe('yes')
  })

  it('forgets who waits no more', async () => {
    const semaphore = new Semaphore(1)
    const { promise, open } = gate()
    const controller = new AbortController()
    const first = semaphore.run(undefined, () => promise)
    const impatient = semaphore.run(controller.signal, () => Promise.resolve('never'))
    const patient = semaphore.run(undefined, () => Promise.resolve('then'))
    controller.abort()
    await expect(impatient).rejects.toThrow(AbortedError)
    await expect(semaphore.run(controller.signal, () => Promise.resolve())).rejects.toThrow(AbortedError)
    open()
    await first
    expect(await patient).toBe('then')
    expect(await semaphore.run(undefined, () => Promise.resolve('free'))).toBe('free')
  })
})
