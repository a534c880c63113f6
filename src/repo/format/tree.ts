/**
 * Trees: the ordered nodes of a directory (format spec §10). A tree's ID is the hash of its bytes, so what is encoded
 * here must be what restic would encode, byte for byte.
 */
import { InvalidInputError } from '../../errors.ts'
import type { Id } from './id.ts'
import type { JsonValue } from './json.ts'
import { encodeNode } from './node-encoding.ts'
import { scanNodes } from './node-parsing.ts'
import { compareRawNames } from './raw-name.ts'
import type { Time } from './time.ts'
import { Utf8Buffer } from './utf8-buffer.ts'

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

const HEAD = '{"nodes":['
const TAIL = ']}\n'

/** Encodes a tree node by node. */
export class TreeEncoder {
  readonly #text = new Utf8Buffer()
  #count = 0
  #lastName = ''

  /** How many nodes were added, those encoded before counted as one. */
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
    this.#text.append((this.#count === 0 ? HEAD : ',') + encodeNode(node))
    this.#count += 1
    this.#lastName = node.name
  }

  /** Adds nodes that are encoded and joined by commas, one or more, which come next in byte order. */
  addEncoded(nodes: Uint8Array): void {
    this.#text.append(this.#count === 0 ? HEAD : ',')
    this.#text.appendBytes(nodes)
    this.#count += 1
  }

  /** The tree's bytes. The encoder must not be used afterwards. */
  finish(): Uint8Array {
    this.#text.append(this.#count === 0 ? HEAD + TAIL : TAIL)
    return this.#text.toBytes()
  }
}

/**
 * The bytes of a tree.
 * @param nodes bytes stand for nodes that are encoded, as `TreeEncoder.addEncoded` takes them
 * @throws InvalidInputError unless names are strictly ascending in byte order
 */
export function encodeTree(nodes: Iterable<Node | Uint8Array>): Uint8Array {
  const tree = new TreeEncoder()
  for (const node of nodes) {
    if (node instanceof Uint8Array) tree.addEncoded(node)
    else tree.add(node)
  }
  return tree.finish()
}

/**
 * The nodes of a tree. Names are not checked beyond their order: see `isSafeNodeName`.
 * @throws CorruptDataError where it is malformed, unordered or names a node twice
 */
export function parseTree(bytes: Uint8Array): Node[] {
  const nodes: Node[] = []
  scanNodes(bytes, { node: (node) => nodes.push(node) })
  return nodes
}
