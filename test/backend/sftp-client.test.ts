/** The client's side of SFTP against servers that answer as no good server would. */
import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { SftpClient, SftpConnectionError, SftpStatusError } from '../../src/backend/sftp-client.ts'
import { SftpFiles } from '../../src/backend/sftp-files.ts'
import {
  BrokenPacket,
  PACKET,
  PacketSplitter,
  string,
  uint32,
  uint64,
} from '../../src/backend/sftp-packets.ts'
import { propertyRuns } from '../support/real-restic.ts'

function packet(...fields: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(fields)
  return Buffer.concat([uint32(content.length), content])
}

const type = (number: number): Uint8Array => Uint8Array.of(number)
const greeting = packet(type(PACKET.version), uint32(3), string('ext@example.org'), string('1'))
const status = (id: number, code: number, text = 'said so'): Buffer =>
  packet(type(PACKET.status), uint32(id), uint32(code), string(text), string('en'))

interface Asked {
  readonly type: number
  readonly id: number
  readonly fields: Buffer
}

/** A client whose server answers every request by `answer`. */
function clientOf(
  answer: (asked: Asked) => Buffer | undefined,
  idleMs = 10_000,
): { client: SftpClient; busy: boolean[] } {
  const [input, output] = [new PassThrough(), new PassThrough()]
  const splitter = new PacketSplitter((bytes) => {
    const isGreeting = bytes[0] === PACKET.init
    const said = isGreeting
      ? greeting
      : answer({ type: bytes[0]!, id: bytes.readUInt32BE(1), fields: bytes.subarray(5) })
    if (said !== undefined) output.write(said)
  })
  input.on('data', (chunk: Buffer) => splitter.push(chunk))
  const busy: boolean[] = []
  return { client: new SftpClient({ input, output }, { idleMs, onBusy: (is) => busy.push(is) }), busy }
}

describe('packets', () => {
  it('come out as they went in, however the stream is cut', () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 })
    const contents = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 10 })
    fc.assert(
      fc.property(contents, cuts, (packets, lengths) => {
        const seen: string[] = []
        const splitter = new PacketSplitter((bytes) => seen.push(bytes.toString('hex')))
        let rest = Buffer.concat(packets.map((content) => packet(content)))
        for (let i = 0; rest.length > 0; i += 1) {
          const length = lengths[i % lengths.length]!
          splitter.push(rest.subarray(0, length))
          rest = rest.subarray(length)
        }
        expect(seen).toEqual(packets.map((content) => Buffer.from(content).toString('hex')))
      }),
      propertyRuns(),
    )
  })

  it.each([0, 2 ** 20 + 1, 0xffffffff])('of %i bytes are none', (length) => {
    const splitter = new PacketSplitter(() => undefined)
    expect(() => splitter.push(Buffer.from(uint32(length)))).toThrow(BrokenPacket)
  })
})

describe('a client', () => {
  afterEach(() => vi.useRealTimers())

  it('learns the extensions', async () => {
    const { client } = clientOf(() => undefined)
    await client.start()
    expect(client.hasExtension('ext@example.org')).toBe(true)
    expect(client.hasExtension('other@example.org')).toBe(false)
  })

  it('gives every answer to whoever asked, in whatever order', async () => {
    const asked: Asked[] = []
    const { client, busy } = clientOf((each) => {
      asked.push(each)
      if (asked.length < 3) return undefined
      return Buffer.concat(asked.toReversed().map(({ id, fields }) => status(id, fields.readUInt32BE(0))))
    })
    await client.start()
    const answers = [0, 4, 2].map((code) =>
      client.request(PACKET.remove, [uint32(code)]).then(
        () => 0,
        (error: unknown) => (error instanceof SftpStatusError ? error.status : error),
      ),
    )
    expect(await Promise.all(answers)).toEqual([0, 4, 2])
    expect(busy).toEqual([true, false, true, false])
  })

  it.each([
    ['an answer to nobody', status(77, 0)],
    ['an answer of another kind', packet(type(PACKET.handle), uint32(1), string('h'))],
    ['a packet without a number', packet(type(PACKET.status))],
    ['a length that makes no sense', Buffer.from('Welcome to this server!\n')],
  ])('gives up for good after %s', async (_name, nonsense) => {
    const { client } = clientOf(() => nonsense)
    await client.start()
    const calls = [1, 2].map(() => client.request(PACKET.remove, [string('x')]))
    for (const result of await Promise.allSettled(calls))
      expect(result).toMatchObject({ status: 'rejected', reason: expect.any(SftpConnectionError) as Error })
    await expect(client.request(PACKET.remove, [string('y')])).rejects.toThrow(SftpConnectionError)
  })

  it('gives up when nothing is answered any more, and not while there is', async () => {
    vi.useFakeTimers()
    let answers = 2
    const { client } = clientOf(({ id }) => ((answers -= 1) >= 0 ? status(id, 0) : undefined), 1000)
    await client.start()
    for (let i = 0; i < 2; i++) {
      await client.request(PACKET.remove, [string('x')])
      await vi.advanceTimersByTimeAsync(900)
    }
    expect(client.failure).toBeUndefined()
    const call = client.request(PACKET.remove, [string('x')])
    call.catch(() => undefined)
    await vi.advanceTimersByTimeAsync(999)
    expect(client.failure).toBeUndefined()
    await vi.advanceTimersByTimeAsync(2)
    await expect(call).rejects.toThrow('no answer for 1 seconds')
  })
})

describe('files', () => {
  const content = Uint8Array.from({ length: 200_000 }, (_, i) => i % 251)

  /** A server of one file, that answers reads with at most `most` bytes. */
  function serverOf(most: number, size = content.length): SftpFiles {
    const { client } = clientOf(({ type: request, id, fields }) => {
      if (request === PACKET.open) return packet(type(PACKET.handle), uint32(id), string('h'))
      if (request === PACKET.fstat)
        return packet(type(PACKET.attributes), uint32(id), uint32(1), uint64(size))
      if (request !== PACKET.read) return status(id, 0)
      const offset = Number(fields.readBigUInt64BE(5))
      const part = content.subarray(offset, offset + Math.min(most, fields.readUInt32BE(13)))
      return part.length === 0 ? status(id, 1) : packet(type(PACKET.data), uint32(id), string(part))
    })
    return new SftpFiles(client)
  }

  it.each([1000, 32_768, 100_000])(
    'are read whole from a server that sends %i bytes at most',
    async (most) => {
      const files = serverOf(most)
      await files.start()
      expect(Buffer.compare(await files.read('f', undefined), content)).toBe(0)
      const part = await files.read('f', { offset: 777, length: 100_001 })
      expect(Buffer.compare(part, content.subarray(777, 100_778))).toBe(0)
    },
  )

  it.each([
    ['the end of the file', { offset: 199_000, length: 2000 }, 1000],
    ['what is beyond', { offset: 300_000, length: 2000 }, 0],
  ])('give what there is of %s', async (_name, part, length) => {
    const files = serverOf(32_768)
    await files.start()
    expect(await files.read('f', part)).toHaveLength(length)
  })

  it('that are shorter than they were said to be are read as far as they go', async () => {
    const files = serverOf(32_768, content.length + 70_000)
    await files.start()
    expect(await files.read('f', undefined)).toHaveLength(content.length)
  })
})
