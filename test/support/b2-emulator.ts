/**
 * Backblaze B2 on a loopback port: the native API v1 to v4 with versions, keys, tokens, costs and faults, for tests
 * (B2 spec §7). Every request is logged; what no client may do is counted in `violations`.
 */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import { gzipSync } from 'node:zlib'
import { FaultPlan, type Fault, type FaultAction } from './b2-emulator-faults.ts'
import {
  checkedUpload,
  checkScope,
  describeAccount,
  describeVersion,
  OPERATIONS,
  type BaseUrls,
  type CostClass,
} from './b2-emulator-operations.ts'
import {
  ALL_CAPABILITIES,
  B2Problem,
  B2Store,
  sha1Of,
  type Bucket,
  type EmulatedKey,
  type UploadTarget,
  type Version,
} from './b2-emulator-store.ts'
import { seededRandom } from './sample-data.ts'

export const MASTER_KEY: EmulatedKey = {
  id: '0011223344556677889900001',
  secret: 'K001SecretOfTheMasterKeyOfThisTest',
  capabilities: ALL_CAPABILITIES,
}

export interface LoggedCall {
  readonly op: string
  readonly method: string
  readonly costClass: CostClass
  /** How many transactions it is billed as. */
  readonly units: number
  readonly host: string
  readonly name: string | undefined
  readonly body: Readonly<Record<string, unknown>>
  readonly headers: IncomingMessage['headers']
  /** Numbers the connections. */
  readonly connection: number
  /** 0 as long as there is no answer. */
  status: number
}

interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly json?: Record<string, unknown>
  readonly body?: Buffer
}

interface Call extends LoggedCall {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly url: URL
  readonly apiVersion: number
  readonly base: BaseUrls
  readonly upload?: UploadTarget
  /** Another upload was under way with the same token when this one came. */
  isSecond: boolean
}

const B2_HOSTS: BaseUrls = {
  api: 'https://api001.backblazeb2.com',
  download: 'https://f001.backblazeb2.com',
  upload: 'https://pod-000-1000-01.backblaze.com',
}
const LIST_BILLED_PER = 1000

export interface EmulatorOptions {
  readonly keys?: readonly EmulatedKey[]
  readonly buckets?: readonly string[]
  readonly now?: () => number
  readonly seed?: number
  /** Compresses JSON for clients that take it. */
  readonly gzip?: boolean
}

export class B2Emulator {
  readonly store: B2Store
  readonly log: LoggedCall[] = []
  /** What a client did that B2 forbids or that is known to go wrong. */
  readonly violations: string[] = []
  readonly #faults: FaultPlan
  readonly #random: () => number
  readonly #gzip: boolean
  readonly #servers: Server[] = []
  readonly #connections = new WeakMap<object, number>()
  #connectionCount = 0
  #url = ''

  private constructor(options: EmulatorOptions) {
    this.store = new B2Store(options.now ?? Date.now)
    this.#random = seededRandom(options.seed ?? 1)
    this.#faults = new FaultPlan(this.#random)
    this.#gzip = options.gzip ?? false
    for (const key of options.keys ?? [MASTER_KEY]) this.store.keys.set(key.id, key)
    for (const name of options.buckets ?? []) this.store.createBucket(name, 'allPrivate')
  }

  /** Listens on a free loopback port, plain HTTP. */
  static async start(options: EmulatorOptions = {}): Promise<B2Emulator> {
    const emulator = new B2Emulator(options)
    emulator.#url = `http://127.0.0.1:${await emulator.#listen(createServer(emulator.#listener))}`
    return emulator
  }

  /** The endpoint to give to clients that can be told one. */
  get url(): string {
    return this.#url
  }

