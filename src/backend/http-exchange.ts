/** One HTTP request and its whole answer, whatever carries it: HTTP/1.1 to a server, HTTP/2 to a child process. */
import type { Readable } from 'node:stream'

export interface HttpRequest {
  readonly method: 'DELETE' | 'GET' | 'HEAD' | 'POST'
  /** Absolute, percent-encoded, with its query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array | undefined
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  /** In a buffer of its own. */
  readonly body: Uint8Array
}

/** Carries requests to one server. */
export interface HttpTransport {
  /** @throws ExchangeError where no whole answer came; AbortedError once the signal has fired */
  exchange(request: HttpRequest, signal?: AbortSignal): Promise<HttpAnswer>
  close(): Promise<void>
}

export interface ExchangeErrorDetails {
  /** The system's word for it. */
  readonly code?: string | undefined
  /** Whether another try is pointless. */
  readonly isPermanent?: boolean
  readonly hint?: string | undefined
}

/** No whole answer came. Internal to the backends that speak HTTP; its texts are fit to be shown. */
export class ExchangeError extends Error {
  readonly code: string | undefined
  readonly isPermanent: boolean
  readonly hint: string | undefined

  constructor(message: string, details: ExchangeErrorDetails = {}) {
    super(message)
    this.name = 'ExchangeError'
    this.code = details.code
    this.isPermanent = details.isPermanent ?? false
    this.hint = details.hint
  }
}

/** More than any file of a repository or listing is long: what goes beyond comes from a broken server. */
const BODY_BYTES_MAX = 2 ** 30
const LENGTH = /^\d{1,15}$/

/** The number in a header, undefined where there is none. */
export function lengthOf(headers: HttpAnswer['headers'], name = 'content-length'): number | undefined {
  const text = headers[name]
  return typeof text === 'string' && LENGTH.test(text) ? Number(text) : undefined
}

/** The whole body. @throws ExchangeError where it is cut off, or longer than anything a repository has */
export async function receiveBody(stream: Readable, headers: HttpAnswer['headers']): Promise<Uint8Array> {
  if ((lengthOf(headers) ?? 0) > BODY_BYTES_MAX) throw tooLong()
  return checkLength(await collectBody(stream), headers)
}

/** All that comes. @throws ExchangeError where that is longer than anything a repository has */
export async function collectBody(stream: Readable): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let received = 0
  for await (const chunk of stream) {
    if (!(chunk instanceof Uint8Array)) throw new ExchangeError('the answer is no stream of bytes')
    chunks.push(chunk)
    received += chunk.length
    if (received > BODY_BYTES_MAX) throw tooLong()
  }
  return joinChunks(chunks, received)
}

/** @returns `body`. @throws ExchangeError where the answer was to be of another length */
export function checkLength(body: Uint8Array, headers: HttpAnswer['headers']): Uint8Array {
  const length = lengthOf(headers)
  if (length === undefined || length === body.length) return body
  throw new ExchangeError(`the answer ends after ${body.length} of ${length} bytes`)
}

/** A buffer of its own: those that come from a socket are slices of larger ones. */
function joinChunks(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const joined = new Uint8Array(length)
  let offset = 0
  for (const chunk of chunks) {
    joined.set(chunk, offset)
    offset += chunk.length
  }
  return joined
}

function tooLong(): ExchangeError {
  return new ExchangeError(`the answer is longer than ${BODY_BYTES_MAX} bytes`, { isPermanent: true })
}
