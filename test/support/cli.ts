/** The built command as a child process, with an environment of its own. */
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { TEST_PASSWORD } from './test-repository.ts'

/** The project's folder, from wherever this file was bundled to. */
function findProject(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : findProject(dirname(folder))
}

export const PROJECT: string = findProject(dirname(fileURLToPath(import.meta.url)))
/** The command under test; RESTIC_TS_BIN names another build of it. */
export const BIN: string = process.env['RESTIC_TS_BIN'] ?? join(PROJECT, 'dist', 'cli', 'bin.js')

/** What a command under test sees: nothing of the developer's own settings. */
export function cleanEnvironment(env: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    TMPDIR: process.env['TMPDIR'],
    TZ: 'UTC',
    // Not the developer's own. Most tests go without: what they damage must not be healed from a copy.
    RESTIC_CACHE_DIR: join(tmpdir(), `restic-ts-test-cache-${process.pid}`),
    RESTIC_PASSWORD: TEST_PASSWORD,
    ...env,
  }
}
