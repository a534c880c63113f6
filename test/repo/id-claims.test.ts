import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { build } from 'esbuild'
import { describe, expect, it, onTestFinished } from 'vitest'
import { allocateClaims, IdClaims, type SharedClaims } from '../../src/repo/id-claims.ts'
import { PROJECT } from '../support/cli.ts'
import { randomBytes } from '../support/many-files.ts'

function idsOf(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: bytes.length / 32 }, (_, i) => bytes.subarray(32 * i, 32 * i + 32))
}

describe('claims', () => {
  it('go to whoever comes first, once', () => {
    const table = allocateClaims(0)
    const [one, other] = [new IdClaims([table]), new IdClaims([table])]
    const ids = idsOf(randomBytes(1, 32 * 5000))
    const first = ids.map((id, i) => (i % 2 === 0 ? one : other).claim(id))
    expect(first.every(Boolean)).toBe(true)
    expect(ids.some((id, i) => (i % 3 === 0 ? one : other).claim(id))).toBe(false)
  })

  it('tell IDs apart that share a slot', () => {
    const claims = new IdClaims([allocateClaims(0)])
    const ids = idsOf(randomBytes(2, 32 * 200))
    for (const id of ids) id.fill(7, 4, 8)
    expect(ids.map((id) => claims.claim(id)).every(Boolean)).toBe(true)
    expect(ids.map((id) => claims.claim(id)).some(Boolean)).toBe(false)
  })

  it('hold over tables that are added as they fill up, also for who got them late', () => {
    const tables: SharedClaims[] = [allocateClaims(0)]
    const [one, late] = [new IdClaims(tables), new IdClaims(tables)]
    const ids = idsOf(randomBytes(3, 32 * 150_000))
    for (const id of ids) {
      if (one.isFillingUp) {
        tables.push(allocateClaims(one.tableCount))
        one.addTable(tables.at(-1)!)
      }
      expect(one.claim(id)).toBe(true)
    }
    expect(tables.length).toBeGreaterThan(1)
    for (const table of tables.slice(1)) late.addTable(table)
    expect(ids.some((id) => late.claim(id))).toBe(false)
  })

  it('are no longer kept where all tables are full: blobs are stored twice, never left out', () => {
    const claims = new IdClaims([allocateClaims(0)])
    const ids = idsOf(randomBytes(4, 32 * 70_000))
    expect(ids.every((id) => claims.claim(id))).toBe(true)
    const again = ids.map((id) => claims.claim(id))
    expect(again.slice(0, 65_536).some(Boolean)).toBe(false)
    expect(again.slice(65_536).every(Boolean)).toBe(true)
  })

  it('hold between threads that race for them', async () => {
    const COUNT = 60_000
    const table = allocateClaims(0)
    const bytes = randomBytes(5, 32 * COUNT)
    const folder = mkdtempSync(join(tmpdir(), 'restic-ts-claims-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const module = join(folder, 'id-claims.mjs')
    const entry = join(PROJECT, 'src', 'repo', 'id-claims.ts')
    await build({ entryPoints: [entry], bundle: true, platform: 'node', format: 'esm', outfile: module })
    const code = `
      const { parentPort, workerData } = require('node:worker_threads')
      import(workerData.module).then(({ IdClaims }) => {
        const claims = new IdClaims([workerData.table])
        const { bytes, from } = workerData
        const won = []
        for (let i = 0; i < bytes.length / 32; i++) {
          const id = (i + from) % (bytes.length / 32)
          if (claims.claim(bytes.subarray(32 * id, 32 * id + 32))) won.push(id)
        }
        parentPort.postMessage(won)
      })`
    const race = (from: number): Promise<number[]> =>
      new Promise((resolve, reject) => {
        const worker = new Worker(code, { eval: true, workerData: { module, table, bytes, from } })
        worker.once('message', resolve)
        worker.once('error', reject)
      })
    const won = await Promise.all([race(0), race(0), race(COUNT / 2)])
    const all = won.flat()
    expect(all).toHaveLength(COUNT)
    expect(new Set(all).size).toBe(COUNT)
  })
})
