/** The AWS client set up for any S3 store, and nothing else of it: loaded only where a repository lies in one. */
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3'
import { throwIfAborted } from '../errors.ts'
import { onAbort } from './abort-listener.ts'
import type { ByteRange, Handle } from './backend.ts'
import { ExchangeError, receiveBody } from './http-exchange.ts'
import { regionFrom, ShortObject } from './s3-errors.ts'
import { endpointIn, storageClassFor, type S3Settings } from './s3-location.ts'
import { webAgents, type WebAgentOptions } from './web-agents.ts'

export interface S3ClientOptions extends WebAgentOptions {
  readonly userAgent?: string | undefined
  /** How long a request may make no progress. */
  readonly idleMs?: number | undefined
}

export interface S3Object {
  readonly key: string
  readonly size: number
}

export interface S3Page {
  readonly objects: readonly S3Object[]
  /** Where the next page starts; undefined: this was the last one. */
  readonly next: string | undefined
}

type Call<T> = (client: S3Client, options: { readonly abortSignal: AbortSignal }) => Promise<T>

const IDLE_MS = 300_000
const CONNECT_MS = 30_000

/** One bucket. Its errors are the client's: `s3ErrorOf` makes them everybody's. */
export class S3Bucket {
  readonly #settings: S3Settings
  readonly #options: S3ClientOptions
  #client: S3Client
  #region: string

  constructor(settings: S3Settings, options: S3ClientOptions = {}) {
    this.#settings = settings
    this.#options = options
    this.#region = settings.region
    this.#client = this.#connect()
  }

