import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidInputError, RepositoryDamagedError } from '../../../src/errors.ts'
import { Bitmap } from '../../../src/repo/bitmap.ts'
import { BlobIndex } from '../../../src/repo/blob-index.ts'
import { parseId, type Id } from '../../../src/repo/format/id.ts'
import { packSize, type PackedBlob } from '../../../src/repo/format/pack-header.ts'
import { planPrune, type PrunePlan, type PrunePlanOptions } from '../../../src/repo/ops/prune-plan.ts'
import { propertyRuns } from '../../support/real-restic.ts'

const MIB = 2 ** 20

/** A blob of a made-up pack: `d` data or `t` tree, a number for its ID, its stored length, plain unless compressed. */
interface Blob {
  readonly type?: 'data' | 'tree'
  readonly id: number
  readonly length?: number
  readonly plain?: boolean
}

interface Scene {
  readonly packs: Readonly<Record<number, readonly Blob[]>>
  readonly used: readonly number[]
  /** Packs in the store that differ from what the index says: another size, or undefined for missing. */
  readonly stored?: Readonly<Record<number, number | undefined>>
  readonly version?: 1 | 2
}

function idOf(number: number): Id {
  return parseId(number.toString(16).padStart(64, '0'))
}

function numberOf(id: Id): number {
  return Number.parseInt(id, 16)
}

function layOut(blobs: readonly Blob[]): PackedBlob[] {
  let offset = 0
  return blobs.map(({ type = 'data', id, length = 100, plain = false }) => {
    const blob = { type, id: idOf(id), offset, length, uncompressedLength: plain ? 0 : length * 2 }
    offset += length
    return blob
  })
}

function prepare({ packs, used, stored = {}, version = 2 }: Scene): Parameters<typeof planPrune>[0] {
  const index = new BlobIndex()
  const sizes = new Map<number, number | undefined>()
  for (const [pack, blobs] of Object.entries(packs)) {
    index.addPack(idOf(Number(pack)), layOut(blobs))
    sizes.set(Number(pack), packSize(layOut(blobs)))
  }
  for (const [pack, size] of Object.entries(stored)) sizes.set(Number(pack), size)
  const marked = new Bitmap(index.blobCount)
  for (const blob of used) {
    const rows = (['data', 'tree'] as const)
      .map((type) => index.rowOf(type, idOf(blob)))
      .filter((row) => row >= 0)
    for (const row of rows) marked.add(row)
  }
  const storedPacks = [...sizes].flatMap(([pack, size]) =>
    size === undefined ? [] : [{ id: idOf(pack), size }],
  )
  return { index, used: marked, storedPacks, version }
}

interface Decision {
  readonly unreferenced: number[]
  readonly repack: number[]
  readonly remove: number[]
  readonly missing: number[]
  readonly copy: number[]
  readonly stats: PrunePlan['stats']
}

function decide(scene: Scene, options: PrunePlanOptions = {}): Decision {
  const input = prepare(scene)
  const plan = planPrune({ ...input, options })
  const rows = Array.from({ length: input.index.blobCount }, (_, row) => row)
  return {
    unreferenced: plan.unreferencedPacks.map(numberOf),
    repack: plan.repackPacks.map((pack) => numberOf(input.index.packIdAt(pack))),
    remove: plan.removePacks.map(numberOf),
    missing: plan.missingPacks.map(numberOf),
    copy: rows.filter((row) => plan.blobsToCopy.has(row)).map((row) => numberOf(input.index.idAt(row))),
    stats: plan.stats,
  }
}

const NOTHING = { unreferenced: [], repack: [], remove: [], missing: [], copy: [] }

function small(count: number): Record<number, Blob[]> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [i + 1, [{ id: 100 + i }]]))
}

