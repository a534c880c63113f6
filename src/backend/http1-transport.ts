/** HTTP/1.1 over TCP, TLS or a unix socket, on connections that are kept. */
import { once } from 'node:events'
import {
  type Agent,
  IncomingMessage,
  request as httpRequest,
  type ClientRequest,
  type RequestOptions,
} from 'node:http'
import { request as httpsRequest } from 'node:https'
import { throwIfAborted } from '../errors.ts'
import { onAbort } from './abort-listener.ts'
import { exchangeErrorOf } from './http-breaks.ts'
import {
  ExchangeError,
  receiveBody,
  type HttpAnswer,
  type HttpRequest,
  type HttpTransport,
} from './http-exchange.ts'
import { webAgents, type WebAgentOptions } from './web-agents.ts'

export interface Http1Target {
  readonly isHttps: boolean
  /** Without the brackets of an IPv6 address. */
  readonly host: string
  readonly port: number | undefined
  /** A unix socket to connect to instead of host and port. */
  readonly socketPath: string | undefined
}

export interface Http1Options extends WebAgentOptions {
  /** How long a request may make no progress. */
  readonly idleMs?: number | undefined
}

const IDLE_MS = 300_000
const CONNECT_MS = 30_000
/** What a kept connection says when the server closed it just before it was used again. */
const STALE_CODES = new Set(['ECONNRESET', 'EPIPE'])

export class Http1Transport implements HttpTransport {
  readonly #agent: Agent
  readonly #target: RequestOptions
  readonly #send: (options: RequestOptions) => ClientRequest
  readonly #idleMs: number

  constructor(target: Http1Target, options: Http1Options = {}) {
    this.#idleMs = options.idleMs ?? IDLE_MS
    this.#send = target.isHttps ? httpsRequest : httpRequest
    const agents = webAgents(options)
    this.#agent = target.isHttps ? agents.https : agents.http
    this.#target = {
      host: target.host,
      agent: this.#agent,
      timeout: this.#idleMs,
      ...(target.port === undefined ? {} : { port: target.port }),
      ...(target.socketPath === undefined ? {} : { socketPath: target.socketPath }),
    }
  }

  async exchange(request: HttpRequest, signal?: AbortSignal): Promise<HttpAnswer> {
    try {
      return await this.#once(request, signal)
    } catch (error) {
      // Nobody answered on a connection from before. A removal must not be sent again unasked: it may have happened.
      if (!(error instanceof StaleConnection)) throw error
      if (request.method === 'DELETE') throw error.error
    }
    try {
      return await this.#once(request, signal)
    } catch (error) {
      throw error instanceof StaleConnection ? error.error : error
    }
  }

  async close(): Promise<void> {
    this.#agent.destroy()
  }

  async #once({ method, path, headers, body }: HttpRequest, signal?: AbortSignal): Promise<HttpAnswer> {
    throwIfAborted(signal)
    const length = method === 'POST' ? { 'Content-Length': String(body?.length ?? 0) } : {}
    const outgoing = this.#send({ ...this.#target, method, path, headers: { ...headers, ...length } })
    // What goes wrong after the answer has begun shows in the answer as well.
    outgoing.on('error', () => undefined)
    const stopListening = onAbort(signal, () => outgoing.destroy())
    let hasAnswer = false
    let timeOut: ExchangeError | undefined
    try {
      this.#limitWaiting(outgoing, (error) => {
        timeOut = error
        outgoing.destroy(error)
      })
      outgoing.end(body)
      const answer = await answerTo(outgoing)
      hasAnswer = true
      return {
        status: answer.statusCode ?? 0,
        headers: answer.headers,
        body: await receiveBody(answer, method === 'HEAD' ? {} : answer.headers),
      }
    } catch (error) {
      outgoing.destroy()
      throwIfAborted(signal)
      const broken = exchangeErrorOf(timeOut ?? error)
      const isStale = outgoing.reusedSocket && !hasAnswer && STALE_CODES.has(broken.code ?? '')
      throw isStale ? new StaleConnection(broken) : broken
    } finally {
      stopListening()
    }
  }

  #limitWaiting(outgoing: ClientRequest, stop: (error: ExchangeError) => void): void {
    const giveUp = (ms: number): void => {
      const problem = `no progress for ${Math.round(ms / 1000)} seconds`
      stop(new ExchangeError(problem, { code: 'ETIMEDOUT' }))
    }
    outgoing.on('timeout', () => giveUp(this.#idleMs))
    outgoing.once('socket', (socket) => {
      if (!socket.connecting) return
      const limit = Math.min(CONNECT_MS, this.#idleMs)
      const timer = setTimeout(() => giveUp(limit), limit)
      const isThere = (): void => clearTimeout(timer)
      socket.once('connect', isThere)
      socket.once('close', isThere)
    })
  }
}

async function answerTo(outgoing: ClientRequest): Promise<IncomingMessage> {
  const values: unknown[] = await once(outgoing, 'response')
  const [answer] = values
  if (answer instanceof IncomingMessage) return answer
  throw new ExchangeError('there is no answer')
}

/** Carries the failure of a request that met a connection the server had closed. */
class StaleConnection extends Error {
  readonly error: ExchangeError

  constructor(error: ExchangeError) {
    super(error.message)
    this.error = error
  }
}
