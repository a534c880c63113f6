import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CorruptDataError, UnsupportedError } from '../../../src/errors.ts'
import { encodeConfig, parseConfig } from '../../../src/repo/format/config-file.ts'
import { encodeIndexFile, parseIndexFile, type IndexPack } from '../../../src/repo/format/index-file.ts'
import { encodeKeyFile, parseKeyFile, parseMasterKey } from '../../../src/repo/format/key-file.ts'
import { parseJson } from '../../../src/repo/format/json.ts'
import { encodeLockFile, parseLockFile } from '../../../src/repo/format/lock-file.ts'
import { encodePackHeader, parsePackHeader } from '../../../src/repo/format/pack-header.ts'
import { encodeSnapshot, parseSnapshot } from '../../../src/repo/format/snapshot.ts'
import { encodeTree, parseTree } from '../../../src/repo/format/tree.ts'
import { propertyRuns } from '../../support/real-restic.ts'
import { id, nodes, packedBlobs, plainText, time } from './arbitraries.ts'
import { damages } from './damages.ts'

/** Parses what may be anything: of any other error the test fails. */
function attempt(parse: (bytes: Uint8Array) => unknown, bytes: Uint8Array): 'read' | 'refused' {
  try {
    parse(bytes)
    return 'read'
  } catch (error) {
    if (error instanceof CorruptDataError || error instanceof UnsupportedError) return 'refused'
    throw error
  }
}

const config = fc.constant({ version: 2, id: 'ab'.repeat(32), chunkerPolynomial: 0x3da3358b4dc173n } as const)
const keyFile = fc.record({
  created: time,
  username: plainText,
  hostname: plainText,
  kdf: fc.constant('scrypt'),
  N: fc.nat(),
  r: fc.nat(),
  p: fc.nat(),
  salt: fc.uint8Array({ minLength: 64, maxLength: 64 }),
  data: fc.uint8Array(),
})
const lock = fc.record({
  time,
  exclusive: fc.boolean(),
  hostname: plainText,
  username: plainText,
  pid: fc.nat(),
  uid: fc.nat(),
  gid: fc.nat(),
})
const snapshot = fc.record({
  time,
  tree: id,
  paths: fc.array(plainText),
  hostname: plainText,
  username: plainText,
  uid: fc.nat(),
  gid: fc.nat(),
  excludes: fc.array(plainText),
  tags: fc.array(plainText),
  programVersion: plainText,
})
const packs = fc.array(fc.record({ id, blobs: packedBlobs }), { maxLength: 3 })

interface Case {
  readonly bytes: fc.Arbitrary<Uint8Array>
  readonly parse: (bytes: Uint8Array) => unknown
  /** How many of the bytes' beginnings, themselves not included, are documents. */
  readonly prefixes: (bytes: Uint8Array) => number
  /** What was read is written again and must read the same. */
  readonly again: (bytes: Uint8Array) => [before: unknown, after: unknown]
}

function caseOf<Value>(
  values: fc.Arbitrary<NoInfer<Value>>,
  encode: (value: Value) => Uint8Array,
  parse: (bytes: Uint8Array) => NoInfer<Value>,
): Case {
  return {
    bytes: values.map(encode),
    parse,
    // JSON is complete with its last bracket; some files have a newline after it.
    prefixes: (bytes) => (bytes.at(-1) === 0x0a ? 1 : 0),
    again: (bytes) => {
      const value = parse(bytes)
      return [parse(encode(value)), value]
    },
  }
}

const cases: Record<string, Case> = {
  config: caseOf(config, encodeConfig, parseConfig),
  'key file': caseOf(keyFile, encodeKeyFile, parseKeyFile),
  'lock file': caseOf(lock, encodeLockFile, parseLockFile),
  snapshot: caseOf(snapshot, encodeSnapshot, parseSnapshot),
  'pack header': {
    ...caseOf(packedBlobs, encodePackHeader, parsePackHeader),
    prefixes: (bytes) => parsePackHeader(bytes).length,
  },
  'index file': caseOf(
    packs,
    (list: IndexPack[]) => encodeIndexFile(list),
    (bytes) => parseIndexFile(bytes).packs,
  ),
  tree: caseOf(nodes, encodeTree, (bytes) => {
    const list = parseTree(bytes)
    // Only what has a name can be written.
    return list[0]?.name === '' ? [] : list
  }),
}

describe.each(Object.entries(cases))('a damaged %s', (_, { bytes, parse, again, prefixes }) => {
  it('is read or refused, and what was read can be written', () => {
    fc.assert(
      fc.property(bytes, damages, (valid, list) => {
        const damaged = Array.from(valid)
        for (const one of list) one(damaged)
        const input = Uint8Array.from(damaged)
        if (attempt(parse, input) === 'refused') return
        const [after, before] = again(input)
        expect(after).toEqual(before)
      }),
      propertyRuns(150, 20_000),
    )
  })

  it('is read or refused when it is not even similar', () => {
    const noises = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.json().map((text) => Buffer.from(text)),
    )
    fc.assert(
      fc.property(noises, (noise) => {
        const outcomes = [parse, parseMasterKey, parseJson].map((reader) => attempt(reader, noise))
        expect(outcomes).toHaveLength(3)
      }),
      propertyRuns(100, 20_000),
    )
  })

  it('is refused when cut, unless what is left is a document', () => {
    fc.assert(
      fc.property(bytes, (valid) => {
        let documents = 0
        for (let length = 0; length < valid.length; length++) {
          if (attempt(parse, valid.subarray(0, length)) === 'read') documents++
        }
        expect(documents).toBe(prefixes(valid))
      }),
      propertyRuns(3, 100),
    )
  })
})

const deep = (open: string): Uint8Array => Buffer.from(open.repeat(200_000))

describe('hostile documents', () => {
  it.each(['[', '{"a":', '{"nodes":[{"x":', '{"packs":[{"blobs":[', '{"x":['])(
    'nested by %s are refused',
    (open) => {
      for (const { parse } of Object.values(cases)) expect(attempt(parse, deep(open))).toBe('refused')
    },
  )

  it('cannot make a number take long', () => {
    const digits = '9'.repeat(2_000_000)
    const start = performance.now()
    for (const key of ['inode', 'size', 'x']) {
      const tree = Buffer.from(`{"nodes":[{"name":"a","${key}":${digits}}]}`)
      expect(attempt(parseTree, tree)).toBe(key === 'x' ? 'read' : 'refused')
      expect(attempt(parseJson, tree)).toBe('refused')
    }
    expect(attempt(parseConfig, Buffer.from(`{"version":${digits}}`))).toBe('refused')
    expect(attempt(parseIndexFile, Buffer.from(`{"packs":[{"id":${digits}}]}`))).toBe('refused')
    expect(performance.now() - start).toBeLessThan(5000)
  })

  it('cannot make a string take long', () => {
    const name = String.raw`\\x41`.repeat(400_000)
    const start = performance.now()
    expect(parseTree(Buffer.from(`{"nodes":[{"name":"${name}"}]}`))[0]!.name).toBe('A'.repeat(400_000))
    expect(attempt(parseTree, Buffer.from(`{"nodes":[{"name":"${String.raw`\\`.repeat(400_001)}"}]}`))).toBe(
      'refused',
    )
    expect(performance.now() - start).toBeLessThan(5000)
  })
})
