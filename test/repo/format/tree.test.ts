import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CorruptDataError, InvalidInputError } from '../../../src/errors.ts'
import { parseId } from '../../../src/repo/format/id.ts'
import { encodeNode } from '../../../src/repo/format/node-encoding.ts'
import { encodeTree, parseTree, TreeEncoder, type Node } from '../../../src/repo/format/tree.ts'
import { propertyRuns } from '../../support/real-restic.ts'
import { nodes } from './arbitraries.ts'
import { jsonAs } from './fixtures.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

const TIME = { seconds: 1_704_164_645, nanoseconds: 0, offsetSeconds: 0 }
const PLAIN: Node = {
  name: 'a',
  type: 'file',
  mode: 0o644,
  mtime: TIME,
  atime: TIME,
  ctime: TIME,
  uid: 0,
  gid: 0,
  user: '',
  group: '',
  inode: 0n,
  deviceId: 0n,
  size: 0,
  links: 0,
  linkTarget: '',
  extendedAttributes: [],
  device: 0n,
  content: null,
  subtree: null,
  error: '',
}
const START = '{"name":"a","type":"file","mode":420,"mtime":"2024-01-02T03:04:05Z"'
const REST = ',"atime":"2024-01-02T03:04:05Z","ctime":"2024-01-02T03:04:05Z","uid":0,"gid":0'
const json = (tail: string): string => `{"nodes":[${START}${REST}${tail}}]}\n`
const nodeOf = (tail: string): Node => parseTree(bytesOf(json(tail)))[0]!
const nodeJson = (name: string, mtime: string, user: string): string =>
  `{"name":"${name}","mtime":"${mtime}","user":"${user}","group":"${user}"}`
const ID = '0123456789abcdef'.repeat(4)

