import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CorruptDataError } from '../../../src/errors.ts'
import { encodeLockFile, parseLockFile, type LockFile } from '../../../src/repo/format/lock-file.ts'
import { propertyRuns } from '../../support/real-restic.ts'
import { plainText, time, uint32 } from './arbitraries.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const TIME = { seconds: 0, nanoseconds: 5, offsetSeconds: 3600 }

describe('lock file', () => {
  it('leaves out user and group 0', () => {
    const lock = { time: TIME, exclusive: true, hostname: 'h<', username: '', pid: 42, uid: 0, gid: 0 }
    const start = String.raw`{"time":"1970-01-01T01:00:00.000000005+01:00","exclusive":true,"hostname":"h\u003c","username":"","pid":42`
    expect(textOf(encodeLockFile(lock))).toBe(`${start}}`)
    expect(textOf(encodeLockFile({ ...lock, uid: 1000, gid: 100 }))).toBe(`${start},"uid":1000,"gid":100}`)
    expect(parseLockFile(bytesOf(`${start}}`))).toEqual(lock)
  })

  it('comes back as it was', () => {
    const lockFile: fc.Arbitrary<LockFile> = fc.record({
      time,
      exclusive: fc.boolean(),
      hostname: plainText,
      username: plainText,
      pid: fc.maxSafeInteger().filter((pid) => !Object.is(pid, -0)),
      uid: uint32,
      gid: uint32,
    })
    fc.assert(
      fc.property(lockFile, (value) => {
        expect(parseLockFile(encodeLockFile(value))).toEqual(value)
      }),
      propertyRuns(),
    )
  })

  it.each([
    '',
    '{"exclusive":1}',
    '{"uid":4294967296}',
    '{"uid":-1}',
    '{"hostname":1}',
    '{"pid":1.5}',
    '{"time":1}',
    '1',
  ])('%s is damaged', (text) => {
    expect(() => parseLockFile(bytesOf(text))).toThrow(CorruptDataError)
  })
})
