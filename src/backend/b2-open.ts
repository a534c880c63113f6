/** Opens a repository in Backblaze B2 from its location, options and variables. */
import { parseB2Settings } from './b2-location.ts'
import { B2Backend } from './b2.ts'
import { checkOptions, type StoreSettings } from './store-settings.ts'
import { readTlsFiles } from './tls-files.ts'

/**
 * @param rest what follows `b2:` in the location
 * @throws InvalidInputError where a variable is missing, or the location or an option cannot be used
 */
export async function openB2(rest: string, settings: StoreSettings): Promise<B2Backend> {
  const { options, env, connections, idleMs, limits, userAgent } = settings
  checkOptions('b2', options, ['connections'])
  const parsed = parseB2Settings(rest, { env, connections })
  return new B2Backend(parsed, { tls: await readTlsFiles(settings.tls), idleMs, limits, userAgent })
}
