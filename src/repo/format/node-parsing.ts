/** Reads the nodes of a tree straight from its bytes (format spec §10). */
import { JsonScanner } from './json-scanner.ts'
import { KnownStrings } from './known-strings.ts'
import { NodeValues } from './node-values.ts'
import { compareRawNames } from './raw-name.ts'
import { ZERO_TIME } from './time.ts'
import type { ExtendedAttribute, Node } from './tree.ts'

const WHAT = 'tree'
const TREE_KEYS = new KnownStrings(['nodes'])
const UINT32_MAX = 0xffff_ffff

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

/** @throws CorruptDataError */
export function parseNodes(bytes: Uint8Array): Node[] {
  const scanner = new JsonScanner(bytes, WHAT)
  let nodes: Node[] | undefined
  scanner.enterObject()
  for (let first = true; scanner.nextMember(first); first = false) {
    if (nodes === undefined && TREE_KEYS.find(scanner, 0) === 0) nodes = readNodes(scanner)
    else scanner.skipValue()
  }
  scanner.expectEnd()
  return nodes ?? scanner.fail('a tree without nodes ends')
}

function readNodes(scanner: JsonScanner): Node[] {
  const values = new NodeValues(scanner)
  const nodes: Node[] = []
  let lastName: string | undefined
  scanner.enterArray()
  for (let first = true; scanner.nextElement(first); first = false) {
    const node = readNode(scanner, values)
    if (lastName !== undefined && compareRawNames(lastName, node.name) >= 0)
      scanner.fail('a node out of order ends')
    nodes.push(node)
    lastName = node.name
  }
  return nodes
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
