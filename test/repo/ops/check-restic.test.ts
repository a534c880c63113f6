/** Check against the real restic: the same verdict on repositories damaged in many ways. */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LocalBackend } from '../../../src/backend/local.ts'
import { check, type CheckResult } from '../../../src/repo/ops/check.ts'
import { Repository } from '../../../src/repo/repository.ts'
import { hasRestic, propertyRuns, runRestic } from '../../support/real-restic.ts'
import { addSnapshot, noise } from '../../support/sample-data.ts'
import { createTestRepositoryIn, TEST_PASSWORD } from '../../support/test-repository.ts'

let base = ''
let original = ''
let copy = ''

beforeAll(async () => {
  if (!hasRestic()) return
  base = mkdtempSync(join(tmpdir(), 'check-'))
  original = join(base, 'original')
  copy = join(base, 'copy')
  const repository = await createTestRepositoryIn(new LocalBackend(original), { noLock: true })
  await addSnapshot(repository, { a: { b: [noise(1, 900), noise(2, 500)] }, c: [noise(3, 50)] })
  await addSnapshot(repository, { a: { d: [noise(4, 1000)] }, empty: {} }, { hostname: 'two' })
})

afterAll(() => rmSync(base, { recursive: true, force: true }))

/** Relative paths of all files of one kind, in a fixed order. */
function filesOf(folder: string): string[] {
  return readdirSync(join(copy, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((name) => /[0-9a-f]{64}$/.test(name))
    .toSorted()
}

const anyDamage = fc.record({
  folder: fc.constantFrom('data', 'data', 'index', 'snapshots'),
  file: fc.nat({ max: 20 }),
  kind: fc.constantFrom('flip', 'flip', 'truncate', 'remove', 'grow', 'empty', 'swap', 'rename'),
  position: fc.nat({ max: 3000 }),
})

function inflict({ folder, file, kind, position }: ReturnType<typeof sample>): void {
  const files = filesOf(folder)
  const path = join(copy, files[file % Math.max(1, files.length)] ?? '')
  const other = join(copy, files[(file + 1) % Math.max(1, files.length)] ?? '')
  if (files.length === 0 || !existsSync(path)) return
  const bytes = readFileSync(path)
  rmSync(path)
  if (kind === 'flip' && bytes.length > 0) {
    const at = position % bytes.length
    bytes[at] = bytes[at]! ^ 0x10
    writeFileSync(path, bytes)
  } else if (kind === 'truncate') writeFileSync(path, bytes.subarray(0, position % Math.max(1, bytes.length)))
  else if (kind === 'grow') writeFileSync(path, Buffer.concat([bytes, Buffer.alloc(3)]))
  else if (kind === 'empty') writeFileSync(path, '')
  else if (kind === 'swap' && existsSync(other)) writeFileSync(path, readFileSync(other))
  else if (kind === 'rename') writeFileSync(join(path, '..', `${path.slice(-64, -2)}00`), bytes)
}

function sample(): { folder: string; file: number; kind: string; position: number } {
  return { folder: '', file: 0, kind: '', position: 0 }
}

interface Verdict {
  readonly isSound: boolean
  readonly brokenPacks: readonly string[]
  readonly suggestRepairIndex: boolean
  readonly suggestPrune: boolean
}

function byRestic(readData: boolean): Verdict {
  const flags = readData ? ['--read-data'] : []
  const { code, stdout } = runRestic(['-r', copy, '--no-lock', 'check', '--json', ...flags])
  const [, broken = ''] = /"broken_packs":(?:null|\[(.*?)\])/.exec(stdout) ?? []
  return {
    isSound: code === 0,
    brokenPacks: broken
      .split(',')
      .filter((id) => id !== '')
      .map((id) => id.slice(1, -1))
      .toSorted(),
    suggestRepairIndex: stdout.includes('"suggest_repair_index":true'),
    suggestPrune: stdout.includes('"suggest_prune":true'),
  }
}

function verdictOf(result: CheckResult): Verdict {
  const { brokenPacks, suggestRepairIndex, suggestPrune } = result
  return { isSound: result.errorCount === 0, brokenPacks, suggestRepairIndex, suggestPrune }
}

describe.runIf(hasRestic())('check in restic', () => {
  it('comes to the same verdict', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyDamage, { maxLength: 2 }), fc.boolean(), async (damages, readData) => {
        rmSync(copy, { recursive: true, force: true })
        cpSync(original, copy, { recursive: true })
        for (const damage of damages) inflict(damage)
        const repository = await Repository.open(new LocalBackend(copy), {
          password: TEST_PASSWORD,
          noLock: true,
        })
        expect(verdictOf(await check(repository, { readData }))).toEqual(byRestic(readData))
      }),
      propertyRuns(25, 1500),
    )
  })
})
