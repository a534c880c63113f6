/** `rclone:REMOTE:PATH`: whatever rclone reaches, by its REST server for restic at the other end of a pipe. */
import { InvalidInputError } from '../errors.ts'
import type { Backend } from './backend.ts'
import type { HttpAnswer, HttpRequest, HttpTransport } from './http-exchange.ts'
import { KeptSession } from './kept-session.ts'
import { RcloneSession } from './rclone-session.ts'
import { RestBackend } from './rest.ts'
import { shellWords } from './shell-words.ts'
import { checkOptions, type StoreSettings } from './store-settings.ts'

const IDLE_MS = 300_000
const START_MS = 60_000
const DEFAULT_ARGS = 'serve restic --stdio --b2-hard-delete'
const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
const DURATION = /(\d+(?:\.\d+)?)(ms|s|m|h)/g

/**
 * @param remote what follows `rclone:`
 * @throws InvalidInputError for a missing remote or options that cannot be used
 */
export function openRclone(remote: string, settings: StoreSettings): Backend {
  const { options, idleMs = IDLE_MS, onMessage } = settings
  checkOptions('rclone', options, ['args', 'connections', 'program', 'timeout'])
  if (remote === '') {
    throw new InvalidInputError('rclone: location: the remote is missing', {
      hint: 'write rclone:REMOTE:PATH, with a remote that rclone listremotes shows',
    })
  }
  // Before the remote stand our own arguments: what looks like one more of them is none of its business.
  if (remote.startsWith('-'))
    throw new InvalidInputError('rclone: location: a remote must not begin with "-"')
  const command = rcloneCommand(remote, options)
  const startMs = timeoutOf(options['rclone.timeout'])
  const sessions = new KeptSession((signal) =>
    RcloneSession.start(command, { startMs, idleMs, onMessage }, signal),
  )
  return new RestBackend({ transport: new RcloneTransport(sessions), path: '/' }, settings)
}

/** Program and arguments of one run. */
export function rcloneCommand(remote: string, options: Readonly<Record<string, string>>): string[] {
  const { 'rclone.program': program = '', 'rclone.args': args = '' } = options
  return [
    ...shellWords(program || 'rclone', 'rclone.program'),
    ...shellWords(args || DEFAULT_ARGS, 'rclone.args'),
    remote,
  ]
}

class RcloneTransport implements HttpTransport {
  readonly #sessions: KeptSession<RcloneSession>

  constructor(sessions: KeptSession<RcloneSession>) {
    this.#sessions = sessions
  }

  async exchange(request: HttpRequest, signal?: AbortSignal): Promise<HttpAnswer> {
    const session = await this.#sessions.get(signal)
    return session.exchange(request, signal)
  }

  close(): Promise<void> {
    return this.#sessions.close()
  }
}

/** As Go writes durations: 90s, 1m30s. */
function timeoutOf(text: string | undefined): number {
  if (text === undefined || text === '') return START_MS
  const parts = Array.from(text.matchAll(DURATION))
  const ms = parts.reduce((sum, [, number, unit = '']) => sum + Number(number) * (UNITS_MS[unit] ?? 0), 0)
  if (ms > 0 && parts.map(([part]) => part).join('') === text) return ms
  throw new InvalidInputError(`option rclone.timeout: "${text}" is not a time like 90s or 1m30s`)
}
