/** The connections of all stores that are reached by HTTP: kept open, with the user's certificates, at limited rates. */
import { Agent as HttpAgent, type ClientRequestArgs } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { connect, type NetConnectOpts } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { PacedSocket } from './paced-socket.ts'
import type { RateLimits } from './rate-limit.ts'
import type { TlsSettings } from './tls-files.ts'

export interface WebAgents {
  readonly http: HttpAgent
  readonly https: HttpsAgent
}

/** What connections are made with. */
export interface WebAgentOptions {
  readonly tls?: TlsSettings | undefined
  readonly limits?: RateLimits | undefined
}

export function webAgents({ tls, limits }: WebAgentOptions = {}): WebAgents {
  const settings = { keepAlive: true }
  if (limits?.upload === undefined && limits?.download === undefined)
    return { http: new HttpAgent(settings), https: new HttpsAgent({ ...settings, ...tls }) }
  return { http: new PacedHttpAgent(limits), https: new PacedHttpsAgent(limits, tls) }
}

type OnCreated = (error: Error | null, stream: Duplex) => void

class PacedHttpAgent extends HttpAgent {
  readonly #limits: RateLimits

  constructor(limits: RateLimits) {
    super({ keepAlive: true })
    this.#limits = limits
  }

  override createConnection(options: ClientRequestArgs): Duplex {
    return new PacedSocket(connect(targetOf(options)), this.#limits)
  }
}

class PacedHttpsAgent extends HttpsAgent {
  readonly #limits: RateLimits

  constructor(limits: RateLimits, tls: TlsSettings = {}) {
    super({ keepAlive: true, ...tls })
    this.#limits = limits
  }

  override createConnection(options: ClientRequestArgs, onCreated?: OnCreated): Duplex | null | undefined {
    const raw = new PacedSocket(connect(targetOf(options)), this.#limits)
    const withSocket: ClientRequestArgs & { socket: Duplex } = { ...options, socket: raw }
    const secure = super.createConnection(withSocket, onCreated)
    if (secure instanceof TLSSocket) timeOutBelow(secure, raw)
    return secure
  }
}

function targetOf({ host, port, socketPath }: ClientRequestArgs): NetConnectOpts {
  if (socketPath !== undefined) return { path: socketPath }
  return { host: host ?? 'localhost', port: Number(port) }
}

/** How long nothing happens shows where bytes are sent, not where they wait for their turn. */
function timeOutBelow(secure: TLSSocket, raw: PacedSocket): void {
  raw.on('timeout', () => secure.emit('timeout'))
  secure.setTimeout = (ms, onTimeout) => {
    raw.setTimeout(ms)
    if (onTimeout !== undefined) secure.once('timeout', onTimeout)
    return secure
  }
}
