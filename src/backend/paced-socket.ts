/**
 * A socket through which bytes pass at a limited rate, in slices so small that the line stays usable for others all
 * the time. To HTTP and TLS it is a socket like any other.
 */
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { RateLimit, RateLimits } from './rate-limit.ts'

const SLICE_BYTES_MIN = 1024
const SLICE_BYTES_MAX = 64 * 1024
/** Part of a second that a slice may take. */
const SLICE_SECONDS = 0.1

export class PacedSocket extends Duplex {
  readonly #socket: Socket
  readonly #limits: RateLimits
  readonly #closing = new AbortController()
  #onWanted: () => void = () => undefined

  constructor(socket: Socket, limits: RateLimits) {
    super()
    this.#socket = socket
    this.#limits = limits
    for (const event of ['connect', 'timeout', 'lookup', 'ready'])
      socket.on(event, (...args: unknown[]) => this.emit(event, ...args))
    socket.on('error', (error) => this.destroy(error))
    socket.on('close', () => this.destroy())
    void this.#receive()
  }

  // What HTTP asks of a socket.

  get connecting(): boolean {
    return this.#socket.connecting
  }

  setTimeout(ms: number, onTimeout?: () => void): this {
    this.#socket.setTimeout(ms)
    if (onTimeout !== undefined) this.once('timeout', onTimeout)
    return this
  }

  setNoDelay(on?: boolean): this {
    this.#socket.setNoDelay(on)
    return this
  }

  setKeepAlive(on?: boolean, delayMs?: number): this {
    this.#socket.setKeepAlive(on, delayMs)
    return this
  }

  ref(): this {
    this.#socket.ref()
    return this
  }

  unref(): this {
    this.#socket.unref()
    return this
  }

  override _read(): void {
    this.#onWanted()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    void this.#send(chunk, done)
  }

  override _final(done: () => void): void {
    this.#socket.end(done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#closing.abort()
    this.#onWanted()
    this.#socket.destroy()
    done(error)
  }

  async #send(chunk: Buffer, done: (error?: Error) => void): Promise<void> {
    const { upload } = this.#limits
    const sliceBytes = upload === undefined ? chunk.length : sliceBytesOf(upload)
    try {
      for (let start = 0; start < chunk.length; start += sliceBytes) {
        const slice = chunk.subarray(start, start + sliceBytes)
        await upload?.pass(slice.length, this.#closing.signal)
        await new Promise<void>((resolve, reject) => {
          this.#socket.write(slice, (error) => (error ? reject(error) : resolve()))
        })
      }
      done()
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)))
    }
  }

  async #receive(): Promise<void> {
    try {
      for await (const chunk of this.#socket.iterator({ destroyOnReturn: false })) {
        if (!Buffer.isBuffer(chunk)) throw new TypeError('the socket decodes what it receives')
        await this.#limits.download?.pass(chunk.length, this.#closing.signal)
        if (!this.push(chunk)) await new Promise<void>((resolve) => (this.#onWanted = resolve))
        if (this.#closing.signal.aborted) return
      }
      this.push(null)
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)))
    }
  }
}

function sliceBytesOf({ bytesPerSecond }: RateLimit): number {
  return Math.min(SLICE_BYTES_MAX, Math.max(SLICE_BYTES_MIN, Math.floor(bytesPerSecond * SLICE_SECONDS)))
}
