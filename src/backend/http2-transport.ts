/** HTTP/2 over one given pair of streams: how restic and rclone talk through a pipe. */
import { once } from 'node:events'
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2'
import { Socket } from 'node:net'
import { Duplex, type Readable, type Writable } from 'node:stream'
import { throwIfAborted } from '../errors.ts'
import { onAbort } from './abort-listener.ts'
import { exchangeErrorOf } from './http-breaks.ts'
import {
  checkLength,
  collectBody,
  ExchangeError,
  type HttpAnswer,
  type HttpRequest,
  type HttpTransport,
} from './http-exchange.ts'

export interface Http2Streams {
  /** To the server. */
  readonly input: Writable
  /** From the server. */
  readonly output: Readable
}

export interface Http2Options {
  /** How long a request may make no progress. */
  readonly idleMs: number
  /** Called when the first request goes under way, and when the last is over. */
  readonly onBusy?: (isBusy: boolean) => void
}

/** There is no line whose delay would have to be filled, but the default of 64 KiB makes many small turns. */
const WINDOW_BYTES = 4 * 1024 * 1024

export class Http2Transport implements HttpTransport {
  readonly #session: ClientHttp2Session
  readonly #options: Http2Options
  #underWay = 0

  constructor({ input, output }: Http2Streams, options: Http2Options) {
    this.#options = options
    // Over anything but a socket, Node's HTTP/2 has been seen to end the whole process.
    const line =
      output instanceof Socket && Object.is(output, input)
        ? output
        : Duplex.from({ readable: output, writable: input })
    this.#session = connect('http://localhost', {
      createConnection: () => line,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
    })
    this.#session.on('connect', () => this.#session.setLocalWindowSize(WINDOW_BYTES))
    // Every request hears of it as well.
    this.#session.on('error', () => undefined)
    line.on('error', () => undefined)
  }

  get isUsable(): boolean {
    return !this.#session.closed && !this.#session.destroyed
  }

  async exchange(request: HttpRequest, signal?: AbortSignal): Promise<HttpAnswer> {
    throwIfAborted(signal)
    if (!this.isUsable) throw new ExchangeError('the connection was closed')
    this.#underWay += 1
    if (this.#underWay === 1) this.#options.onBusy?.(true)
    try {
      return await this.#once(request, signal)
    } finally {
      this.#underWay -= 1
      if (this.#underWay === 0) this.#options.onBusy?.(false)
    }
  }

  async close(): Promise<void> {
    if (this.#session.destroyed) return
    const closed = once(this.#session, 'close').catch(() => undefined)
    this.#session.close()
    await closed
  }

  async #once({ method, path, headers, body }: HttpRequest, signal?: AbortSignal): Promise<HttpAnswer> {
    const length = method === 'POST' ? { 'content-length': String(body?.length ?? 0) } : {}
    const stream = this.#session.request(
      { ':method': method, ':path': path, ...lowerCased(headers), ...length },
      { endStream: body === undefined },
    )
    stream.on('error', () => undefined)
    const stopListening = onAbort(signal, () => stream.close(constants.NGHTTP2_CANCEL))
    const { idleMs } = this.#options
    stream.setTimeout(idleMs, () => {
      const problem = `no progress for ${Math.round(idleMs / 1000)} seconds`
      stream.destroy(new ExchangeError(problem, { code: 'ETIMEDOUT' }))
    })
    try {
      if (body !== undefined) stream.end(body)
      // From the start: newer versions of Node throw away what nobody has begun to read when the stream closes.
      const collecting = collectBody(stream)
      collecting.catch(() => undefined)
      const answer = await answerTo(stream)
      const received = await collecting
      return { ...answer, body: method === 'HEAD' ? received : checkLength(received, answer.headers) }
    } catch (error) {
      stream.destroy()
      throwIfAborted(signal)
      throw exchangeErrorOf(error)
    } finally {
      stopListening()
    }
  }
}

/** HTTP/2 knows lower case only. */
function lowerCased(headers: HttpRequest['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

function answerTo(stream: ClientHttp2Stream): Promise<Pick<HttpAnswer, 'status' | 'headers'>> {
  return new Promise((resolve, reject) => {
    stream.once('response', (headers) => resolve({ status: headers[':status'] ?? 0, headers }))
    stream.once('error', reject)
    stream.once('close', () => reject(new ExchangeError('the connection was closed')))
  })
}
