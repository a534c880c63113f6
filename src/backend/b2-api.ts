/**
 * The calls of Backblaze B2 that a repository needs, and no others: the only file that knows `backblaze-b2` (B2 spec §2,
 * §5, §6). The library builds the requests; retries, time-outs, state and errors are ours.
 */
import { Readable } from 'node:stream'
import B2 from 'backblaze-b2'
import type { ByteRange } from './backend.ts'
import {
  AnswerReader,
  readAccount,
  readPage,
  type B2Account,
  type B2Allowance,
  type B2Page,
  type UploadTarget,
} from './b2-answers.ts'
import { B2Caller, type B2CallerOptions, type CallSettings } from './b2-call.ts'
import { B2Error } from './b2-errors.ts'
import { isSafeUrl } from './b2-location.ts'
import { contentLength, receive, SlicedBody } from './b2-transfer.ts'

/** A file by the names downloads use. */
export interface B2File {
  readonly bucket: string
  readonly name: string
}

/** What is uploaded. `sha1` is that of `body`, in hex. */
export interface B2Upload {
  readonly name: string
  readonly body: Buffer
  readonly sha1: string
}

/** What is listed, and from where on. */
export interface B2Listing {
  readonly bucketId: string
  readonly prefix: string
  readonly from?: B2Page['next']
}

/** What one account token allows to call. All throw B2Error, or AbortedError once the signal has fired. */
export interface B2Session {
  readonly allowance: B2Allowance
  /** ID of a bucket, undefined where there is none. Class C. */
  findBucket(name: string, signal?: AbortSignal): Promise<string | undefined>
  /** A private bucket. Class C. */
  createBucket(name: string, signal?: AbortSignal): Promise<string>
  /** Class A, that is free. */
  getUploadUrl(bucketId: string, signal?: AbortSignal): Promise<UploadTarget>
  /** The whole file, or exactly the range, of at least one byte. Class B. */
  download(file: B2File, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array>
  /** The newest version's length and ID. Class B. */
  head(file: B2File, signal?: AbortSignal): Promise<{ readonly length: number; readonly fileId: string }>
  /** Up to 1000 files. Class C. */
  listNames(listing: B2Listing, signal?: AbortSignal): Promise<B2Page>
  /** Up to 1000 versions, newest of each file first. Class C. */
  listVersions(listing: B2Listing, signal?: AbortSignal): Promise<B2Page>
  /** Class A. */
  hide(bucketId: string, name: string, signal?: AbortSignal): Promise<void>
  /** Class A. */
  deleteVersion(name: string, fileId: string, signal?: AbortSignal): Promise<void>
}

/** Throws as a session does. */
export interface B2Api {
  /** A new account token. Class C. */
  authorize(signal?: AbortSignal): Promise<B2Session>
  /**
   * Stores a version and returns its ID once B2 has confirmed length and SHA-1. Needs no session: the URL has a token
   * of its own. Class A.
   */
  uploadFile(target: UploadTarget, file: B2Upload, signal?: AbortSignal): Promise<string>
  /** Lets go of all connections. */
  close(): void
}

export interface B2ApiOptions extends B2CallerOptions {
  readonly keyId: string
  readonly key: string
  readonly endpoint: string
}

/** Listings are billed per 1000 names: a page that wastes nothing. */
const PAGE = 1000
const OCTETS = 'application/octet-stream'
/** Compression could only make lengths and ranges uncertain: what we store is encrypted. */
const AS_STORED = { decompress: false, headers: { 'Accept-Encoding': 'identity' } }

/** B2 by way of the library. */
export class LibraryApi implements B2Api {
  readonly #caller: B2Caller
  readonly #options: B2ApiOptions

  constructor(options: B2ApiOptions) {
    this.#options = options
    this.#caller = new B2Caller(options)
  }

