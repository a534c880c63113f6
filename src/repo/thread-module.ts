/** Where the modules are that worker threads run. */
// oxlint-disable-next-line no-restricted-imports -- looks at what is installed, not at what a repository holds
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * A compiled module beside this one.
 * @returns undefined where there is none: the sources are run as they are, or bundled into one file
 */
export function findThreadModule(name: 'thread.js' | 'index-thread.js'): URL | undefined {
  try {
    const module = new URL(`./${name}`, import.meta.url)
    return module.protocol === 'file:' && existsSync(fileURLToPath(module)) ? module : undefined
  } catch {
    return undefined
  }
}