  /** Listens with TLS as well, as B2's own hosts. @returns the port */
  listenTls(identity: { readonly cert: string; readonly key: string }): Promise<number> {
    return this.#listen(createTlsServer(identity, this.#listener))
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    }
  }

  addKey(key: Partial<EmulatedKey>): EmulatedKey {
    const id = `00aa${String(this.store.keys.size).padStart(21, '0')}`
    const secret = `K001${String(this.store.keys.size).padStart(27, 'x')}`
    const whole: EmulatedKey = { id, secret, capabilities: ALL_CAPABILITIES, ...key }
    this.store.keys.set(whole.id, whole)
    return whole
  }

  /** @returns how often it has struck so far */
  inject(fault: Fault): () => number {
    return this.#faults.add(fault)
  }

  clearFaults(): void {
    this.#faults.clear()
  }

  /** Transactions so far, by class. */
  costs(): Record<CostClass, number> {
    const sum = { A: 0, B: 0, C: 0 }
    for (const { costClass, units } of this.log) sum[costClass] += units
    return sum
  }

  /** The calls so far in words, `HEAD b2_download_file_by_name` where it is not the usual method. */
  ops(): string[] {
    return this.log.map(({ op, method }) => (method === 'HEAD' ? `HEAD ${op}` : op))
  }

  clearLog(): void {
    this.log.length = 0
  }

  /** All that must never be shown: keys' secrets, Basic credentials and tokens. */
  secrets(): string[] {
    const keys = Array.from(this.store.keys.values())
    const basic = keys.map(({ id, secret }) => Buffer.from(`${id}:${secret}`).toString('base64'))
    return [...keys.map(({ secret }) => secret), ...basic, ...this.store.tokens()]
  }

  /** Stored names and how many versions each has. */
  versionCounts(bucketName: string): Record<string, number> {
    const files = this.store.buckets.get(bucketName)?.files ?? new Map<string, Version[]>()
    return Object.fromEntries(Array.from(files, ([name, versions]) => [name, versions.length]))
  }

  #listen(server: Server): Promise<number> {
    this.#servers.push(server)
    return new Promise((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
    })
  }

  readonly #listener: RequestListener = (request, response) => {
    request.on('error', () => undefined)
    response.on('error', () => undefined)
    this.#serve(request, response).catch((error: unknown) => {
      // A client that went away is no failure of ours.
      if (!request.socket.destroyed) this.violations.push(`the emulator failed: ${String(error)}`)
      request.socket.destroy()
    })
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = await this.#describe(request, response)
    this.log.push(call)
    response.on('finish', () => (call.status = response.statusCode))
    const isUpload = isUploadOp(call.op)
    const action = this.#faults.strike(call) ?? this.#testMode(call)
    if (isUpload) this.#watchUpload(call, action)
    if (await this.#preventedBy(action, call)) return
    let answer: Answer
    try {
      answer = isUpload ? this.#upload(call, await readBody(request)) : this.#answer(call, action)
    } catch (error) {
      if (!(error instanceof B2Problem)) throw error
      answer = problemAnswer(error)
      request.resume()
    }
    this.#send(call, answer, action)
  }

  async #describe(request: IncomingMessage, response: ServerResponse): Promise<Call> {
    const host = request.headers.host ?? ''
    const url = new URL(request.url ?? '/', `http://${host}`)
    const [, version = '0', path = ''] = /^\/b2api\/v(\d+)\/(.*)$/.exec(url.pathname) ?? []
    const download = /^\/file\/([^/]+)\/(.+)$/.exec(url.pathname)
    const op = download === null ? path.split('/')[0]! : 'b2_download_file_by_name'
    const isJson = request.method === 'POST' && !isUploadOp(op)
    const body = isJson ? parseObject(await readBody(request)) : Object.fromEntries(url.searchParams)
    const isTls = request.socket instanceof TLSSocket
    const header = request.headers['x-bz-file-name']
    const name = download?.[2] ?? (typeof header === 'string' ? header : undefined)
    const given = typeof body['fileName'] === 'string' ? body['fileName'] : undefined
    const upload = this.store.uploads.get(path)
    return {
      op,
      request,
      response,
      url,
      body,
      host,
      status: 0,
      headers: request.headers,
      isSecond: false,
      method: request.method ?? '',
      costClass: op.startsWith('b2_download')
        ? 'B'
        : (OPERATIONS[op]?.costClass ?? (isUploadOp(op) ? 'A' : 'C')),
      units: Math.max(1, Math.ceil(Number(body['maxFileCount'] ?? 1) / LIST_BILLED_PER)),
      name: name === undefined ? given : decodeURIComponent(name),
      connection: this.#connectionNumber(request.socket),
      apiVersion: Number(version),
      base: isTls
        ? B2_HOSTS
        : { api: `http://${host}`, download: `http://${host}`, upload: `http://${host}` },
      ...(upload === undefined ? {} : { upload }),
    }
  }

  #connectionNumber(socket: object): number {
    const number = this.#connections.get(socket) ?? ++this.#connectionCount
    this.#connections.set(socket, number)
    return number
  }

  /** Notes what must not be done with an upload URL, and frees it when the answer is gone. */
  #watchUpload(call: Call, action: FaultAction | undefined): void {
    const { upload, request, response } = call
    if (upload === undefined || request.headers.authorization !== upload.token) return
    if (upload.failed) this.violations.push(`${call.op}: an upload URL was used again after a failure`)
    if (upload.busy) this.violations.push(`${call.op}: two uploads on one token at once`)
    call.isSecond = upload.busy
    if (call.isSecond) return
    upload.busy = true
    const isBroken = action?.kind === 'reset' || action?.kind === 'hang' || action?.kind === 'lose-answer'
    if (isBroken) upload.failed = true
    response.on('close', () => {
      upload.busy = false
      const status = response.statusCode
      if (!response.writableFinished || (status >= 400 && status !== 429)) upload.failed = true
      if (status >= 500) upload.dead = true
    })
  }

  /** Faults that come before the call is looked at. @returns whether that was all */
  async #preventedBy(action: FaultAction | undefined, call: Call): Promise<boolean> {
    const { request, response } = call
    if (action?.kind === 'answer') {
      if (action.early !== true) await readBody(request).catch(() => undefined)
      const { status, code = 'test', message = '', text, retryAfter } = action
      const wait = retryAfter === undefined ? {} : { 'Retry-After': retryAfter }
      response.writeHead(status, { 'Content-Type': 'application/json', ...wait })
      const said = message.replace('{token}', request.headers.authorization ?? '')
      const json = JSON.stringify({ status, code, message: said })
      response.end(call.method === 'HEAD' ? undefined : (text ?? json))
      return true
    }
    if (action?.kind === 'reset') {
      if (action.inBody === true) await new Promise((resolve) => request.once('data', resolve))
      request.socket.destroy()
      return true
    }
    if (action?.kind === 'hang') {
      request.resume()
      return true
    }
    if (action?.kind === 'delay') await sleep(action.ms)
    if (action?.kind === 'meanwhile') action.run()
    if (action?.kind === 'expire-account-tokens') this.store.expireAccountTokens()
    if (action?.kind === 'expire-upload-tokens') this.store.expireUploadTokens()
    return false
  }

  /** Backblaze's own way to ask for trouble: the header X-Bz-Test-Mode. */
  #testMode({ headers, op }: Call): FaultAction | undefined {
    const mode = headers['x-bz-test-mode']
    const isHit = this.#random() < 0.3
    if (mode === 'fail_some_uploads' && isUploadOp(op) && isHit)
      return { kind: 'answer', status: 503, code: 'service_unavailable', message: 'no tomes available' }
    if (mode === 'expire_some_account_authorization_tokens' && isHit) return { kind: 'expire-account-tokens' }
    if (mode === 'force_cap_exceeded' && isUploadOp(op))
      return { kind: 'answer', status: 403, code: 'cap_exceeded', message: 'Cap exceeded.' }
    return undefined
  }

  #answer(call: Call, action: FaultAction | undefined): Answer {
    const { op, apiVersion, base, body } = call
    if (op === 'b2_authorize_account') return { status: 200, json: this.#authorize(call) }
    if (op.startsWith('b2_download_file_by_')) return this.#download(call, action)
    const operation = OPERATIONS[op]
    if (operation === undefined) throw new B2Problem(400, 'bad_request', `unknown operation ${op}`)
    const key = this.store.keyOf(call.headers.authorization ?? '')
    requireCapability(key, operation.capability)
    return { status: 200, json: operation.run({ store: this.store, key, apiVersion, base, body }) }
  }

  #authorize(call: Call): Record<string, unknown> {
    const [, basic = ''] = /^Basic (.*)$/.exec(call.headers.authorization ?? '') ?? []
    const [id = '', secret = ''] = Buffer.from(basic, 'base64').toString().split(':')
    return describeAccount(this.store, this.store.authorize(id, secret), call)
  }

  #upload(call: Call, sent: Buffer): Answer {
    const { request, upload, name = '' } = call
    if (upload === undefined) throw new B2Problem(401, 'bad_auth_token', 'Invalid upload URL')
    const token = request.headers.authorization ?? ''
    const path = call.url.pathname.replace(/^\/b2api\/v\d+\//, '')
    const target = this.store.uploadTarget(path, token, call.isSecond)
    if (request.headers['content-length'] === undefined)
      throw new B2Problem(411, 'bad_request', 'Content-Length is missing')
    if (Number(request.headers['content-length']) !== sent.length)
      throw new B2Problem(400, 'bad_request', 'body and Content-Length differ')
    const given = request.headers['x-bz-content-sha1']
    const sha1 = typeof given === 'string' ? given : undefined
    const checked = checkedUpload(target.largeFile?.name ?? name, sent, sha1)
    const actual = sha1Of(checked.bytes)
    if (checked.isVerified && checked.sha1 !== actual)
      throw new B2Problem(400, 'bad_request', 'Checksum did not match data received')
    if (target.largeFile !== undefined) {
      const number = Number(request.headers['x-bz-part-number'])
      if (!(number >= 1 && number <= 10_000)) throw new B2Problem(400, 'bad_request', 'bad part number')
      target.largeFile.parts.set(number, checked.bytes)
      const fields = { contentLength: checked.bytes.length, contentSha1: actual, partNumber: number }
      return { status: 200, json: { fileId: target.largeFile.id, uploadTimestamp: 0, ...fields } }
    }
    const version = this.store.addVersion(target.bucket, {
      name,
      action: 'upload',
      bytes: checked.bytes,
      sha1: checked.isVerified ? actual : `unverified:${actual}`,
      contentType: request.headers['content-type'] ?? 'b2/x-auto',
      info: infoHeaders(request),
    })
    return { status: 200, json: describeVersion({ store: this.store, ...call }, target.bucket, version) }
  }

  #download(call: Call, action: FaultAction | undefined): Answer {
    const { bucket, version } = this.#downloadable(call)
    if (bucket.type !== 'allPublic') {
      const key = this.store.keyOf(call.headers.authorization ?? '')
      requireCapability(key, 'readFiles')
      checkScope(key, bucket, version?.name ?? call.name)
    }
    if (version === undefined) throw new B2Problem(404, 'not_found', `File with such name does not exist.`)
    const headers: Record<string, string> = {
      'Accept-Ranges': 'bytes',
      'Content-Type': version.contentType,
      'x-bz-file-name': version.name.split('/').map(encodeURIComponent).join('/'),
      'x-bz-file-id': version.id,
      'x-bz-content-sha1': version.sha1,
      'X-Bz-Upload-Timestamp': String(version.timestamp),
      ...Object.fromEntries(
        Object.entries(version.info).map(([key, value]) => [`x-bz-info-${key}`, encodeURIComponent(value)]),
      ),
    }
    // A range that is not understood is no range: B2 sends all of it.
    const range =
      action?.kind === 'ignore-range' ? null : /^bytes=(\d+)-(\d*)$/.exec(call.headers.range ?? '')
    const size = version.bytes.length
    if (range === null) return { status: 200, headers, body: version.bytes }
    const start = Number(range[1])
    if (start >= size)
      throw new B2Problem(416, 'range_not_satisfiable', 'The Range in the request is not valid')
    const end = Math.min(size - 1, range[2] === '' ? size - 1 : Number(range[2]))
    headers['Content-Range'] = `bytes ${start}-${end}/${size}`
    return { status: 206, headers, body: version.bytes.subarray(start, end + 1) }
  }

  #downloadable({ op, url, body }: Call): { readonly bucket: Bucket; readonly version: Version | undefined } {
    if (op === 'b2_download_file_by_id') return this.store.versionById(body['fileId'])
    const [, bucketName = '', path = ''] = /^\/file\/([^/]+)\/(.+)$/.exec(url.pathname) ?? []
    const bucket = this.store.buckets.get(decodeURIComponent(bucketName))
    if (bucket === undefined)
      throw new B2Problem(404, 'not_found', `Bucket ${bucketName} does not exist or is not yours`)
    return { bucket, version: this.store.visible(bucket, decodeURIComponent(path)) }
  }

  #send(call: Call, answer: Answer, action: FaultAction | undefined): void {
    const { response, request } = call
    if (action?.kind === 'lose-answer') {
      request.socket.destroy()
      return
    }
    if (answer.json !== undefined) return this.#sendJson(call, answer, action)
    const body = answer.body ?? Buffer.alloc(0)
    response.writeHead(answer.status, { ...answer.headers, 'Content-Length': String(body.length) })
    if (call.method === 'HEAD') response.end()
    else if (action?.kind === 'truncate') {
      response.write(body.subarray(0, body.length / 2), () => request.socket.destroy())
    } else if (action?.kind === 'stall') response.write(body.subarray(0, body.length / 2))
    else if (action?.kind === 'corrupt') {
      const changed = Buffer.from(body)
      const middle = Math.floor(changed.length / 2)
      changed[middle] = changed[middle]! ^ 1
      response.end(changed)
    } else response.end(body)
  }

  #sendJson(
    { response, headers, method }: Call,
    { status, json }: Answer,
    action: FaultAction | undefined,
  ): void {
    const shown = action?.kind === 'rewrite' && json !== undefined ? action.change(json) : json
    let body = Buffer.from(JSON.stringify(shown))
    const isZipped = this.#gzip && /gzip/.test(String(headers['accept-encoding']))
    if (isZipped) body = gzipSync(body)
    const encoding = isZipped ? { 'Content-Encoding': 'gzip' } : {}
    const length = { 'Content-Length': String(body.length) }
    response.writeHead(status, { 'Content-Type': 'application/json;charset=UTF-8', ...encoding, ...length })
    response.end(method === 'HEAD' ? undefined : body)
  }
}

function isUploadOp(op: string): boolean {
  return op === 'b2_upload_file' || op === 'b2_upload_part'
}

function requireCapability(key: EmulatedKey, capability: string): void {
  if (!key.capabilities.includes(capability)) throw new B2Problem(401, 'unauthorized', '')
}

function problemAnswer({ status, code, message }: B2Problem): Answer {
  return { status, json: { status, code, message } }
}

function infoHeaders(request: IncomingMessage): Record<string, string> {
  const entries = Object.entries(request.headers).filter(([name]) => name.startsWith('x-bz-info-'))
  return Object.fromEntries(
    entries.map(([name, value]) => [name.slice('x-bz-info-'.length), decodeURIComponent(String(value))]),
  )
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

function parseObject(body: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body.toString())
    if (typeof value === 'object' && value !== null) return { ...value }
  } catch {
    // B2 says the same of all that is no JSON object.
  }
  throw new B2Problem(400, 'bad_json', 'The request body is not a JSON object')
}