describe('planPrune', () => {
  it('leaves a repository alone that is in order', () => {
    const packs = { 1: [{ id: 10 }, { id: 11 }], 2: [{ id: 12, type: 'tree' as const }] }
    const decision = decide({ packs, used: [10, 11, 12] })
    expect(decision).toMatchObject(NOTHING)
    expect(decision.stats).toEqual({
      blobs: { used: 3, duplicate: 0, unused: 0, remove: 0, repack: 0, repackRemove: 0 },
      bytes: {
        used: 300,
        duplicate: 0,
        unused: 0,
        remove: 0,
        repack: 0,
        repackRemove: 0,
        unreferenced: 0,
        uncompressed: 0,
      },
      packs: { used: 2, unused: 0, partlyUsed: 0, unreferenced: 0, keep: 2, repack: 0, remove: 0 },
    })
  })

  it('removes packs no index names and packs without a used blob, whatever their sizes', () => {
    const decision = decide({
      packs: { 1: [{ id: 10 }], 2: [{ id: 11 }] },
      used: [10],
      stored: { 2: 5, 3: 77 },
    })
    expect(decision).toMatchObject({ ...NOTHING, unreferenced: [3], remove: [2] })
    expect(decision.stats).toMatchObject({
      bytes: { unreferenced: 77, remove: 100 },
      packs: { unreferenced: 1, remove: 1, unused: 1, used: 1 },
    })
  })

  it('repacks a small pack with a single unused blob', () => {
    const packs = { 1: [{ id: 10 }, { id: 11 }, { id: 12, length: 32 }] }
    const decision = decide({ packs, used: [10, 11] }, { maxUnused: 'unlimited' })
    expect(decision).toMatchObject({ ...NOTHING, repack: [1], copy: [10, 11] })
    expect(decision.stats).toMatchObject({
      blobs: { repack: 3, repackRemove: 1 },
      bytes: { repack: 232 + 36 + 3 * 41, repackRemove: 32 },
    })
  })

  it('repacks large packs until little enough is unused, those with the largest unused share first', () => {
    const packs = {
      1: [
        { id: 10, length: 8 * MIB },
        { id: 11, length: 2 * MIB },
      ],
      2: [
        { id: 12, length: 5 * MIB },
        { id: 13, length: 5 * MIB },
      ],
      3: [
        { id: 14, length: 7 * MIB },
        { id: 15, length: 3 * MIB },
      ],
    }
    const used = [10, 12, 14]
    expect(decide({ packs, used }, { maxUnused: 'unlimited' }).repack).toEqual([])
    expect(decide({ packs, used }, { maxUnused: { bytes: 5 * MIB + 1 } }).repack).toEqual([2])
    expect(decide({ packs, used }, { maxUnused: { bytes: 5 * MIB } }).repack).toEqual([2, 3])
    // 10 MiB unused beside 20 used is a third of all.
    expect(decide({ packs, used }, { maxUnused: { percent: 34 } }).repack).toEqual([])
    expect(decide({ packs, used }, { maxUnused: { percent: 33 } }).repack).toEqual([2])
    expect(decide({ packs, used }).repack).toEqual([1, 2, 3])
    expect(decide({ packs, used }, { maxUnused: { bytes: 0 } }).repack).toEqual([1, 2, 3])
  })

  it('stops before it has repacked as much as it may', () => {
    const packs = {
      1: [
        { id: 10, length: 8 * MIB },
        { id: 11, length: 2 * MIB },
      ],
      2: [
        { id: 12, length: 5 * MIB },
        { id: 13, length: 5 * MIB },
      ],
      3: [
        { id: 14, type: 'tree' as const, length: 1 * MIB },
        { id: 15, type: 'tree' as const, length: 32 },
      ],
    }
    const used = [10, 12, 14]
    const limited = (maxRepackSizeBytes: number): number[] =>
      decide({ packs, used }, { maxRepackSizeBytes }).repack
    expect(limited(0)).toEqual([])
    expect(limited(2 * MIB)).toEqual([3])
    expect(limited(12 * MIB)).toEqual([2, 3])
    expect(limited(22 * MIB)).toEqual([1, 2, 3])
  })

  it('repacks small packs only where there are ten of them', () => {
    const used = Array.from({ length: 10 }, (_, i) => 100 + i)
    expect(decide({ packs: small(9), used }).repack).toEqual([])
    expect(decide({ packs: small(10), used }).repack).toHaveLength(10)
    expect(decide({ packs: small(10), used }).copy).toEqual(used)
    expect(decide({ packs: small(10), used }, { repackSmallerThanBytes: 100 }).repack).toEqual([])
  })

  it('takes for small what is far below nearly all others', () => {
    const packs: Record<number, Blob[]> = {}
    for (let i = 0; i < 100; i++) packs[i + 1] = [{ id: 1000 + i, length: 10 * MIB }]
    for (let i = 0; i < 3; i++)
      packs[i + 201] = [
        { id: 2000 + i, length: 7 * MIB },
        { id: 3000 + i, length: 32 },
      ]
    const used = [...Array.from({ length: 100 }, (_, i) => 1000 + i), 2000, 2001, 2002]
    // The third of a hundred has 10 MiB, so that 8 MiB are asked for.
    expect(decide({ packs, used }, { maxUnused: 'unlimited' }).repack).toEqual([201, 202, 203])
    expect(
      decide({ packs, used }, { maxUnused: 'unlimited', repackSmallerThanBytes: 6 * MIB }).repack,
    ).toEqual([])
  })

  it('repacks trees and mixed packs however little is unused', () => {
    const big = 20 * MIB
    const packs = {
      1: [
        { id: 10, type: 'tree' as const, length: big },
        { id: 11, type: 'tree' as const, length: 32 },
      ],
      2: [
        { id: 12, length: big },
        { id: 13, type: 'tree' as const },
      ],
      3: [
        { id: 14, length: big },
        { id: 15, length: 32 },
      ],
    }
    const used = [10, 12, 13, 14]
    expect(decide({ packs, used }, { maxUnused: 'unlimited' }).repack).toEqual([1, 2])
    expect(decide({ packs, used }, { maxUnused: { bytes: 0 }, repackCacheableOnly: true }).repack).toEqual([
      1, 2,
    ])
  })

  it('repacks what is to be compressed', () => {
    const big = 20 * MIB
    const packs = {
      1: [{ id: 10, type: 'tree' as const, length: big, plain: true }],
      2: [{ id: 11, length: big, plain: true }, { id: 12 }],
      3: [{ id: 13, length: big }],
    }
    const used = [10, 11, 12, 13]
    const plain = decide({ packs, used })
    expect(plain.repack).toEqual([1])
    expect(plain.stats.bytes.uncompressed).toBe(big + 100 + 36 + 37 + 41)
    expect(decide({ packs, used }, { repackUncompressed: true }).repack).toEqual([1, 2])
    expect(decide({ packs, used, version: 1 }).repack).toEqual([])
    expect(decide({ packs, used, version: 1 }).stats.bytes.uncompressed).toBe(0)
    expect(() => decide({ packs, used, version: 1 }, { repackUncompressed: true })).toThrow(InvalidInputError)
  })

  it('ends where a needed pack is missing or has another size', () => {
    const scene = { packs: { 1: [{ id: 10 }], 2: [{ id: 11 }] }, used: [10] }
    expect(() => decide({ ...scene, stored: { 1: undefined } })).toThrow(RepositoryDamagedError)
    expect(() => decide({ ...scene, stored: { 1: undefined } })).toThrow(
      /^packs from index missing in repo: 1 needed.*: 0+1$/,
    )
    expect(() => decide({ ...scene, stored: { 1: 99 } })).toThrow(
      /^pack size does not match calculated size from index: pack 0+1: calculated size 177 does not match real size 99$/,
    )
    expect(decide({ ...scene, stored: { 2: undefined } })).toMatchObject({ ...NOTHING, missing: [2] })
  })

  it('refuses limits that make no sense', () => {
    const scene = { packs: {}, used: [] }
    expect(() => decide(scene, { maxUnused: { percent: 100 } })).toThrow(InvalidInputError)
    expect(() => decide(scene, { maxUnused: { percent: -1 } })).toThrow(InvalidInputError)
    expect(() => decide(scene, { maxUnused: { bytes: -1 } })).toThrow(InvalidInputError)
  })
})

