/** Opening files for a backup, which should not show as use of them. */
import { constants, openSync } from 'node:fs'

/** O_NONBLOCK: what was a file a moment ago may be a fifo now, and opening one would wait for a writer. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const O_NOATIME = process.platform === 'linux' ? 0o1000000 : 0

/** Opens for reading; the access time stays where the system lets us say so: to the owner and root. */
export function openQuietly(path: string | Buffer): number {
  try {
    return openSync(path, OPEN_FLAGS | O_NOATIME)
  } catch (error) {
    if (O_NOATIME === 0 || !(error instanceof Error) || !('code' in error) || error.code !== 'EPERM')
      throw error
    return openSync(path, OPEN_FLAGS)
  }
}
