import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CorruptDataError } from '../../../src/errors.ts'
import {
  encodeIndexFile,
  parseIndexFile,
  scanIndexFile,
  type IndexPack,
  type IndexVisitor,
} from '../../../src/repo/format/index-file.ts'
import type { BlobRun } from '../../../src/repo/format/index-kernel.ts'
import type { Id } from '../../../src/repo/format/id.ts'
import { encodePackHeader } from '../../../src/repo/format/pack-header.ts'
import { propertyRuns } from '../../support/real-restic.ts'
import { id, packedBlobs } from './arbitraries.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const P = 'aa'.repeat(32)
const B = '0123456789abcdef'.repeat(4)
const BLOB = `{"id":"${B}","type":"tree","offset":5,"length":40,"uncompressed_length":7}`
const PACK = `{"id":"${P}","blobs":[${BLOB}]}`
const INDEX = `{"packs":[${PACK}]}\n`

const packs = fc.array(fc.record({ id, blobs: packedBlobs }), { maxLength: 4 })

/** The calls a visitor sees, as text. */
function calls(json: string): string[] {
  const seen: string[] = []
  scanIndexFile(bytesOf(json), {
    pack: (packId) => seen.push(`pack ${Buffer.from(packId).toString('hex', 0, 2)}`),
    blob: (blobId, ...numbers) =>
      seen.push(`blob ${Buffer.from(blobId).toString('hex', 0, 2)} ${numbers.join(' ')}`),
  })
  return seen
}

/** The same calls, made of runs where there are some; and how many blobs came in those. */
function callsByRuns(json: Uint8Array): { readonly seen: string[]; readonly inRuns: number } {
  const seen: string[] = []
  let inRuns = 0
  const hex = (ids: Uint8Array, i: number): string =>
    Buffer.from(ids.subarray(32 * i, 32 * i + 32)).toString('hex')
  const showRun = (run: BlobRun): void => {
    let pack = 0
    for (let i = 0; i < run.blobCount; i++) {
      if (pack < run.packCount && run.firstBlobs[pack] === i) seen.push(`pack ${hex(run.packIds, pack++)}`)
      const length = run.lengths[i]!
      seen.push(
        `blob ${hex(run.ids, i)} ${length >>> 31} ${run.offsets[i]} ${length & 0x7fff_ffff} ${run.uncompressedLengths[i]}`,
      )
    }
    expect(pack).toBe(run.packCount)
    inRuns += run.blobCount
  }
  scanIndexFile(json, { ...visitorOf(seen), run: showRun })
  return { seen, inRuns }
}

function callsOneByOne(json: Uint8Array): string[] {
  const seen: string[] = []
  scanIndexFile(json, visitorOf(seen))
  return seen
}

function visitorOf(seen: string[]): IndexVisitor {
  return {
    pack: (packId) => seen.push(`pack ${Buffer.from(packId).toString('hex')}`),
    blob: (blobId, ...numbers) =>
      seen.push(`blob ${Buffer.from(blobId).toString('hex')} ${numbers.join(' ')}`),
  }
}

/** What a reader gives, or how it fails. */
function outcome(read: () => string[]): string[] | string {
  try {
    return read()
  } catch (error) {
    return (error as Error).message
  }
}

