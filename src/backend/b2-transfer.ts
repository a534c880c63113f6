/** The bodies of B2's uploads and downloads: in slices, so that progress shows, and with every length checked. */
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { ByteRange } from './backend.ts'
import { B2Error } from './b2-errors.ts'
import type { IdleWatch } from './idle-watch.ts'

const SLICE_BYTES = 256 * 1024
const ERROR_BODY_MAX = 64 * 1024
const OPERATION = 'b2_download_file_by_name'

/** Bytes as a stream that copies nothing and tells the watch about every slice that went out. */
export class SlicedBody extends Readable {
  readonly #bytes: Buffer
  readonly #watch: IdleWatch
  #sent = 0

  constructor(bytes: Buffer, watch: IdleWatch) {
    super({ highWaterMark: SLICE_BYTES })
    this.#bytes = bytes
    this.#watch = watch
  }

  override _read(): void {
    this.#watch.touch()
    const slice = this.#bytes.subarray(this.#sent, this.#sent + SLICE_BYTES)
    this.#sent += slice.length
    this.push(slice.length === 0 ? null : slice)
  }
}

export interface Download {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: Readable
}

/**
 * The whole body of a download, which must be exactly what was asked for.
 * @throws B2Error `range` where the file is too short, `network` where the answer is not what it should be
 */
export async function receive(
  { status, headers, body }: Download,
  range: ByteRange | undefined,
  watch: IdleWatch,
): Promise<Uint8Array> {
  try {
    // A gateway that answers for B2 knows nothing of versions.
    if (typeof headers['x-bz-file-id'] !== 'string') throw broken('the answer is not one of Backblaze B2')
    const length = range === undefined ? wholeLength(status, headers) : partLength({ status, headers }, range)
    const bytes = await fill(body, length, watch)
    if (range === undefined) checkSha1(bytes, headers['x-bz-content-sha1'])
    return bytes
  } finally {
    body.destroy()
  }
}

/** The start of an error's body, for what it says. */
export async function receiveText(body: Readable): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of body) {
      if (!Buffer.isBuffer(chunk)) break
      chunks.push(chunk)
      length += chunk.length
      if (length >= ERROR_BODY_MAX) break
    }
  } catch {
    // An error whose explanation is cut off is still the error.
  } finally {
    body.destroy()
  }
  return Buffer.concat(chunks).toString()
}

/** A length of a header. @throws B2Error */
export function contentLength(headers: Readonly<Record<string, unknown>>): number {
  const text = headers['content-length']
  if (typeof text === 'string' && /^\d{1,15}$/.test(text)) return Number(text)
  throw broken('the answer has no length')
}

function wholeLength(status: number, headers: Download['headers']): number {
  if (status !== 200) throw broken(`unexpected status ${status}`)
  return contentLength(headers)
}

function partLength({ status, headers }: Pick<Download, 'status' | 'headers'>, range: ByteRange): number {
  // B2 sends the whole file where it does not understand the range.
  if (status !== 206) throw broken('the answer is not the range that was asked for')
  const text = headers['content-range']
  const match = typeof text === 'string' ? /^bytes (\d+)-(\d+)\/(\d+)$/.exec(text) : null
  if (match === null) throw broken('the answer does not say which range it is')
  const [first, last, size] = [Number(match[1]), Number(match[2]), Number(match[3])]
  const end = range.offset + range.length
  if (size < end) {
    const message = `no ${range.length} bytes at ${range.offset} in ${size} bytes`
    throw new B2Error('range', { operation: OPERATION, message })
  }
  if (first !== range.offset || last !== end - 1 || contentLength(headers) !== range.length)
    throw broken('the answer is not the range that was asked for')
  return range.length
}

async function fill(body: Readable, length: number, watch: IdleWatch): Promise<Uint8Array> {
  const bytes = new Uint8Array(new ArrayBuffer(length))
  let filled = 0
  for await (const chunk of body) {
    watch.touch()
    if (!Buffer.isBuffer(chunk) || filled + chunk.length > length) throw broken('the answer is too long')
    bytes.set(chunk, filled)
    filled += chunk.length
  }
  if (filled < length) throw broken(`the answer ends ${length - filled} bytes too early`)
  return bytes
}

/** Large files have `none`; `unverified:` comes before what a client claimed without B2 checking it. */
function checkSha1(bytes: Uint8Array, header: unknown): void {
  const match = typeof header === 'string' ? /^(?:unverified:)?([0-9a-f]{40})$/.exec(header) : null
  if (match === null) return
  if (createHash('sha1').update(bytes).digest('hex') !== match[1])
    throw broken('the content does not have the SHA-1 that B2 keeps for it')
}

function broken(message: string): B2Error {
  return new B2Error('network', { operation: OPERATION, message })
}
