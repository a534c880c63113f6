/** Other users than the one who runs the tests, which only root can become. */
import { chownSync } from 'node:fs'

export const isRoot: boolean = process.getuid?.() === 0
if (!isRoot) process.stderr.write('SKIPPED: what is done as another user, which only root can become\n')

export const NOBODY = 65_534

/**
 * Does something as a user without rights, and is root again afterwards.
 * @param folders what this user gets as its own before
 */
export function asNobody<T>(action: () => T, ...folders: readonly string[]): T {
  for (const folder of folders) chownSync(folder, NOBODY, NOBODY)
  const groups = process.getgroups?.() ?? []
  process.setgroups?.([])
  process.setegid?.(NOBODY)
  process.seteuid?.(NOBODY)
  const restore = (): void => {
    process.seteuid?.(0)
    process.setegid?.(0)
    process.setgroups?.(groups)
  }
  let result: T
  try {
    result = action()
  } catch (error) {
    restore()
    throw error
  }
  if (result instanceof Promise) return result.finally(restore) as T
  restore()
  return result
}
