/** Prune against the real restic: the same plans, and repositories that both are content with afterwards. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LocalBackend } from '../../../src/backend/local.ts'
import { parseTime } from '../../../src/repo/format/time.ts'
import { check } from '../../../src/repo/ops/check.ts'
import { prune, type PruneOptions } from '../../../src/repo/ops/prune.ts'
import type { PruneStats } from '../../../src/repo/ops/prune-plan.ts'
import { Repository } from '../../../src/repo/repository.ts'
import { hasRestic, propertyRuns, restic, runRestic } from '../../support/real-restic.ts'
import { addSnapshot, noise, seededRandom, type SampleTree } from '../../support/sample-data.ts'
import { createTestRepositoryIn, TEST_PASSWORD } from '../../support/test-repository.ts'

const MIB = 2 ** 20

let base = ''
let original = ''

function open(path: string): Promise<Repository> {
  return Repository.open(new LocalBackend(path), {
    password: TEST_PASSWORD,
    noLock: true,
    packSizeBytes: 4 * MIB,
  })
}

/**
 * About 50 packs around 4 MiB and some small ones, of which some are used, some partly and some not at all; trees in
 * many packs; some data stored plain. No blob is stored twice: restic's choice between copies is random.
 */
beforeAll(async () => {
  if (!hasRestic()) return
  base = mkdtempSync(join(tmpdir(), 'prune-'))
  original = join(base, 'original')
  await createTestRepositoryIn(new LocalBackend(original))
  const random = seededRandom(5)
  for (let run = 0; run < 16; run++) {
    const compression = run % 5 === 0 ? 'off' : 'auto'
    const options = { password: TEST_PASSWORD, packSizeBytes: 4 * MIB, compression } as const
    const repository = await Repository.open(new LocalBackend(original), options)
    const count = 1 + Math.floor(random() ** 2 * 30)
    const files = Array.from({ length: count }, (_, i) => {
      const blob = noise(run * 1000 + i, Math.floor(200_000 + random() * 700_000))
      return [`file${run}-${i}`, random() < 0.8 ? 'kept' : 'gone', blob] as const
    })
    const tree = (kinds: readonly string[]): SampleTree =>
      Object.fromEntries(
        files.filter(([, kind]) => kinds.includes(kind)).map(([name, , blob]) => [name, [blob]]),
      )
    const gone = await addSnapshot(repository, { gone: { [`dir${run}`]: tree(['kept', 'gone']) } })
    if (run % 4 !== 3) {
      const time = parseTime(`2024-02-${String(run + 1).padStart(2, '0')}T00:00:00Z`)
      await addSnapshot(repository, { [`dir${run}`]: tree(['kept']) }, { time })
    }
    await repository.remove('snapshot', gone)
  }
})

afterAll(() => rmSync(base, { recursive: true, force: true }))

const anyOptions: fc.Arbitrary<PruneOptions> = fc
  .record(
    {
      maxUnused: fc.oneof(
        fc.constant('unlimited' as const),
        fc.record({ percent: fc.integer({ min: 0, max: 60 }) }),
        fc.record({ bytes: fc.integer({ min: 0, max: 60 * MIB }) }),
      ),
      maxRepackSizeBytes: fc.integer({ min: 0, max: 120 * MIB }),
      repackCacheableOnly: fc.boolean(),
      repackUncompressed: fc.boolean(),
      repackSmallerThanBytes: fc.integer({ min: 1, max: 4 * MIB }),
    },
    { requiredKeys: ['maxUnused', 'repackUncompressed'] },
  )
  // Packs without anything unused come in no order of their own: which of them fit under a limit is restic's luck.
  .map((options) =>
    options.maxRepackSizeBytes === undefined
      ? options
      : { ...options, repackSmallerThanBytes: 1, repackUncompressed: false },
  )

function flagsFor(options: PruneOptions): string[] {
  const { maxUnused, maxRepackSizeBytes, repackSmallerThanBytes } = options
  const flags: string[] = []
  if (maxUnused === 'unlimited') flags.push('--max-unused=unlimited')
  else if (maxUnused !== undefined) {
    flags.push(`--max-unused=${'percent' in maxUnused ? `${maxUnused.percent}%` : maxUnused.bytes}`)
  }
  if (maxRepackSizeBytes !== undefined) flags.push(`--max-repack-size=${maxRepackSizeBytes}`)
  if (repackSmallerThanBytes !== undefined) flags.push(`--repack-smaller-than=${repackSmallerThanBytes}`)
  if (options.repackCacheableOnly === true) flags.push('--repack-cacheable-only')
  if (options.repackUncompressed === true) flags.push('--repack-uncompressed')
  return flags
}

