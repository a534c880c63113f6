/**
 * Trees: the ordered nodes of a directory (format spec §10). A tree's ID is the hash of its bytes, so what is encoded
 * here must be what restic would encode, byte for byte.
 */
import { InvalidInputError } from '../../errors.ts'
import type { Id } from './id.ts'
import type { JsonValue } from './json.ts'
import { encodeNode } from './node-encoding.ts'
import { parseNodes } from './node-parsing.ts'
import { compareRawNames } from './raw-name.ts'
import type { Time } from './time.ts'

export interface ExtendedAttribute {
  readonly name: string
  readonly value: Uint8Array
}

/** `''` also stands for types this version does not know. */
export type NodeType = 'file' | 'dir' | 'symlink' | 'dev' | 'chardev' | 'fifo' | 'socket' | 'irregular' | ''

/** An entry of a directory. Names, link targets and such are raw names: see raw-name.ts. Zero and '' mean absent. */
export interface Node {
  readonly name: string
  readonly type: NodeType
  /** Go's FileMode: see file-mode.ts. */
  readonly mode: number
  readonly mtime: Time
  readonly atime: Time
  readonly ctime: Time
  readonly uid: number
  readonly gid: number
  readonly user: string
  readonly group: string
  readonly inode: bigint
  readonly deviceId: bigint
  /** Bytes of content. */
  readonly size: number
  readonly links: number
  readonly linkTarget: string
  /** In the order the system lists them. */
  readonly extendedAttributes: readonly ExtendedAttribute[]
  /** What only some systems know, by `system.attribute`. */
  readonly genericAttributes?: Readonly<Record<string, JsonValue>> | undefined
  /** st_rdev of a device file. */
  readonly device: bigint
  /** Data blobs in order: of a file. Null for all else. */
  readonly content: readonly Id[] | null
  /** Tree blob: of a directory. */
  readonly subtree: Id | null
  readonly error: string
}

const FLUSH_CHARACTERS = 1 << 15
const INITIAL_BYTES = 1 << 12
/** UTF-8 bytes a UTF-16 code unit takes at most. */
const MAX_UTF8_PER_UNIT = 3

const encoder = new TextEncoder()

/** Encodes a tree node by node. */
export class TreeEncoder {
  #bytes = new Uint8Array(INITIAL_BYTES)
  #length = 0
  /** What is not yet in `#bytes`. */
  #pending = '{"nodes":['
  #count = 0
  #lastName = ''

  /** How many nodes were added. */
  get count(): number {
    return this.#count
  }

  /**
   * Adds the next node.
   * @throws InvalidInputError where its name does not come after the one before it (in byte order) or is empty
   */
  add(node: Node): void {
    if (compareRawNames(node.name, this.#lastName) <= 0) {
      throw new InvalidInputError(
        `tree node ${JSON.stringify(node.name)} cannot follow ${JSON.stringify(this.#lastName)}`,
      )
    }
    this.#pending += this.#count === 0 ? encodeNode(node) : `,${encodeNode(node)}`
    this.#count += 1
    this.#lastName = node.name
    if (this.#pending.length >= FLUSH_CHARACTERS) this.#flush()
  }

  /** The tree's bytes. The encoder must not be used afterwards. */
  finish(): Uint8Array {
    this.#pending += ']}\n'
    this.#flush()
    return this.#bytes.slice(0, this.#length)
  }

  #flush(): void {
    const needed = this.#length + this.#pending.length * MAX_UTF8_PER_UNIT
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
      grown.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = grown
    }
    this.#length += encoder.encodeInto(this.#pending, this.#bytes.subarray(this.#length)).written
    this.#pending = ''
  }
}

/**
 * The bytes of a tree.
 * @throws InvalidInputError unless names are strictly ascending in byte order
 */
export function encodeTree(nodes: Iterable<Node>): Uint8Array {
  const tree = new TreeEncoder()
  for (const node of nodes) tree.add(node)
  return tree.finish()
}

/**
 * The nodes of a tree. Names are not checked beyond their order: see `isSafeNodeName`.
 * @throws CorruptDataError where it is malformed, unordered or names a node twice
 */
export function parseTree(bytes: Uint8Array): Node[] {
  return parseNodes(bytes)
}
