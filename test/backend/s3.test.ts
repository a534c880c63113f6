/** What S3 stores may answer, and what becomes of it. */
import dns from 'node:dns'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Backend, FileInfo, Handle } from '../../src/backend/backend.ts'
import { AbortedError, BackendError, FileNotFoundError, InvalidInputError } from '../../src/errors.ts'
import { S3_KEYS } from '../support/s3rver.ts'
import { startScriptedServer, type Script, type ScriptedServer } from '../support/scripted-server.ts'
import { openStore } from '../support/open-store.ts'

const NAME = 'ab'.repeat(32)
const PACK = { type: 'pack', name: NAME } as const
const CONFIG = { type: 'config', name: '' } as const
const BYTES = Uint8Array.from({ length: 100 }, (_, i) => i)

interface Opened {
  readonly options?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
  readonly host?: string
}

async function withScript<T>(
  script: Script,
  work: (backend: Backend, server: ScriptedServer) => Promise<T>,
  { options = {}, env = S3_KEYS, host = '127.0.0.1' }: Opened = {},
): Promise<T> {
  await using server = await startScriptedServer(script)
  const location = `s3:http://${host}:${server.port}/bucket/some/prefix`
  const backend = await openStore(location, {
    env,
    options: { 's3.retries': '1', ...options },
    idleMs: 500,
  })
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

async function collect(files: AsyncIterable<FileInfo>): Promise<FileInfo[]> {
  const all: FileInfo[] = []
  for await (const file of files) all.push(file)
  return all
}

const errorBody = (code: string, more = ''): string =>
  `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>Said\nso.</Message>${more}</Error>`

const refuse =
  (status: number, code: string, more = ''): Script =>
  (request, response) => {
    response.writeHead(status, { 'Content-Type': 'application/xml' })
    response.end(request.method === 'HEAD' ? '' : errorBody(code, more))
  }

describe('a refusal of an S3 store', () => {
  it.each([
    [400, 'InvalidStorageClass', false],
    [400, 'RequestTimeout', true],
    [400, 'BadDigest', true],
    [400, 'ExpiredToken', false],
    [403, 'AccessDenied', false],
    [403, 'InvalidAccessKeyId', false],
    [403, 'SignatureDoesNotMatch', false],
    [403, 'RequestTimeTooSkewed', false],
    [409, 'OperationAborted', true],
    [429, 'TooManyRequests', true],
    [500, 'InternalError', true],
    [501, 'NotImplemented', false],
    [503, 'SlowDown', true],
    [507, 'InsufficientStorage', false],
  ])('%i %s is transient: %s', async (status, code, transient) => {
    const error = await withScript(refuse(status, code), (backend) => failure(backend.write(PACK, BYTES)))
    expect(error).toBeInstanceOf(BackendError)
    expect(error).toMatchObject({ transient })
    expect(String(error)).toContain(`write data/ab/${NAME}: the store answers ${status} ${code} Said so.`)
    expect((error as BackendError).cause).toBeUndefined()
  })

  it('without a body is told by its status', async () => {
    const script: Script = (_request, response) => response.writeHead(503).end()
    const error = await withScript(script, (backend) => failure(backend.stat(PACK)))
    expect(error).toMatchObject({ code: 'BACKEND', transient: true })
    expect(String(error)).toContain('503')
  })

  it.each([
    ['NoSuchKey', 404],
    ['NoSuchBucket', 404],
  ])('%s is a missing file to all but listings and writes', async (code, status) => {
    await withScript(refuse(status, code), async (backend) => {
      await expect(backend.stat(CONFIG)).rejects.toThrow(FileNotFoundError)
      await expect(backend.read(PACK)).rejects.toThrow(FileNotFoundError)
      await expect(backend.remove(PACK)).rejects.toThrow(FileNotFoundError)
      await expect(backend.write(PACK, BYTES)).rejects.toMatchObject({ code: 'BACKEND', transient: false })
    })
  })

  it('to a listing is an empty one only where there is no bucket', async () => {
    const list = (code: string): Promise<unknown> =>
      withScript(refuse(404, code), (backend) =>
        collect(backend.list('pack')).catch((error: unknown) => error),
      )
    expect(await list('NoSuchBucket')).toEqual([])
    expect(await list('NoSuchKey')).toMatchObject({ code: 'BACKEND', transient: false })
  })
})

describe('making the bucket', () => {
  const create = (head: number, put: Script = refuse(500, 'Unexpected')): Promise<readonly string[]> =>
    withScript(
      (request, response) => {
        if (request.method === 'HEAD') response.writeHead(head).end()
        else put(request, response)
      },
      async (backend, server) => {
        await backend.create()
        return server.requests.map((request) => request.replace(/\?.*/, ''))
      },
    )

  it('is left alone where there is one', async () => {
    expect(await create(200)).toEqual(['HEAD /bucket/'])
  })

  it('is left alone where we may not look', async () => {
    expect(await create(403)).toEqual(['HEAD /bucket/'])
  })

  it('is done where there is none', async () => {
    const made = await create(404, (_request, response) => response.end())
    expect(made).toEqual(['HEAD /bucket/', 'PUT /bucket/'])
  })

  it('does not mind that somebody else of us was faster', async () => {
    expect(await create(404, refuse(409, 'BucketAlreadyOwnedByYou'))).toHaveLength(2)
  })

  it('fails for good where the name is taken', async () => {
    const error = await failure(create(404, refuse(409, 'BucketAlreadyExists')))
    expect(error).toMatchObject({ code: 'BACKEND', transient: false })
  })
})

describe('a listing', () => {
  const page = (names: readonly string[], more: string): string =>
    `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><IsTruncated>${more !== ''}</IsTruncated>${more}` +
    names.map((key) => `<Contents><Key>${key}</Key><Size>7</Size></Contents>`).join('') +
    '</ListBucketResult>'
  const key = (digits: string): string => `some/prefix/keys/${digits.padEnd(64, '0')}`

  it('is read page by page, and strays are passed over', async () => {
    const pages = [
      page(
        [key('a1'), key('a2'), 'some/prefix/keys/README'],
        '<NextContinuationToken>t+/=</NextContinuationToken>',
      ),
      page([`some/prefix/keys/sub/${'ab'.repeat(32)}`, key('a3')], ''),
    ]
    const script: Script = (_request, response) => response.end(pages.shift())
    await withScript(script, async (backend, server) => {
      const files = await collect(backend.list('key'))
      expect(files.map(({ name, size }) => [name.slice(0, 2), size])).toEqual([
        ['a1', 7],
        ['a2', 7],
        ['a3', 7],
      ])
      const [first, second] = server.requests.map(
        (request) => new URL(request.replace('GET ', ''), server.url),
      )
      expect(first?.searchParams.get('prefix')).toBe('some/prefix/keys/')
      expect(second?.searchParams.get('continuation-token')).toBe('t+/=')
    })
  })

  it('of version 1 goes on after the last name', async () => {
    const pages = [page([key('a1'), key('a2')], ' '), page([key('a3')], '')]
    const script: Script = (_request, response) => response.end(pages.shift())
    const options = { 's3.list-objects-v1': 'true' }
    await withScript(
      script,
      async (backend, server) => {
        expect(await collect(backend.list('key'))).toHaveLength(3)
        const last = new URL(server.requests[1]!.replace('GET ', ''), server.url)
        expect(last.searchParams.get('marker')).toBe(key('a2'))
        expect(last.searchParams.has('list-type')).toBe(false)
      },
      { options },
    )
  })

  it('that breaks off is an error, not the end', async () => {
    const script: Script = (_request, response) => response.end(page([key('a1')], ' '))
    const error = await withScript(script, (backend) => failure(collect(backend.list('key'))))
    expect(error).toMatchObject({ code: 'BACKEND' })
    expect(String(error)).toContain('s3.list-objects-v1')
  })

  it('that is no XML is worth another try', async () => {
    const script: Script = (_request, response) => response.end('<html><p>Please log in')
    const error = await withScript(script, (backend) => failure(collect(backend.list('key'))))
    expect(error).toMatchObject({ code: 'BACKEND' })
  })
})

describe('many removals', () => {
  const names = Array.from({ length: 30 }, (_, i) => i.toString(16).padStart(64, '0'))
  const script: Script = (request, response) => {
    if (request.method !== 'GET') response.writeHead(200, { 'Content-Length': '0' }).end()
    else
      response.end(
        `<ListBucketResult>${names
          .slice(1)
          .map((name) => `<Contents><Key>some/prefix/data/00/${name}</Key><Size>1</Size></Contents>`)
          .join('')}</ListBucketResult>`,
      )
  }

  it('are not asked for one by one when they were announced', async () => {
    await withScript(script, async (backend, server) => {
      await backend.prepareRemoval?.('pack', names)
      for (const name of names) await backend.remove({ type: 'pack', name })
      const methods = server.requests.map((request) => request.split(' ')[0])
      expect(methods.filter((method) => method === 'GET')).toHaveLength(1)
      expect(methods.filter((method) => method === 'HEAD')).toHaveLength(1) // the one that was not listed
      expect(methods.filter((method) => method === 'DELETE')).toHaveLength(30)
    })
  })

  it('are asked for when there are few', async () => {
    await withScript(script, async (backend, server) => {
      await backend.prepareRemoval?.('pack', names.slice(0, 3))
      expect(server.requests).toEqual([])
    })
  })
})

describe('the region', () => {
  it.each([
    [400, 'AuthorizationHeaderMalformed', '<Region>eu-west-9</Region>', {}],
    [301, 'PermanentRedirect', '', { 'x-amz-bucket-region': 'eu-west-9' }],
  ])('is the one the store says with %i %s', async (status, code, more, headers) => {
    const scopes: (string | undefined)[] = []
    const script: Script = (request, response) => {
      const scope = /Credential=[^/]+\/\d+\/([^/]+)\/s3/.exec(request.headers.authorization ?? '')?.[1]
      scopes.push(scope)
      if (scope === 'eu-west-9') response.writeHead(200, { 'Content-Length': '100' }).end(BYTES)
      else response.writeHead(status, headers).end(errorBody(code, more))
    }
    await withScript(script, async (backend) => {
      expect(await backend.read(PACK)).toEqual(BYTES)
      expect(await backend.read(PACK)).toEqual(BYTES)
    })
    expect(scopes).toEqual(['us-east-1', 'eu-west-9', 'eu-west-9'])
  })
})

describe('a request', () => {
  it('carries what stores compare, and nothing they may not know', async () => {
    let headers: Record<string, unknown> = {}
    const script: Script = (request, response) => {
      headers = request.headers
      response.end()
    }
    const options = { 's3.storage-class': 'STANDARD_IA' }
    await withScript(script, (backend) => backend.write(PACK, BYTES), { options })
    expect(headers).toMatchObject({
      'content-length': '100',
      'content-md5': Buffer.from('7acedd1a84a4cfcb6e7a16003242945e', 'hex').toString('base64'),
      'x-amz-storage-class': 'STANDARD_IA',
    })
    expect(Object.keys(headers).filter((name) => /checksum|trailer/.test(name))).toEqual([])
    expect(headers['x-amz-content-sha256']).toMatch(/^[0-9a-f]{64}$/)
  })

  it.each([
    ['GLACIER', { ...PACK, isMetadata: false }, 'GLACIER'],
    ['DEEP_ARCHIVE', PACK, 'DEEP_ARCHIVE'],
    ['GLACIER', { ...PACK, isMetadata: true }, undefined],
    ['GLACIER', { type: 'index', name: NAME }, undefined],
    ['STANDARD_IA', { type: 'index', name: NAME }, 'STANDARD_IA'],
  ] as [string, Handle, string | undefined][])('keeps in %s what %j is: %s', async (chosen, handle, kept) => {
    let storageClass: unknown = 'no request came'
    const script: Script = (request, response) => {
      storageClass = request.headers['x-amz-storage-class']
      response.end()
    }
    const options = { 's3.storage-class': chosen }
    await withScript(script, (backend) => backend.write(handle, BYTES), { options })
    expect(storageClass).toBe(kept)
  })

  it('with a large body waits for no permission to send it', async () => {
    let expects: unknown = 'no request came'
    const script: Script = (request, response) => {
      expects = request.headers.expect
      response.end()
    }
    await withScript(script, (backend) => backend.write(PACK, new Uint8Array(5_000_000)))
    expect(expects).toBeUndefined()
  })

  it('of nobody in particular is not signed', async () => {
    let authorization: unknown = 'none was made'
    const script: Script = (request, response) => {
      ;({ authorization } = request.headers)
      response.end()
    }
    const options = { 's3.unsafe-anonymous-auth': 'true' }
    await withScript(script, (backend) => backend.write(PACK, BYTES), { options, env: {} })
    expect(authorization).toBeUndefined()
  })

  describe('with the bucket in the host name', () => {
    afterEach(() => vi.restoreAllMocks())

    it('goes to that host', async () => {
      const { lookup } = dns
      const local = ((
        name: string,
        ...rest: Parameters<typeof lookup> extends [unknown, ...infer R] ? R : never
      ) => lookup(name.endsWith('.store.test') ? '127.0.0.1' : name, ...rest)) as typeof lookup
      vi.spyOn(dns, 'lookup').mockImplementation(local)
      let host: string | undefined
      const script: Script = (request, response) => {
        host = `${request.headers.host} ${request.url?.replace(/\?.*/, '')}`
        response.writeHead(200, { 'Content-Length': '100' }).end(BYTES)
      }
      const options = { 's3.bucket-lookup': 'dns' }
      await withScript(script, (backend) => backend.read(CONFIG), { options, host: 'store.test' })
      expect(host).toMatch(/^bucket\.store\.test:\d+ \/some\/prefix\/config$/)
    })
  })
})

describe('a connection', () => {
  it.each([
    [
      'breaks within an answer',
      ((_request, response) => {
        response
          .writeHead(200, { 'Content-Length': '100' })
          .write(BYTES.subarray(0, 50), () => response.destroy())
      }) satisfies Script,
    ],
    ['breaks before an answer', ((request) => request.socket.destroy()) satisfies Script],
    ['does not answer', (() => undefined) satisfies Script],
    [
      'stops within the answer',
      ((_request, response) => {
        response.writeHead(200, { 'Content-Length': '100' }).write('x')
      }) satisfies Script,
    ],
  ] as [string, Script][])('that %s is worth another try', async (_name, script) => {
    const error = await withScript(script, (backend) => failure(backend.read(PACK)))
    expect(error).toMatchObject({ code: 'BACKEND', transient: true })
  })

  it('closed by the store between two requests is not noticed', async () => {
    let count = 0
    const script: Script = (request, response) => {
      count += 1
      if (count === 2) request.socket.destroy()
      else response.writeHead(200, { 'Content-Length': '100' }).end(BYTES)
    }
    const read = async (backend: Backend): Promise<void> => {
      for (let i = 0; i < 2; i++) expect(await backend.read(PACK)).toHaveLength(100)
    }
    await withScript(script, read, { options: { 's3.retries': '0' } })
    expect(count).toBe(3)
  })
})

describe('an abort', () => {
  it.each(['read', 'write', 'remove', 'list', 'create'] as const)('ends %s at once', async (method) => {
    const controller = new AbortController()
    const { signal } = controller
    const script: Script = (request, response) => {
      if (request.method !== 'HEAD') response.writeHead(200, { 'Content-Length': '100' }).write('<')
      controller.abort()
    }
    await withScript(script, async (backend) => {
      const calls = {
        read: () => backend.read(PACK, undefined, signal),
        write: () => backend.write(PACK, BYTES, signal),
        remove: () => backend.remove(PACK, signal),
        list: () => collect(backend.list('pack', signal)),
        create: () => backend.create(signal),
      }
      await expect(calls[method]()).rejects.toThrow(AbortedError)
    })
  })
})

describe('keys', () => {
  afterEach(() => vi.unstubAllEnvs())

  it('that are nowhere to be found are asked for at once', async () => {
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE'])
      vi.stubEnv(name, undefined)
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true')
    for (const name of ['AWS_SHARED_CREDENTIALS_FILE', 'AWS_CONFIG_FILE']) vi.stubEnv(name, '/nowhere')
    const error = await withScript(refuse(500, 'Unexpected'), (backend) => failure(backend.stat(CONFIG)), {
      env: {},
    })
    expect(error).toBeInstanceOf(InvalidInputError)
    expect(error).toMatchObject({ hint: expect.stringContaining('AWS_ACCESS_KEY_ID') as string })
  })
})
