/** The tests' own tool: what goes wrong must go wrong as it is told. */
import { describe, expect, it } from 'vitest'
import type { Handle } from '../../src/backend/backend.ts'
import { MemoryBackend } from '../../src/backend/memory.ts'
import { FaultyBackend } from '../support/faulty-backend.ts'
import { seededRandom } from '../support/sample-data.ts'
import { describeBackend, handleOf, listed } from './conformance.ts'

const A = handleOf('pack', 'aa')
const B = handleOf('pack', 'bb')
const C = handleOf('pack', 'cc')
const DATA = new Uint8Array(9).fill(5)

describeBackend('faultless faulty', async () => {
  const random = seededRandom(1)
  const backend = new FaultyBackend(new MemoryBackend(), { turns: () => Math.floor(random() * 4) })
  return { backend, reopen: async () => backend, cleanup: async () => undefined }
})

function namesOf(...handles: readonly Handle[]): string[] {
  return handles.map(({ name }) => name)
}

describe('a faulty store', () => {
  it('fails the call it is told to, without and with its effect', async () => {
    const inner = new MemoryBackend()
    const backend = new FaultyBackend(inner, {
      faultOf: ({ change }) => {
        if (change === 2) return { kind: 'fail' }
        return change === 3 ? { kind: 'fail', after: true, error: new RangeError('mine') } : undefined
      },
    })
    await backend.write(A, DATA)
    await expect(backend.write(B, DATA)).rejects.toThrow('write pack/bb000000: injected failure')
    await expect(backend.write(C, DATA)).rejects.toThrow(RangeError)
    expect((await listed(inner, 'pack')).map(({ name }) => name)).toEqual(namesOf(A, C))
    await backend.remove(A)
    expect(backend.faultCount).toBe(2)
    expect(backend.operations.map(({ kind, change }) => [kind, change])).toEqual([
      ['write', 1],
      ['write', 2],
      ['write', 3],
      ['remove', 4],
    ])
  })

  it.each([false, true])('is dead once it is killed (after the effect: %s)', async (after) => {
    const inner = new MemoryBackend()
    const backend = new FaultyBackend(inner, {
      turns: () => 3,
      faultOf: ({ change }) => (change === 2 ? { kind: 'kill', after } : undefined),
    })
    await backend.write(A, DATA)
    const [killing, during] = await Promise.allSettled([backend.write(B, DATA), backend.write(C, DATA)])
    expect([killing.status, during.status]).toEqual(['rejected', 'rejected'])
    await expect(backend.remove(A)).rejects.toThrow('killed')
    await expect(backend.read(A)).rejects.toThrow('killed')
    const expected = after ? namesOf(A, B) : namesOf(A)
    const present = (await listed(inner, 'pack')).map(({ name }) => name)
    expect(present.filter((name) => name !== C.name)).toEqual(expected)
  })

  it('gives wrong bytes, and keeps the right ones', async () => {
    const inner = new MemoryBackend()
    const backend = new FaultyBackend(inner, {
      faultOf: ({ kind, number }) => (kind === 'read' && number === 2 ? { kind: 'corrupt' } : undefined),
    })
    await backend.write(A, DATA)
    expect(await backend.read(A)).toEqual(Uint8Array.from([5, 5, 5, 5, 4, 5, 5, 5, 5]))
    expect(await backend.read(A)).toEqual(DATA)
  })

  it('answers in another order than it was asked', async () => {
    const backend = new FaultyBackend(new MemoryBackend(), { turns: ({ number }) => 10 - number })
    const order: string[] = []
    const calls = [A, B, C].map((handle) => backend.write(handle, DATA).then(() => order.push(handle.name)))
    await Promise.all(calls)
    expect(order).toEqual(namesOf(C, B, A))
  })
})
