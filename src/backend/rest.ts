/**
 * A repository on a REST server (restic's doc/REST_backend.rst, protocol versions 1 and 2): rest-server,
 * `rclone serve restic` and their like. What carries the requests is given, so that rclone over a pipe is one as well.
 */
import { BackendError, FileNotFoundError, throwIfAborted } from '../errors.ts'
import type { Backend, ByteRange, FileInfo, FileType, Handle } from './backend.ts'
import { oneLine } from './http-breaks.ts'
import {
  ExchangeError,
  lengthOf,
  type HttpAnswer,
  type HttpRequest,
  type HttpTransport,
} from './http-exchange.ts'
import { folderOf, pathOf, type NamedFileType } from './layout.ts'
import { parseRestListing, type RestListing } from './rest-listing.ts'

export interface RestServer {
  readonly transport: HttpTransport
  /** Path of the repository on the server, percent-encoded, with a slash at both ends. */
  readonly path: string
  readonly authorization?: string | undefined
}

export interface RestBackendOptions {
  /** The location as shown to people. */
  readonly location: string
  readonly connections?: number | undefined
  readonly userAgent?: string | undefined
}

const DEFAULT_CONNECTIONS = 5
const VERSION_2 = 'application/vnd.x.restic.rest.v2'
const OCTETS = 'application/octet-stream'
/** Beside all 5xx but those the server will not do another time. */
const TRANSIENT_STATUSES = new Set([408, 425, 429])
const PERMANENT_STATUSES = new Set([501, 505, 507])
const RETRY_AFTER_S_MAX = 3600

export class RestBackend implements Backend {
  readonly location: string
  readonly connections: number
  /** A server may refuse to overwrite, and what it does otherwise is its own affair. */
  readonly hasAtomicReplace: boolean = false
  readonly #server: RestServer
  readonly #headers: Readonly<Record<string, string>>

  constructor(server: RestServer, options: RestBackendOptions) {
    const { authorization } = server
    this.location = options.location
    this.connections = options.connections ?? DEFAULT_CONNECTIONS
    this.#server = server
    this.#headers = {
      Accept: VERSION_2,
      'User-Agent': options.userAgent ?? 'restic-ts',
      ...(authorization === undefined ? {} : { Authorization: authorization }),
    }
  }

  async create(signal?: AbortSignal): Promise<void> {
    const what = `create ${this.location}`
    const request = { method: 'POST', path: '?create=true', headers: { 'Content-Type': OCTETS } } as const
    const answer = await this.#exchange(what, request, signal)
    if (!isGood(answer)) throw this.#refusal(what, answer)
  }

  async stat(handle: Handle, signal?: AbortSignal): Promise<FileInfo> {
    const path = pathOnServer(handle)
    const answer = await this.#exchange(`stat ${path}`, { method: 'HEAD', path }, signal)
    if (!isGood(answer)) throw this.#refusal(`stat ${path}`, answer, path)
    const size = lengthOf(answer.headers)
    if (size === undefined) throw this.#failure(`stat ${path}`, 'the answer has no length')
    return { name: handle.name, size }
  }

  async *list(type: Exclude<FileType, 'config'>, signal?: AbortSignal): AsyncGenerator<FileInfo> {
    const { sized, unsized } = await this.#listing(type, signal)
    for (const file of sized) {
      throwIfAborted(signal)
      yield file
    }
    // Protocol version 1 knows names only.
    for (let start = 0; start < unsized.length; start += this.connections) {
      const names = unsized.slice(start, start + this.connections)
      const files = await Promise.all(names.map((name) => this.#statIfThere({ type, name }, signal)))
      for (const file of files) {
        throwIfAborted(signal)
        if (file !== undefined) yield file
      }
    }
  }

  async read(handle: Handle, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    const path = pathOnServer(handle)
    if (range?.length === 0) {
      const { size } = await this.stat(handle, signal) // no range of HTTP is empty
      if (size < range.offset) throw tooShort(path, range)
      return new Uint8Array(0)
    }
    const headers = range === undefined ? {} : { Range: rangeHeader(range) }
    const answer = await this.#exchange(`read ${path}`, { method: 'GET', path, headers }, signal)
    if (answer.status === 416) throw tooShort(path, range)
    if (!isGood(answer)) throw this.#refusal(`read ${path}`, answer, path)
    return range === undefined ? answer.body : this.#cut(path, answer, range)
  }

  async write(handle: Handle, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    const path = pathOnServer(handle)
    const what = `write ${path}`
    const headers = { 'Content-Type': OCTETS }
    const answer = await this.#exchange(what, { method: 'POST', path, headers, body: data }, signal)
    if (isGood(answer)) return
    // Servers that never overwrite refuse what an earlier try, whose answer was lost, has stored already.
    if (answer.status === 403 && (await this.#holds(handle, data, signal))) return
    throw this.#refusal(what, answer)
  }

  async remove(handle: Handle, signal?: AbortSignal): Promise<void> {
    const path = pathOnServer(handle)
    const answer = await this.#exchange(`remove ${path}`, { method: 'DELETE', path }, signal)
    if (!isGood(answer)) throw this.#refusal(`remove ${path}`, answer, path)
  }

  async close(): Promise<void> {
    await this.#server.transport.close()
  }

  async #listing(type: NamedFileType, signal: AbortSignal | undefined): Promise<RestListing> {
    const path = `${folderOf(type)}/`
    const what = `list ${path}`
    const answer = await this.#exchange(what, { method: 'GET', path }, signal)
    // A missing folder is an empty one; rclone knows that itself and says 404 to troubles of its own.
    if (answer.status === 404) {
      if (!isRclone(answer)) return { sized: [], unsized: [] }
      throw this.#failure(what, 'rclone cannot list the files now')
    }
    if (!isGood(answer)) throw this.#refusal(what, answer)
    const listing = parseRestListing(answer)
    if (listing === undefined) throw this.#failure(what, 'the answer is no listing of a REST server')
    return listing
  }

  async #statIfThere(handle: Handle, signal: AbortSignal | undefined): Promise<FileInfo | undefined> {
    try {
      return await this.stat(handle, signal)
    } catch (error) {
      if (error instanceof FileNotFoundError) return undefined // removed since it was listed
      throw error
    }
  }

  /** Whether the server has exactly these bytes already. */
  async #holds(handle: Handle, data: Uint8Array, signal: AbortSignal | undefined): Promise<boolean> {
    try {
      const file = await this.#statIfThere(handle, signal)
      if (file?.size !== data.length) return false
      return Buffer.compare(await this.read(handle, undefined, signal), data) === 0
    } catch (error) {
      // Who may not even look gets to hear why writing was refused.
      if (error instanceof BackendError && !error.transient) return false
      throw error
    }
  }

  /** The part asked for, of an answer that may be all of the file where the server does not understand ranges. */
  #cut(path: string, { status, headers, body }: HttpAnswer, range: ByteRange): Uint8Array {
    const end = range.offset + range.length
    if (status === 200) {
      if (body.length < end) throw tooShort(path, range)
      return body.slice(range.offset, end)
    }
    const span = String(headers['content-range'])
    // Of an empty file rclone sends bytes 0 to -1.
    const size = /\/(\d+)$/.exec(span)?.[1]
    if (size !== undefined && Number(size) < end) throw tooShort(path, range)
    const offset = /^bytes (\d+)-/.exec(span)?.[1]
    if (Number(offset) !== range.offset || body.length !== range.length)
      throw this.#failure(`read ${path}`, 'the answer is not the range that was asked for')
    return body
  }

  /** @param request its path relative to the repository */
  async #exchange(what: string, request: RelativeRequest, signal?: AbortSignal): Promise<HttpAnswer> {
    const path = this.#server.path + request.path
    const headers = { ...this.#headers, ...request.headers }
    try {
      return await this.#server.transport.exchange({ ...request, path, headers }, signal)
    } catch (error) {
      if (!(error instanceof ExchangeError)) throw error
      const { hint } = error
      throw new BackendError(`${what}: ${error.message}`, {
        transient: !error.isPermanent,
        ...(hint === undefined ? {} : { hint }),
      })
    }
  }

  /** @param missing path to name where the server has no such file */
  #refusal(what: string, answer: HttpAnswer, missing?: string): BackendError | FileNotFoundError {
    const { status, headers } = answer
    if (status === 404 && missing !== undefined) return new FileNotFoundError(missing)
    const text = oneLine(new TextDecoder().decode(answer.body.subarray(0, 1000)))
    const said = text === '' || text.startsWith('<') ? '' : `: ${text}`
    const hint = hintFor(answer)
    return new BackendError(`${what}: the server answers ${status}${said}`, {
      transient: isTransient(status),
      retryAfterMs: retryAfterMsOf(headers['retry-after']),
      ...(hint === undefined ? {} : { hint }),
    })
  }

  #failure(what: string, problem: string): BackendError {
    return new BackendError(`${what}: ${problem}`, { transient: true })
  }
}

