/** A process that opens a store and forgets to close it, for tests of whether it ends all the same. */
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { BIN } from './cli.ts'

const TIMEOUT_MS = 30_000

/** @returns what it printed: `done`, where all was well and it ended by itself */
export function leaveOpen(location: string, options: Readonly<Record<string, string>>): string {
  const module = pathToFileURL(join(dirname(BIN), '..', 'index.js')).href
  const program = `
    const { openBackend } = await import(${JSON.stringify(module)})
    const backend = await openBackend(${JSON.stringify(location)}, { options: ${JSON.stringify(options)} })
    await backend.create()
    console.log('done')`
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
  })
  return run.status === 0 ? run.stdout.trim() : `ended with ${run.status ?? run.signal}: ${run.stderr}`
}
