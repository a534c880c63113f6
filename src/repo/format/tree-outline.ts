/**
 * What a tree says of its nodes without making objects of them (format spec §10): which blobs it refers to, and how
 * each node is spelled. One object reads tree after tree into the same memory.
 */
import { ID_BYTES, idFromBytes, idInto, type Id } from './id.ts'
import { encodeNode, encodeNodeHead } from './node-encoding.ts'
import { NAME_OFFSET, parseNode, scanNodes, type NodeVisitor } from './node-parsing.ts'
import type { NodeRun } from './tree-kernel.ts'
import type { Node } from './tree.ts'

/** Types of nodes here. */
export const FILE = 0
export const DIR = 1
const OTHER = 2

const HEAD = '{"nodes":['
const TAIL = ']}\n'
const NODES_MIN = 1024
const ASCII_MAX = 0x7f

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const encoder = new TextEncoder()

export class TreeOutline implements NodeVisitor {
  #bytes: Uint8Array = new Uint8Array()
  #count = 0
  #starts = new Uint32Array(NODES_MIN)
  /** Where the content begins; 0 where the node is not spelled as `encodeNode` does it. */
  #tails = new Uint32Array(NODES_MIN)
  #ends = new Uint32Array(NODES_MIN)
  #nameLengths = new Uint32Array(NODES_MIN)
  #types = new Uint8Array(NODES_MIN)
  #sizes = new Float64Array(NODES_MIN)
  /** How many IDs there are up to the last one of each node. */
  #idEnds = new Uint32Array(NODES_MIN)
  #ids = new Uint8Array(NODES_MIN * ID_BYTES)
  #idCount = 0
  readonly #oddNodes = new Map<number, Node>()

  /**
   * Reads a tree. `bytes` must not change as long as anything is asked of it.
   * @throws CorruptDataError as `parseTree`
   */
  read(bytes: Uint8Array): void {
    this.#bytes = bytes
    this.#count = 0
    this.#idCount = 0
    this.#oddNodes.clear()
    scanNodes(bytes, this)
  }

  get nodeCount(): number {
    return this.#count
  }

  /** Of blobs, 32 bytes each: the content of files, the trees of folders. */
  get ids(): Uint8Array {
    return this.#ids
  }

  typeAt(node: number): number {
    return this.#types[node] ?? OTHER
  }

  /** Bytes of content, as it is said to be. */
  sizeAt(node: number): number {
    return this.#sizes[node] ?? 0
  }

