import { describe, expect, it } from 'vitest'
import { SharedCall } from '../../src/backend/shared-call.ts'
import { AbortedError } from '../../src/errors.ts'

interface Started {
  readonly signal: AbortSignal
  readonly resolve: (value: string) => void
  readonly reject: (error: Error) => void
}

function sharedCall(): { shared: SharedCall<string>; started: Started[] } {
  const started: Started[] = []
  const shared = new SharedCall(
    (signal) =>
      new Promise<string>((resolve, reject) => {
        started.push({ signal, resolve, reject })
      }),
  )
  return { shared, started }
}

describe('a shared call', () => {
  it('is made once for all who want it at the same time', async () => {
    const { shared, started } = sharedCall()
    const waiting = [shared.join(), shared.join(), shared.join(new AbortController().signal)]
    expect(started).toHaveLength(1)
    started[0]!.resolve('one')
    expect(await Promise.all(waiting)).toEqual(['one', 'one', 'one'])
    const again = shared.join()
    started[1]!.resolve('two')
    expect(await again).toBe('two')
  })

  it('fails for all, and can be made again', async () => {
    const { shared, started } = sharedCall()
    const waiting = [shared.join(), shared.join()]
    started[0]!.reject(new Error('no'))
    for (const call of waiting) await expect(call).rejects.toThrow('no')
    const again = shared.join()
    started[1]!.resolve('yes')
    expect(await again).toBe('yes')
  })

  it('goes on while anybody waits, and stops when nobody does', async () => {
    const { shared, started } = sharedCall()
    const [first, second] = [new AbortController(), new AbortController()]
    const waiting = [shared.join(first.signal), shared.join(second.signal)]
    first.abort()
    await expect(waiting[0]).rejects.toThrow(AbortedError)
    expect(started[0]!.signal.aborted).toBe(false)
    second.abort()
    await expect(waiting[1]).rejects.toThrow(AbortedError)
    expect(started[0]!.signal.aborted).toBe(true)
    const later = shared.join()
    expect(started).toHaveLength(2)
    started[0]!.reject(new Error('stopped'))
    started[1]!.resolve('new')
    expect(await later).toBe('new')
  })

  it('is not made for a signal that has fired', async () => {
    const { shared, started } = sharedCall()
    await expect(shared.join(AbortSignal.abort())).rejects.toThrow(AbortedError)
    expect(started).toEqual([])
  })
})
