/** `rest:` locations opened. */
import type { Backend } from './backend.ts'
import { Http1Transport } from './http1-transport.ts'
import { parseRestLocation } from './rest-location.ts'
import { RestBackend } from './rest.ts'
import { checkOptions, type StoreSettings } from './store-settings.ts'
import { readTlsFiles } from './tls-files.ts'

/**
 * @param rest what follows `rest:`
 * @throws InvalidInputError for a malformed location or certificate files that cannot be used
 */
export async function openRest(rest: string, settings: StoreSettings): Promise<Backend> {
  checkOptions('rest', settings.options, ['connections'])
  const { target, ...server } = parseRestLocation(rest, settings.env)
  const tls = await readTlsFiles(settings.tls)
  const transport = new Http1Transport(target, { tls, idleMs: settings.idleMs, limits: settings.limits })
  return new RestBackend({ ...server, transport }, settings)
}