describe('tree', () => {
  it('is that of the specification', () => {
    const blobs = ['test\n', 'compressed?\n'].map((text) =>
      parseId(createHash('sha256').update(text).digest('hex')),
    )
    const mtime = { ...TIME, nanoseconds: 6 }
    const tree = encodeTree([{ ...PLAIN, mtime, size: 17, links: 1, content: blobs }])
    expect(createHash('sha256').update(tree).digest('hex')).toBe(
      '6700203ad75697d22afa6458112c62173ac2d3d76e8763988b60747d14095592',
    )
  })

  it('of an empty directory has its well-known ID', () => {
    const tree = encodeTree([])
    expect(createHash('sha256').update(tree).digest('hex')).toBe(
      'ac08ce34ba4f8123618661bef2425f7028ffb9ac740578a3ee88684d2523fee8',
    )
    expect(parseTree(tree)).toEqual([])
  })

  it('comes back as it was', () => {
    fc.assert(
      fc.property(nodes, (list) => {
        const tree = encodeTree(list)
        expect(parseTree(tree)).toEqual(list)
        expect(encodeTree(parseTree(tree))).toEqual(tree)
      }),
      propertyRuns(100),
    )
  })

  it('is read alike when written otherwise', () => {
    fc.assert(
      fc.property(nodes, fc.constantFrom(1, '\t\n'), (list, indent) => {
        // Wide numbers would not survive JSON.parse.
        const narrow = list.map((node) => ({
          ...node,
          inode: 1n,
          deviceId: 2n,
          device: 3n,
          genericAttributes: undefined,
        }))
        const document = jsonAs<{ nodes: Record<string, unknown>[] }>(textOf(encodeTree(narrow)))
        const reversed = document.nodes.map((node) =>
          Object.fromEntries(Object.entries({ ...node, unknown: [{}] }).toReversed()),
        )
        const other = JSON.stringify({ before: { nodes: [] }, nodes: reversed, after: 'x' }, null, indent)
        expect(parseTree(bytesOf(other))).toEqual(parseTree(encodeTree(narrow)))
      }),
      propertyRuns(50),
    )
  })

  it('leaves out what is empty', () => {
    expect(textOf(encodeTree([PLAIN]))).toBe(json(',"content":null'))
    expect(textOf(encodeTree([{ ...PLAIN, mode: 0, content: [], genericAttributes: {} }]))).toBe(
      json(',"content":[]').replace('"mode":420,', ''),
    )
  })

  it('has its members in the order restic writes them', () => {
    const tail =
      `,"user":"u\\u003c","group":"g","inode":18446744073709551615,"device_id":9007199254740993,"size":9007199254740991,"links":3` +
      `,"linktarget":"bad\\ufffd","linktarget_raw":"YmFk/w==","extended_attributes":[{"name":"user.b","value":""},{"name":"user.a","value":"AAE="}]` +
      `,"generic_attributes":{"windows.creation_time":{"LowDateTime":1,"HighDateTime":2},"windows.file_attributes":32}` +
      `,"device":1050412,"content":["${ID}","${ID}"],"subtree":"${ID}","error":"e"`
    const node = nodeOf(tail)
    expect(node).toEqual({
      ...PLAIN,
      user: 'u<',
      group: 'g',
      inode: 2n ** 64n - 1n,
      deviceId: 2n ** 53n + 1n,
      size: 2 ** 53 - 1,
      links: 3,
      linkTarget: 'bad\udcff',
      extendedAttributes: [
        { name: 'user.b', value: new Uint8Array() },
        { name: 'user.a', value: Uint8Array.of(0, 1) },
      ],
      genericAttributes: {
        'windows.file_attributes': 32,
        'windows.creation_time': { LowDateTime: 1, HighDateTime: 2 },
      },
      device: 1_050_412n,
      content: [ID, ID],
      subtree: ID,
      error: 'e',
    })
    expect(textOf(encodeTree([node]))).toBe(json(tail))
  })

  it('takes the bytes of a link target for more than its text', () => {
    expect(nodeOf(',"linktarget_raw":"/w==","linktarget":"text"').linkTarget).toBe('\udcff')
    expect(nodeOf(',"linktarget":"text","linktarget_raw":""').linkTarget).toBe('')
    expect(nodeOf(',"linktarget":"text","linktarget_raw":null').linkTarget).toBe('text')
    const [, next] = parseTree(
      bytesOf('{"nodes":[{"name":"a","linktarget_raw":"/w=="},{"name":"b","linktarget":"text"}]}'),
    )
    expect(next!.linkTarget).toBe('text')
  })

  it('does not confuse neighbours', () => {
    const first = nodeJson('a', '2024-01-02T03:04:05Z', 'ab')
    const second = nodeJson('b', '2024-01-02T03:04:06Z', 'ac')
    const third = nodeJson('c', '2024-01-02T03:04:06Z', '')
    const list = parseTree(bytesOf(`{"nodes":[${first},${second},${third}]}`))
    expect(list.map(({ mtime, user, group }) => [mtime.seconds - TIME.seconds, user, group])).toEqual([
      [0, 'ab', 'ab'],
      [1, 'ac', 'ac'],
      [1, '', ''],
    ])
  })

  it('reads null as absent, and unknown types as none', () => {
    const absent =
      ',"mode":null,"mtime":null,"user":null,"inode":null,"content":null,"subtree":null,"generic_attributes":null'
    expect(parseTree(bytesOf(`{"nodes":[{"name":"a","type":"door"${absent}}]}`))[0]).toMatchObject({
      type: '',
      mode: 0,
      mtime: { seconds: -62_135_596_800 },
      user: '',
      inode: 0n,
    })
  })

  it('puts its nodes in byte order', () => {
    const names = ["'single'", '-dash', 'A', 'B', 'a', 'a-b', 'a.b', 'é', '\uffff', '\u{10000}', '\udcff']
    const list = names.map((name) => ({ ...PLAIN, name }))
    expect(parseTree(encodeTree(list)).map(({ name }) => name)).toEqual(names)
    for (const wrong of [list.toReversed(), [PLAIN, PLAIN], [{ ...PLAIN, name: '' }]]) {
      expect(() => encodeTree(wrong)).toThrow(InvalidInputError)
    }
  })

  it('may be put together node by node and be large', () => {
    const encoder = new TreeEncoder()
    const list: Node[] = []
    for (let i = 0; i < 3000; i++) {
      list.push({ ...PLAIN, name: `${String(i).padStart(5, '0')}é\u{1f600}` })
      encoder.add(list.at(-1)!)
    }
    expect(encoder.count).toBe(3000)
    const tree = encoder.finish()
    expect(JSON.parse(textOf(tree))).toMatchObject({ nodes: { length: 3000 } })
    expect(parseTree(tree)).toEqual(list)
  })

  it('is the same where some of its nodes were encoded before', () => {
    const runs = fc.array(fc.record({ length: fc.nat({ max: 4 }), isEncoded: fc.boolean() }))
    fc.assert(
      fc.property(nodes, runs, (list, parts) => {
        const rest = [...list]
        const mixed = parts.flatMap(({ length, isEncoded }): (Node | Uint8Array)[] => {
          const part = rest.splice(0, length)
          if (!isEncoded || part.length === 0) return part
          return [bytesOf(part.map((node) => encodeNode(node)).join(','))]
        })
        expect(textOf(encodeTree([...mixed, ...rest]))).toBe(textOf(encodeTree(list)))
      }),
      propertyRuns(100),
    )
  })

  it('takes no more memory than it is long where all was encoded before', () => {
    const slices = Array.from({ length: 40 }, (_, i) => bytesOf(encodeNode({ ...PLAIN, name: `${i + 100}` })))
    const tree = encodeTree(slices)
    expect(tree.buffer.byteLength - tree.length).toBeLessThan(100)
  })

  const other = START.replace('"a"', '"b"')
  it.each([
    ['no bytes', ''],
    ['no nodes', '{}'],
    ['null nodes', '{"nodes":null}'],
    ['an array', '[]'],
    ['a null node', '{"nodes":[null]}'],
    ['a cut', json('').slice(0, -3)],
    ['more after its end', `${json('')}x`],
    ['nodes out of order', `{"nodes":[${other}},${START}}]}`],
    ['a name twice', `{"nodes":[${START}},${START}}]}`],
    [
      'a name twice, spelt differently',
      `{"nodes":[${START}},${START.replace('"a"', String.raw`"\\x61"`)}}]}`,
    ],
    ['a name with a bare quote', json('').replace('"a"', String.raw`"\""`)],
    ['a name with half a character', json('').replace('"a"', String.raw`"\\ud800"`)],
    ['a fractional size', json(',"size":1.0')],
    ['a size of more than 2^53', json(',"size":9007199254740992')],
    ['a mode of more than 32 bits', json('').replace('420', '4294967296')],
    ['an inode of more than 64 bits', json(',"inode":18446744073709551616')],
    ['an inode of a thousand digits', json(`,"inode":${'1'.repeat(1000)}`)],
    ['a negative inode', json(',"inode":-1')],
    ['a short ID', json(`,"content":["${ID.slice(1)}"]`)],
    ['an ID that is not hexadecimal', json(`,"subtree":"g${ID.slice(1)}"`)],
    ['null among its content', json(',"content":[null]')],
    ['a wrong time', json('').replace('03:04', '3:04')],
    ['an empty time', json('').replace('2024-01-02T03:04:05Z', '')],
    ['a link target that is not base64', json(',"linktarget_raw":"YQ"')],
    ['a nameless attribute', json(',"extended_attributes":[{}]')],
    ['generic attributes in an array', json(',"generic_attributes":[]')],
    ['a string for a number', json(',"links":"1"')],
  ])('with %s is damaged', (_, text) => {
    expect(() => parseTree(bytesOf(text))).toThrow(CorruptDataError)
  })
})