type RelativeRequest = Omit<HttpRequest, 'headers'> & { readonly headers?: HttpRequest['headers'] }

/** As in a folder, but packs lie in one: spreading them is up to the server. */
function pathOnServer(handle: Handle): string {
  return handle.type === 'pack' ? `data/${pathOf(handle).slice('data/00/'.length)}` : pathOf(handle)
}

function rangeHeader({ offset, length }: ByteRange): string {
  return `bytes=${offset}-${offset + length - 1}`
}

function isGood({ status }: HttpAnswer): boolean {
  return status === 200 || status === 201 || status === 204 || status === 206
}

function isRclone({ headers }: HttpAnswer): boolean {
  return String(headers['server']).startsWith('rclone/')
}

function isTransient(status: number): boolean {
  return TRANSIENT_STATUSES.has(status) || (status >= 500 && !PERMANENT_STATUSES.has(status))
}

function tooShort(path: string, range: ByteRange | undefined): BackendError {
  const wanted = range === undefined ? '' : `: no ${range.length} bytes at ${range.offset}`
  return new BackendError(`read ${path}: the file is too short${wanted}`, {
    hint: 'run `check` to see what is affected',
  })
}

function retryAfterMsOf(header: unknown): number | undefined {
  if (typeof header !== 'string' || !/^\d{1,6}$/.test(header)) return undefined
  return Math.min(Number(header), RETRY_AFTER_S_MAX) * 1000
}

function hintFor({ status }: HttpAnswer): string | undefined {
  switch (status) {
    case 401:
      return 'check user name and password: in the location, or RESTIC_REST_USERNAME and RESTIC_REST_PASSWORD'
    case 403:
      return 'the server does not allow this: it may be append-only, or keep this folder for another user'
    case 413:
      return 'a server or proxy on the way does not take files as large as a pack: raise its limit'
    case 507:
      return 'the disk or the quota of the server is full: make room and run the command again'
    default:
      return status >= 300 && status < 400
        ? 'the server sends us elsewhere: use the location it means (https instead of http, perhaps)'
        : undefined
  }
}
