/** When and where the WebAssembly kernels of src/crypto and src/chunker are compiled, and what stands in for them. */
import { Worker } from 'node:worker_threads'
import { build } from 'esbuild'
import { afterEach, expect, it, vi } from 'vitest'
import { chunkLengths, plantCut, stream } from '../chunker/streams.ts'
import { poly1305 } from '../../src/crypto/poly1305.ts'
import { count, toHex } from './vectors.ts'

/** TypeScript declares it for browsers only. */
declare const WebAssembly: {
  readonly validate: (code: Uint8Array) => boolean
  readonly Module: new (code: Uint8Array) => object
  readonly Instance: unknown
}

const POLYNOMIAL = 0x3da3358b4dc173n
const KEY = count(1, 32)
const MESSAGE = count(2, 5000)
const TAG = toHex(poly1305(KEY, MESSAGE))

const data = stream('kernel loading', 1_000_000)
plantCut(data, 700_000, POLYNOMIAL)
const CHUNKS = [700_000, 300_000]

afterEach(() => {
  vi.unstubAllGlobals()
  vi.resetModules()
})

async function freshModules(webAssembly: unknown): Promise<{ tag: () => string; chunks: () => number[] }> {
  vi.resetModules()
  vi.stubGlobal('WebAssembly', webAssembly)
  const { nativeCrypto } = await import('../../src/crypto/native.ts')
  const { Chunker } = await import('../../src/chunker/chunker.ts')
  return {
    tag: () => toHex(nativeCrypto.poly1305(KEY, MESSAGE)),
    chunks: () => chunkLengths(new Chunker(POLYNOMIAL), data),
  }
}

/** The real thing, counting what is compiled. */
function countingWebAssembly(): { compiled: number } {
  const real = WebAssembly
  const counting = { compiled: 0, validate: real.validate, Instance: real.Instance, Module: countCompiled }
  return counting

  function countCompiled(code: Uint8Array): object {
    counting.compiled++
    return new real.Module(code)
  }
}

function forbidden(): never {
  throw new RangeError('could not allocate memory')
}

it('compiles nothing until it is needed, and then once', async () => {
  const webAssembly = countingWebAssembly()
  const modules = await freshModules(webAssembly)
  expect(webAssembly.compiled).toBe(0)
  expect([modules.tag(), modules.tag()]).toEqual([TAG, TAG])
  expect(webAssembly.compiled).toBe(1)
  expect([modules.chunks(), modules.chunks()]).toEqual([CHUNKS, CHUNKS])
  expect(webAssembly.compiled).toBe(2)
})

it.each([
  { where: 'there is no WebAssembly', webAssembly: undefined },
  { where: 'it may not compile', webAssembly: { validate: (): boolean => true, Module: forbidden } },
  { where: 'it has none of the instructions', webAssembly: { validate: (): boolean => false } },
])('does without where $where', async ({ webAssembly }) => {
  const modules = await freshModules(webAssembly)
  expect(modules.tag()).toBe(TAG)
  expect(modules.chunks()).toEqual(CHUNKS)
})

it('works in several worker threads at once', async () => {
  const bundle = await build({
    stdin: {
      contents: `
        import { parentPort, workerData } from 'node:worker_threads'
        import { nativeCrypto } from './src/crypto/native.ts'
        import { Chunker } from './src/chunker/chunker.ts'
        const { key, message, data, polynomial } = workerData
        const cut = new Chunker(polynomial).next(data, 0, data.length)
        parentPort.postMessage({ tag: nativeCrypto.poly1305(key, message), cut })
      `,
      resolveDir: process.cwd(),
    },
    bundle: true,
    logLevel: 'error',
    write: false,
    format: 'cjs',
    platform: 'node',
  })
  const workerData = { key: KEY, message: MESSAGE, data, polynomial: POLYNOMIAL }
  const answers = await Promise.all(
    [1, 2, 3].map(() => {
      const worker = new Worker(bundle.outputFiles[0]!.text, { eval: true, workerData })
      return new Promise<{ tag: Uint8Array; cut: number }>((resolve, reject) => {
        worker.once('message', resolve)
        worker.once('error', reject)
      })
    }),
  )
  expect(answers.map(({ tag, cut }) => [toHex(tag), cut])).toEqual([1, 2, 3].map(() => [TAG, 700_000]))
})
