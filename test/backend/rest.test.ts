/** What REST servers may answer, and what becomes of it. */
import { createServer } from 'node:net'
import { once } from 'node:events'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend, FileInfo } from '../../src/backend/backend.ts'
import { AbortedError, BackendError, FileNotFoundError } from '../../src/errors.ts'
import { startScriptedServer, type Script, type ScriptedServer } from '../support/scripted-server.ts'
import { openStore } from '../support/open-store.ts'

const NAME = 'ab'.repeat(32)
const OTHER = 'cd'.repeat(32)
const PACK = { type: 'pack', name: NAME } as const
const CONFIG = { type: 'config', name: '' } as const
const BYTES = Uint8Array.from({ length: 100 }, (_, i) => i)

async function collect(files: AsyncIterable<FileInfo>): Promise<FileInfo[]> {
  const all: FileInfo[] = []
  for await (const file of files) all.push(file)
  return all
}

/** Runs `work` on a backend whose server answers everything by one script. */
async function withScript<T>(
  script: Script,
  work: (backend: Backend, server: ScriptedServer) => Promise<T>,
): Promise<T> {
  await using server = await startScriptedServer(script)
  const backend = await openStore(`rest:http://user:secret@127.0.0.1:${server.port}/repo/`, { idleMs: 300 })
  try {
    return await work(backend, server)
  } finally {
    await backend.close()
  }
}

const failure = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  )

describe('a refusal of a REST server', () => {
  it.each([
    [400, false],
    [401, false],
    [403, false],
    [405, false],
    [408, true],
    [413, false],
    [425, true],
    [429, true],
    [500, true],
    [501, false],
    [502, true],
    [503, true],
    [504, true],
    [507, false],
    [302, false],
  ])('%i is transient: %s', async (status, transient) => {
    const script: Script = (_request, response) => response.writeHead(status).end('said so\nloudly')
    const error = await withScript(script, (backend) => failure(backend.write(PACK, BYTES)))
    expect(error).toBeInstanceOf(BackendError)
    expect(error).toMatchObject({
      transient,
      message: expect.stringContaining(`${status}: said so loudly`) as string,
    })
    expect(inspect(error, { depth: 10 })).not.toContain('secret')
  })

  it('says when to come back', async () => {
    const script: Script = (_request, response) => response.writeHead(429, { 'Retry-After': '7' }).end()
    const error = await withScript(script, (backend) => failure(backend.read(PACK)))
    expect(error).toMatchObject({ transient: true, retryAfterMs: 7000 })
  })

  it('404 is a missing file to all but listings and writes', async () => {
    const script: Script = (_request, response) => response.writeHead(404).end()
    await withScript(script, async (backend) => {
      await expect(backend.stat(CONFIG)).rejects.toThrow(FileNotFoundError)
      await expect(backend.read(PACK)).rejects.toThrow(FileNotFoundError)
      await expect(backend.remove(PACK)).rejects.toThrow(FileNotFoundError)
      await expect(backend.write(PACK, BYTES)).rejects.toThrow(BackendError)
      expect(await collect(backend.list('snapshot'))).toEqual([])
    })
  })

  it('404 to a listing of rclone is a trouble that passes', async () => {
    const script: Script = (_request, response) => response.writeHead(404, { Server: 'rclone/v1' }).end()
    const error = await withScript(script, (backend) => failure(collect(backend.list('snapshot'))))
    expect(error).toMatchObject({ code: 'BACKEND', transient: true })
  })
})

describe('a listing', () => {
  const list = (text: string, type = 'application/vnd.x.restic.rest.v2'): Promise<unknown> =>
    withScript(
      (_request, response) => response.writeHead(200, { 'Content-Type': type }).end(text),
      (backend) => collect(backend.list('pack')).catch((error: unknown) => error),
    )

  it.each([
    ['null', []],
    ['[]', []],
    [`[{"name":"${NAME}","size":7}]`, [{ name: NAME, size: 7 }]],
    [
      `[{"name":"${NAME}","size":7},{"name":"${NAME}","size":7},{"name":"stray","size":1}]`,
      [{ name: NAME, size: 7 }],
    ],
  ])('%s is read', async (text, files) => {
    expect(await list(text)).toEqual(files)
  })

  it.each([
    '',
    '{}',
    '<html>',
    '[1]',
    `[{"name":"${NAME}"}]`,
    `[{"name":"${NAME}","size":-1}]`,
    `[{"name":"${NAME}","size":1.5}]`,
    '[{"name":',
  ])('%s is none', async (text) => {
    expect(await list(text)).toMatchObject({ code: 'BACKEND', transient: true })
  })

  it('of a version 1 server is completed by asking for each size, and leaves out what has gone', async () => {
    const script: Script = (request, response) => {
      if (request.method === 'GET') response.end(JSON.stringify([NAME, OTHER, 'stray']))
      else if (request.url?.endsWith(NAME) === true) response.writeHead(200, { 'Content-Length': '12' }).end()
      else response.writeHead(404).end()
    }
    await withScript(script, async (backend, server) => {
      expect(await collect(backend.list('pack'))).toEqual([{ name: NAME, size: 12 }])
      expect(server.requests.toSorted()).toEqual([
        'GET /repo/data/',
        `HEAD /repo/data/${NAME}`,
        `HEAD /repo/data/${OTHER}`,
      ])
    })
  })
})

