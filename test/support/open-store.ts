/** Remote stores as they are, without the decorators that `openBackend` puts around them. */
import type { Backend } from '../../src/backend/backend.ts'
import { displayLocation, parseLocation, type OpenBackendOptions } from '../../src/backend/location.ts'
import { openRclone } from '../../src/backend/rclone-open.ts'
import { openRest } from '../../src/backend/rest-open.ts'
import { openS3 } from '../../src/backend/s3-open.ts'
import { openSftp } from '../../src/backend/sftp-open.ts'
import type { StoreSettings } from '../../src/backend/store-settings.ts'

export async function openStore(text: string, given: OpenBackendOptions = {}): Promise<Backend> {
  const { scheme, rest } = parseLocation(text)
  const { options = {}, env = {}, tls = {}, userAgent, idleMs, onMessage } = given
  const location = displayLocation(text)
  const known = { location, options, env, tls, userAgent, idleMs, onMessage }
  const settings: StoreSettings = { ...known, connections: undefined, limits: undefined }
  if (scheme === 'rest') return openRest(rest, settings)
  if (scheme === 's3') return openS3(rest, settings)
  if (scheme === 'sftp') return openSftp(rest, settings)
  if (scheme === 'rclone') return openRclone(rest, settings)
  throw new Error(`${scheme}: is none of these stores`)
}
