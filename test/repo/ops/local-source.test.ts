/** What a backup reads of the local file system. */
import { execFileSync } from 'node:child_process'
import {
  chmodSync, linkSync, lstatSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync,
} from 'node:fs' // prettier-ignore
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { decodeRawName } from '../../../src/repo/format/raw-name.ts'
import type { Node } from '../../../src/repo/format/tree.ts'
import { loadLibc, SystemCallError } from '../../../src/repo/ops/libc.ts'
import { LocalSource } from '../../../src/repo/ops/local-source.ts'
import { nativePath } from '../../../src/repo/ops/native-path.ts'
import { PROJECT } from '../../support/cli.ts'
import { asNobody, isRoot } from '../../support/users.ts'

vi.mock(import('../../../src/repo/ops/libc.ts'), { spy: true })

const work = mkdtempSync(join(tmpdir(), 'restic-ts-source-'))
const source = new LocalSource()

afterEach(() => vi.mocked(loadLibc).mockReset())
afterAll(() => rmSync(work, { recursive: true }))

function put(name: string, content = ''): string {
  const path = join(work, name)
  writeFileSync(nativePath(path), content)
  return path
}

interface Read {
  readonly node: Node
  readonly warnings: readonly Error[]
}

function read(path: string, from: LocalSource = source, ignoreXattrListError = false): Read {
  const warnings: Error[] = []
  const node = from.toNode(path, 'name', from.lstat(path), {
    ignoreXattrListError,
    onWarning: (error) => warnings.push(error),
  })
  return { node, warnings }
}

describe('a folder', () => {
  const ODD = [
    'a',
    'B',
    '-',
    "'",
    'é',
    '\u{1f600}',
    '\ufffd',
    '\uffff',
    'z\udcff',
    '\udc80',
    '\udced\udca0\udc80',
  ]

  beforeAll(() => {
    mkdirSync(join(work, 'odd'))
    for (const name of ODD) writeFileSync(nativePath(join(work, 'odd', name)), '')
    mkdirSync(nativePath(join(work, 'bad\udcff')))
    put('bad\udcff/inside')
  })

  it('is listed by the bytes of its names', () => {
    const bytes = execFileSync('python3', [
      '-c',
      'import os,sys\nsys.stdout.buffer.write(b"/".join(sorted(os.listdir(os.fsencode(sys.argv[1])))))',
      join(work, 'odd'),
    ])
    const expected = bytes
      .toString('latin1')
      .split('/')
      .map((name) => decodeRawName(Buffer.from(name, 'latin1')))
    expect(source.listNames(join(work, 'odd'))).toEqual(expected)
    expect(new Set(expected)).toEqual(new Set(ODD))
  })

  it('whose own name is not UTF-8 is listed too', () => {
    expect(source.listNames(join(work, 'bad\udcff'))).toEqual(['inside'])
  })

  it.skipIf(!isRoot)('that may not be read is an error', () => {
    mkdirSync(join(work, 'closed'), { mode: 0o700 })
    chmodSync(work, 0o755)
    asNobody(() => expect(() => source.listNames(join(work, 'closed'))).toThrow('EACCES'))
  })
})

