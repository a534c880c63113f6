/** Owners, modes, times and attributes of restored entries, for root, for anybody else, and without the C library. */
import { lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { goModeFromUnix } from '../../../src/repo/format/file-mode.ts'
import type { Node } from '../../../src/repo/format/tree.ts'
import { createAccountNames } from '../../../src/repo/ops/account-names.ts'
import { loadLibc } from '../../../src/repo/ops/libc.ts'
import { applyMetadata, ownerOf, type OwnerOptions } from '../../../src/repo/ops/node-metadata.ts'
import { sampleNode } from '../../support/sample-data.ts'
import { asNobody, isRoot, NOBODY } from '../../support/users.ts'

vi.mock(import('../../../src/repo/ops/libc.ts'), { spy: true })

const work = mkdtempSync(join(tmpdir(), 'restic-ts-metadata-'))
const FILE = 0o100000
const TIMES = {
  mtime: { seconds: 1_600_000_000, nanoseconds: 123_456_789, offsetSeconds: 0 },
  atime: { seconds: 1_500_000_000, nanoseconds: 987_654_321, offsetSeconds: 0 },
}

let path = ''
let count = 0

beforeEach(() => {
  path = join(work, `file-${count++}`)
  writeFileSync(path, '')
})
afterEach(() => vi.mocked(loadLibc).mockReset())
afterAll(() => rmSync(work, { recursive: true }))

interface ApplyOptions extends OwnerOptions {
  readonly selectXattr: (name: string) => boolean
}

function apply(fields: Partial<Node>, options: Partial<ApplyOptions> = {}, at: string = path): Error[] {
  const own = { uid: process.geteuid!(), gid: process.getegid!() }
  const node = sampleNode({ name: 'x', type: 'file', ...TIMES, ...own, ...fields })
  const owner = ownerOf(node, { accounts: createAccountNames(), ownershipByName: false, ...options })
  return applyMetadata(at, { ...node, ...owner }, options.selectXattr ?? ((): boolean => true))
}

function mode(at: string = path): string {
  return (lstatSync(at).mode & 0o7777).toString(8)
}

function xattrs(at: string = path): Record<string, string> {
  const libc = loadLibc()!
  return Object.fromEntries(
    libc.listXattrs(at).map((name) => [name, Buffer.from(libc.getXattr(at, name)).toString()]),
  )
}

function attribute(name: string, value: string): Node['extendedAttributes'][number] {
  return { name, value: Buffer.from(value) }
}

describe('times', () => {
  it('are set to the nanosecond', () => {
    expect(apply({})).toEqual([])
    const { mtimeNs, atimeNs } = lstatSync(path, { bigint: true })
    expect([mtimeNs, atimeNs]).toEqual([1_600_000_000_123_456_789n, 1_500_000_000_987_654_321n])
  })

  it('of a symlink are its own', () => {
    const link = join(work, 'link')
    symlinkSync(path, link)
    const before = lstatSync(path, { bigint: true })
    expect(apply({ type: 'symlink', mode: goModeFromUnix(0o120777) }, {}, link)).toEqual([])
    expect(lstatSync(link, { bigint: true }).mtimeNs).toBe(1_600_000_000_123_456_789n)
    expect(lstatSync(path, { bigint: true })).toEqual(before)
  })

  it('that are far away are not cut down to what fits 64 bits of nanoseconds', () => {
    expect(apply({ mtime: { seconds: -9_999_999_999, nanoseconds: 1, offsetSeconds: 0 } })).toEqual([])
    // Before 1901 the disk may know nothing; before 1677 restic would come out in the future.
    expect(lstatSync(path, { bigint: true }).mtimeNs).toBeLessThan(0n)
  })
})

describe('modes', () => {
  it.each(['644', '0', '7', '4755', '2755', '1777', '7777', '6000'])('%s', (octal) => {
    expect(apply({ mode: goModeFromUnix(FILE | Number.parseInt(octal, 8)) })).toEqual([])
    expect(mode()).toBe(octal)
  })

  it('of folders', () => {
    const folder = join(work, 'folder')
    mkdirSync(folder)
    expect(apply({ type: 'dir', mode: goModeFromUnix(0o041775) }, {}, folder)).toEqual([])
    expect(mode(folder)).toBe('1775')
  })

  it('are not set through a symlink', () => {
    const link = join(work, 'link-to-mode')
    symlinkSync(path, link)
    const before = mode()
    apply({ type: 'symlink', mode: goModeFromUnix(0o100001) }, {}, link)
    expect(mode()).toBe(before)
  })
})

describe.skipIf(!isRoot)('owners', () => {
  function owner(at: string = path): number[] {
    const { uid, gid } = lstatSync(at)
    return [uid, gid]
  }

  it('are set by number, and do not cost the set-user-ID bit', () => {
    expect(apply({ uid: 1234, gid: 4_294_967_293, mode: goModeFromUnix(FILE | 0o6755) })).toEqual([])
    expect(owner()).toEqual([1234, 4_294_967_293])
    expect(mode()).toBe('6755')
  })

  it('of a symlink are its own', () => {
    const link = join(work, 'owned-link')
    symlinkSync(path, link)
    expect(apply({ type: 'symlink', uid: 5, gid: 6 }, {}, link)).toEqual([])
    expect([owner(link), owner()]).toEqual([[5, 6], [0, 0]]) // prettier-ignore
  })

  it('are set by name on request; unknown names become root, as in restic', () => {
    const accounts = {
      ...createAccountNames(),
      userId: (name: string) => (name === 'known' ? 77 : undefined),
      groupId: (name: string) => (name === 'known' ? 88 : undefined),
    }
    const options = { accounts, ownershipByName: true }
    expect(apply({ uid: 1, gid: 2, user: 'known', group: 'known' }, options)).toEqual([])
    expect(owner()).toEqual([77, 88])
    expect(apply({ uid: 1, gid: 2, user: 'unknown', group: 'unknown' }, options)).toEqual([])
    expect(owner()).toEqual([0, 0])
    expect(apply({ uid: 1, gid: 2, user: '', group: '' }, options)).toEqual([])
    expect(owner()).toEqual([1, 2])
    expect(apply({ uid: 3, gid: 4, user: 'known', group: 'known' }, { accounts })).toEqual([])
    expect(owner()).toEqual([3, 4])
  })

  it('and all else that others may not set is passed over in silence for them', () => {
    asNobody(() => {
      const own = join(work, 'of-nobody')
      writeFileSync(own, '')
      const fields = {
        uid: 0,
        gid: 0,
        mode: goModeFromUnix(FILE | 0o640),
        extendedAttributes: [attribute('trusted.t', 't'), attribute('user.u', 'u')],
      }
      expect(apply(fields, {}, own)).toEqual([])
      expect(owner(own)).toEqual([NOBODY, NOBODY])
      expect(mode(own)).toBe('640')
      expect(xattrs(own)).toEqual({ 'user.u': 'u' })
      expect(lstatSync(own, { bigint: true }).mtimeNs).toBe(1_600_000_000_123_456_789n)
      // Of a file of somebody else nothing can be set.
      const before = lstatSync(path, { bigint: true })
      expect(apply(fields)).toEqual([])
      expect(lstatSync(path, { bigint: true })).toEqual(before)
    }, work)
  })
})

describe('attributes', () => {
  it('are made what they were: added, changed, removed', () => {
    loadLibc()!.setXattr(path, 'user.old', Buffer.from('old'))
    loadLibc()!.setXattr(path, 'user.changed', Buffer.from('before'))
    const extendedAttributes = [attribute('user.new', ''), attribute('user.changed', 'after')]
    expect(apply({ extendedAttributes })).toEqual([])
    expect(xattrs()).toEqual({ 'user.new': '', 'user.changed': 'after' })
  })

  it('not selected are neither set nor removed', () => {
    loadLibc()!.setXattr(path, 'user.old', Buffer.from('old'))
    loadLibc()!.setXattr(path, 'user.keep', Buffer.from('keep'))
    const extendedAttributes = [attribute('user.keep', 'other'), attribute('user.new', 'new')]
    expect(apply({ extendedAttributes }, { selectXattr: (name) => name !== 'user.keep' })).toEqual([])
    expect(xattrs()).toEqual({ 'user.keep': 'keep', 'user.new': 'new' })
  })

  it('that cannot be had here are no error; what fails otherwise is, and the rest is set all the same', () => {
    expect(apply({ extendedAttributes: [attribute('nonsense', 'x')] })).toEqual([])
    const extendedAttributes = [attribute('user.', 'no name'), attribute('user.good', 'good')]
    const errors = apply({ extendedAttributes, mode: goModeFromUnix(FILE | 0o604) })
    expect(errors).toMatchObject([{ code: 'EINVAL', syscall: 'lsetxattr', path }])
    expect(xattrs()).toEqual({ 'user.good': 'good' })
    expect(mode()).toBe('604')
  })

  it('that are ACLs end with the right mode', () => {
    const named = Buffer.alloc(4 + 5 * 8)
    named.writeUInt32LE(2)
    const entries = [[1, 6, 0xffffffff], [2, 7, 1234], [4, 4, 0xffffffff], [16, 7, 0xffffffff], [32, 4, 0xffffffff]] // prettier-ignore
    for (const [i, [tag, perm, id]] of entries.entries()) {
      named.writeUInt16LE(tag!, 4 + i * 8)
      named.writeUInt16LE(perm!, 6 + i * 8)
      named.writeUInt32LE(id!, 8 + i * 8)
    }
    const extendedAttributes = [{ name: 'system.posix_acl_access', value: named }]
    expect(apply({ extendedAttributes, mode: goModeFromUnix(FILE | 0o674) })).toEqual([])
    expect(Buffer.from(loadLibc()!.getXattr(path, 'system.posix_acl_access')).equals(named)).toBe(true)
    expect(mode()).toBe('674')
  })
})

it('of what is not there are errors', () => {
  const errors = apply({ extendedAttributes: [attribute('user.x', 'x')] }, {}, join(work, 'missing'))
  expect(errors.length).toBeGreaterThanOrEqual(3)
  for (const error of errors) expect(error).toMatchObject({ code: 'ENOENT' })
})

describe('without the C library', () => {
  beforeEach(() => {
    vi.mocked(loadLibc).mockReturnValue(undefined)
  })

  it('times are set to the microsecond, modes as ever, and attributes stay', () => {
    const errors = apply({
      mode: goModeFromUnix(FILE | 0o1640),
      extendedAttributes: [attribute('user.x', 'x')],
    })
    expect(errors).toEqual([])
    const { mtimeNs } = lstatSync(path, { bigint: true })
    expect(Math.abs(Number(mtimeNs - 1_600_000_000_123_456_789n))).toBeLessThan(1500)
    expect(mode()).toBe('1640')
    vi.mocked(loadLibc).mockReset()
    expect(xattrs()).toEqual({})
  })

  it('times before the epoch are set to the millisecond', () => {
    expect(apply({ mtime: { seconds: -6, nanoseconds: 765_000_000, offsetSeconds: 0 } })).toEqual([])
    expect(lstatSync(path, { bigint: true }).mtimeNs).toBe(-5_235_000_000n)
  })

  it('a symlink is dated itself', () => {
    const link = join(work, 'link-without')
    symlinkSync(path, link)
    const before = lstatSync(path, { bigint: true })
    expect(apply({ type: 'symlink' }, {}, link)).toEqual([])
    expect(lstatSync(link).mtimeMs).toBeCloseTo(1_600_000_000_123.456, 1)
    expect(lstatSync(path, { bigint: true })).toEqual(before)
  })
})
