/**
 * Compiles the AssemblyScript kernels (`*-kernel.as`) to modules (`*-kernel.generated.ts`) that hold the WebAssembly in
 * base64: one constant for each set of instructions it is built for. Run before tsc and vitest.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { main as compile } from 'assemblyscript/asc'

const SIMD = ['--enable', 'simd']
const KERNELS = [
  { path: 'src/crypto/scrypt-kernel', builds: { SIMD } },
  { path: 'src/crypto/poly1305-kernel', builds: { SIMD, SCALAR: ['--disable', 'simd'] } },
  { path: 'src/chunker/rabin-kernel', builds: { RELAXED_SIMD: [...SIMD, '--enable', 'relaxed-simd'], SIMD } },
]
/** No runtime library and no imports: memory is laid out by the kernels themselves. */
const OPTIONS = [
  '-O3',
  '--noAssert',
  '--runtime',
  'stub',
  '--initialMemory',
  '2',
  '--memoryBase',
  '0',
  '--outFile',
  'wasm',
]

for (const { path, builds } of KERNELS) {
  const source = await readFile(`${path}.as`, 'utf8')
  let module = `/** Made from ${path}.as by build-kernels.mjs; not to be edited. */\n`
  for (const [name, options] of Object.entries(builds)) {
    const wasm = await build(source, options)
    module += `\nexport const ${name}: string =\n  '${Buffer.from(wasm).toString('base64')}'\n`
  }
  await writeFile(`${path}.generated.ts`, module)
}

async function build(source, options) {
  let wasm
  const { error, stderr } = await compile(['kernel.ts', ...OPTIONS, ...options], {
    readFile: (name) => (name === 'kernel.ts' ? source : null),
    writeFile: (_name, bytes) => {
      wasm = bytes
    },
    listFiles: () => [],
  })
  if (error !== null) throw new Error(`${error.message}\n${stderr}`)
  return wasm
}