  async authorize(signal?: AbortSignal): Promise<B2Session> {
    const { keyId, key, endpoint } = this.#options
    const operation = 'b2_authorize_account'
    const secrets = [key, Buffer.from(`${keyId}:${key}`).toString('base64')]
    const client = this.#newClient()
    const account = await this.#caller.call({ operation, signal, secrets }, async ({ axios }) => {
      // Only API v4 knows keys for several buckets. The library takes from the answer what v2 has at its top.
      const url = `${endpoint}/b2api/v4/b2_authorize_account`
      const answer = await client.authorize({ axios, axiosOverride: { url, transformResponse: [flatten] } })
      return readAccount(answer.data)
    })
    requireSafe(operation, account.apiUrl)
    requireSafe(operation, account.downloadUrl)
    return new LibrarySession(client, this.#caller, account)
  }

  uploadFile(target: UploadTarget, { name, body, sha1 }: B2Upload, signal?: AbortSignal): Promise<string> {
    const operation = 'b2_upload_file'
    const facts = { operation, signal, secrets: [target.token] }
    return this.#caller.call(facts, async ({ axios, watch }) => {
      const data = new SlicedBody(body, watch)
      try {
        const file = { fileName: name, data, contentLength: body.length, hash: sha1, mime: OCTETS }
        const where = { uploadUrl: target.url, uploadAuthToken: target.token }
        const answer = await this.#newClient().uploadFile({ axios, ...where, ...file })
        return confirm(answer.data, body.length, sha1)
      } finally {
        // An answer may come before all is sent; what is left must not keep the connection.
        data.destroy()
      }
    })
  }

  close(): void {
    this.#caller.close()
  }

  /** A client remembers one account token, so every session has its own. It holds no connections. */
  #newClient(): B2 {
    const { keyId, key } = this.#options
    return new B2({ applicationKeyId: keyId, applicationKey: key, retry: { retries: 0 } })
  }
}

class LibrarySession implements B2Session {
  readonly allowance: B2Allowance
  readonly #client: B2
  readonly #caller: B2Caller
  readonly #token: string

  constructor(client: B2, caller: B2Caller, account: B2Account) {
    this.allowance = account.allowance
    this.#client = client
    this.#caller = caller
    this.#token = account.authorizationToken
  }

  findBucket(bucketName: string, signal?: AbortSignal): Promise<string | undefined> {
    return this.#json('b2_list_buckets', signal, async ({ axios }, read) => {
      const answer = read.fields((await this.#client.getBucket({ axios, bucketName })).data)
      const buckets = read.list(answer['buckets']).map((entry) => read.fields(entry))
      const found = buckets.find((bucket) => bucket['bucketName'] === bucketName)
      return found === undefined ? undefined : read.text(found, 'bucketId')
    })
  }

