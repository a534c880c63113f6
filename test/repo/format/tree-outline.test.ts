/** An outline says of a tree what its nodes say, whether they are read by the kernel or one by one. */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CorruptDataError } from '../../../src/errors.ts'
import { idFromBytes, type Id } from '../../../src/repo/format/id.ts'
import { encodeNode, encodeNodeHead } from '../../../src/repo/format/node-encoding.ts'
import { scanNodes } from '../../../src/repo/format/node-parsing.ts'
import { compareRawNames } from '../../../src/repo/format/raw-name.ts'
import { createNodeReader } from '../../../src/repo/format/tree-kernel.ts'
import { DIR, FILE, TreeOutline } from '../../../src/repo/format/tree-outline.ts'
import { encodeTree, parseTree, type Node } from '../../../src/repo/format/tree.ts'
import { propertyRuns } from '../../support/real-restic.ts'
import * as any from './arbitraries.ts'
import { damages } from './damages.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

interface Outlined {
  readonly name: string
  readonly type: 'file' | 'dir' | 'other'
  readonly size: number
  readonly ids: readonly Id[]
  readonly node: Node
}

/** What an outline is to say. */
function outlined(node: Node): Outlined {
  const { name, type, size, content, subtree } = node
  const ids = type === 'file' ? (content ?? []) : type === 'dir' && subtree !== null ? [subtree] : []
  return { name, type: type === 'file' || type === 'dir' ? type : 'other', size, ids, node }
}

function read(outline: TreeOutline, bytes: Uint8Array): Outlined[] {
  outline.read(bytes)
  return Array.from({ length: outline.nodeCount }, (_, node) => {
    const type = outline.typeAt(node)
    const ids: Id[] = []
    for (let i = outline.idStartAt(node); i < outline.idEndAt(node); i++) ids.push(outline.idAt(i))
    return {
      name: outline.nameAt(node),
      type: type === FILE ? 'file' : type === DIR ? 'dir' : 'other',
      size: outline.sizeAt(node),
      ids,
      node: outline.nodeAt(node),
    }
  })
}

/** Without the kernel. */
function plainOutline(): TreeOutline {
  const outline = new TreeOutline()
  Object.defineProperty(outline, 'run', { value: undefined })
  return outline
}

const OUTLINES = [
  ['with the kernel', new TreeOutline()],
  ['without', plainOutline()],
] as const

/** Nodes as backups have them: what the kernel reads. */
const usualName = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9 ._@#~+-]{1,40}$/),
  fc.stringMatching(/^[a-zß-öα-ωа-я漢-煢😀-😎]{1,8}$/u),
)
const usualNode: fc.Arbitrary<Node> = fc
  .record({
    name: usualName,
    type: fc.constantFrom('file', 'file', 'dir', 'symlink', 'dev', 'chardev', 'fifo', 'socket'),
    mode: any.uint32,
    mtime: any.time,
    atime: any.time,
    ctime: any.time,
    uid: any.uint32,
    gid: any.uint32,
    user: fc.oneof(usualName, fc.constantFrom('', 'DOMAIN\\user', 'a "b" \t\u0001 <&>\u2028', 'ä')),
    group: fc.oneof(usualName, fc.constant('')),
    inode: fc.bigInt({ min: 0n, max: 10n ** 19n - 1n }),
    deviceId: fc.bigInt({ min: 0n, max: 10n ** 19n - 1n }),
    size: any.size,
    links: fc.nat(),
    linkTarget: fc.oneof(fc.constant(''), usualName, fc.constant('../\\"ß')),
    extendedAttributes: fc.array(fc.record({ name: usualName, value: fc.uint8Array({ maxLength: 20 }) }), {
      maxLength: 2,
    }),
    device: fc.bigInt({ min: 0n, max: 10n ** 19n - 1n }),
    content: fc.array(any.id, { maxLength: 4 }),
    subtree: any.id,
    error: fc.constant(''),
  })
  .map((node) => ({
    ...node,
    content: node.type === 'file' ? node.content : null,
    subtree: node.type === 'dir' ? node.subtree : null,
  }))

function ordered(list: readonly Node[]): Node[] {
  const names = new Map(list.map((node) => [node.name, node]))
  return [...names.values()].toSorted((a, b) => compareRawNames(a.name, b.name))
}

