/** Patience with a store: what is tried again, how often, and after which waits. */
import { describe, expect, it } from 'vitest'
import type { Backend, Handle } from '../../src/backend/backend.ts'
import { MemoryBackend } from '../../src/backend/memory.ts'
import { RetryBackend, type RetryNotice, type RetryOptions } from '../../src/backend/retry.ts'
import {
  AbortedError,
  BackendError,
  FileNotFoundError,
  InvalidInputError,
  LockLostError,
} from '../../src/errors.ts'
import { FaultyBackend, type Fault, type Operation } from '../support/faulty-backend.ts'
import { seededRandom } from '../support/sample-data.ts'
import { testClock } from '../support/test-clock.ts'
import { describeBackend, handleOf, listed } from './conformance.ts'

const PACK = handleOf('pack', 'ab')
const KEY = handleOf('key', 'cd')
const DATA = new Uint8Array(100).fill(3)
const FLAKY = new BackendError('the network is down', { transient: true })

describeBackend('patient', async () => {
  const backend = new RetryBackend(new MemoryBackend())
  return { backend, reopen: async () => backend, cleanup: async () => undefined }
})

describeBackend('patient flaky', async () => {
  const inner = new MemoryBackend()
  const random = seededRandom(1)
  // Every other call fails, half of them after they took effect.
  const faultOf = ({ kind }: Operation): Fault | undefined => {
    // Nobody can tell whether a removal that failed took effect: what is absent after it counts as removed.
    const after = kind === 'remove' || random() < 0.5
    return random() < 0.5 ? { kind: 'fail', after, error: FLAKY } : undefined
  }
  const open = (): Backend => new RetryBackend(new FaultyBackend(inner, { faultOf }), { clock: testClock() })
  return { backend: open(), reopen: async () => open(), cleanup: async () => undefined }
})

interface Setting extends RetryOptions {
  readonly faultOf?: (operation: Operation) => Fault | undefined
  readonly random?: number
}

/** A patient backend over one that fails as told, and what can be seen of it. */
function setUp({ faultOf = () => undefined, random = 0.5, ...options }: Setting = {}) {
  const inner = new MemoryBackend()
  const faulty = new FaultyBackend(inner, { faultOf })
  const clock = testClock(random)
  const notices: RetryNotice[] = []
  const backend = new RetryBackend(faulty, { clock, onNotice: (notice) => notices.push(notice), ...options })
  return { inner, faulty, clock, notices, backend }
}

/** Fails the first calls of a kind. */
function firstOf(kind: Operation['kind'], count: number, error: Error = FLAKY) {
  let left = count
  return (operation: Operation): Fault | undefined => {
    if (operation.kind !== kind || left === 0) return undefined
    left -= 1
    return { kind: 'fail', error }
  }
}

function always(kind: Operation['kind'], error: Error = FLAKY) {
  return firstOf(kind, Infinity, error)
}

async function callAll(backend: Backend, handle: Handle, signal?: AbortSignal): Promise<unknown[]> {
  const calls = [
    () => backend.create(signal),
    () => backend.stat(handle, signal),
    () => backend.read(handle, undefined, signal),
    () => backend.write(handle, DATA, signal),
    () => backend.remove(handle, signal),
    () => listed(backend, 'pack', signal),
  ]
  const outcomes: unknown[] = []
  for (const call of calls) outcomes.push(await call().catch((error: unknown) => error))
  return outcomes
}

