/** `sftp:` locations opened. The connection is made by the first call, so that it can be interrupted. */
import type { Backend } from './backend.ts'
import { parseSftpLocation, sftpCommand } from './sftp-location.ts'
import { SftpBackend } from './sftp.ts'
import type { StoreSettings } from './store-settings.ts'

/**
 * @param rest what follows `sftp:`
 * @throws InvalidInputError for a malformed location or options that cannot be used
 */
export function openSftp(rest: string, settings: StoreSettings): Backend {
  const location = parseSftpLocation(rest)
  return new SftpBackend(sftpCommand(location, settings.options), location.path, settings)
}