describe('a node', () => {
  it('has what the system says of a file', () => {
    const path = put('file', 'four')
    linkSync(path, join(work, 'second'))
    chmodSync(path, 0o4711)
    const stats = lstatSync(path, { bigint: true })
    expect(read(path)).toEqual({
      warnings: [],
      node: expect.objectContaining({
        name: 'name',
        type: 'file',
        mode: 0o711 + 2 ** 23,
        size: 4,
        links: 2,
        inode: stats.ino,
        deviceId: stats.dev,
        uid: Number(stats.uid),
        user: isRoot ? 'root' : (expect.any(String) as unknown),
        device: 0n,
        content: [],
        subtree: null,
        linkTarget: '',
        extendedAttributes: [],
      }) as unknown,
    })
  })

  it.each([
    ['dir', { size: 0, links: 0, content: null }],
    ['symlink', { size: 0, links: 1, content: null, linkTarget: 'to\udcff' }],
    ['fifo', { size: 0, links: 0, content: null, device: 0n }],
  ] as const)('of type %s has its own fields', (type, fields) => {
    const path = join(work, `of-type-${type}`)
    if (type === 'dir') mkdirSync(path)
    if (type === 'symlink') symlinkSync(nativePath('to\udcff'), path)
    if (type === 'fifo') execFileSync('mkfifo', [path])
    expect(read(path).node).toMatchObject({ type, ...fields })
  })

  it.skipIf(!isRoot)('of a device has its number', () => {
    for (const [letter, type] of [
      ['c', 'chardev'],
      ['b', 'dev'],
    ] as const) {
      const path = join(work, `device-${letter}`)
      execFileSync('mknod', [path, letter, '7', '300'])
      expect(read(path).node).toMatchObject({ type, device: 1_050_412n, links: 1, size: 0 })
    }
  })

  it('of a socket is known for one', () => {
    const path = join(work, 'socket')
    execFileSync('python3', [join(PROJECT, 'test', 'support', 'rich-tree.py'), 'socket', path])
    expect(source.lstat(path).kind).toBe('socket')
  })

  it('has its times to the nanosecond, before the epoch too', () => {
    const path = put('dated')
    for (const [seconds, nanoseconds] of [
      [1_600_000_000, 123_456_789],
      [-5, 1],
      [-1, 999_999_999],
      [0, 0],
    ] as const) {
      loadLibc()!.setTimes(path, { seconds: 1, nanoseconds: 2 }, { seconds, nanoseconds })
      expect(read(path).node).toMatchObject({
        mtime: { seconds, nanoseconds },
        atime: { seconds: 1, nanoseconds: 2 },
      })
    }
  })
})

describe('extended attributes', () => {
  it('are read in the order of the system', () => {
    const path = put('attributes')
    for (const name of ['user.z', 'user.a']) loadLibc()!.setXattr(path, name, Buffer.from(name))
    const listed = loadLibc()!.listXattrs(path)
    expect(read(path).node.extendedAttributes).toEqual(
      listed.map((name) => ({ name, value: new Uint8Array(Buffer.from(name)) })),
    )
    expect(listed.toSorted()).toEqual(['user.a', 'user.z'])
  })

  /** A source whose C library fails in one function. */
  function failing(call: 'listXattrs' | 'getXattr', code: string): LocalSource {
    const libc = loadLibc()!
    const fail = (): never => {
      throw new SystemCallError(call, 'path', { code, errno: 0 })
    }
    vi.mocked(loadLibc).mockReturnValue({
      lstat: () => undefined,
      listXattrs: call === 'listXattrs' ? fail : () => ['user.x', 'user.y'],
      getXattr: call === 'getXattr' ? fail : () => new Uint8Array(),
      userName: (uid: number) => libc.userName(uid),
      groupName: (gid: number) => libc.groupName(gid),
    } as unknown as NonNullable<ReturnType<typeof loadLibc>>)
    return new LocalSource()
  }

  it.each(['ENOTSUP', 'EOPNOTSUPP', 'ENODATA'])(
    'that the file system does not have (%s) are none',
    (code) => {
      const path = put('no-attributes')
      for (const call of ['listXattrs', 'getXattr'] as const)
        expect(read(path, failing(call, code))).toMatchObject({
          warnings: [],
          node: { extendedAttributes: [] },
        })
    },
  )

  it.each(['EIO', 'EACCES'])('that cannot be read (%s) are a warning, and the node is there', (code) => {
    const path = put('unreadable-attributes')
    expect(read(path, failing('listXattrs', code))).toMatchObject({
      warnings: [{ code }],
      node: { type: 'file' },
    })
    expect(read(path, failing('getXattr', code)).warnings).toHaveLength(2)
  })

  it('of folders above the targets may be refused without a word', () => {
    const path = put('above')
    expect(read(path, failing('listXattrs', 'EACCES'), true).warnings).toEqual([])
    expect(read(path, failing('listXattrs', 'EIO'), true).warnings).toHaveLength(1)
  })

  it('of what has gone mean that it has gone', () => {
    const path = put('gone')
    const stat = source.lstat(path)
    rmSync(path)
    const options = { ignoreXattrListError: false, onWarning: () => undefined }
    expect(() => source.toNode(path, 'name', stat, options)).toThrow('ENOENT')
  })

  it('are none without the C library, and names come from /etc/passwd', () => {
    const path = put('without')
    loadLibc()!.setXattr(path, 'user.x', Buffer.from('x'))
    vi.mocked(loadLibc).mockReturnValue(undefined)
    const { node, warnings } = read(path, new LocalSource())
    expect({ attributes: node.extendedAttributes, warnings }).toEqual({ attributes: [], warnings: [] })
    if (isRoot) expect([node.user, node.group]).toEqual(['root', 'root'])
  })
})

