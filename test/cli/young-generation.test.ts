/** How large V8's young generation becomes in a process of its own, where much survives. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { expect, it, onTestFinished } from 'vitest'

const SOURCE = fileURLToPath(new URL('../../src/cli/young-generation.ts', import.meta.url))
const LIMIT_MIB = 8

/** In MiB. */
async function largestWhere(begin: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'restic-ts-young-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const outfile = join(folder, 'young-generation.mjs')
  await build({ entryPoints: [SOURCE], bundle: true, platform: 'node', format: 'esm', outfile })
  const script = `
    import { getHeapSpaceStatistics } from 'node:v8'
    import { limitYoungGeneration } from ${JSON.stringify(pathToFileURL(outfile).href)}
    ${begin}
    let kept = []
    let largest = 0
    for (let i = 0; i < 200; i++) {
      for (let k = 0; k < 20_000; k++) kept.push({ k, list: [k] })
      if (kept.length > 600_000) kept = kept.slice(300_000)
      await new Promise((resolve) => setImmediate(resolve))
      const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
      largest = Math.max(largest, space.space_size)
    }
    console.log(largest / 2 ** 20)
  `
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script])
  return Number(stdout)
}

it('stops growing once it is large enough', async () => {
  expect(await largestWhere('limitYoungGeneration()')).toBeLessThanOrEqual(LIMIT_MIB)
  // Else there would be nothing to limit.
  expect(await largestWhere('')).toBeGreaterThan(LIMIT_MIB)
})
