/**
 * Random histories of one repository (backups of a changing folder, forget, prune, keys, processes that die in the
 * middle) against a model that knows nothing but which snapshot holds which files.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { isSlow, propertyRuns } from '../support/real-restic.ts'
import { History, PATHS, SIZES, type Command, type Death } from './model-history.ts'

// Nobody else is there that a lock would have to wait for.
vi.mock(import('node:timers/promises'), async (original) => {
  const timers = await original()
  const soon: typeof timers.setTimeout = (_ms, value, options) => timers.setImmediate(value as never, options)
  return { ...timers, setTimeout: soon }
})

const DEATH: fc.Arbitrary<Death | undefined> = fc.option(
  fc.record({ change: fc.integer({ min: 1, max: 12 }), after: fc.boolean() }),
  { nil: undefined, freq: 2 },
)
const PATH = fc.constantFrom(...PATHS)
const WHICH = fc.nat({ max: 5 })
const COMMAND: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      path: PATH,
      seed: fc.nat({ max: 4 }),
      size: fc.constantFrom(...SIZES),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), path: PATH }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('backup' as const), death: DEATH }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('forget' as const),
      which: WHICH,
      andPrune: fc.boolean(),
      death: DEATH,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('keep' as const),
      last: fc.integer({ min: 1, max: 3 }),
      death: DEATH,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('prune' as const),
      maxUnused: fc.constantFrom(0, 1000, 'unlimited' as const),
      death: DEATH,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('add-key' as const),
      password: fc.constantFrom('one', 'two', 'three'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove-key' as const), which: WHICH }) },
)

describe('a repository', () => {
  it(
    'holds what it should, whatever is done to it and whoever dies',
    { timeout: isSlow ? 900_000 : 60_000 },
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'restic-ts-model-'))
      let count = 0
      try {
        await fc.assert(
          fc.asyncProperty(
            fc.array(COMMAND, { minLength: 5, maxLength: 25 }),
            fc.nat(),
            async (commands, seed) => {
              count += 1
              const history = new History(join(folder, String(count)), seed)
              await history.begin()
              for (const command of commands) {
                await history.run(command)
                expect(await history.problems()).toEqual([])
              }
            },
          ),
          propertyRuns(50, 1000),
        )
      } finally {
        await rm(folder, { recursive: true })
      }
    },
  )
})