describe('opening', () => {
  it('reads a file and leaves its access time', () => {
    const path = put('opened', 'content')
    utimesSync(path, 1000, 2000)
    const file = source.open(path)
    const buffer = new Uint8Array(100)
    expect(file.read(buffer)).toBe(7)
    expect(file.read(buffer)).toBe(0)
    expect(file.stat).toMatchObject({ kind: 'file', size: 7 })
    file.close()
    expect(lstatSync(path).atimeMs).toBe(1_000_000)
  })

  it('does not follow a symlink', () => {
    const path = join(work, 'link-to-file')
    symlinkSync(put('linked', 'x'), path)
    expect(() => source.open(path)).toThrow('ELOOP')
  })

  it('does not wait at a fifo', () => {
    const path = join(work, 'waiting')
    execFileSync('mkfifo', [path])
    const file = source.open(path)
    expect(file.stat.kind).toBe('other')
    file.close()
  })

  it.skipIf(!isRoot)('works on a file of somebody else, whose access time cannot be spared', () => {
    const path = put('of-root', 'x')
    chmodSync(path, 0o644)
    chmodSync(work, 0o755)
    asNobody(() => {
      const file = source.open(path)
      expect(file.read(new Uint8Array(10))).toBe(1)
      file.close()
    })
  })

  it('of what is missing says so', () => {
    for (const call of [() => source.open(join(work, 'no')), () => source.lstat(join(work, 'no'))]) {
      let failure: unknown
      try {
        call()
      } catch (error) {
        failure = error
      }
      expect(source.isMissing(failure)).toBe(true)
    }
    expect(source.isMissing(new Error('something else'))).toBe(false)
  })
})

it('a path is resolved to what it leads to', () => {
  mkdirSync(join(work, 'real'))
  symlinkSync('real', join(work, 'alias'))
  const { path, stat } = source.resolve(join(work, 'alias'))
  expect(path).toBe(source.resolve(join(work, 'real')).path)
  expect(path.endsWith('/real')).toBe(true)
  expect(stat.kind).toBe('dir')
})

it('a fingerprint is another one for whatever changes', () => {
  const path = put('printed', 'a')
  const first = source.fingerprint(source.lstat(path))
  expect(source.fingerprint(source.lstat(path))).toEqual(first)
  const prints = [first]
  for (const change of [
    () => writeFileSync(path, 'ab'),
    () => chmodSync(path, 0o600),
    () => utimesSync(path, 1, 1),
    () => {
      writeFileSync(`${path}-new`, 'ab')
      renameSync(`${path}-new`, path)
    },
  ]) {
    change()
    prints.push(source.fingerprint(source.lstat(path)))
  }
  expect(new Set(prints.map(String)).size).toBe(prints.length)
})