describe('blobs read in runs', () => {
  const usualBlob = fc.record({
    type: fc.constantFrom('data' as const, 'tree' as const),
    id,
    offset: fc.nat(999_999_999),
    length: fc.integer({ min: 32, max: 999_999_999 }),
    uncompressedLength: fc.oneof(fc.constant(0), fc.nat(999_999_999)),
  })
  const usualPacks = fc.array(fc.record({ id, blobs: fc.array(usualBlob, { minLength: 1, maxLength: 9 }) }), {
    minLength: 1,
    maxLength: 9,
  })

  it('are all that writers make, and the same as one by one', () => {
    fc.assert(
      fc.property(usualPacks, (list) => {
        const json = encodeIndexFile(list)
        const { seen, inRuns } = callsByRuns(json)
        expect(seen).toEqual(callsOneByOne(json))
        expect(inRuns).toBe(list.flatMap(({ blobs }) => blobs).length)
      }),
      propertyRuns(),
    )
  })

  it('go on where one ends, in files longer than the memory they are read in', () => {
    const [{ id: packId, blobs }] = parseIndexFile(bytesOf(INDEX)).packs as [IndexPack]
    const list = Array.from({ length: 40 }, (_, i) => ({
      id: packId,
      blobs: Array.from({ length: 1 + 11 * i }, (__, k) => ({ ...blobs[0]!, offset: 10 ** (k % 9) })),
    }))
    const { seen, inRuns } = callsByRuns(encodeIndexFile(list))
    expect(seen).toEqual(callsOneByOne(encodeIndexFile(list)))
    expect(inRuns).toBe(list.flatMap((pack) => pack.blobs).length)
  })

  it('end where a file is spelled in another way or damaged, which is then found as ever', () => {
    const change = fc.record({
      at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      cut: fc.nat(3),
      put: fc.constantFrom(
        ' ',
        '',
        '"',
        ',',
        '{',
        '}',
        ']',
        '0',
        '9',
        'A',
        'g',
        '\\',
        '"x":1,',
        'null',
        '\n\t',
      ),
    })
    fc.assert(
      fc.property(usualPacks, fc.array(change, { minLength: 1, maxLength: 3 }), (list, changes) => {
        let text = textOf(encodeIndexFile(list))
        for (const { at, cut, put } of changes) {
          const position = Math.floor(at * text.length)
          text = text.slice(0, position) + put + text.slice(position + cut)
        }
        expect(outcome(() => callsByRuns(bytesOf(text)).seen)).toEqual(
          outcome(() => callsOneByOne(bytesOf(text))),
        )
      }),
      { numRuns: 2000 },
    )
  })

  it.each([
    ['ten digits', BLOB.replace(':5', ':4294967295')],
    ['upper case', BLOB.replace('abcdef', 'ABCDEF')],
    ['white space', BLOB.replace('"type"', ' "type"')],
    ['another order', `{"type":"tree","id":"${B}","offset":5,"length":40}`],
    ['no offset', BLOB.replace('"offset":5,', '')],
  ])('leave a blob with %s to those that can read it', (_, blob) => {
    const json = bytesOf(`{"packs":[{"id":"${P}","blobs":[${BLOB},${blob},${BLOB}]},${PACK}]}`)
    const { seen, inRuns } = callsByRuns(json)
    expect(seen).toEqual(callsOneByOne(json))
    expect(inRuns).toBe(3)
  })

  it('do not pass the end of a pack that has its blobs before its ID', () => {
    const json = bytesOf(`{"packs":[{"blobs":[${BLOB}],"id":"${'bb'.repeat(32)}"},${PACK}]}`)
    expect(callsByRuns(json).seen).toEqual(callsOneByOne(json))
  })
})

