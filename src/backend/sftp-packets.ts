/** Bytes of the SSH File Transfer Protocol, version 3 (draft-ietf-secsh-filexfer-02), as OpenSSH speaks it. */

export const PACKET = {
  init: 1,
  version: 2,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  setstat: 9,
  fsetstat: 10,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  stat: 17,
  rename: 18,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attributes: 105,
  extended: 200,
  extendedReply: 201,
} as const

export const STATUS = {
  ok: 0,
  endOfFile: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  unsupported: 8,
} as const

export const OPEN_READ = 0x01
/** For writing, and only if there is no such file yet. */
export const OPEN_NEW: number = 0x02 | 0x08 | 0x20

const ATTRIBUTE_SIZE = 0x01
const ATTRIBUTE_OWNER = 0x02
const ATTRIBUTE_PERMISSIONS = 0x04
const ATTRIBUTE_TIMES = 0x08
const ATTRIBUTE_EXTENDED = 0x80000000

/** What a server tells of a file, as far as it does. `mode` has the type as well, as st_mode does. */
export interface SftpAttributes {
  readonly size: number | undefined
  readonly mode: number | undefined
}

export interface SftpName {
  readonly name: string
  readonly attributes: SftpAttributes
}

/** One field of a packet. */
export type Field = Uint8Array

export function uint32(value: number): Field {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

export function uint64(value: number): Field {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}

/** Length and bytes; text goes as UTF-8. */
export function string(value: string | Uint8Array): Field {
  const content = typeof value === 'string' ? Buffer.from(value) : value
  return Buffer.concat([uint32(content.length), content])
}

/** Attributes that set the permissions and nothing else. */
export function permissions(mode: number): Field {
  return Buffer.concat([uint32(ATTRIBUTE_PERMISSIONS), uint32(mode)])
}

/** A packet that is not what its type says it is. */
export class BrokenPacket extends Error {}

/** Reads the fields of one packet in their order. @throws BrokenPacket where it ends too early */
export class PacketReader {
  readonly type: number
  readonly #bytes: Buffer
  #offset = 1

  /** @param bytes the packet without its length */
  constructor(bytes: Buffer) {
    this.type = bytes[0] ?? 0
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#offset >= this.#bytes.length
  }

  uint32(): number {
    return this.#take(4).readUInt32BE(0)
  }

  uint64(): number {
    return Number(this.#take(8).readBigUInt64BE(0))
  }

  /** A view of the packet's own bytes. */
  string(): Buffer {
    return this.#take(this.uint32())
  }

  text(): string {
    return this.string().toString()
  }

  attributes(): SftpAttributes {
    const flags = this.uint32()
    const size = (flags & ATTRIBUTE_SIZE) === 0 ? undefined : this.uint64()
    if ((flags & ATTRIBUTE_OWNER) !== 0) this.#take(8)
    const mode = (flags & ATTRIBUTE_PERMISSIONS) === 0 ? undefined : this.uint32()
    if ((flags & ATTRIBUTE_TIMES) !== 0) this.#take(8)
    if ((flags & ATTRIBUTE_EXTENDED) !== 0) {
      for (let left = this.uint32(); left > 0; left -= 1) {
        this.string()
        this.string()
      }
    }
    return { size, mode }
  }

  names(): SftpName[] {
    const names: SftpName[] = []
    for (let left = this.uint32(); left > 0; left -= 1) {
      const name = this.text()
      this.string() // as `ls -l` would print it
      names.push({ name, attributes: this.attributes() })
    }
    return names
  }

  #take(length: number): Buffer {
    const end = this.#offset + length
    if (end > this.#bytes.length) throw new BrokenPacket('the packet is too short')
    const part = this.#bytes.subarray(this.#offset, end)
    this.#offset = end
    return part
  }
}

/** Cuts a stream of bytes into packets. */
export class PacketSplitter {
  readonly #onPacket: (packet: Buffer) => void
  #chunks: Buffer[] = []
  #length = 0

  constructor(onPacket: (packet: Buffer) => void) {
    this.#onPacket = onPacket
  }

  /** @throws BrokenPacket for a length that no packet has: something other than an SFTP server is speaking */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#length += chunk.length
    for (;;) {
      const length = this.#packetLength()
      if (length === undefined || this.#length < 4 + length) return
      const bytes = this.#join()
      this.#chunks = [bytes.subarray(4 + length)]
      this.#length = bytes.length - 4 - length
      this.#onPacket(bytes.subarray(4, 4 + length))
    }
  }

  #packetLength(): number | undefined {
    if (this.#length < 4) return undefined
    if ((this.#chunks[0]?.length ?? 0) < 4) this.#join()
    const length = this.#chunks[0]?.readUInt32BE(0) ?? 0
    if (length === 0 || length > PACKET_BYTES_MAX)
      throw new BrokenPacket('what answers there does not speak SFTP')
    return length
  }

  #join(): Buffer {
    const [first] = this.#chunks
    const joined = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks)
    this.#chunks = [joined]
    return joined
  }
}

/** OpenSSH's own limit is a quarter of it. */
const PACKET_BYTES_MAX = 2 ** 20