describe('a call that fails for now', () => {
  it('is tried again after longer and longer waits, and succeeds', async () => {
    const { backend, clock, inner, faulty } = setUp({ faultOf: firstOf('write', 9) })
    await backend.write(PACK, DATA)
    expect(await inner.read(PACK)).toEqual(DATA)
    expect(clock.waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1000))
    expect(faulty.operations).toHaveLength(10)
  })

  it.each([
    [0, 500],
    [0.25, 750],
    [0.999, 1499],
  ])('waits more or less: chance %f gives %i ms', async (random, expected) => {
    const { backend, clock } = setUp({ faultOf: firstOf('write', 1), random })
    await backend.write(PACK, DATA)
    expect(clock.waits).toEqual([expected])
  })

  it.each(['create', 'stat', 'read', 'write', 'remove', 'list'] as const)('is any: %s', async (kind) => {
    const { backend, clock, inner } = setUp({ faultOf: firstOf(kind, 2) })
    await inner.write(PACK, DATA)
    const outcomes = await callAll(backend, PACK)
    expect(outcomes.filter((outcome) => outcome instanceof Error)).toEqual([])
    expect(clock.waits).toEqual([1000, 2000])
  })

  it('gives up in time, with the last error', async () => {
    let count = 0
    const faultOf = (): Fault => ({
      kind: 'fail',
      error: new BackendError(`no ${++count}`, { transient: true, hint: 'do something' }),
    })
    const { backend, clock } = setUp({ faultOf })
    const failure = await backend.write(PACK, DATA).catch((error: unknown) => error)
    expect(failure).toMatchObject({ message: `no ${count}`, hint: 'do something' })
    const total = clock.waits.reduce((sum, ms) => sum + ms, 0)
    expect(total).toBeLessThanOrEqual(15 * 60_000)
    expect(total).toBeGreaterThan(14 * 60_000)
    expect(count).toBe(clock.waits.length + 1)
  })

  it('is given up in the time it is given', async () => {
    const { backend, clock } = setUp({ faultOf: always('stat'), budgetMs: 8000 })
    await expect(backend.stat(PACK)).rejects.toBe(FLAKY)
    expect(clock.waits).toEqual([1000, 2000, 4000])
  })

  it('is tried once more, however long the first try took', async () => {
    const setting = setUp({
      faultOf: (operation) => {
        setting.clock.advance(20 * 60_000)
        return operation.number === 1 ? { kind: 'fail', error: FLAKY } : undefined
      },
    })
    await setting.backend.write(PACK, DATA)
    expect(setting.clock.waits).toEqual([1000])
    expect(setting.faulty.operations).toHaveLength(2)
  })

  it('is tried once more only', async () => {
    const setting = setUp({
      faultOf: () => {
        setting.clock.advance(20 * 60_000)
        return { kind: 'fail', error: FLAKY }
      },
    })
    await expect(setting.backend.write(PACK, DATA)).rejects.toBe(FLAKY)
    expect(setting.faulty.operations).toHaveLength(2)
  })

  it('waits as long as the store wants it to', async () => {
    const error = new BackendError('busy', { transient: true, retryAfterMs: 45_000 })
    const { backend, clock } = setUp({ faultOf: firstOf('write', 2, error) })
    await backend.write(PACK, DATA)
    expect(clock.waits).toEqual([45_000, 45_000])
  })

  it('waits longer than the store wants when its turn is later', async () => {
    const error = new BackendError('busy', { transient: true, retryAfterMs: 1500 })
    const { backend, clock } = setUp({ faultOf: firstOf('write', 3, error) })
    await backend.write(PACK, DATA)
    expect(clock.waits).toEqual([1500, 2000, 4000])
  })

  it('does not wait for a store that wants more time than there is', async () => {
    const error = new BackendError('come back tomorrow', { transient: true, retryAfterMs: 86_400_000 })
    const { backend, clock } = setUp({ faultOf: always('write', error) })
    await expect(backend.write(PACK, DATA)).rejects.toBe(error)
    expect(clock.waits).toEqual([])
  })
})

