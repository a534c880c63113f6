/**
 * The client's side of SFTP version 3 over any pair of streams: many requests under way at once, each answered by its
 * number. What a file needs is in sftp-files.ts.
 */
import type { Readable, Writable } from 'node:stream'
import {
  BrokenPacket,
  PACKET,
  PacketReader,
  PacketSplitter,
  STATUS,
  string,
  uint32,
  type Field,
} from './sftp-packets.ts'

/** A server said no to a request. */
export class SftpStatusError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.name = 'SftpStatusError'
    this.status = status
  }
}

/** The connection is gone, and all that was asked over it. */
export class SftpConnectionError extends Error {
  override readonly name = 'SftpConnectionError'
}

export interface SftpStreams {
  /** To the server. */
  readonly input: Writable
  /** From the server. */
  readonly output: Readable
}

export interface SftpClientOptions {
  /** How long the server may leave all requests unanswered. */
  readonly idleMs: number
  /** Called when the first request goes under way, and when the last was answered. */
  readonly onBusy?: (isBusy: boolean) => void
}

interface Waiting {
  readonly resolve: (answer: PacketReader) => void
  readonly reject: (error: Error) => void
}

const VERSION = 3
/** Number of the greeting, that has none on the wire. */
const GREETING = -1

export class SftpClient {
  readonly #input: Writable
  readonly #options: SftpClientOptions
  readonly #waiting = new Map<number, Waiting>()
  readonly #extensions = new Map<string, string>()
  #idleTimer: NodeJS.Timeout | undefined
  #lastId = 0
  #failure: SftpConnectionError | undefined

  constructor({ input, output }: SftpStreams, options: SftpClientOptions) {
    this.#input = input
    this.#options = options
    const splitter = new PacketSplitter((packet) => this.#receive(packet))
    output.on('data', (chunk: Buffer) => {
      try {
        splitter.push(chunk)
      } catch (error) {
        this.fail(error instanceof Error ? error.message : String(error))
      }
    })
    output.on('error', (error) => this.fail(error.message))
    output.on('close', () => this.fail('the connection was closed'))
    // A pipe that takes nothing any more belongs to a program that ends: its last words come by the other one.
    input.on('error', () => undefined)
  }

  /** Why nothing can be asked any more; undefined while all is well. */
  get failure(): SftpConnectionError | undefined {
    return this.#failure
  }

  /** Greets the server. Once, before anything else. @throws SftpConnectionError */
  async start(): Promise<void> {
    const answer = await this.#ask(GREETING, [uint32(5), Uint8Array.of(PACKET.init), uint32(VERSION)])
    if (answer.type !== PACKET.version || answer.uint32() < VERSION)
      throw this.fail('the server does not speak version 3 of SFTP')
    while (!answer.isAtEnd) this.#extensions.set(answer.text(), answer.text())
  }

  hasExtension(name: string): boolean {
    return this.#extensions.has(name)
  }

  /**
   * @param type of the answer that is wanted
   * @throws SftpStatusError where the server refuses; SftpConnectionError
   */
  async request(
    request: number,
    fields: readonly Field[],
    type: number = PACKET.status,
  ): Promise<PacketReader> {
    const id = this.#nextId()
    const length = fields.reduce((sum, field) => sum + field.length, 5)
    const answer = await this.#ask(id, [uint32(length), Uint8Array.of(request), uint32(id), ...fields])
    if (answer.type === PACKET.status) {
      const status = answer.uint32()
      if (type === PACKET.status && status === STATUS.ok) return answer
      throw new SftpStatusError(status, answer.isAtEnd ? '' : answer.text())
    }
    if (answer.type !== type) throw this.fail(`an answer of type ${answer.type} makes no sense`)
    return answer
  }

  /** A request of the server's own, beyond the standard. */
  extended(name: string, fields: readonly Field[], type: number = PACKET.status): Promise<PacketReader> {
    return this.request(PACKET.extended, [string(name), ...fields], type)
  }

  /** Ends all that is under way. */
  fail(problem: string): SftpConnectionError {
    this.#failure ??= new SftpConnectionError(problem)
    clearTimeout(this.#idleTimer)
    const waiting = Array.from(this.#waiting.values())
    this.#waiting.clear()
    if (waiting.length > 0) this.#options.onBusy?.(false)
    for (const { reject } of waiting) reject(this.#failure)
    return this.#failure
  }

  #ask(id: number, parts: readonly Uint8Array[]): Promise<PacketReader> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      if (this.#waiting.size === 0) {
        this.#options.onBusy?.(true)
        this.#watch()
      }
      this.#waiting.set(id, { resolve, reject })
      this.#input.cork()
      for (const part of parts) this.#input.write(part)
      this.#input.uncork()
    })
  }

  #receive(packet: Buffer): void {
    const answer = new PacketReader(packet)
    const id = answer.type === PACKET.version ? GREETING : answer.uint32()
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) throw new BrokenPacket('the server answers what nobody has asked')
    this.#waiting.delete(id)
    clearTimeout(this.#idleTimer)
    if (this.#waiting.size > 0) this.#watch()
    else this.#options.onBusy?.(false)
    waiting.resolve(answer)
  }

  #watch(): void {
    const { idleMs } = this.#options
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => {
      this.fail(`no answer for ${Math.round(idleMs / 1000)} seconds`)
    }, idleMs)
  }

  #nextId(): number {
    do this.#lastId = (this.#lastId + 1) >>> 0
    while (this.#waiting.has(this.#lastId))
    return this.#lastId
  }
}
