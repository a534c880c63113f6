/** One run of ssh and the SFTP connection over it. */
import { BackendError } from '../errors.ts'
import { onAbort } from './abort-listener.ts'
import { HelperProgram } from './helper-program.ts'
import { SftpClient } from './sftp-client.ts'
import { SftpFiles } from './sftp-files.ts'

export interface SftpSessionOptions {
  /** How long the server may leave all requests unanswered. */
  readonly idleMs: number
  readonly onMessage?: ((line: string) => void) | undefined
}

const STOP_MS = 2_000
/** What ssh says of the network. Whatever else keeps us from connecting will be the same the next time. */
const MAY_PASS =
  /connection (refused|reset|closed|timed out)|closed by remote|timed out|timeout|unreachable|no route to host|temporary failure|no answer/i
/** What even a server that we knew says for good. */
const PERMANENT = /permission denied|host key verification failed|does not speak/i
const HINTS: readonly (readonly [pattern: RegExp, hint: string])[] = [
  [
    /host key verification failed|identification has changed/i,
    'connect once with ssh by hand and compare the fingerprint of the host',
  ],
  [
    /permission denied|too many authentication failures/i,
    'ssh must be able to log in without a question: try it by hand, or set -o sftp.args="-i KEYFILE"',
  ],
  [/subsystem request failed/i, 'the server does not offer SFTP: its administrator must allow it'],
  [
    /does not speak/i,
    'what the server sends first must come from its SFTP subsystem: no start-up file of a shell may print anything',
  ],
  [/not found/i, 'install an OpenSSH client, or name another with -o sftp.command'],
]

export class SftpSession {
  readonly files: SftpFiles
  readonly #program: HelperProgram
  readonly #client: SftpClient
  readonly #name: string
  #isConnected = false

  private constructor(command: readonly string[], options: SftpSessionOptions) {
    const { idleMs, onMessage } = options
    this.#name = command[0] ?? ''
    this.#program = new HelperProgram(command, {
      onMessage: (line) => onMessage?.(`${this.#name}: ${line}`),
      usesTerminal: true,
    })
    this.#client = new SftpClient(this.#program, {
      idleMs,
      onBusy: (isBusy) => this.#program.holdOpen(isBusy),
    })
    this.files = new SftpFiles(this.#client)
  }

  /** @throws BackendError with ssh's own words; AbortedError is left to the caller */
  static async start(
    command: readonly string[],
    options: SftpSessionOptions,
    signal: AbortSignal | undefined,
  ): Promise<SftpSession> {
    const session = new SftpSession(command, options)
    const stopListening = onAbort(signal, () => session.#program.kill())
    try {
      await session.files.start()
      session.#isConnected = true
      return session
    } catch (error) {
      throw await session.explain(error)
    } finally {
      stopListening()
    }
  }

  get isUsable(): boolean {
    return this.#client.failure === undefined
  }

  /** Why the connection is gone, once it is: ssh says it better than a closed pipe does. */
  async explain(error: unknown): Promise<BackendError> {
    if (!this.#program.hasEnded) await this.close()
    const said = this.#program.lastLines.at(-1)
    const problem = error instanceof Error ? error.message : String(error)
    const everything = [...this.#program.lastLines, problem].join('\n')
    const mayPass = this.#isConnected ? !PERMANENT.test(everything) : MAY_PASS.test(everything)
    const hint = HINTS.find(([pattern]) => pattern.test(everything))?.[1]
    const reason = [said ?? problem, this.#program.end].filter((part) => part !== '').join('; ')
    return new BackendError(`${this.#name}: ${reason}`, {
      cause: error,
      transient: mayPass,
      ...(hint === undefined ? {} : { hint }),
    })
  }

  async close(): Promise<void> {
    await this.#program.stop(STOP_MS)
  }
}