function formatBytes(bytes: number): string {
  for (const [unit, factor] of [
    ['GiB', 2 ** 30],
    ['MiB', MIB],
    ['KiB', 1024],
  ] as const) {
    if (bytes >= factor) return `${(bytes / factor).toFixed(3)} ${unit}`
  }
  return `${bytes} B`
}

/** Our numbers in the words of restic's report, white space aside. */
function report({ blobs, bytes, packs }: PruneStats): string[] {
  const lines = [
    `used: ${blobs.used} blobs / ${formatBytes(bytes.used)}`,
    `unused: ${blobs.unused} blobs / ${formatBytes(bytes.unused)}`,
    `to repack: ${blobs.repack} blobs / ${formatBytes(bytes.repack)}`,
    `this removes: ${blobs.repackRemove} blobs / ${formatBytes(bytes.repackRemove)}`,
    `to delete: ${blobs.remove} blobs / ${formatBytes(bytes.remove + bytes.unreferenced)}`,
    `totally used packs: ${packs.used}`,
    `partly used packs: ${packs.partlyUsed}`,
    `unused packs: ${packs.unused}`,
    `to keep: ${packs.keep} packs`,
    `to repack: ${packs.repack} packs`,
    `to delete: ${packs.remove} packs`,
  ]
  return bytes.uncompressed > 0 ? [...lines, `not yet compressed: ${formatBytes(bytes.uncompressed)}`] : lines
}

function reportOfRestic(options: PruneOptions): string[] {
  const args = [
    '-r',
    original,
    '--no-lock',
    '--pack-size=4',
    'prune',
    '--dry-run',
    '-v',
    ...flagsFor(options),
  ]
  const wanted =
    /^(used|unused|to repack|this removes|to delete|totally used packs|partly used packs|unused packs|to keep|not yet compressed):/
  return restic(args)
    .split('\n')
    .map((line) => line.replace(/\s+/g, ' ').trim())
    .filter((line) => wanted.test(line))
}

describe.runIf(hasRestic())('prune in restic', () => {
  it('plans the same', async () => {
    const repository = await open(original)
    await fc.assert(
      fc.asyncProperty(anyOptions, async (options) => {
        const { stats } = await prune(repository, { ...options, dryRun: true })
        expect(report(stats).toSorted()).toEqual(reportOfRestic(options).toSorted())
      }),
      propertyRuns(25, 500),
    )
  })

  it.each<PruneOptions>([
    {},
    { maxUnused: { bytes: 0 }, repackUncompressed: true },
    { maxRepackSizeBytes: 20 * MIB },
  ])('finds nothing wrong after ours, and ours nothing after its (%j)', async (options) => {
    const ours = join(base, 'ours')
    const theirs = join(base, 'theirs')
    for (const path of [ours, theirs]) cpSync(original, path, { recursive: true })
    const repository = await open(ours)
    await prune(repository, options)
    restic(['-r', theirs, '--pack-size=4', 'prune', ...flagsFor(options)])
    for (const path of [ours, theirs]) {
      expect(runRestic(['-r', path, 'check', '--read-data'])).toMatchObject({ code: 0, stderr: '' })
      expect(await check(await open(path), { readData: true })).toMatchObject({ errors: [], hints: [] })
    }
    const blobCounts = await Promise.all(
      [ours, theirs].map(async (path) => {
        const pruned = await open(path)
        await pruned.loadIndex()
        return [pruned.index.blobCount, pruned.index.packCount]
      }),
    )
    expect(blobCounts[0]![0]).toBe(blobCounts[1]![0])
    for (const path of [ours, theirs]) rmSync(path, { recursive: true, force: true })
  })

  it('leaves a version 1 repository as restic 0.14 wants it', async () => {
    const path = join(base, 'version-1')
    const repository = await createTestRepositoryIn(new LocalBackend(path), { version: 1, noLock: true })
    const gone = await addSnapshot(repository, { a: [noise(1, 5000)], b: { c: [noise(2, 3000)] } })
    await addSnapshot(repository, { a: [noise(1, 5000)], d: [noise(3, 400)] })
    await repository.remove('snapshot', gone)
    const { stats } = await prune(repository)
    expect(stats.packs.repack).toBeGreaterThan(0)
    if (!hasRestic('0.14.0')) return
    const run = runRestic(['-r', path, 'check', '--read-data'], { version: '0.14.0' })
    expect(run).toMatchObject({ code: 0, stderr: '' })
  })
})