describe('a call that will fail again', () => {
  it.each([
    new BackendError('no permission'),
    new BackendError('no permission', { transient: false, retryAfterMs: 1000 }),
    new FileNotFoundError('data/ab'),
    new InvalidInputError('no such name'),
    new LockLostError('gone'),
    new TypeError('a mistake of ours'),
  ])('fails at once: %o', async (error) => {
    const notices: RetryNotice[] = []
    const faultOf = (): Fault => ({ kind: 'fail', error })
    const { backend, clock, faulty } = setUp({ faultOf, onNotice: (notice) => notices.push(notice) })
    const outcomes = await callAll(backend, PACK)
    expect(outcomes).toEqual(Array.from({ length: 6 }, () => error))
    expect(clock.waits).toEqual([])
    expect(faulty.operations).toHaveLength(6)
    expect(notices).toEqual([])
  })

  it('fails at once after tries that might have helped', async () => {
    const denied = new BackendError('denied')
    const errors = [FLAKY, FLAKY, denied]
    const { backend, notices } = setUp({ faultOf: () => ({ kind: 'fail', error: errors.shift()! }) })
    await expect(backend.read(PACK)).rejects.toBe(denied)
    expect(notices.map(({ kind }) => kind)).toEqual(['retrying', 'retrying', 'failed'])
  })
})

describe('a removal', () => {
  it('whose first answer was lost has succeeded', async () => {
    const { backend, inner, faulty } = setUp({
      faultOf: ({ number }) => (number === 1 ? { kind: 'fail', after: true, error: FLAKY } : undefined),
    })
    await inner.write(PACK, DATA)
    await backend.remove(PACK)
    expect(faulty.operations).toHaveLength(2)
  })

  it('of what was never there fails', async () => {
    const { backend, faulty } = setUp()
    await expect(backend.remove(PACK)).rejects.toThrow(FileNotFoundError)
    expect(faulty.operations).toHaveLength(1)
  })
})

describe('a write that is repeated', () => {
  function nonAtomic(faulty: FaultyBackend): Backend {
    return Object.assign(faulty, { hasAtomicReplace: false })
  }

  it.each([
    [PACK, ['write', 'remove', 'write']],
    [{ type: 'config', name: '' } as const, ['write', 'write']],
  ])(
    'first takes away what may lie there, where it cannot be replaced at a stroke',
    async (handle, calls) => {
      const inner = new MemoryBackend()
      const faulty = new FaultyBackend(inner, { faultOf: firstOf('write', 1) })
      await new RetryBackend(nonAtomic(faulty), { clock: testClock() }).write(handle, DATA)
      expect(faulty.operations.map(({ kind }) => kind)).toEqual(calls)
      expect(await inner.read(handle)).toEqual(DATA)
    },
  )

  it('takes nothing away where the store does that itself', async () => {
    const { backend, faulty } = setUp({ faultOf: firstOf('write', 1) })
    await backend.write(PACK, DATA)
    expect(faulty.operations.map(({ kind }) => kind)).toEqual(['write', 'write'])
  })
})

describe('a listing', () => {
  /** Lists ever more files before it fails. */
  class Stumbling extends MemoryBackend {
    readonly #steps: number[]
    constructor(steps: readonly number[]) {
      super()
      this.#steps = [...steps]
    }
    override async *list(): AsyncGenerator<{ name: string; size: number }> {
      const step = this.#steps.shift() ?? Infinity
      for (let i = 0; i < Math.min(step, 10); i++) yield { name: handleOf('pack', `a${i}`).name, size: i }
      if (step < Infinity) throw FLAKY
    }
  }

  it('that breaks off is begun anew and names no file twice', async () => {
    const clock = testClock()
    const backend = new RetryBackend(new Stumbling([0, 0, 3, 5]), { clock })
    const names = (await listed(backend, 'pack')).map(({ name }) => name)
    expect(names).toEqual(Array.from({ length: 10 }, (_, i) => handleOf('pack', `a${i}`).name))
    // Waits are short again after each success.
    expect(clock.waits).toEqual([1000, 2000, 1000, 1000])
  })

  it('that comes no further is given up', async () => {
    const clock = testClock()
    const backend = new RetryBackend(new Stumbling(Array.from({ length: 1000 }, () => 3)), { clock })
    await expect(listed(backend, 'pack')).rejects.toBe(FLAKY)
    expect(clock.waits.length).toBeLessThan(30)
  })

  it('lasts as long as somebody works on what is found', async () => {
    const clock = testClock()
    const backend = new RetryBackend(new Stumbling([3]), { clock })
    let count = 0
    for await (const _ of backend.list('pack')) {
      count += 1
      clock.advance(10 * 60_000)
    }
    expect(count).toBe(10)
  })
})

