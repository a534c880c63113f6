/** A TCP proxy that stands for a slow and unreliable network: latency, bandwidth, connections that break or go silent. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { seededRandom } from './sample-data.ts'

export interface NetworkOptions {
  /** Of a round trip. */
  readonly latencyMs?: number
  /** For all connections together, each way. */
  readonly bytesPerSecond?: number
  /** Connections last for so many bytes on average, then one thing or the other happens. */
  readonly meanBytesToReset?: number
  readonly meanBytesToStall?: number
  readonly seed?: number
}

/** When how much had passed, in one direction. */
interface Passed {
  readonly ms: number
  readonly bytes: number
}

/** What may be on its way in one direction of a connection before its sender has to wait. */
const WINDOW_BYTES = 4 << 20

export class LossyNetwork {
  /** Connections that were broken or silenced. */
  resets = 0
  stalls = 0
  readonly #options: NetworkOptions
  readonly #port: number
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #random: () => number
  readonly #passed: Record<'up' | 'down', Passed[]> = { up: [], down: [] }
  /** When the line is free again. */
  readonly #freeMs = { up: 0, down: 0 }

  private constructor(port: number, options: NetworkOptions) {
    this.#port = port
    this.#options = options
    this.#random = seededRandom(options.seed ?? 1)
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#connect(client))
  }

  /** Leads to a loopback port. */
  static async start(port: number, options: NetworkOptions): Promise<LossyNetwork> {
    const network = new LossyNetwork(port, options)
    await new Promise<void>((resolve) => network.#server.listen(0, '127.0.0.1', resolve))
    return network
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Forgets what has passed so far. */
  clear(): void {
    this.#passed.up = []
    this.#passed.down = []
  }

  /**
   * Bytes a second from when a twentieth had passed to when all but a twentieth had, so that what a command does before
   * and after its transfers is left out.
   */
  throughput(direction: 'up' | 'down'): number {
    const passed = this.#passed[direction]
    const total = passed.at(-1)?.bytes ?? 0
    const first = passed.find(({ bytes }) => bytes >= total * 0.05)!
    const last = passed.find(({ bytes }) => bytes >= total * 0.95)!
    return ((last.bytes - first.bytes) / (last.ms - first.ms)) * 1000
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #connect(client: Socket): void {
    const server = connect({ port: this.#port, host: '127.0.0.1', allowHalfOpen: true })
    for (const socket of [client, server]) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        for (const other of [client, server]) other.destroy()
      })
    }
    const link = { client, server, isSilent: false }
    const reset = this.#exponential(this.#options.meanBytesToReset)
    const stall = this.#exponential(this.#options.meanBytesToStall)
    let left = Math.min(reset, stall)
    const onBytes = (length: number): void => {
      left -= length
      if (left > 0 || link.isSilent) return
      link.isSilent = true
      if (stall < reset) {
        this.stalls += 1
        return
      }
      this.resets += 1
      client.resetAndDestroy()
    }
    this.#carry('up', link, onBytes)
    this.#carry('down', link, onBytes)
  }

  #exponential(mean: number | undefined): number {
    return mean === undefined ? Infinity : -Math.log(1 - this.#random()) * mean
  }

  #carry(
    direction: 'up' | 'down',
    link: { readonly client: Socket; readonly server: Socket; readonly isSilent: boolean },
    onBytes: (length: number) => void,
  ): void {
    const [from, to] = direction === 'up' ? [link.client, link.server] : [link.server, link.client]
    const { latencyMs = 0 } = this.#options
    // Making a connection takes a round trip before anything can be sent.
    const openMs = performance.now() + latencyMs
    const queue: { readonly chunk: Buffer | undefined; readonly dueMs: number }[] = []
    let queued = 0
    const deliver = (chunk: Buffer | undefined): void => {
      queued -= chunk?.length ?? 0
      if (link.isSilent || to.destroyed) return
      if (chunk === undefined) {
        to.end()
        return
      }
      onBytes(chunk.length)
      if (link.isSilent) return
      const passed = this.#passed[direction]
      passed.push({ ms: performance.now(), bytes: (passed.at(-1)?.bytes ?? 0) + chunk.length })
      to.write(chunk)
    }
    // One timer for all: those of neighbours could go off in another order.
    const pump = (): void => {
      for (let head = queue[0]; head !== undefined; head = queue[0]) {
        const waitMs = head.dueMs - performance.now()
        if (waitMs > 0) {
          setTimeout(pump, waitMs)
          break
        }
        queue.shift()
        deliver(head.chunk)
      }
      if (queued < WINDOW_BYTES) from.resume()
    }
    const add = (chunk: Buffer | undefined): void => {
      queued += chunk?.length ?? 0
      if (queued >= WINDOW_BYTES) from.pause()
      const dueMs = this.#send(direction, chunk?.length ?? 0, openMs) + latencyMs / 2
      queue.push({ chunk, dueMs })
      if (queue.length === 1) setTimeout(pump, dueMs - performance.now())
    }
    from.on('data', add)
    from.on('end', () => add(undefined))
  }

  /** When the last of so many bytes has left. */
  #send(direction: 'up' | 'down', bytes: number, openMs: number): number {
    const { bytesPerSecond = Infinity } = this.#options
    const startMs = Math.max(performance.now(), openMs, this.#freeMs[direction])
    this.#freeMs[direction] = startMs + (bytes / bytesPerSecond) * 1000
    return this.#freeMs[direction]
  }
}