  async exists(signal?: AbortSignal): Promise<void> {
    const command = new HeadBucketCommand({ Bucket: this.#settings.bucket })
    await this.#send((client, options) => client.send(command, options), signal)
  }

  async create(signal?: AbortSignal): Promise<void> {
    const command = new CreateBucketCommand({ Bucket: this.#settings.bucket })
    await this.#send((client, options) => client.send(command, options), signal)
  }

  /** Length of an object. */
  async head(key: string, signal?: AbortSignal): Promise<number> {
    const command = new HeadObjectCommand({ Bucket: this.#settings.bucket, Key: key })
    const answer = await this.#send((client, options) => client.send(command, options), signal)
    if (answer.ContentLength === undefined) throw new ExchangeError('the answer has no length')
    return answer.ContentLength
  }

  /** An object or a range of it. */
  async get(key: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    const bytes =
      range === undefined ? {} : { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` }
    const command = new GetObjectCommand({ Bucket: this.#settings.bucket, Key: key, ...bytes })
    const answer = await this.#send((client, options) => client.send(command, options), signal)
    const { Body: body, ContentLength: length, ContentRange: span } = answer
    if (!(body instanceof Readable)) throw new ExchangeError('the answer has no content')
    const stopListening = onAbort(signal, () => body.destroy(new ExchangeError('aborted')))
    try {
      throwIfAborted(signal)
      if (range !== undefined) checkSpan(span, range)
      const received = await receiveBody(
        body,
        length === undefined ? {} : { 'content-length': String(length) },
      )
      // Some servers mean well and send more.
      return range !== undefined && received.length > range.length
        ? received.slice(0, range.length)
        : received
    } finally {
      stopListening()
      body.destroy()
    }
  }

  /** @param handle the file that the object is */
  async put(key: string, data: Uint8Array, handle: Handle, signal?: AbortSignal): Promise<void> {
    const storageClass = storageClassFor(this.#settings, handle)
    const body = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    const command = new PutObjectCommand({
      Bucket: this.#settings.bucket,
      Key: key,
      Body: body,
      ContentLength: body.length,
      ContentType: 'application/octet-stream',
      // The one checksum that every store compares before it keeps an object; those with Object Lock insist on it.
      ContentMD5: createHash('md5').update(body).digest('base64'),
      // The type names Amazon's classes only; other stores have others.
      ...(storageClass === undefined ? {} : Object.fromEntries([['StorageClass', storageClass]])),
    })
    await this.#send((client, options) => client.send(command, options), signal)
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    const command = new DeleteObjectCommand({ Bucket: this.#settings.bucket, Key: key })
    await this.#send((client, options) => client.send(command, options), signal)
  }

  /** @param from `next` of the page before */
  list(prefix: string, from: string | undefined, signal?: AbortSignal): Promise<S3Page> {
    return this.#settings.usesListV1 ? this.#listV1(prefix, from, signal) : this.#listV2(prefix, from, signal)
  }

  close(): void {
    this.#client.destroy()
  }

  async #listV1(prefix: string, from: string | undefined, signal: AbortSignal | undefined): Promise<S3Page> {
    const marker = from === undefined ? {} : { Marker: from }
    const command = new ListObjectsCommand({ Bucket: this.#settings.bucket, Prefix: prefix, ...marker })
    const answer = await this.#send((client, options) => client.send(command, options), signal)
    const objects = objectsOf(answer.Contents)
    // Without a delimiter stores need not say where the next page starts: it is after the last name.
    const next = answer.IsTruncated === true ? (answer.NextMarker ?? objects.at(-1)?.key) : undefined
    return { objects, next }
  }

  async #listV2(prefix: string, from: string | undefined, signal: AbortSignal | undefined): Promise<S3Page> {
    const token = from === undefined ? {} : { ContinuationToken: from }
    const command = new ListObjectsV2Command({ Bucket: this.#settings.bucket, Prefix: prefix, ...token })
    const answer = await this.#send((client, options) => client.send(command, options), signal)
    const next = answer.IsTruncated === true ? answer.NextContinuationToken : undefined
    if (answer.IsTruncated === true && next === undefined)
      throw new ExchangeError('the listing breaks off: this store may need -o s3.list-objects-v1=true')
    return { objects: objectsOf(answer.Contents), next }
  }

  /** One call; once more where the store says that the bucket is in another region. */
  async #send<T>(call: Call<T>, signal: AbortSignal | undefined): Promise<T> {
    throwIfAborted(signal)
    // The client is slow to let go of a signal, and all calls share the caller's.
    const controller = new AbortController()
    const stopListening = onAbort(signal, () => controller.abort())
    const options = { abortSignal: controller.signal }
    try {
      return await call(this.#client, options)
    } catch (error) {
      throwIfAborted(signal)
      const region = regionFrom(error)
      if (region === undefined || region === this.#region) throw error
      this.#region = region
      this.#client = this.#connect() // others may still wait for answers to the old one
      return await call(this.#client, options)
    } finally {
      stopListening()
    }
  }

  #connect(): S3Client {
    const { settings, options } = { settings: this.#settings, options: this.#options }
    const agents = webAgents(options)
    return quietly({
      region: this.#region,
      endpoint: endpointIn(settings, this.#region).href,
      forcePathStyle: settings.isPathStyle,
      maxAttempts: settings.attempts,
      // B2's and other stores know none of Amazon's newer checksums.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: CONNECT_MS,
        socketTimeout: options.idleMs ?? IDLE_MS,
        // Finished ones: from settings the client would also make agents that know nothing of our certificates.
        httpAgent: agents.http,
        httpsAgent: agents.https,
      },
      // Few stores are served by it, and some do not know it.
      expectContinueHeader: false,
      ...(options.userAgent === undefined ? {} : { customUserAgent: options.userAgent }),
      ...(settings.profile === undefined ? {} : { profile: settings.profile }),
      ...credentialsConfig(settings),
    })
  }
}

/** @throws ShortObject, ExchangeError */
function checkSpan(span: string | undefined, { offset, length }: ByteRange): void {
  const [, first, size] = /^bytes (\d+)-\d+\/(\d+)$/.exec(span ?? '') ?? []
  // A range that begins within the object is answered with what there is of it.
  if (size !== undefined && Number(size) < offset + length) throw new ShortObject()
  if (Number(first) !== offset) throw new ExchangeError('the answer is not the range that was asked for')
}

function credentialsConfig({ credentials }: S3Settings): S3ClientConfig {
  if (credentials === undefined) return {}
  if (credentials !== 'anonymous') return { credentials }
  return {
    credentials: { accessKeyId: '', secretAccessKey: '' },
    signer: { sign: (request) => Promise.resolve(request) },
  }
}

/** The client tells users of Node 20 on stderr what only developers can change. */
function quietly(config: S3ClientConfig): S3Client {
  const name = 'AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'
  // oxlint-disable node/no-process-env -- the client's own switch, set back at once
  const before = process.env[name]
  process.env[name] = 'true'
  try {
    return new S3Client(config)
  } finally {
    if (before === undefined) delete process.env[name]
    else process.env[name] = before
  }
  // oxlint-enable node/no-process-env
}

function objectsOf(
  contents: readonly { readonly Key?: string | undefined; readonly Size?: number | undefined }[] = [],
): S3Object[] {
  return contents.flatMap(({ Key: key, Size: size }) =>
    key === undefined || size === undefined ? [] : [{ key, size }],
  )
}
