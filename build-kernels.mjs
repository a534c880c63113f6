/**
 * Compiles the AssemblyScript kernels (`*-kernel.as`) to modules (`*-kernel.generated.ts`) that hold the WebAssembly in
 * base64, one constant for each set of instructions it is built for, and load it. Run before tsc and vitest.
 */
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { main as compile } from 'assemblyscript/asc'

const SIMD = ['--enable', 'simd']
/** `pages`: of 64 KiB, which a kernel has from the beginning; what is not touched costs nothing. */
const KERNELS = [
  { path: 'src/crypto/scrypt-kernel', pages: 2, builds: { SIMD } },
  { path: 'src/crypto/poly1305-kernel', pages: 2, builds: { SIMD, SCALAR: ['--disable', 'simd'] } },
  {
    path: 'src/chunker/rabin-kernel',
    pages: 17,
    builds: { RELAXED_SIMD: [...SIMD, '--enable', 'relaxed-simd'], SIMD },
  },
  { path: 'src/repo/format/index-kernel', pages: 2, builds: { SIMD } },
  { path: 'src/repo/format/tree-kernel', pages: 4, builds: { SIMD } },
]
/** No runtime library and no imports: memory is laid out by the kernels themselves. */
const OPTIONS = ['-O3', '--noAssert', '--runtime', 'stub', '--memoryBase', '0', '--outFile', 'wasm']
/** What every such module ends with. The folders may not import each other: they could not share it otherwise. */
const LOADER = `
/** The little that is used here; TypeScript declares it for browsers only. What a module exports its loader knows. */
declare const WebAssembly:
  | {
      readonly validate: (code: Uint8Array) => boolean
      readonly Module: new (code: Uint8Array) => object
      readonly Instance: new (module: object) => { readonly exports: never }
    }
  | undefined

/**
 * What a build exports.
 * @returns undefined where this machine or runtime cannot run it
 */
export function load<Kernel>(build: string): Kernel | undefined {
  if (typeof WebAssembly === 'undefined') return undefined
  const code = Uint8Array.from(atob(build), (character) => character.charCodeAt(0))
  if (!WebAssembly.validate(code)) return undefined
  try {
    return new WebAssembly.Instance(new WebAssembly.Module(code)).exports
  } catch {
    // Some limit forbids it: of address space, or by a policy. We do without.
    return undefined
  }
}
`

for (const { path, pages, builds } of KERNELS) {
  let module = `/** Made from ${path}.as by build-kernels.mjs; not to be edited. */\n`
  for (const [name, options] of Object.entries(builds)) {
    const wasm = await build(path, ['--initialMemory', `${pages}`, ...options])
    module += `\nexport const ${name}: string =\n  '${Buffer.from(wasm).toString('base64')}'\n`
  }
  await writeFile(`${path}.generated.ts`, module + LOADER)
}

/** What a kernel imports lies beside it. */
async function build(path, options) {
  let wasm
  const { error, stderr } = await compile(['kernel.ts', ...OPTIONS, ...options], {
    readFile: (name) => {
      const file = name === 'kernel.ts' ? `${path}.as` : join(dirname(path), name.replace(/\.ts$/, '.as'))
      return file.endsWith('.as') && existsSync(file) ? readFile(file, 'utf8') : null
    },
    writeFile: (_name, bytes) => {
      wasm = bytes
    },
    listFiles: () => [],
  })
  if (error !== null) throw new Error(`${error.message}\n${stderr}`)
  return wasm
}