describe('planPrune with blobs stored more than once', () => {
  it('keeps the copy that lies with other used blobs', () => {
    const packs = { 1: [{ id: 10 }, { id: 50 }], 2: [{ id: 11 }, { id: 10 }], 3: [{ id: 10 }, { id: 51 }] }
    const decision = decide({ packs, used: [10, 11] })
    expect(decision).toMatchObject({ ...NOTHING, remove: [1, 3] })
    expect(decision.stats.blobs).toMatchObject({ used: 2, duplicate: 2, unused: 2, remove: 4 })
  })

  it('keeps a pack of nothing but duplicates, as an interrupted prune leaves behind', () => {
    const packs = { 1: [{ id: 10 }, { id: 11 }, { id: 50 }], 2: [{ id: 10 }, { id: 11 }] }
    expect(decide({ packs, used: [10, 11] })).toMatchObject({ ...NOTHING, remove: [1] })
  })

  it('keeps the last copy where all lie with unused blobs', () => {
    const packs = { 1: [{ id: 10 }, { id: 50 }], 2: [{ id: 10 }, { id: 51 }], 3: [{ id: 10 }, { id: 52 }] }
    expect(decide({ packs, used: [10] })).toMatchObject({
      ...NOTHING,
      remove: [1, 2],
      repack: [3],
      copy: [10],
    })
  })

  it('copies nothing that a pack left alone has', () => {
    const packs = {
      1: [{ id: 10 }, { id: 11 }, { id: 50 }],
      2: [{ id: 12, length: 20 * MIB }, { id: 10 }],
    }
    const decision = decide({ packs, used: [10, 11, 12] }, { maxUnused: 'unlimited' })
    expect(decision).toMatchObject({ repack: [1], copy: [11] })
  })

  it('copies a blob of which another pack has a copy that is missing', () => {
    // Pack 3 does not exist any more; to rely on it for blob 10 would lose the blob.
    const packs = { 1: [{ id: 10 }, { id: 11 }, { id: 50 }], 3: [{ id: 10 }, { id: 51 }] }
    const decision = decide({ packs, used: [10, 11], stored: { 3: undefined } })
    expect(decision).toMatchObject({ repack: [1], missing: [3], copy: [10, 11] })
  })

  it('keeps one of three hundred copies', () => {
    const packs: Record<number, Blob[]> = {}
    for (let i = 1; i <= 300; i++) packs[i] = [{ id: 10 }, { id: 1000 + i }]
    const decision = decide({ packs, used: [10] })
    expect(decision.remove).toHaveLength(299)
    expect(decision.copy).toEqual([10])
  })

  it('tells a tree and data of the same ID apart', () => {
    const packs = { 1: [{ id: 10 }], 2: [{ id: 10, type: 'tree' as const }] }
    expect(decide({ packs, used: [10] }).stats.blobs).toMatchObject({ used: 2, duplicate: 0 })
  })
})

