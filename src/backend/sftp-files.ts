/** What a repository does with files over SFTP: reading and writing with many requests under way, folders, renames. */
import { throwIfAborted } from '../errors.ts'
import { SftpStatusError, type SftpClient } from './sftp-client.ts'
import {
  OPEN_NEW,
  OPEN_READ,
  PACKET,
  permissions,
  STATUS,
  string,
  uint32,
  uint64,
  type SftpAttributes,
  type SftpName,
} from './sftp-packets.ts'

/** How much each request of a transfer carries, and how many are under way: together the line's delay times its speed. */
const CHUNK_BYTES = 32 * 1024
const CHUNK_BYTES_MAX = 255 * 1024
const WINDOW_BYTES = 4 * 1024 * 1024
const POSIX_RENAME = 'posix-rename@openssh.com'
const FSYNC = 'fsync@openssh.com'
const LIMITS = 'limits@openssh.com'
const STATVFS = 'statvfs@openssh.com'

/** Where and how long a part of a file is. */
interface Part {
  readonly offset: number
  readonly length: number
}

export class SftpFiles {
  readonly #client: SftpClient
  #readBytes = CHUNK_BYTES
  #writeBytes = CHUNK_BYTES

  constructor(client: SftpClient) {
    this.#client = client
  }

  /** Greets the server and learns how much a request may carry. */
  async start(): Promise<void> {
    await this.#client.start()
    if (!this.#client.hasExtension(LIMITS)) return
    const limits = await this.#client.extended(LIMITS, [], PACKET.extendedReply)
    limits.uint64() // of a packet
    this.#readBytes = chunkBytes(limits.uint64())
    this.#writeBytes = chunkBytes(limits.uint64())
  }

  /** Whether a file may be renamed over another, which is whole or gone at every moment. */
  get hasPosixRename(): boolean {
    return this.#client.hasExtension(POSIX_RENAME)
  }

  async stat(path: string): Promise<SftpAttributes> {
    return (await this.#client.request(PACKET.stat, [string(path)], PACKET.attributes)).attributes()
  }

  async setMode(path: string, mode: number): Promise<void> {
    await this.#client.request(PACKET.setstat, [string(path), permissions(mode)])
  }

  async remove(path: string): Promise<void> {
    await this.#client.request(PACKET.remove, [string(path)])
  }

  /** Without its parents. The server may narrow the mode. */
  async makeFolder(path: string, mode: number): Promise<void> {
    await this.#client.request(PACKET.mkdir, [string(path), permissions(mode)])
  }

  async rename(from: string, to: string): Promise<void> {
    const paths = [string(from), string(to)]
    await (this.hasPosixRename
      ? this.#client.extended(POSIX_RENAME, paths)
      : this.#client.request(PACKET.rename, paths))
  }

  /** Bytes and files that still have room beside this one; undefined where the server does not tell. */
  async roomAt(path: string): Promise<{ readonly bytes: number; readonly files: number } | undefined> {
    if (!this.#client.hasExtension(STATVFS)) return undefined
    const answer = await this.#client.extended(STATVFS, [string(path)], PACKET.extendedReply)
    answer.uint64() // block size
    const fragmentBytes = answer.uint64()
    answer.uint64() // blocks
    answer.uint64() // free blocks, with those of root
    const blocks = answer.uint64()
    answer.uint64() // files
    answer.uint64() // free files, with those of root
    return { bytes: fragmentBytes * blocks, files: answer.uint64() }
  }

  /** All entries of a folder but itself and its parent. */
  async readFolder(path: string, signal?: AbortSignal): Promise<SftpName[]> {
    const handle = await this.#open(PACKET.opendir, [string(path)])
    const names: SftpName[] = []
    try {
      for (;;) {
        throwIfAborted(signal)
        const part = await this.#untilEnd(PACKET.readdir, [string(handle)], PACKET.name)
        if (part === undefined) return names.filter(({ name }) => name !== '.' && name !== '..')
        names.push(...part.names())
      }
    } finally {
      void this.#close(handle) // nobody needs to wait for it
    }
  }

  /**
   * A file or a part of it, as far as there is any of it.
   * @returns less than `part.length` bytes where the file ends before
   */
  async read(path: string, part: Part | undefined, signal?: AbortSignal): Promise<Uint8Array> {
    const handle = await this.#open(PACKET.open, [string(path), uint32(OPEN_READ), uint32(0)])
    try {
      const { offset, length } = part ?? { offset: 0, length: await this.#lengthOf(handle) }
      const bytes = new Uint8Array(length)
      let end = length
      await eachPart({ offset: 0, length }, this.#readBytes, signal, async (wanted) => {
        const filled = await this.#readPart(handle, bytes.subarray(wanted.offset), {
          offset: offset + wanted.offset,
          length: wanted.length,
        })
        if (filled < wanted.length) end = Math.min(end, wanted.offset + filled)
      })
      return end === length ? bytes : bytes.slice(0, end)
    } finally {
      void this.#close(handle) // nobody needs to wait for it
    }
  }

  /**
   * Writes a new file and has it synced where the server can.
   * @param mode `create`: while it is written, `final`: afterwards
   */
  async write(
    path: string,
    data: Uint8Array,
    mode: { readonly create: number; readonly final: number },
    signal?: AbortSignal,
  ): Promise<void> {
    const fields = [string(path), uint32(OPEN_NEW), permissions(mode.create)]
    const handle = await this.#open(PACKET.open, fields)
    let isClosed = false
    try {
      await eachPart(
        { offset: 0, length: data.length },
        this.#writeBytes,
        signal,
        async ({ offset, length }) => {
          const content = data.subarray(offset, offset + length)
          await this.#client.request(PACKET.write, [string(handle), uint64(offset), uint32(length), content])
        },
      )
      isClosed = true
      // One after the other on the server. Not before closing do some say that the disk is full.
      await Promise.all([
        this.#setFinalMode(handle, mode.final),
        this.#sync(handle),
        this.#client.request(PACKET.close, [string(handle)]),
      ])
    } finally {
      if (!isClosed) await this.#close(handle)
    }
  }

  async #setFinalMode(handle: Buffer, mode: number): Promise<void> {
    try {
      await this.#client.request(PACKET.fsetstat, [string(handle), permissions(mode)])
    } catch (error) {
      // A store without permissions is one all the same.
      if (!isStatus(error, STATUS.unsupported)) throw error
    }
  }

  async #sync(handle: Buffer): Promise<void> {
    if (this.#client.hasExtension(FSYNC)) await this.#client.extended(FSYNC, [string(handle)])
  }

  async #open(request: number, fields: readonly Uint8Array[]): Promise<Buffer> {
    const answer = await this.#client.request(request, fields, PACKET.handle)
    return Buffer.from(answer.string())
  }

