/** What every kind of remote store is opened with. */
import { InvalidInputError } from '../errors.ts'
import type { RateLimits } from './rate-limit.ts'
import type { TlsFiles } from './tls-files.ts'

export interface StoreSettings {
  /** The location as shown to people. */
  readonly location: string
  /** Transfers at once, where the user has chosen. */
  readonly connections: number | undefined
  /** `-o` options of all schemes. */
  readonly options: Readonly<Record<string, string>>
  readonly env: Readonly<Record<string, string | undefined>>
  readonly tls: TlsFiles
  readonly userAgent: string | undefined
  /** How long a request may make no progress. */
  readonly idleMs: number | undefined
  /** For stores that keep to them within a transfer: see `isPaced` in location.ts. */
  readonly limits?: RateLimits | undefined
  /** A line that a helper program (ssh, rclone) has to say. */
  readonly onMessage: ((line: string) => void) | undefined
}

/**
 * Refuses options of this scheme that nobody knows: a mistyped one should not be without effect in silence.
 * @param known names without the scheme
 * @throws InvalidInputError
 */
export function checkOptions(
  scheme: string,
  options: Readonly<Record<string, string>>,
  known: readonly string[],
): void {
  const prefix = `${scheme}.`
  for (const key of Object.keys(options)) {
    if (!key.startsWith(prefix) || known.includes(key.slice(prefix.length))) continue
    const hint = `there are ${known.map((name) => prefix + name).join(', ')}`
    throw new InvalidInputError(`option ${key} is not known`, { hint })
  }
}