describe('a range', () => {
  const read = (script: Script, range = { offset: 10, length: 5 }): Promise<unknown> =>
    withScript(script, (backend) => backend.read(PACK, range).catch((error: unknown) => error))

  it('is cut out of the whole file where a server knows no ranges', async () => {
    expect(await read((_request, response) => response.end(BYTES))).toEqual(BYTES.slice(10, 15))
  })

  it('beyond the end of the whole file is an error for good', async () => {
    const answer = await read((_request, response) => response.end(BYTES.subarray(0, 12)))
    expect(answer).toMatchObject({ code: 'BACKEND', transient: false })
  })

  it.each([
    ['another range', 'bytes 11-15/100', 5, true],
    ['no range', '', 5, true],
    ['less than it says', 'bytes 10-14/100', 4, true],
    ['the end of a file that is too short', 'bytes 10-11/12', 2, false],
  ])('answered with %s is an error', async (_name, span, length, transient) => {
    const answer = await read((_request, response) =>
      response.writeHead(206, { 'Content-Range': span }).end(BYTES.subarray(0, length)),
    )
    expect(answer).toMatchObject({ code: 'BACKEND', transient })
  })

  it('answered with 416 is an error for good', async () => {
    const answer = await read((_request, response) => response.writeHead(416).end())
    expect(answer).toMatchObject({ code: 'BACKEND', transient: false })
  })

  it('of no bytes asks only whether the file is there and long enough', async () => {
    const script: Script = (request, response) =>
      response.writeHead(request.method === 'HEAD' ? 200 : 500, { 'Content-Length': '12' }).end()
    expect(await read(script, { offset: 12, length: 0 })).toEqual(new Uint8Array(0))
    expect(await read(script, { offset: 13, length: 0 })).toMatchObject({ code: 'BACKEND', transient: false })
  })
})

describe('a connection', () => {
  it('that breaks within an answer is worth another try', async () => {
    const script: Script = (_request, response) => {
      response
        .writeHead(200, { 'Content-Length': '100' })
        .write(BYTES.subarray(0, 50), () => response.destroy())
    }
    const error = await withScript(script, (backend) => failure(backend.read(PACK)))
    expect(error).toMatchObject({ code: 'BACKEND', transient: true })
  })

  it('that ends before the answer is whole is worth another try, without a length as well', async () => {
    const script: Script = (_request, response) => {
      response.write(BYTES.subarray(0, 50), () => response.destroy())
    }
    const error = await withScript(script, (backend) => failure(backend.read(PACK)))
    expect(error).toMatchObject({ code: 'BACKEND', transient: true })
  })

  it.each([
    ['does not answer', () => undefined],
    ['stops within the answer', (_request, response) => response.writeHead(200).write('x')],
  ] as [string, Script][])('that %s is given up after a while', async (_name, script) => {
    const error = await withScript(script, (backend) => failure(backend.read(PACK)))
    expect(error).toMatchObject({
      transient: true,
      message: expect.stringContaining('no progress') as string,
    })
  })

  it('closed by the server between two requests is not noticed', async () => {
    let count = 0
    const script: Script = (request, response) => {
      count += 1
      // The second request on a connection is met by its end.
      if (count === 2) request.socket.destroy()
      else response.writeHead(200, { 'Content-Length': '3' }).end(request.method === 'HEAD' ? '' : 'abc')
    }
    await withScript(script, async (backend) => {
      expect(await backend.read(PACK)).toHaveLength(3)
      expect(await backend.read(PACK)).toHaveLength(3)
    })
    expect(count).toBe(3)
  })

  it('closed by the server is noticed by a removal: it may have happened', async () => {
    let count = 0
    const script: Script = (request, response) => {
      count += 1
      if (count === 2) request.socket.destroy()
      else response.end()
    }
    const error = await withScript(script, async (backend) => {
      await backend.write(PACK, BYTES)
      return failure(backend.remove(PACK))
    })
    expect(error).toMatchObject({ code: 'BACKEND', transient: true })
    expect(count).toBe(2)
  })

  it('to nobody is worth another try, to a name that does not exist it is not', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    server.close()
    const refused = await openStore(`rest:http://127.0.0.1:${port}/`)
    expect(await failure(refused.stat(CONFIG))).toMatchObject({ transient: true })
    const unknown = await openStore('rest:http+unix:///nowhere/socket:/')
    expect(await failure(unknown.stat(CONFIG))).toMatchObject({ code: 'BACKEND', transient: false })
  })

  it('to something that is no HTTP server is an error for good', async () => {
    const server = createServer((socket) => socket.end('220 mail.example.org\r\n')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const backend = await openStore(`rest:http://127.0.0.1:${port}/`)
    const error = await failure(backend.stat(CONFIG))
    expect(error).toMatchObject({
      transient: false,
      message: expect.stringContaining('does not speak HTTP') as string,
    })
    await backend.close()
    server.close()
  })
})

