import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CorruptDataError } from '../../../src/errors.ts'
import {
  encodeSnapshot,
  parseSnapshot,
  type Snapshot,
  type SnapshotSummary,
} from '../../../src/repo/format/snapshot.ts'
import { propertyRuns } from '../../support/real-restic.ts'
import { id, plainText, size, time, uint32 } from './arbitraries.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const TREE = '6700203ad75697d22afa6458112c62173ac2d3d76e8763988b60747d14095592'
const MINIMAL = `{"time":"2024-01-02T03:04:05.5Z","tree":"${TREE}","paths":["/x"]}`

const summary: fc.Arbitrary<SnapshotSummary> = fc.record({
  backupStart: time,
  backupEnd: time,
  filesNew: size,
  filesChanged: size,
  filesUnmodified: size,
  dirsNew: size,
  dirsChanged: size,
  dirsUnmodified: size,
  dataBlobs: size,
  treeBlobs: size,
  dataAdded: size,
  dataAddedPacked: size,
  totalFilesProcessed: size,
  totalBytesProcessed: size,
})

const snapshot: fc.Arbitrary<Snapshot> = fc
  .record({
    time,
    tree: id,
    paths: fc.array(plainText, { maxLength: 3 }),
    hostname: plainText,
    username: plainText,
    uid: uint32,
    gid: uint32,
    excludes: fc.array(plainText, { maxLength: 2 }),
    tags: fc.array(plainText, { maxLength: 2 }),
    programVersion: plainText,
  })
  .chain((required) =>
    fc
      .record({ parent: id, original: id, summary }, { requiredKeys: [] })
      .map((optional) => ({ ...required, ...optional })),
  )

describe('snapshot', () => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(snapshot, (value) => {
        expect(parseSnapshot(encodeSnapshot(value))).toEqual(value)
      }),
      propertyRuns(100),
    )
  })

  it('may say no more than time, tree and paths', () => {
    const value = parseSnapshot(bytesOf(MINIMAL))
    expect(value).toEqual({
      time: { seconds: 1_704_164_645, nanoseconds: 500_000_000, offsetSeconds: 0 },
      tree: TREE,
      paths: ['/x'],
      hostname: '',
      username: '',
      uid: 0,
      gid: 0,
      excludes: [],
      tags: [],
      programVersion: '',
    })
    expect(Object.keys(value)).not.toContain('parent')
    expect(encodeSnapshot(value)).toEqual(bytesOf(MINIMAL))
  })

  it('reads null as absent and ignores what it does not know', () => {
    const json = MINIMAL.replace(
      '"paths":["/x"]',
      '"paths":null,"parent":null,"summary":null,"tags":null,"new":{"a":[1]}',
    )
    expect(parseSnapshot(bytesOf(json))).toEqual({ ...parseSnapshot(bytesOf(MINIMAL)), paths: [] })
  })

  it.each([
    '',
    '[]',
    MINIMAL.replace('"tree"', '"root"'),
    MINIMAL.replace(TREE, TREE.slice(1)),
    MINIMAL.replace('"/x"', '1'),
    MINIMAL.replace('["/x"]', '"/x"'),
    MINIMAL.replace('2024', '24'),
    MINIMAL.replace('{', '{"uid":4294967296,'),
    MINIMAL.replace('{', '{"summary":[],'),
    MINIMAL.replace('{', '{"summary":{"files_new":-1},'),
    MINIMAL.replace('{', '{"parent":"",'),
    `${MINIMAL}{}`,
  ])('%j is damaged', (text) => {
    expect(() => parseSnapshot(bytesOf(text))).toThrow(CorruptDataError)
  })
})