  /** The IDs of a node: from this number on, up to `idEndAt`. */
  idStartAt(node: number): number {
    return node === 0 ? 0 : (this.#idEnds[node - 1] ?? 0)
  }

  idEndAt(node: number): number {
    return this.#idEnds[node] ?? 0
  }

  idAt(number: number): Id {
    return idFromBytes(this.#ids, number * ID_BYTES)
  }

  nameAt(node: number): string {
    const odd = this.#oddNodes.get(node)
    if (odd !== undefined) return odd.name
    const start = (this.#starts[node] ?? 0) + NAME_OFFSET
    return decoder.decode(this.#bytes.subarray(start, start + (this.#nameLengths[node] ?? 0)))
  }

  /** Whether a node had to be read by itself. All others have what their type asks for: a name, a content, a tree. */
  isOdd(node: number): boolean {
    return this.#oddNodes.size > 0 && this.#oddNodes.has(node)
  }

  nodeAt(node: number): Node {
    return this.#oddNodes.get(node) ?? parseNode(this.#bytes.subarray(this.#starts[node], this.#ends[node]))
  }

  /** Whether all around the nodes is spelled as `encodeTree` does it. */
  get isFramedAsEncoded(): boolean {
    const bytes = this.#bytes
    let end = endOf(HEAD, bytes, 0)
    for (let i = 0; i < this.#count; i++) {
      const separator = i === 0 ? 0 : 1
      if (this.#starts[i] !== end + separator) return false
      end = this.#ends[i] ?? 0
    }
    return end > 0 && endOf(TAIL, bytes, end) === bytes.length
  }

  /** Whether a node is spelled as `encodeNode` does it, with this for all that comes before the content. */
  hasHead(node: number, head: string): boolean {
    return endOf(head, this.#bytes, this.#starts[node] ?? 0) === this.#tails[node]
  }

  run(run: NodeRun, start: number): void {
    const first = this.#count
    this.#reserve(first + run.nodeCount, this.#idCount + (run.idCounts[run.nodeCount - 1] ?? 0))
    let nodeStart = start
    for (let i = 0; i < run.nodeCount; i++) {
      const row = first + i
      this.#starts[row] = nodeStart
      this.#tails[row] = start + (run.tails[i] ?? 0)
      const end = start + (run.ends[i] ?? 0)
      this.#ends[row] = end
      nodeStart = end + 1
      this.#nameLengths[row] = run.nameLengths[i] ?? 0
      this.#types[row] = run.types[i] ?? OTHER
      this.#sizes[row] = run.sizes[i] ?? 0
      this.#idEnds[row] = this.#idCount + (run.idCounts[i] ?? 0)
    }
    const idCount = run.idCounts[run.nodeCount - 1] ?? 0
    this.#ids.set(run.ids.subarray(0, idCount * ID_BYTES), this.#idCount * ID_BYTES)
    this.#idCount += idCount
    this.#count += run.nodeCount
  }

  // oxlint-disable-next-line max-params -- NodeVisitor's
  node(node: Node, start: number, end: number): void {
    const row = this.#count
    const ids = idsOf(node)
    this.#reserve(row + 1, this.#idCount + ids.length)
    this.#starts[row] = start
    this.#ends[row] = end
    const isAsEncoded = endOf(encodeNode(node), this.#bytes, start) === end
    this.#tails[row] = isAsEncoded ? endOf(encodeNodeHead(node), this.#bytes, start) : 0
    this.#types[row] = node.type === 'file' ? FILE : node.type === 'dir' ? DIR : OTHER
    this.#sizes[row] = node.size
    for (const id of ids) idInto(id, this.#ids, this.#idCount++ * ID_BYTES)
    this.#idEnds[row] = this.#idCount
    this.#oddNodes.set(row, node)
    this.#count += 1
  }

  #reserve(nodes: number, ids: number): void {
    if (ids * ID_BYTES > this.#ids.length)
      this.#ids = copyTo(new Uint8Array(Math.max(ids * ID_BYTES, 2 * this.#ids.length)), this.#ids)
    if (nodes <= this.#types.length) return
    const length = Math.max(nodes, 2 * this.#types.length)
    this.#starts = copyTo(new Uint32Array(length), this.#starts)
    this.#tails = copyTo(new Uint32Array(length), this.#tails)
    this.#ends = copyTo(new Uint32Array(length), this.#ends)
    this.#nameLengths = copyTo(new Uint32Array(length), this.#nameLengths)
    this.#types = copyTo(new Uint8Array(length), this.#types)
    this.#sizes = copyTo(new Float64Array(length), this.#sizes)
    this.#idEnds = copyTo(new Uint32Array(length), this.#idEnds)
  }
}

function idsOf({ type, content, subtree }: Node): readonly Id[] {
  if (type === 'file') return content ?? []
  return type === 'dir' && subtree !== null ? [subtree] : []
}

function copyTo<Column extends Uint32Array | Uint8Array | Float64Array>(grown: Column, from: Column): Column {
  grown.set(from)
  return grown
}

/** Where `text` ends if its UTF-8 stands at `bytes[start …]`, or -1. */
function endOf(text: string, bytes: Uint8Array, start: number): number {
  const { length } = text
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i)
    if (unit > ASCII_MAX) return endOfEncoded(encoder.encode(text.slice(i)), bytes, start + i)
    if (bytes[start + i] !== unit) return -1
  }
  return start + length
}

function endOfEncoded(text: Uint8Array, bytes: Uint8Array, start: number): number {
  return text.every((byte, i) => bytes[start + i] === byte) ? start + text.length : -1
}
