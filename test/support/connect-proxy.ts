/**
 * A way to show B2's own host names to programs that cannot be told another endpoint: a CONNECT proxy on loopback that
 * leads to a TLS server of the test and nowhere else, and the certificates for it (B2 spec §7.1).
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'

export interface TestIdentity {
  /** File of the certificate authority to trust. */
  readonly caFile: string
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** Makes a certificate authority and a certificate for these names, good for two days, in `folder`. */
export function makeTestIdentity(folder: string, names: readonly string[]): TestIdentity {
  const openssl = (command: string): void => {
    execFileSync('openssl', command.split(' '), { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  }
  const newKey = 'req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
  const authority = '-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign'
  openssl(`${newKey} -x509 -days 2 -subj /CN=restic-ts-test ${authority} -keyout ca.key -out ca.pem`)
  openssl(`${newKey} -subj /CN=${names[0]} -keyout host.key -out host.csr`)
  const alternatives = names.map((name) => `DNS:${name}`).join(',')
  writeFileSync(join(folder, 'host.ext'), `subjectAltName=${alternatives}\nextendedKeyUsage=serverAuth\n`)
  const signed = 'x509 -req -in host.csr -CA ca.pem -CAkey ca.key -set_serial 1 -days 2'
  openssl(`${signed} -extfile host.ext -out host.pem`)
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8')
  return { caFile: join(folder, 'ca.pem'), ca: read('ca.pem'), cert: read('host.pem'), key: read('host.key') }
}

/** Proxies CONNECT to one loopback port, for the hosts it is told. */
export class ConnectProxy {
  /** Every host somebody asked for, `name:port`. */
  readonly asked: Set<string> = new Set()
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #url = ''

  private constructor(hosts: RegExp, port: number) {
    this.#server = createServer((_request, response) => response.writeHead(405).end())
    this.#server.on('connect', (request, client: Socket, head) => {
      const target = request.url ?? ''
      this.asked.add(target)
      if (!hosts.test(target)) {
        client.end('HTTP/1.1 403 Forbidden\r\n\r\n')
        return
      }
      const upstream = connect(port, '127.0.0.1', () => {
        client.write('HTTP/1.1 200 Connection established\r\n\r\n')
        upstream.write(head)
        upstream.pipe(client)
        client.pipe(upstream)
      })
      this.#tie(client, upstream)
    })
  }

  static start(hosts: RegExp, port: number): Promise<ConnectProxy> {
    const proxy = new ConnectProxy(hosts, port)
    return new Promise((resolve) => {
      proxy.#server.listen(0, '127.0.0.1', () => {
        proxy.#url = `http://127.0.0.1:${(proxy.#server.address() as AddressInfo).port}`
        resolve(proxy)
      })
    })
  }

  get url(): string {
    return this.#url
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  /** What breaks off on one side breaks off on the other. What ends in good order is left to the pipes to flush. */
  #tie(...sockets: readonly Socket[]): void {
    for (const socket of sockets) {
      this.#sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        if (!socket.readableEnded) for (const other of sockets) other.destroy()
      })
    }
  }
}
