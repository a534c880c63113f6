/** Reads the nodes of a tree straight from its bytes (format spec §10). */
import { JsonScanner } from './json-scanner.ts'
import { KnownStrings } from './known-strings.ts'
import { NodeValues } from './node-values.ts'
import { compareRawNames } from './raw-name.ts'
import { ZERO_TIME } from './time.ts'
import { createNodeReader, type NodeReader, type NodeRun } from './tree-kernel.ts'
import type { ExtendedAttribute, Node } from './tree.ts'

const WHAT = 'tree'
const TREE_KEYS = new KnownStrings(['nodes'])
const UINT32_MAX = 0xffff_ffff
const RUN_BYTES_MIN = 4096
const RUN_BYTES_MAX = 131_072
/** Where the name begins in a node that is spelled as usual: behind `{"name":"`. */
export const NAME_OFFSET = 9

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

type MutableNode = { -readonly [Key in keyof Node]: Node[Key] }

/** The members of a node as they are written, and what each of them is read into. */
const MEMBERS: Readonly<Record<string, (node: MutableNode, values: NodeValues) => void>> = {
  name: (node, values) => (node.name = values.name()),
  type: (node, values) => (node.type = values.type()),
  mode: (node, values) => (node.mode = values.uint(UINT32_MAX)),
  mtime: (node, values) => (node.mtime = values.time()),
  atime: (node, values) => (node.atime = values.time()),
  ctime: (node, values) => (node.ctime = values.time()),
  uid: (node, values) => (node.uid = values.uint(UINT32_MAX)),
  gid: (node, values) => (node.gid = values.uint(UINT32_MAX)),
  user: (node, values) => (node.user = values.user()),
  group: (node, values) => (node.group = values.group()),
  inode: (node, values) => (node.inode = values.uint64()),
  device_id: (node, values) => (node.deviceId = values.uint64()),
  size: (node, values) => (node.size = values.uint(Number.MAX_SAFE_INTEGER)),
  links: (node, values) => (node.links = values.uint(Number.MAX_SAFE_INTEGER)),
  linktarget: (node, values) => (node.linkTarget = values.string()),
  linktarget_raw: (_, values) => values.rawLinkTarget(),
  extended_attributes: (node, values) => (node.extendedAttributes = values.extendedAttributes()),
  generic_attributes: (node, values) => (node.genericAttributes = values.genericAttributes()),
  device: (node, values) => (node.device = values.uint64()),
  content: (node, values) => (node.content = values.ids()),
  subtree: (node, values) => (node.subtree = values.id()),
  error: (node, values) => (node.error = values.string()),
}
/** Most nodes have none, and one list does for them all. */
const NO_ATTRIBUTES: readonly ExtendedAttribute[] = []
const NODE_KEYS = new KnownStrings(Object.keys(MEMBERS))
const MEMBER_READERS = Object.values(MEMBERS)

/** Told what a tree holds, in its order. */
export interface NodeVisitor {
  /** A node, spelled in `bytes[start … end)`. */
  node(node: Node, start: number, end: number): void
  /** Nodes that follow each other from `bytes[start]` on, read at once. Without this, `node` is told of each. */
  run?(run: NodeRun, start: number): void
}

/**
 * Steps through a tree's JSON and tells the visitor what it finds.
 * @throws CorruptDataError where it is malformed, unordered or names a node twice; the visitor may have been told of
 * some nodes by then
 */
export function scanNodes(bytes: Uint8Array, visitor: NodeVisitor): void {
  const scanner = new JsonScanner(bytes, WHAT)
  let isFound = false
  scanner.enterObject()
  for (let first = true; scanner.nextMember(first); first = false) {
    if (isFound || TREE_KEYS.find(scanner, 0) < 0) {
      scanner.skipValue()
      continue
    }
    isFound = true
    new NodeScan(scanner, visitor).run()
  }
  scanner.expectEnd()
  if (!isFound) scanner.fail('a tree without nodes ends')
}