  /** For reading only, where nothing can be lost any more. */
  async #close(handle: Buffer): Promise<void> {
    await this.#client.request(PACKET.close, [string(handle)]).catch(() => undefined)
  }

  async #lengthOf(handle: Buffer): Promise<number> {
    const answer = await this.#client.request(PACKET.fstat, [string(handle)], PACKET.attributes)
    const { size } = answer.attributes()
    if (size === undefined) throw new SftpStatusError(STATUS.unsupported, 'the server tells no sizes')
    return size
  }

  /** Fills `target` from its start. A server may send less at a time than it was asked for. */
  async #readPart(handle: Buffer, target: Uint8Array, { offset, length }: Part): Promise<number> {
    let filled = 0
    while (filled < length) {
      const fields = [string(handle), uint64(offset + filled), uint32(length - filled)]
      const answer = await this.#untilEnd(PACKET.read, fields, PACKET.data)
      const content = answer?.string()
      if (content === undefined || content.length === 0) break
      if (content.length > length - filled)
        throw this.#client.fail('the server sends more than was asked for')
      target.set(content, filled)
      filled += content.length
    }
    return filled
  }

  /** Undefined at the end of a file or folder. */
  async #untilEnd(
    request: number,
    fields: readonly Uint8Array[],
    type: number,
  ): Promise<Awaited<ReturnType<SftpClient['request']>> | undefined> {
    try {
      return await this.#client.request(request, fields, type)
    } catch (error) {
      if (isStatus(error, STATUS.endOfFile)) return undefined
      throw error
    }
  }
}

export function isStatus(error: unknown, status: number): boolean {
  return error instanceof SftpStatusError && error.status === status
}

function chunkBytes(limit: number): number {
  return limit === 0 ? CHUNK_BYTES : Math.min(Math.max(limit, 1), CHUNK_BYTES_MAX)
}

/** Runs `work` on all parts of a transfer, as many at once as the window holds. Ends them all before it throws. */
async function eachPart(
  whole: Part,
  partBytes: number,
  signal: AbortSignal | undefined,
  work: (part: Part) => Promise<void>,
): Promise<void> {
  const end = whole.offset + whole.length
  let next = whole.offset
  const worker = async (): Promise<void> => {
    try {
      while (next < end) {
        throwIfAborted(signal)
        const offset = next
        next += partBytes
        await work({ offset, length: Math.min(partBytes, end - offset) })
      }
    } catch (error) {
      next = end // the others need not go on
      throw error
    }
  }
  const count = Math.min(Math.ceil(WINDOW_BYTES / partBytes), Math.ceil(whole.length / partBytes))
  const results = await Promise.allSettled(Array.from({ length: count }, worker))
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}
