/**
 * How one request to Backblaze B2 is made through axios and what becomes of its failure (B2 spec §4, §5). axios's errors
 * carry keys, tokens and bodies, so none of them leaves this file.
 */
import { Readable } from 'node:stream'
import { throwIfAborted } from '../errors.ts'
import { B2Error, codeOf, kindOfAnswer, kindOfBreak, retryAfterMsOf, safeMessage } from './b2-errors.ts'
import { receiveText } from './b2-transfer.ts'
import { IdleWatch } from './idle-watch.ts'
import { webAgents, type WebAgentOptions, type WebAgents } from './web-agents.ts'

export interface B2CallerOptions extends WebAgentOptions {
  readonly userAgent?: string | undefined
  /** How long a request may make no progress. */
  readonly idleMs?: number | undefined
}

/** What is known of a call beforehand. */
export interface CallFacts {
  readonly operation: string
  readonly signal?: AbortSignal | undefined
  /** What must never be shown, should the server quote it. */
  readonly secrets: readonly string[]
}

/** What a request is sent with. */
export interface CallSettings {
  /** For the library's `axios` argument, in every call: its own settings are shared by the whole process. */
  readonly axios: object
  readonly watch: IdleWatch
}

const IDLE_MS = 300_000
/** Calls whose second try, should the first have arrived, would answer otherwise. */
const NEVER_REPEATED = new Set(['b2_delete_file_version', 'b2_hide_file', 'b2_upload_file'])
/** What a kept connection says when the server closed it just before we used it again. */
const STALE_CODES = new Set(['ECONNRESET', 'EPIPE'])

export class B2Caller {
  readonly #agents: WebAgents
  readonly #idleMs: number
  readonly #userAgent: string

  constructor(options: B2CallerOptions) {
    this.#idleMs = options.idleMs ?? IDLE_MS
    this.#userAgent = options.userAgent ?? 'restic-ts'
    this.#agents = webAgents(options)
  }

  /** @throws B2Error; AbortedError once the signal has fired */
  async call<T>(facts: CallFacts, send: (settings: CallSettings) => Promise<T>): Promise<T> {
    try {
      return await this.#once(facts, send)
    } catch (error) {
      // A connection from before was closed meanwhile: that is no reason to wait.
      if (!(error instanceof StaleConnection)) throw error
      if (NEVER_REPEATED.has(facts.operation)) throw error.error
    }
    try {
      return await this.#once(facts, send)
    } catch (error) {
      throw error instanceof StaleConnection ? error.error : error
    }
  }

  close(): void {
    this.#agents.http.destroy()
    this.#agents.https.destroy()
  }

  async #once<T>(facts: CallFacts, send: (settings: CallSettings) => Promise<T>): Promise<T> {
    throwIfAborted(facts.signal)
    const watch = new IdleWatch(facts.signal, this.#idleMs)
    try {
      return await send({ axios: this.#settings(watch.signal), watch })
    } catch (error) {
      throwIfAborted(facts.signal)
      if (watch.timedOut) {
        const message = `no progress for ${Math.round(this.#idleMs / 1000)} seconds`
        throw new B2Error('network', { ...facts, code: 'ETIMEDOUT', message })
      }
      throw error instanceof B2Error ? error : await convert(error, facts)
    } finally {
      watch.end()
    }
  }

  /** No time-out of axios's own: without redirects it counts from the start, and would cut off slow uploads. */
  #settings(signal: AbortSignal): object {
    return {
      signal,
      httpAgent: this.#agents.http,
      httpsAgent: this.#agents.https,
      maxRedirects: 0,
      'axios-retry': { retries: 0 },
      headers: { 'User-Agent': this.#userAgent },
    }
  }
}

/** Carries the failure of a request that met a connection the server had closed. */
class StaleConnection extends Error {
  readonly error: B2Error

  constructor(error: B2Error) {
    super(error.message)
    this.error = error
  }
}

async function convert(error: unknown, facts: CallFacts): Promise<Error> {
  const response = property(error, 'response')
  const status = property(response, 'status')
  if (typeof status === 'number' && status >= 400) return convertAnswer(response, status, facts)
  const code = textOf(property(error, 'code'))
  const message = safeMessage(error instanceof Error ? error.message : String(error), facts.secrets)
  const { operation } = facts
  const broken = new B2Error(kindOfBreak(code), { operation, code, message })
  const isReused = property(property(error, 'request'), 'reusedSocket') === true
  const isStale = isReused && response === undefined && STALE_CODES.has(code ?? '')
  return isStale ? new StaleConnection(broken) : broken
}

async function convertAnswer(response: unknown, status: number, facts: CallFacts): Promise<B2Error> {
  const data = property(response, 'data')
  const body = data instanceof Readable ? parseJson(await receiveText(data)) : data
  const code = codeOf(property(body, 'code'))
  const message = textOf(property(body, 'message')) ?? ''
  const retryAfterMs = retryAfterMsOf(property(property(response, 'headers'), 'retry-after'))
  const { operation, secrets } = facts
  const kind = kindOfAnswer({ operation, status, code, message })
  return new B2Error(kind, { operation, status, code, retryAfterMs, message: safeMessage(message, secrets) })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