/** @param bytes one node @throws CorruptDataError */
export function parseNode(bytes: Uint8Array): Node {
  const scanner = new JsonScanner(bytes, WHAT)
  return readNode(scanner, new NodeValues(scanner))
}

class NodeScan {
  readonly #scanner: JsonScanner
  readonly #visitor: NodeVisitor
  readonly #values: NodeValues
  readonly #reader: NodeReader | undefined
  #windowBytes = RUN_BYTES_MAX
  /** Undefined before the first node, and where it is the name spelled in `bytes[#lastStart … #lastEnd)`. */
  #lastName: string | undefined
  #lastStart = 0
  #lastEnd = 0

  constructor(scanner: JsonScanner, visitor: NodeVisitor) {
    this.#scanner = scanner
    this.#visitor = visitor
    this.#values = new NodeValues(scanner)
    if (visitor.run !== undefined) this.#reader = createNodeReader()
  }

  run(): void {
    const scanner = this.#scanner
    scanner.enterArray()
    for (let first = true; scanner.nextElement(first); first = false) {
      scanner.peek()
      if (this.#reader !== undefined && this.#readRun(this.#reader)) continue
      const start = scanner.position
      const node = readNode(scanner, this.#values)
      this.#checkOrder(node.name)
      this.#lastName = node.name
      this.#visitor.node(node, start, scanner.position)
    }
  }

  /** Reads nodes from here on as long as they are spelled as usual. False where the first is not. */
  #readRun(reader: NodeReader): boolean {
    const scanner = this.#scanner
    const start = scanner.position
    const length = reader.read(scanner.bytes, start, this.#windowBytes)
    // Where nodes are spelled in unusual ways, not much is worth being looked at together.
    this.#windowBytes = length === 0 ? RUN_BYTES_MIN : Math.min(2 * this.#windowBytes, RUN_BYTES_MAX)
    if (length === 0) return false
    const { run } = reader
    const last = run.nodeCount - 1
    if (this.#lastName !== undefined || this.#lastEnd > 0) {
      const name = start + NAME_OFFSET
      this.#checkOrder(decoder.decode(scanner.bytes.subarray(name, name + (run.nameLengths[0] ?? 0))))
    }
    this.#lastName = undefined
    this.#lastStart = start + (last === 0 ? 0 : (run.ends[last - 1] ?? 0) + 1) + NAME_OFFSET
    this.#lastEnd = this.#lastStart + (run.nameLengths[last] ?? 0)
    scanner.position += length
    this.#visitor.run?.(run, start)
    return true
  }

  /** @throws CorruptDataError unless the name comes after the last one, if there was one */
  #checkOrder(name: string): void {
    const spelled = this.#scanner.bytes.subarray(this.#lastStart, this.#lastEnd)
    const last = this.#lastName ?? (spelled.length === 0 ? undefined : decoder.decode(spelled))
    if (last !== undefined && compareRawNames(last, name) >= 0) this.#scanner.fail('a node out of order ends')
  }
}

function readNode(scanner: JsonScanner, values: NodeValues): Node {
  const node = emptyNode()
  let key = -1
  scanner.enterObject()
  for (let first = true; scanner.nextMember(first); first = false) {
    key = NODE_KEYS.find(scanner, key + 1)
    if (key < 0) scanner.skipValue()
    // As in Go, null leaves a member as it is.
    else if (!scanner.takeNull()) MEMBER_READERS[key]?.(node, values)
  }
  // The bytes of a link target count for more than its text, whichever comes first.
  node.linkTarget = values.takeRawLinkTarget() ?? node.linkTarget
  return node
}

function emptyNode(): MutableNode {
  return {
    name: '',
    type: '',
    mode: 0,
    mtime: ZERO_TIME,
    atime: ZERO_TIME,
    ctime: ZERO_TIME,
    uid: 0,
    gid: 0,
    user: '',
    group: '',
    inode: 0n,
    deviceId: 0n,
    size: 0,
    links: 0,
    linkTarget: '',
    extendedAttributes: NO_ATTRIBUTES,
    device: 0n,
    content: null,
    subtree: null,
    error: '',
  }
}