describe('index file', () => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(packs, fc.array(id, { maxLength: 2 }), (list, supersedes) => {
        expect(parseIndexFile(encodeIndexFile(list, { supersedes }))).toEqual({ packs: list, supersedes })
      }),
      propertyRuns(),
    )
  })

  it('is spelled alike from the headers of packs', () => {
    fc.assert(
      fc.property(packs, (list) => {
        const headed = list.map((pack) => {
          let offset = 0
          const blobs = pack.blobs.map((blob) => {
            offset += blob.length
            return { ...blob, offset: offset - blob.length }
          })
          return { id: pack.id, blobs }
        })
        const byHeader = headed.map((pack) => ({ id: pack.id, header: encodePackHeader(pack.blobs) }))
        expect(textOf(encodeIndexFile(byHeader))).toBe(textOf(encodeIndexFile(headed)))
      }),
      propertyRuns(),
    )
  })

  it('has room for the largest numbers there are', () => {
    const largest = {
      type: 'data',
      id: B as Id,
      length: 2 ** 32 - 1,
      uncompressedLength: 2 ** 32 - 1,
    } as const
    const list = Array.from({ length: 3 }, () => ({
      id: P as Id,
      blobs: Array.from({ length: 5 }, () => ({ ...largest, offset: Number.MAX_SAFE_INTEGER })),
    }))
    const text = textOf(encodeIndexFile(list, { supersedes: Array.from({ length: 9 }, () => P as Id) }))
    expect(JSON.parse(text)).toMatchObject({ packs: list.map((pack) => ({ id: pack.id })) })
    expect(text.endsWith(']}\n')).toBe(true)
  })

  it('is what a JSON parser reads', () => {
    fc.assert(
      fc.property(packs, (list) => {
        const text = textOf(encodeIndexFile(list))
        expect(text.endsWith(']}\n')).toBe(true)
        const expected = list.map((pack) => ({
          id: pack.id,
          blobs: pack.blobs.map(({ uncompressedLength, id: blobId, type, offset, length }) => ({
            id: blobId,
            type,
            offset,
            length,
            ...(uncompressedLength > 0 && { uncompressed_length: uncompressedLength }),
          })),
        }))
        expect(text).toBe(`${JSON.stringify({ packs: expected })}\n`)
      }),
      propertyRuns(),
    )
  })

  it('is read with white space, unknown members and any order', () => {
    const mixed = `{"x":{"id":"${P}"},"packs":[{"y":[1],"id":"${P.toUpperCase()}","blobs":[{"length":40,"z":"}","offset":5,"uncompressed_length":7,"type":"tree","id":"${B}"}]}],"supersedes":null}`
    expect(parseIndexFile(bytesOf(mixed))).toEqual(parseIndexFile(bytesOf(INDEX)))
    const spaced = JSON.stringify(JSON.parse(INDEX), null, '\t')
    expect(parseIndexFile(bytesOf(spaced))).toEqual(parseIndexFile(bytesOf(INDEX)))
    const escaped = INDEX.replace('"packs"', String.raw`"p\u0061cks"`).replace(
      '"tree"',
      String.raw`"tr\u0065e"`,
    )
    expect(parseIndexFile(bytesOf(escaped))).toEqual(parseIndexFile(bytesOf(INDEX)))
  })

  it('tells of a pack before its blobs, wherever its ID stands', () => {
    const other = `{"blobs":[${BLOB},${BLOB.replace('tree', 'data').replace(',"uncompressed_length":7', '')}],"x":[],"id":"${'bb'.repeat(32)}"}`
    expect(calls(`{"packs":[${other},${PACK}]}`)).toEqual([
      'pack bbbb',
      'blob 0123 1 5 40 7',
      'blob 0123 0 5 40 0',
      'pack aaaa',
      'blob 0123 1 5 40 7',
    ])
  })

  it('may have packs without blobs and no packs at all', () => {
    expect(
      calls(`{"packs":[{"id":"${P}","blobs":null},{"id":"${P}","blobs":[]},{"id":"${P}"}]}`),
    ).toHaveLength(3)
    expect(calls('{"packs":null}')).toEqual([])
    expect(calls('{}')).toEqual([])
  })

  it.each([
    ['nothing', ''],
    ['an array (the format of before 2015)', '[]'],
    ['a cut', INDEX.slice(0, -5)],
    ['a pack without ID', `{"packs":[{"blobs":[]}]}`],
    ['a pack whose ID is null', `{"packs":[{"id":null,"blobs":[]}]}`],
    ['two IDs', `{"packs":[{"id":"${P}","id":"${P}"}]}`],
    ['two lists of blobs', `{"packs":[{"blobs":[],"id":"${P}","blobs":[]}]}`],
    ['damaged blobs before the ID', `{"packs":[{"blobs":[{}],"id":"${P}"}]}`],
    ['a short ID', INDEX.replace('aa', '')],
    ['an ID that is not hexadecimal', INDEX.replace('aa', 'ag')],
    ['an ID with an escape', INDEX.replace('aa', String.raw`\u0061a`)],
    ['a blob without ID', INDEX.replace(`"id":"${B}",`, '')],
    ['a blob without type', INDEX.replace('"type":"tree",', '')],
    ['a blob without length', INDEX.replace('"length":40,', '')],
    ['an unknown type', INDEX.replace('tree', 'tree2')],
    ['another unknown type', INDEX.replace('tree', 'free')],
    ['a length below that of a seal', INDEX.replace(':40', ':31')],
    ['a length of 4 GiB', INDEX.replace(':40', ':4294967296')],
    ['an endless length', INDEX.replace(':40', `:${'9'.repeat(400)}`)],
    ['a negative offset', INDEX.replace(':5', ':-5')],
    ['a broken number', INDEX.replace(':5', ':5.0')],
    ['leading zeros', INDEX.replace(':5', ':05')],
    ['more after the end', `${INDEX}{}`],
  ])('with %s is damaged', (_, json) => {
    expect(() => parseIndexFile(bytesOf(json))).toThrow(CorruptDataError)
  })
})