describe('an abort', () => {
  it.each(['stat', 'read', 'write', 'remove', 'list', 'create'] as const)(
    'ends %s at once',
    async (method) => {
      const controller = new AbortController()
      const { signal } = controller
      const script: Script = (_request, response) => {
        response.writeHead(200, { 'Content-Length': '100' }).write('[')
        controller.abort()
      }
      await withScript(script, async (backend) => {
        const calls = {
          stat: () => backend.read(PACK, { offset: 0, length: 4 }, signal), // a HEAD has no body to stop in
          read: () => backend.read(PACK, undefined, signal),
          write: () => backend.write(PACK, BYTES, signal),
          remove: () => backend.remove(PACK, signal),
          list: () => collect(backend.list('pack', signal)),
          create: () => backend.create(signal),
        }
        await expect(calls[method]()).rejects.toThrow(AbortedError)
        await expect(calls[method]()).rejects.toThrow(AbortedError)
      })
    },
  )
})

describe('a server that never overwrites', () => {
  const refusing =
    (stored: Uint8Array): Script =>
    (request, response) => {
      if (request.method === 'POST') response.writeHead(403).end()
      else
        response
          .writeHead(200, { 'Content-Length': String(stored.length) })
          .end(request.method === 'HEAD' ? '' : stored)
    }

  it('has what an earlier try stored', async () => {
    await expect(
      withScript(refusing(BYTES), (backend) => backend.write(PACK, BYTES)),
    ).resolves.toBeUndefined()
  })

  it.each([
    ['of another length', BYTES.slice(1)],
    ['of the same length', BYTES.toReversed()],
  ])('has something else %s', async (_name, stored) => {
    const error = await withScript(refusing(stored), (backend) => failure(backend.write(PACK, BYTES)))
    expect(error).toMatchObject({ code: 'BACKEND', transient: false })
  })
})

describe('requests', () => {
  const seen: { method?: string; url?: string; headers: Record<string, unknown> }[] = []

  beforeAll(async () => {
    const script: Script = ({ method = '', url = '', headers }, response) => {
      seen.push({ method, url, headers })
      response.writeHead(200, { 'Content-Length': '2' }).end(method === 'HEAD' ? '' : '[]')
    }
    await using server = await startScriptedServer(script)
    const backend = await openStore(`rest:http://user:secret@127.0.0.1:${server.port}/a%20b`, {
      userAgent: 'tests',
    })
    await backend.create()
    await backend.write(CONFIG, BYTES)
    await collect(backend.list('key'))
    await backend.stat({ type: 'lock', name: NAME })
    await backend.remove(PACK)
    await backend.close()
  })

  afterAll(() => {
    seen.length = 0
  })

  it('go where the protocol says', () => {
    expect(seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'POST /a%20b/?create=true',
      'POST /a%20b/config',
      'GET /a%20b/keys/',
      `HEAD /a%20b/locks/${NAME}`,
      `DELETE /a%20b/data/${NAME}`,
    ])
  })

  it('say who we are, what we take and how long the body is', () => {
    for (const { headers } of seen) {
      expect(headers).toMatchObject({
        authorization: `Basic ${btoa('user:secret')}`,
        accept: 'application/vnd.x.restic.rest.v2',
        'user-agent': 'tests',
      })
    }
    expect(seen[1]?.headers['content-length']).toBe('100')
  })
})

it('hides its password from whoever looks at it', async () => {
  const backend = await openStore('rest:http://user:secret@127.0.0.1:1/')
  expect(inspect(backend, { depth: 10, showHidden: true })).not.toContain('secret')
  expect(inspect(backend, { depth: 10, showHidden: true })).not.toContain(btoa('user:secret'))
  expect(backend.location).toBe('rest:http://user:***@127.0.0.1:1/')
})
