/** One run of `rclone serve restic --stdio` and the HTTP/2 connection over its pipes. */
import { BackendError } from '../errors.ts'
import { onAbort } from './abort-listener.ts'
import { HelperProgram } from './helper-program.ts'
import { Http2Transport } from './http2-transport.ts'
import { ExchangeError, type HttpAnswer, type HttpRequest } from './http-exchange.ts'

export interface RcloneSessionOptions {
  /** How long rclone may take to answer for the first time. */
  readonly startMs: number
  /** How long a request may make no progress. */
  readonly idleMs: number
  readonly onMessage?: ((line: string) => void) | undefined
}

const STOP_MS = 5_000
/** What rclone says of the network. Whatever else keeps it from starting will be the same the next time. */
const MAY_PASS = /\bdial\b|connection (refused|reset)|timed? ?out|unreachable|temporar|\beof\b|handshake/i
/** What rclone begins each line with. */
const TIME = /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d /
const HINTS: readonly (readonly [pattern: RegExp, hint: string])[] = [
  [/didn't find section/i, 'check the name of the remote: rclone listremotes shows those there are'],
  [/cannot be started|not found/i, 'install rclone, or name it with -o rclone.program'],
  [/unknown (command|flag|shorthand)/i, 'check -o rclone.program and -o rclone.args'],
]

export class RcloneSession {
  readonly #program: HelperProgram
  readonly #transport: Http2Transport
  #hasAnswered = false

  private constructor(command: readonly string[], options: RcloneSessionOptions) {
    const { idleMs, onMessage } = options
    // rclone reads its standard input, which is ours, so it cannot ask anything anyway.
    this.#program = new HelperProgram(command, {
      onMessage: (line) => onMessage?.(`rclone: ${line}`),
      usesTerminal: false,
      usesSocket: true,
    })
    this.#transport = new Http2Transport(this.#program, {
      idleMs,
      onBusy: (isBusy) => this.#program.holdOpen(isBusy),
    })
  }

  /** @throws BackendError with rclone's own words; AbortedError */
  static async start(
    command: readonly string[],
    options: RcloneSessionOptions,
    signal: AbortSignal,
  ): Promise<RcloneSession> {
    const session = new RcloneSession(command, options)
    const controller = new AbortController()
    const stopListening = onAbort(signal, () => controller.abort())
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      controller.abort()
    }, options.startMs)
    try {
      // Whether there is such a file does not matter, only that rclone answers.
      const request = { method: 'GET', path: '/is-rclone-there', headers: {} } as const
      await session.#transport.exchange(request, controller.signal)
      session.#hasAnswered = true
      return session
    } catch (error) {
      session.#program.kill()
      await session.#program.ended
      const problem = `no answer for ${options.startMs / 1000} seconds, see -o rclone.timeout`
      throw session.#explain(isLate ? new ExchangeError(problem) : error)
    } finally {
      clearTimeout(timer)
      stopListening()
    }
  }

  get isUsable(): boolean {
    return this.#transport.isUsable && !this.#program.hasEnded
  }

  /** @throws ExchangeError; BackendError where rclone has ended; AbortedError */
  async exchange(request: HttpRequest, signal?: AbortSignal): Promise<HttpAnswer> {
    try {
      return await this.#transport.exchange(request, signal)
    } catch (error) {
      if (!(error instanceof ExchangeError) || this.#transport.isUsable) throw error
      await this.close()
      throw this.#explain(error)
    }
  }

  async close(): Promise<void> {
    this.#program.holdOpen(true)
    await this.#transport.close()
    await this.#program.stop(STOP_MS)
  }

  /** rclone says it better than a closed pipe does. */
  #explain(error: unknown): BackendError {
    const said = this.#program.lastLines.at(-1)?.replace(TIME, '')
    const problem = error instanceof Error ? error.message : String(error)
    const everything = [...this.#program.lastLines, this.#program.end].join('\n')
    const hint = HINTS.find(([pattern]) => pattern.test(everything))?.[1]
    const reason = [said ?? problem, this.#program.end].filter((part) => part !== '').join('; ')
    return new BackendError(`rclone: ${reason}`, {
      cause: error,
      transient: this.#hasAnswered || MAY_PASS.test(everything),
      ...(hint === undefined ? {} : { hint }),
    })
  }
}
