/** `s3:` locations opened. */
import type { Backend } from './backend.ts'
import { S3Bucket } from './s3-client.ts'
import { parseS3Settings } from './s3-location.ts'
import { S3Backend } from './s3.ts'
import type { StoreSettings } from './store-settings.ts'
import { readTlsFiles } from './tls-files.ts'

/**
 * @param rest what follows `s3:`
 * @throws InvalidInputError for a malformed location, options that cannot be used or keys that are incomplete
 */
export async function openS3(rest: string, settings: StoreSettings): Promise<Backend> {
  const s3 = parseS3Settings(rest, settings)
  const { userAgent, idleMs, limits } = settings
  const store = new S3Bucket(s3, { tls: await readTlsFiles(settings.tls), userAgent, idleMs, limits })
  return new S3Backend(store, s3, settings)
}
