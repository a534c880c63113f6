/** Our scrypt beside node:crypto's: the kernel, the way its lanes are shared, and the threads as they are built. */
import { pbkdf2Sync, randomBytes, scryptSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import * as fc from 'fast-check'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createMixBlocks } from '../../src/crypto/scrypt-kernel.ts'
import * as sources from '../../src/crypto/scrypt-lanes.ts'

/** The little that is used here; TypeScript declares it for browsers only. */
declare const WebAssembly: {
  readonly validate: unknown
  readonly Module: unknown
  readonly Instance: new (module: object) => {
    readonly exports: { readonly memory: { readonly buffer: ArrayBuffer } }
  }
}

const PASSWORD = Buffer.from('pässword')

describe('the kernel', () => {
  it.each([
    [2, 1, 1],
    [4, 1, 2],
    [16, 3, 3],
    [64, 8, 5],
    [1024, 8, 2],
    [4096, 8, 1],
    [256, 17, 4],
    [2, 5, 1],
    [2, 3, 2],
    [32768, 8, 3],
  ])('mixes as node:crypto does with N=%i r=%i p=%i', (N, r, p) => {
    const salt = randomBytes(64)
    const blocks = new Uint8Array(pbkdf2Sync(PASSWORD, salt, 1, p * 128 * r, 'sha256'))
    createMixBlocks()!(blocks, N, r)
    const key = pbkdf2Sync(PASSWORD, blocks, 1, 64, 'sha256')
    expect(key).toEqual(scryptSync(PASSWORD, salt, 64, { N, r, p, maxmem: 1 << 28 }))
  })

  it('agrees with node:crypto whatever the parameters', () => {
    const mix = createMixBlocks()!
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }).map((exponent) => 2 ** exponent),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 7 }),
        fc.uint8Array({ maxLength: 40 }),
        (N, r, p, salt) => {
          const blocks = new Uint8Array(pbkdf2Sync(PASSWORD, salt, 1, p * 128 * r, 'sha256'))
          mix(blocks, N, r)
          const key = pbkdf2Sync(PASSWORD, blocks, 1, 64, 'sha256')
          expect(key).toEqual(scryptSync(PASSWORD, salt, 64, { N, r, p, maxmem: 1 << 28 }))
        },
      ),
    )
  })

  it.each([1, 2, 3])('takes half a table for %i lanes', (p) => {
    const instances: { readonly exports: { readonly memory: { readonly buffer: ArrayBuffer } } }[] = []
    const { Module, Instance, validate } = WebAssembly
    const keep = function keep(module: object): object {
      const instance = new Instance(module)
      instances.push(instance)
      return instance
    }
    vi.stubGlobal('WebAssembly', { Module, Instance: keep, validate })
    onTestFinished(() => void vi.unstubAllGlobals())
    createMixBlocks()!(randomBytes(p * 1024), 32768, 8)
    expect(instances.map(({ exports }) => exports.memory.buffer.byteLength >> 20)).toEqual([16])
  })

  it('can be used again, with more memory', () => {
    const mix = createMixBlocks()!
    for (const N of [16, 8192, 32]) {
      const salt = randomBytes(8)
      const blocks = new Uint8Array(pbkdf2Sync(PASSWORD, salt, 1, 1024, 'sha256'))
      mix(blocks, N, 8)
      const key = pbkdf2Sync(PASSWORD, blocks, 1, 32, 'sha256')
      expect(key).toEqual(scryptSync(PASSWORD, salt, 32, { N, r: 8, p: 1, maxmem: 1 << 28 }))
    }
  })
})

it.each([
  [1, 4, [[0]]],
  [2, 4, [[0, 1]]],
  [
    5,
    2,
    [
      [0, 2, 4],
      [1, 3],
    ],
  ],
  [5, 4, [[0, 3], [1, 4], [2]]],
  [
    6,
    2,
    [
      [0, 2, 4],
      [1, 3, 5],
    ],
  ],
  [
    7,
    3,
    [
      [0, 3, 6],
      [1, 4],
      [2, 5],
    ],
  ],
])(
  '%i lanes on %i threads are shared evenly, no thread for one alone where two would do',
  (p, threads, shares) => {
    expect(sources.shareLanes(p, threads)).toEqual(shares)
  },
)

it('threads are left alone where the sources are run as they are', () => {
  expect(sources.paysOnThreads({ N: 32768, r: 8, p: 5 })).toBe(false)
})

it('threads derive what node:crypto does', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'restic-ts-lanes-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const crypto = fileURLToPath(new URL('../../src/crypto', import.meta.url))
  const entryPoints = ['scrypt-lanes', 'scrypt-thread'].map((name) => join(crypto, `${name}.ts`))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  await build({ entryPoints, bundle: true, platform: 'node', format: 'esm', outdir: folder })
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the compiled module has the types of its source
  const lanes = (await import(pathToFileURL(join(folder, 'scrypt-lanes.js')).href)) as typeof sources
  const salt = randomBytes(64)
  const params = { N: 16384, r: 8, p: 5 }
  const key = await lanes.scryptOnThreads(PASSWORD, salt, params, 64)
  expect(Buffer.from(key)).toEqual(scryptSync(PASSWORD, salt, 64, { ...params, maxmem: 1 << 28 }))
  expect(lanes.paysOnThreads({ N: 1024, r: 8, p: 5 })).toBe(false)
  expect(lanes.paysOnThreads({ N: 1 << 20, r: 8, p: 5 })).toBe(false)
  await expect(lanes.scryptOnThreads(PASSWORD, salt, { N: 1 << 24, r: 8, p: 2 }, 64)).rejects.toThrow(/./)
})