  createBucket(bucketName: string, signal?: AbortSignal): Promise<string> {
    return this.#json('b2_create_bucket', signal, async ({ axios }, read) => {
      const wanted = { bucketName, bucketType: 'allPrivate' }
      return read.text(read.fields((await this.#client.createBucket({ axios, ...wanted })).data), 'bucketId')
    })
  }

  getUploadUrl(bucketId: string, signal?: AbortSignal): Promise<UploadTarget> {
    const operation = 'b2_get_upload_url'
    return this.#json(operation, signal, async ({ axios }, read) => {
      const answer = read.fields((await this.#client.getUploadUrl({ axios, bucketId })).data)
      const url = read.text(answer, 'uploadUrl')
      requireSafe(operation, url)
      return { url, token: read.text(answer, 'authorizationToken') }
    })
  }

  download({ bucket, name }: B2File, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    const operation = 'b2_download_file_by_name'
    const bytes =
      range === undefined ? {} : { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` }
    return this.#call(operation, signal, async ({ axios, watch }) => {
      const headers = { ...AS_STORED.headers, ...bytes }
      const file = { bucketName: bucket, fileName: name, responseType: 'stream' as const }
      const answer = await this.#client.downloadFileByName({
        ...file,
        axios,
        axiosOverride: { ...AS_STORED, headers },
      })
      watch.touch()
      if (!(answer.data instanceof Readable)) throw noBody(operation)
      return receive({ ...answer, body: answer.data }, range, watch)
    })
  }

  async head(file: B2File, signal?: AbortSignal): Promise<{ length: number; fileId: string }> {
    try {
      return await this.#head(file, signal)
    } catch (error) {
      const isUnexplained = error instanceof B2Error && error.code === undefined
      if (!isUnexplained || !(error.status === 401 || error.status === 403)) throw error
      // An answer to HEAD has no body, so it is asked again in a way that has one.
      throw await this.download(file, { offset: 0, length: 1 }, signal).then(
        () => error,
        (reason: unknown) => (reason instanceof B2Error && reason.status === error.status ? reason : error),
      )
    }
  }

  #head({ bucket, name }: B2File, signal?: AbortSignal): Promise<{ length: number; fileId: string }> {
    const operation = 'b2_download_file_by_name'
    return this.#call(operation, signal, async ({ axios }) => {
      const axiosOverride = { ...AS_STORED, method: 'HEAD' }
      const file = { bucketName: bucket, fileName: name }
      const { headers } = await this.#client.downloadFileByName({ ...file, axios, axiosOverride })
      const fileId = new AnswerReader(operation).text(headers, 'x-bz-file-id')
      return { length: contentLength(headers), fileId }
    })
  }

  listNames({ bucketId, prefix, from }: B2Listing, signal?: AbortSignal): Promise<B2Page> {
    const operation = 'b2_list_file_names'
    return this.#json(operation, signal, async ({ axios }) => {
      const listing = { bucketId, prefix, startFileName: from?.name ?? '', maxFileCount: PAGE }
      return readPage(operation, (await this.#client.listFileNames({ axios, ...listing })).data)
    })
  }

  listVersions({ bucketId, prefix, from }: B2Listing, signal?: AbortSignal): Promise<B2Page> {
    const operation = 'b2_list_file_versions'
    return this.#json(operation, signal, async ({ axios }) => {
      const start = { startFileName: from?.name ?? '', startFileId: from?.fileId }
      const listing = { bucketId, ...start, maxFileCount: PAGE }
      // The library does not know this call's prefix.
      const axiosOverride = { data: { prefix } }
      const answer = await this.#client.listFileVersions({ axios, axiosOverride, ...listing })
      return readPage(operation, answer.data)
    })
  }

  hide(bucketId: string, fileName: string, signal?: AbortSignal): Promise<void> {
    return this.#json('b2_hide_file', signal, async ({ axios }, read) => {
      read.fields((await this.#client.hideFile({ axios, bucketId, fileName })).data)
    })
  }

  deleteVersion(fileName: string, fileId: string, signal?: AbortSignal): Promise<void> {
    return this.#json('b2_delete_file_version', signal, async ({ axios }, read) => {
      read.fields((await this.#client.deleteFileVersion({ axios, fileId, fileName })).data)
    })
  }

  #call<T>(
    operation: string,
    signal: AbortSignal | undefined,
    send: (settings: CallSettings) => Promise<T>,
  ): Promise<T> {
    return this.#caller.call({ operation, signal, secrets: [this.#token] }, send)
  }

  #json<T>(
    operation: string,
    signal: AbortSignal | undefined,
    send: (settings: CallSettings, read: AnswerReader) => Promise<T>,
  ): Promise<T> {
    return this.#call(operation, signal, (settings) => send(settings, new AnswerReader(operation)))
  }
}

/** The answer of API v4 with the fields of v2 beside its own. Refusals and what is no JSON pass as they are. */
function flatten(body: unknown): unknown {
  if (typeof body !== 'string') return body
  try {
    const answer: unknown = JSON.parse(body)
    const storage = property(property(answer, 'apiInfo'), 'storageApi')
    return { ...asObject(storage), ...asObject(answer) }
  } catch {
    return body
  }
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

function asObject(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {}
}

/** @returns the new version's ID */
function confirm(json: unknown, length: number, sha1: string): string {
  const read = new AnswerReader('b2_upload_file')
  const answer = read.fields(json)
  if (read.length(answer, 'contentLength') === length && answer['contentSha1'] === sha1)
    return read.text(answer, 'fileId')
  const message = 'Backblaze B2 stored other bytes than were sent'
  throw new B2Error('server', { operation: 'b2_upload_file', message })
}

/** Tokens go to no host in the clear. */
function requireSafe(operation: string, url: string): void {
  if (isSafeUrl(url)) return
  const message = 'the answer names a URL that is not https'
  throw new B2Error('denied', { operation, message })
}

function noBody(operation: string): B2Error {
  return new B2Error('network', { operation, message: 'the answer has no body' })
}