const usualNodes = fc.array(usualNode, { maxLength: 8 }).map(ordered)
const anyNodes = fc
  .array(fc.oneof({ weight: 3, arbitrary: usualNode }, any.node), { maxLength: 8 })
  .map(ordered)

const USUAL: Node = {
  name: 'a',
  type: 'file',
  mode: 0o644,
  mtime: { seconds: 1_704_164_645, nanoseconds: 5, offsetSeconds: 3600 },
  atime: { seconds: 1_704_164_645, nanoseconds: 5, offsetSeconds: 3600 },
  ctime: { seconds: 1_704_164_646, nanoseconds: 120, offsetSeconds: 3600 },
  uid: 1000,
  gid: 100,
  user: 'user',
  group: 'group',
  inode: 12_345n,
  deviceId: 66n,
  size: 7,
  links: 1,
  linkTarget: '',
  extendedAttributes: [{ name: 'user.x', value: Uint8Array.of(1, 2, 3, 4) }],
  device: 0n,
  content: [idFromBytes(new Uint8Array(32).fill(0xab))],
  subtree: null,
  error: '',
}

describe('TreeOutline', () => {
  it('finds the kernel where tests run', () => {
    expect(createNodeReader()).toBeDefined()
  })

  it('says what nodes say that are spelled as usual, of which none is read by itself', () => {
    const outline = new TreeOutline()
    fc.assert(
      fc.property(usualNodes, (nodes) => {
        const bytes = encodeTree(nodes)
        expect(read(outline, bytes)).toEqual(nodes.map(outlined))
        expect(nodes.map((_, node) => outline.isOdd(node))).toEqual(nodes.map(() => false))
        expect(outline.isFramedAsEncoded).toBe(true)
        for (const [i, node] of nodes.entries()) {
          expect(outline.hasHead(i, encodeNodeHead(node))).toBe(true)
          expect(outline.hasHead(i, encodeNodeHead({ ...node, uid: node.uid ^ 1 }))).toBe(false)
          expect(outline.hasHead(i, encodeNodeHead(node).slice(0, -1))).toBe(false)
        }
      }),
      propertyRuns(200, 5000),
    )
  })

  it.each(OUTLINES)('says what any nodes say: %s', (_, outline) => {
    fc.assert(
      fc.property(anyNodes, (nodes) => {
        const bytes = encodeTree(nodes)
        // What has no meaning may be gone: read again is what counts.
        expect(read(outline, bytes)).toEqual(parseTree(bytes).map(outlined))
        expect(outline.isFramedAsEncoded).toBe(true)
        for (const [i, node] of nodes.entries()) expect(outline.hasHead(i, encodeNodeHead(node))).toBe(true)
      }),
      propertyRuns(100, 2000),
    )
  })

  it.each(OUTLINES)('says of damaged trees what parseTree says: %s', (_, outline) => {
    fc.assert(
      fc.property(usualNodes, damages, (nodes, damaged) => {
        const list = [...encodeTree(nodes)]
        for (const damage of damaged) damage(list)
        const bytes = Uint8Array.from(list)
        let expected: Outlined[] | undefined
        try {
          expected = parseTree(bytes).map(outlined)
        } catch {
          expect(() => outline.read(bytes)).toThrow(CorruptDataError)
          return
        }
        expect(read(outline, bytes)).toEqual(expected)
        const isAsEncoded = outline.isFramedAsEncoded && expected.every((_node, i) => hasOwnHead(outline, i))
        if (isAsEncoded) expect(textOf(encodeTree(expected.map(({ node }) => node)))).toBe(textOf(bytes))
      }),
      propertyRuns(1000, 30_000),
    )
  })

  it.each([
    ['"size":7', '"size":07'],
    ['"size":7', '"size":7.5'],
    ['"size":7', '"size":7e1'],
    ['"size":7', '"size":-7'],
    ['"size":7', '"size":9007199254740992'],
    ['"size":7', '"size":18446744073709551616'],
    ['"size":7', '"size":'],
    ['"mode":420', '"mode":4294967296'],
    ['"uid":1000', '"uid":4294967296'],
    ['"gid":100', '"gid":99999999999'],
    ['"inode":12345', '"inode":18446744073709551616'],
    ['"inode":12345', '"inode"=12345'],
    ['"links":1', '"links"=1'],
    ['"device_id":66', '"device_id"=66'],
    ['T04:04:05', 'T24:04:05'],
    ['T04:04:05', 'T04:60:05'],
    ['T04:04:05', 'T04:04:60'],
    ['T04:04:05', 't04:04:05'],
    ['T04:04:05', 'T04.04:05'],
    ['T04:04:05', 'T04:04.05'],
    ['T04:04:05', 'T0x:04:05'],
    ['2024-01-02', '2024-13-02'],
    ['2024-01-02', '2024-00-02'],
    ['2024-01-02', '2024-01-00'],
    ['2024-01-02', '2024-01-32'],
    ['2024-01-02', '2024-04-31'],
    ['2024-01-02', '2023-02-29'],
    ['2024-01-02', '1900-02-29'],
    ['2024-01-02', '2024x01-02'],
    ['2024-01-02', '2024-01x02'],
    ['.000000005+', '.+'],
    ['+01:00"', '+24:00"'],
    ['+01:00"', '+01:60"'],
    ['+01:00"', '+0100"'],
    ['+01:00"', '+01x00"'],
    ['+01:00"', '*01:00"'],
    ['+01:00"', 'Zz"'],
    ['"user":"user"', '"user":"u\u0001"'],
    ['"user":"user"', '"user":"u\\x"'],
    ['"user":"user"', '"user":"u\\u12g4"'],
    ['"user":"user"', '"user":"u\\u123g"'],
    ['"user":"user"', '"user":"u\\'],
    ['"name":"user.x"', '"name":""'],
    ['"AQIDBA=="', '"AQIDBA="'],
    ['"AQIDBA=="', '"AQIDBA==="'],
    ['"AQIDBA=="', '"AQID=A=="'],
    ['"AQIDBA=="', '"AQI-BA=="'],
    ['}],"content"', '},],"content"'],
    ['}],"content"', '}]"content"'],
    ['"content":[', '"content":[,'],
    ['abab"]', 'abab",]'],
    ['abab"]', 'abag"]'],
    ['abab"]', 'aba"]'],
    ['abab"]', 'abab"'],
  ])('refuses a tree with %s written as %s', (usual, damaged) => {
    const text = textOf(encodeTree([USUAL]))
    expect(text).toContain(usual)
    const bytes = bytesOf(text.replace(usual, damaged))
    expect(() => parseTree(bytes)).toThrow(CorruptDataError)
    expect(() => new TreeOutline().read(bytes)).toThrow(CorruptDataError)
  })

  it.each([
    ['2024-01-02', '2024-02-29'],
    ['2024-01-02', '2000-02-29'],
    ['2024-01-02', '2024-12-31'],
    ['"mode":420', '"mode":4294967295'],
    ['"size":7', '"size":9007199254740991'],
    ['"size":7,', ''],
    ['.000000005+01:00', 'Z'],
    ['+01:00', '-23:59'],
    ['.000000005', '.0000000050000000000001'],
    ['"content":["' + 'ab'.repeat(32) + '"]', '"content":[]'],
    ['"AQIDBA=="', '""'],
  ])('reads in the kernel a node with %s written as %s', (usual, other) => {
    const text = textOf(encodeTree([USUAL]))
    expect(text).toContain(usual)
    const bytes = bytesOf(text.replace(usual, other))
    const outline = new TreeOutline()
    expect(read(outline, bytes)).toEqual(parseTree(bytes).map(outlined))
    expect(outline.isOdd(0)).toBe(false)
  })

  it('takes for odd what lacks what its type asks for', () => {
    const outline = new TreeOutline()
    const id = USUAL.content![0]!
    const odd: Node[] = [
      { ...USUAL, name: '' },
      { ...USUAL, name: 'b', content: null },
      { ...USUAL, name: 'c', type: 'dir', content: null },
      { ...USUAL, name: 'd', type: 'dir', subtree: id },
      { ...USUAL, name: 'e', subtree: id },
      { ...USUAL, name: 'f', type: 'symlink' },
      { ...USUAL, name: 'g', type: 'irregular', content: null },
      { ...USUAL, name: 'h', type: '', content: null },
      { ...USUAL, name: 'i', error: 'x' },
    ]
    const bytes = bytesOf(`{"nodes":[${odd.map(encodeNode).join(',')}]}\n`)
    expect(read(outline, bytes)).toEqual(parseTree(bytes).map(outlined))
    expect(odd.map((_, i) => outline.isOdd(i))).toEqual(odd.map(() => true))
  })

  it.each([
    ['{ "nodes":[', '{"nodes":['],
    [']} \n', ']}\n'],
    [']}', ']}\n'],
    [']},\n'.replace(',', ' '), ']}\n'],
    ['},\n{', '},{'],
  ])('sees that nodes are framed by %j instead of %j', (other, usual) => {
    const bytes = bytesOf(textOf(encodeTree([USUAL, { ...USUAL, name: 'b' }])).replace(usual, other))
    const outline = new TreeOutline()
    expect(read(outline, bytes)).toEqual(parseTree(bytes).map(outlined))
    expect(outline.isFramedAsEncoded).toBe(false)
  })

  it('does not take the head of a node that is spelled otherwise behind it', () => {
    const bytes = bytesOf(textOf(encodeTree([USUAL])).replace('abab"]', 'abab" ]'))
    const outline = new TreeOutline()
    outline.read(bytes)
    expect(outline.isFramedAsEncoded).toBe(true)
    expect(outline.hasHead(0, encodeNodeHead(USUAL))).toBe(false)
  })

  it.each([
    ['a', 'a'],
    ['b', 'a'],
    ['ab', 'a'],
    ['a&', 'a'],
    ['a!', 'a'],
    ['a', 'A&'],
    ['ä', 'z'],
    ['\u{1f600}', '\uffee'],
  ])('refuses %j before %j', (first, second) => {
    const json = [first, second].map((name) => encodeNode({ ...USUAL, name })).join(',')
    const bytes = bytesOf(`{"nodes":[${json}]}\n`)
    expect(() => new TreeOutline().read(bytes)).toThrow('a node out of order')
  })

  it('reads a name in the kernel that goes on where the one before it ends', () => {
    const outline = new TreeOutline()
    outline.read(encodeTree(['a', 'a!', 'ab', 'abc'].map((name) => ({ ...USUAL, name }))))
    expect([0, 1, 2, 3].filter((node) => outline.isOdd(node))).toEqual([])
  })

  it('refuses order that is lost between what is read at once', () => {
    const big = { ...USUAL, content: Array.from({ length: 1900 }, () => USUAL.content![0]!) }
    for (const [names, isGood] of [
      ['abc', true],
      ['acb', false],
      ['bac', false],
      ['aab', false],
    ] as const) {
      const json = names
        .split('')
        .map((name) => encodeNode({ ...big, name }))
        .join(',')
      const reading = (): void => new TreeOutline().read(bytesOf(`{"nodes":[${json}]}\n`))
      if (isGood) reading()
      else expect(reading).toThrow('a node out of order')
    }
  })

  it('reads large trees, and nodes larger than what the kernel looks at', () => {
    const names = Array.from({ length: 5000 }, (_, i) => String(i).padStart(5, '0'))
    const nodes = names.map((name, i): Node => {
      if (i % 50 === 7) return { ...USUAL, name: `${name}&` }
      const count = i === 2500 ? 4000 : i % 5
      return { ...USUAL, name, content: Array.from({ length: count }, () => USUAL.content![0]!) }
    })
    const bytes = encodeTree(nodes)
    const outline = new TreeOutline()
    expect(read(outline, bytes)).toEqual(nodes.map(outlined))
    expect(nodes.filter((_, i) => outline.isOdd(i))).toHaveLength(101)
    let runs = 0
    scanNodes(bytes, { node: () => undefined, run: () => runs++ })
    expect(runs).toBeLessThan(400)
  })

  it('takes names that are not UTF-8 for odd', () => {
    for (const name of [
      [0xff],
      [0xc3],
      [0xc0, 0x80],
      [0xed, 0xa0, 0x80],
      [0xf4, 0x90, 0x80, 0x80],
      [0xe0, 0x80, 0x80],
      [0xf0, 0x80, 0x80, 0x80],
      [0xe2, 0x82],
    ]) {
      const text = bytesOf(`{"nodes":[${encodeNode({ ...USUAL, name: 'NAME' })}]}\n`)
      const at = textOf(text).indexOf('NAME')
      const bytes = Uint8Array.from([...text.subarray(0, at), ...name, ...text.subarray(at + 4)])
      const outline = new TreeOutline()
      expect(read(outline, bytes)).toEqual(parseTree(bytes).map(outlined))
      expect(outline.isOdd(0)).toBe(true)
    }
  })
})

function hasOwnHead(outline: TreeOutline, node: number): boolean {
  return outline.hasHead(node, encodeNodeHead(outline.nodeAt(node)))
}