describe('planPrune with a pack listed in parts', () => {
  it('takes it as one', () => {
    const whole = layOut([{ id: 10 }, { id: 11 }, { id: 12 }])
    const index = new BlobIndex()
    index.addPack(idOf(1), whole.slice(0, 2))
    index.addPack(idOf(1), whole.slice(2))
    const used = new Bitmap(index.blobCount)
    used.add(index.rowOf('data', idOf(10)))
    const storedPacks = [{ id: idOf(1), size: packSize(whole) }]
    const plan = planPrune({ index, used, storedPacks, version: 2 })
    expect(plan.repackPacks).toEqual([0, 1])
    expect(plan.stats.packs).toMatchObject({ partlyUsed: 1, repack: 1 })
    expect(plan.blobsToCopy.count).toBe(1)
  })
})

describe('any plan', () => {
  const anyBlob: fc.Arbitrary<Blob> = fc.record({
    type: fc.constantFrom('data', 'data', 'tree'),
    id: fc.integer({ min: 1, max: 30 }),
    length: fc.constantFrom(50, 100, 3 * MIB),
    plain: fc.boolean(),
  })
  const anyScene: fc.Arbitrary<Scene> = fc.record({
    packs: fc.dictionary(
      fc.integer({ min: 1, max: 30 }).map(String),
      fc.uniqueArray(anyBlob, { selector: ({ type, id }) => `${type}${id}`, minLength: 1, maxLength: 8 }),
    ),
    used: fc.subarray(Array.from({ length: 30 }, (_, i) => i + 1)),
    stored: fc.dictionary(fc.integer({ min: 25, max: 40 }).map(String), fc.constantFrom(undefined, 5), {
      maxKeys: 4,
    }),
    version: fc.constantFrom(1, 2),
  })
  const anyOptions: fc.Arbitrary<PrunePlanOptions> = fc.record(
    {
      maxUnused: fc.oneof(
        fc.constant('unlimited' as const),
        fc.record({ percent: fc.integer({ min: 0, max: 99 }) }),
        fc.record({ bytes: fc.integer({ min: 0, max: 20 * MIB }) }),
      ),
      maxRepackSizeBytes: fc.integer({ min: 0, max: 50 * MIB }),
      repackCacheableOnly: fc.boolean(),
      repackSmallerThanBytes: fc.integer({ min: 1, max: 20 * MIB }),
    },
    { requiredKeys: [] },
  )

  it('leaves every used blob in a pack that stays, or copies it out of one that is there', () => {
    let plans = 0
    fc.assert(
      fc.property(anyScene, anyOptions, (scene, options) => {
        const input = prepare(scene)
        const plan = planUnlessDamaged({ ...input, options })
        if (plan === undefined) return
        plans++
        expect(lostBlobs(input, plan)).toEqual([])
        const { index } = input
        for (const pack of plan.unreferencedPacks) expect(index.packNumber(pack)).toBe(-1)
        const { blobs, packs, bytes } = plan.stats
        expect(blobs.used).toBe(input.used.count)
        expect(blobs.used + blobs.duplicate + blobs.unused).toBe(index.blobCount)
        expect(packs.keep + packs.repack + packs.remove + plan.missingPacks.length).toBe(index.packCount)
        expect(bytes.duplicate + bytes.unused - bytes.remove - bytes.repackRemove).toBeGreaterThanOrEqual(0)
      }),
      propertyRuns(300, 20_000),
    )
    expect(plans).toBeGreaterThan(50)
  })
})

function planUnlessDamaged(input: Parameters<typeof planPrune>[0]): PrunePlan | undefined {
  try {
    return planPrune(input)
  } catch (error) {
    if (error instanceof RepositoryDamagedError) return undefined
    throw error
  }
}

/** Rows of used blobs that neither stay nor are copied, of those that do both, and of unused ones that are copied. */
function lostBlobs(input: Parameters<typeof planPrune>[0], plan: PrunePlan): number[] {
  const { index, used, storedPacks } = input
  const stored = new Set([...storedPacks].map(({ id }) => id))
  const repack = new Set(plan.repackPacks.map((pack) => index.packIdAt(pack)))
  const gone = new Set([...plan.removePacks, ...plan.missingPacks, ...repack])
  return Array.from({ length: index.blobCount }, (_, row) => row).filter((row) => {
    const packs = index
      .rowsOf(index.typeAt(row), index.idAt(row))
      .map((copy) => index.locationAt(copy).packId)
    const stays = packs.some((pack) => stored.has(pack) && !gone.has(pack))
    const isCopied = plan.blobsToCopy.has(row) && packs.some((pack) => stored.has(pack) && repack.has(pack))
    return used.has(row) ? stays === isCopied : plan.blobsToCopy.has(row)
  })
}
