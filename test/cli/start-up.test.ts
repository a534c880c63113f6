/** What is loaded before it is known what to do: loading the library takes longer than a small command does. */
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, it } from 'vitest'
import { PROJECT } from '../support/cli.ts'

const SOURCES = join(PROJECT, 'src')
/** Types are gone when the program runs, and `import()` loads later. */
const STATIC_IMPORT = /^(?:import|export)\s+(?!type\s)[^;'"()]*?from\s+'(\.[^']+)'/gm

function loadedBy(...files: string[]): string[] {
  const seen = new Set<string>()
  const waiting = files.map((file) => join(SOURCES, file))
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file)) continue
    seen.add(file)
    for (const [, path] of readFileSync(file, 'utf8').matchAll(STATIC_IMPORT))
      waiting.push(join(dirname(file), path!))
  }
  return [...seen].map((file) => relative(SOURCES, file)).toSorted()
}

it('version, help and wrong arguments do without the library', () => {
  expect(loadedBy('cli/bin.ts', 'cli/cmd-version.ts')).toEqual([
    'cli/bin.ts',
    'cli/cmd-version.ts',
    'cli/commands.ts',
    'cli/exit-codes.ts',
    'cli/global-options.ts',
    'cli/io.ts',
    'cli/legacy-arguments.ts',
    'cli/main.ts',
    'cli/raw-arguments.ts',
    'cli/version.ts',
  ])
})

it('a command loads no other, but for those it includes', () => {
  const commands = (file: string): string[] =>
    loadedBy(file).filter((path) => path.startsWith('cli/cmd-') && path !== file)
  expect(commands('cli/cmd-backup.ts')).toEqual([])
  expect(commands('cli/cmd-restore.ts')).toEqual([])
  expect(commands('cli/cmd-list.ts')).toEqual(['cli/cmd-snapshots.ts'])
  expect(commands('cli/cmd-prune.ts')).toEqual(['cli/cmd-forget.ts'])
  // The measure finds what is there.
  expect(loadedBy('cli/cmd-backup.ts')).toContain('repo/ops/backup.ts')
})