describe('a file that could not be read', () => {
  it('is refused for an hour', async () => {
    let isDown = true
    const faultOf = ({ kind, name }: Operation): Fault | undefined =>
      isDown && kind === 'read' && name === PACK.name ? { kind: 'fail', error: FLAKY } : undefined
    const { backend, clock, inner, faulty } = setUp({ faultOf })
    await inner.write(PACK, DATA)
    await inner.write(KEY, DATA)
    await expect(backend.read(PACK)).rejects.toBe(FLAKY)
    isDown = false
    const before = faulty.operations.length
    await expect(backend.read(PACK, { offset: 0, length: 1 })).rejects.toMatchObject({
      message: 'Load(<data/ab00000000>, 0, 0): it could not be read before, and is not tried again',
      transient: false,
    })
    expect(faulty.operations).toHaveLength(before)
    expect(await backend.read(KEY)).toEqual(DATA)
    clock.advance(60 * 60_000)
    expect(await backend.read(PACK)).toEqual(DATA)
  })

  it('for good is asked for as often as somebody wants', async () => {
    const { backend, faulty } = setUp()
    for (let i = 0; i < 3; i++) await expect(backend.read(PACK)).rejects.toThrow(FileNotFoundError)
    expect(faulty.operations).toHaveLength(3)
  })
})

describe('notices', () => {
  it('are restic’s', async () => {
    const { backend, inner, notices } = setUp({ faultOf: firstOf('read', 2), random: 0.125 })
    await inner.write(PACK, DATA)
    await backend.read(PACK, { offset: 7, length: 93 })
    expect(notices).toEqual([
      {
        kind: 'retrying',
        message: 'Load(<data/ab00000000>, 93, 7) returned error, retrying after 625ms: the network is down',
      },
      {
        kind: 'retrying',
        message: 'Load(<data/ab00000000>, 93, 7) returned error, retrying after 1.25s: the network is down',
      },
      { kind: 'recovered', message: 'Load(<data/ab00000000>, 93, 7) operation successful after 2 retries' },
    ])
  })

  it('tell when nothing helps', async () => {
    const { backend, notices } = setUp({ faultOf: always('write'), budgetMs: 2000 })
    await expect(backend.write(KEY, DATA)).rejects.toBe(FLAKY)
    expect(notices.map(({ message }) => message)).toEqual([
      'Save(<key/cd00000000>) returned error, retrying after 1s: the network is down',
      'Save(<key/cd00000000>) failed: the network is down',
    ])
  })
})

describe('an abort', () => {
  it('ends the waiting at once, and no notice comes after it', async () => {
    const controller = new AbortController()
    const notices: RetryNotice[] = []
    const faulty = new FaultyBackend(new MemoryBackend(), { faultOf: always('write') })
    const backend = new RetryBackend(faulty, {
      onNotice: (notice) => {
        notices.push(notice)
        // While it waits for a whole second.
        setImmediate(() => controller.abort())
      },
    })
    const before = performance.now()
    await expect(backend.write(PACK, DATA, controller.signal)).rejects.toThrow(AbortedError)
    expect(performance.now() - before).toBeLessThan(400)
    expect(notices).toHaveLength(1)
    expect(faulty.operations).toHaveLength(1)
  })
})

describe('advice before removals', () => {
  it('is handed on and tried again, where the store takes it', async () => {
    const advised: string[] = []
    let failures = 1
    const inner = Object.assign(new MemoryBackend(), {
      prepareRemoval: async (type: string, names: readonly string[]) => {
        if (failures-- > 0) throw FLAKY
        advised.push(type, ...names)
      },
    })
    const backend = new RetryBackend(inner, { clock: testClock() })
    await backend.prepareRemoval?.('pack', [PACK.name])
    expect(advised).toEqual(['pack', PACK.name])
    expect(new RetryBackend(new MemoryBackend()).prepareRemoval).toBeUndefined()
  })
})
