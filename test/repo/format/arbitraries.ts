/** Values of the repository format for property tests. */
import * as fc from 'fast-check'
import type { Arbitrary } from 'fast-check'
import { idFromBytes, type Id } from '../../../src/repo/format/id.ts'
import type { JsonObject, JsonValue } from '../../../src/repo/format/json.ts'
import type { PackedBlob } from '../../../src/repo/format/pack-header.ts'
import { compareRawNames, decodeRawName } from '../../../src/repo/format/raw-name.ts'
import type { Time } from '../../../src/repo/format/time.ts'
import type { Node } from '../../../src/repo/format/tree.ts'

const UINT32_MAX = 0xffff_ffff
const UINT64_MAX = 0xffff_ffff_ffff_ffffn

const awkwardBytes = [
  [0xff],
  [0x80],
  [0xed, 0xa0, 0x80],
  [0xe2, 0x80, 0xa8],
  [0xef, 0xbf, 0xbd],
  [0xc3, 0xa9],
  [0xc3],
  [0xf0, 0x9f, 0x98, 0x80],
  [0xee, 0x80, 0x80],
  [0x22],
  [0x5c],
  [0x3c],
  [0x26],
  [0x0a],
  [0x01],
  [0x7f],
]

/** Bytes with much that is nearly UTF-8. */
export const rawBytes: Arbitrary<Uint8Array> = fc
  .array(
    fc.oneof(
      fc.constantFrom(...awkwardBytes),
      fc.integer({ min: 0x20, max: 0x7e }).map((byte) => [byte]),
      fc.integer({ min: 1, max: 255 }).map((byte) => [byte]),
    ),
    { maxLength: 12 },
  )
  .map((pieces) => Uint8Array.from(pieces.flat()))

/** Strings that JSON keeps: no lone surrogates. */
export const plainText: Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('', '<a & b>', '"\\\u2028\u0001\b\f\n\r\t\u007f\ufffd', 'user'),
)

export const rawName: Arbitrary<string> = fc.oneof(rawBytes.map(decodeRawName), plainText)

export const id: Arbitrary<Id> = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => idFromBytes(bytes))

export const uint32: Arbitrary<number> = fc.oneof(fc.constantFrom(0, 1, 2 ** 31, UINT32_MAX), fc.nat())
export const size: Arbitrary<number> = fc.oneof(fc.constant(0), fc.maxSafeNat())
export const uint64: Arbitrary<bigint> = fc.oneof(
  fc.constantFrom(0n, 2n ** 53n + 1n, UINT64_MAX),
  fc.bigInt({ min: 0n, max: UINT64_MAX }),
)

/** Times that RFC 3339 can say: years 0 to 9999 and offsets in whole minutes. */
export const time: Arbitrary<Time> = fc.record({
  seconds: fc.oneof(
    fc.integer({ min: -62_167_046_400, max: 253_402_128_000 }),
    fc.integer({ min: 0, max: 2_000_000_000 }),
  ),
  nanoseconds: fc.oneof(
    fc.constantFrom(0, 1, 120_000_000, 999_999_999),
    fc.integer({ min: 0, max: 999_999_999 }),
  ),
  offsetSeconds: fc.oneof(
    fc.constant(0),
    fc.integer({ min: -1439, max: 1439 }).map((minutes) => minutes * 60),
  ),
})

const jsonLeaf = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  plainText,
  fc.integer(),
  fc.maxSafeInteger(),
  uint64.filter((value) => value > 2n ** 53n),
)

export const jsonValue: Arbitrary<JsonValue> = fc.letrec<{ value: JsonValue; object: JsonObject }>((tie) => ({
  value: fc.oneof({ maxDepth: 3 }, jsonLeaf, fc.array(tie('value'), { maxLength: 3 }), tie('object')),
  object: fc.dictionary(plainText, tie('value'), { maxKeys: 3, noNullPrototype: false }),
})).value

export const packedBlobs: Arbitrary<PackedBlob[]> = fc
  .array(
    fc.record({
      type: fc.constantFrom('data' as const, 'tree' as const),
      id,
      length: fc.integer({ min: 32, max: 1 << 20 }),
      uncompressedLength: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: UINT32_MAX })),
    }),
    { maxLength: 8 },
  )
  .map((blobs) => {
    let offset = 0
    return blobs.map(({ type, id: blobId, length, uncompressedLength }) => {
      offset += length
      return { type, id: blobId, offset: offset - length, length, uncompressedLength }
    })
  })

const attribute = fc.record({
  name: plainText.filter((name) => name !== ''),
  value: fc.uint8Array({ maxLength: 8 }),
})

export const node: Arbitrary<Node> = fc
  .record({
    name: rawName.filter((name) => name !== ''),
    type: fc.constantFrom('file', 'dir', 'symlink', 'dev', 'chardev', 'fifo', 'socket', 'irregular', ''),
    mode: uint32,
    mtime: time,
    atime: time,
    ctime: time,
    uid: uint32,
    gid: uint32,
    user: plainText,
    group: plainText,
    inode: uint64,
    deviceId: uint64,
    size,
    links: size,
    linkTarget: rawName,
    extendedAttributes: fc.array(attribute, { maxLength: 2 }),
    device: uint64,
    content: fc.option(fc.array(id, { maxLength: 3 })),
    subtree: fc.option(id),
    error: plainText,
  })
  .chain((plain) =>
    fc
      .option(fc.dictionary(plainText, jsonValue, { minKeys: 1, maxKeys: 3 }))
      .map((genericAttributes): Node =>
        genericAttributes === null ? plain : { ...plain, genericAttributes },
      ),
  )

/** Nodes as a tree has them: ascending, no name twice. */
export const nodes: Arbitrary<Node[]> = fc
  .uniqueArray(node, { maxLength: 6, selector: ({ name }) => name })
  .map((list) => list.toSorted((a, b) => compareRawNames(a.name, b.name)))
