/**
 * Key files, indexes and packs that claim what would exhaust memory or time if it were believed: every command ends
 * soon, with a clear error, in little memory.
 */
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LocalBackend } from '../../src/backend/local.ts'
import { createZstd } from '../../src/repo/compression.ts'
import { parseIndexFile, type IndexPack } from '../../src/repo/format/index-file.ts'
import { encodePackHeader, type PackedBlob } from '../../src/repo/format/pack-header.ts'
import { encodeTree } from '../../src/repo/format/tree.ts'
import { Repository } from '../../src/repo/repository.ts'
import { run, type Run } from '../support/programs.ts'
import { copyRepository, filesOf, makeWorkFolder } from '../support/repositories.ts'
import { sampleNode, sampleSnapshot } from '../support/sample-data.ts'
import { createTestRepositoryIn, TEST_PASSWORD } from '../support/test-repository.ts'

const HUGE = 2 ** 32 - 1
/** Several times what a command needs for nothing. */
const MEMORY_KIB = 400 << 10
/** Each with the exit codes it may end with. */
const COMMANDS: readonly [string, readonly number[]][] = [
  ['restore latest --target target', [1]],
  ['check --read-data', [1]],
  // What they need of the damaged files depends.
  ['prune --max-unused 0', [0, 1]],
  ['backup source', [0, 1, 3]],
]

let work = ''
let sound = ''
let copies = 0
/** The blob that the snapshot needs. */
let needed = ''

beforeAll(async () => {
  work = makeWorkFolder('lengths')
  sound = join(work, 'sound')
  mkdirSync(join(work, 'source'))
  writeFileSync(join(work, 'source', 'file'), 'content')
  const repository = await createTestRepositoryIn(new LocalBackend(sound))
  repository.startWriting()
  const { id } = await repository.saveBlob('data', Buffer.alloc(3000, 'content'))
  needed = id
  // Nobody needs it, so that prune has something to repack.
  await repository.saveBlob('data', Buffer.alloc(3000, 'unused'))
  const nodes = [sampleNode({ name: 'file', type: 'file', content: [id], size: 3000, links: 1 })]
  const tree = await repository.saveBlob('tree', encodeTree(nodes))
  await repository.flush()
  await repository.saveSnapshot(sampleSnapshot(tree.id))
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

function copy(): string {
  return copyRepository(sound, join(work, `copy-${copies++}`))
}

/** Tells how much memory a command had at most. */
const MEASURE = Buffer.from(
  `import { writeFileSync } from 'node:fs'
  process.on('exit', () => writeFileSync(process.env.RSS_FILE, String(process.resourceUsage().maxRSS)))`,
).toString('base64')

/** A run that must end soon and in little memory. */
async function frugal(path: string, args: readonly string[]): Promise<Run> {
  const rssFile = join(work, 'rss')
  const env = { NODE_OPTIONS: `--import=data:text/javascript;base64,${MEASURE}`, RSS_FILE: rssFile }
  const started = performance.now()
  const result = await run('ours', ['-r', path, ...args], { cwd: work, env })
  expect(performance.now() - started).toBeLessThan(30_000)
  expect(Number(readFileSync(rssFile, 'utf8'))).toBeLessThan(MEMORY_KIB)
  return result
}

/** No command crashes or exhausts memory; those that need what is damaged say which file it is in. */
async function expectRefused(damage: (path: string) => Promise<void> | void): Promise<void> {
  for (const [args, codes] of COMMANDS) {
    const path = copy()
    await damage(path)
    const { code, stderr } = await frugal(path, args.split(' '))
    expect({ args, code, stderr }).toMatchObject({ code: expect.toBeOneOf([...codes]) as unknown })
    if (code === 1) expect(stderr).toMatch(/[0-9a-f]{64}/)
    expect(filesOf(path, 'locks')).toEqual([])
  }
}

describe('a key file', () => {
  /** The repository's key file with other fields. */
  function withKey(fields: object): string {
    const path = copy()
    const [key] = filesOf(path, 'keys')
    const json = JSON.stringify({ ...(JSON.parse(readFileSync(key!, 'utf8')) as object), ...fields })
    rmSync(key!)
    writeFileSync(join(path, 'keys', createHash('sha256').update(json).digest('hex')), json)
    return path
  }

  it.each([
    [{ N: 2 ** 31, r: 8, p: 1 }],
    [{ N: 2 ** 31, r: 1, p: 1 }],
    [{ N: 2, r: 2 ** 24, p: 1 }],
    [{ N: 2, r: 1, p: 2 ** 29 }],
    [{ N: 2 ** 20, r: 8, p: 2 ** 20 }],
  ])('that asks for too much work is refused: %j', async (params) => {
    const { code, stderr } = await frugal(withKey(params), ['snapshots'])
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^Fatal: the key file asks for too much work: .*\n.*\n$/) as unknown,
    })
  })

  it.each([
    [{ N: 0 }],
    [{ N: 3 }],
    [{ N: -2 }],
    [{ N: 1e300 }],
    [{ N: 2.5 }],
    [{ r: 0 }],
    [{ p: 0 }],
    [{ N: '2' }],
    [{ salt: '' }],
    [{ salt: 'AAAA' }],
    [{ data: '' }],
    [{ kdf: 'argon2' }],
    [{ kdf: null }],
  ])('with fields no key has is refused: %j', async (fields) => {
    const { code, stderr } = await frugal(withKey(fields), ['snapshots'])
    expect(stderr).toMatch(/^Fatal: [^\n]*key[^\n]*\n([^\n]+\n)?$/)
    expect([1, 12]).toContain(code)
  })

  it('beside a sound one keeps nobody out', async () => {
    const path = copy()
    const json = JSON.stringify({
      ...(JSON.parse(readFileSync(filesOf(path, 'keys')[0]!, 'utf8')) as object),
      N: 2 ** 31,
      r: 8,
    })
    writeFileSync(join(path, 'keys', createHash('sha256').update(json).digest('hex')), json)
    expect(await frugal(path, ['snapshots'])).toMatchObject({ code: 0 })
  })
})

describe('an index that claims', () => {
  /** Replaces the index by one in which blobs of a type have other fields. */
  async function claim(path: string, type: 'data' | 'tree', fields: Partial<PackedBlob>): Promise<void> {
    const repository = await Repository.open(new LocalBackend(path), { password: TEST_PASSWORD })
    for await (const { id } of repository.list('index')) {
      const { packs } = parseIndexFile(await repository.loadUnpacked('index', id))
      await repository.saveUnpacked('index', encodeIndex(packs, type, fields))
      await repository.remove('index', id)
    }
  }

  function encodeIndex(packs: readonly IndexPack[], type: string, fields: Partial<PackedBlob>): Buffer {
    const json = packs.map(({ id, blobs }) => ({
      id,
      blobs: blobs
        .map((blob) => (blob.type === type ? { ...blob, ...fields } : blob))
        .map(({ uncompressedLength, ...blob }) => ({ ...blob, uncompressed_length: uncompressedLength })),
    }))
    return Buffer.from(JSON.stringify({ packs: json }))
  }

  it.each([
    ['data', 'a huge content', { uncompressedLength: HUGE }],
    ['tree', 'a huge content', { uncompressedLength: HUGE }],
    ['data', 'less content than there is', { uncompressedLength: 5 }],
    ['data', 'a huge blob', { length: HUGE }],
    ['tree', 'a huge blob', { length: HUGE }],
    ['data', 'a blob far away', { offset: HUGE }],
    ['tree', 'a blob far away', { offset: HUGE }],
  ] as const)('for %s %s is not believed', { timeout: 120_000 }, async (type, _what, fields) => {
    await expectRefused((path) => claim(path, type, fields))
  })
})

it('what cannot be true is refused before there is memory for it', async () => {
  const repository = await Repository.open(new LocalBackend(sound), { password: TEST_PASSWORD })
  await repository.loadIndex()
  for await (const { id: packId } of repository.list('pack')) {
    for (const blob of repository.index.blobsOfPack(packId)) {
      const sealed = await repository.readPack(packId, blob)
      expect(() => repository.codec.decodeBlob({ ...blob, uncompressedLength: HUGE }, sealed)).toThrow(
        `cannot hold ${HUGE} bytes`,
      )
      expect(repository.codec.decodeBlob(blob, sealed)).toHaveLength(blob.uncompressedLength)
    }
  }
})

describe('a pack', () => {
  /** Replaces the data pack by one with these bytes, and the index with it. */
  async function replacePack(
    path: string,
    make: (repository: Repository, blob: PackedBlob) => { bytes: Uint8Array; blob: PackedBlob },
  ): Promise<void> {
    const repository = await Repository.open(new LocalBackend(path), { password: TEST_PASSWORD })
    for await (const { id: indexId } of repository.list('index')) {
      const { packs } = parseIndexFile(await repository.loadUnpacked('index', indexId))
      const changed: unknown[] = []
      for (const pack of packs) {
        // Which of the two comes first is left to chance.
        const old = pack.blobs.find(({ id }) => id === needed) ?? pack.blobs[0]
        if (old!.type === 'tree') {
          changed.push(toJson(pack.id, old!))
          continue
        }
        const { bytes, blob } = make(repository, { ...old!, offset: 0 })
        const id = createHash('sha256').update(bytes).digest('hex')
        const [file] = filesOf(path, 'data').filter((name) => name.endsWith(pack.id))
        rmSync(file!)
        const packPath = join(path, 'data', id.slice(0, 2), id)
        mkdirSync(dirname(packPath), { recursive: true })
        writeFileSync(packPath, bytes)
        chmodSync(packPath, 0o400)
        changed.push(toJson(id, blob))
      }
      await repository.saveUnpacked('index', Buffer.from(JSON.stringify({ packs: changed })))
      await repository.remove('index', indexId)
    }
  }

  function toJson(id: string, { uncompressedLength, ...blob }: PackedBlob): unknown {
    return { id, blobs: [{ ...blob, uncompressed_length: uncompressedLength }] }
  }

  function packOf(
    repository: Repository,
    blob: PackedBlob,
    sealedBlob: Uint8Array,
  ): { bytes: Uint8Array; blob: PackedBlob } {
    const header = repository.codec.seal(encodePackHeader([blob]))
    const length = Buffer.alloc(4)
    length.writeUInt32LE(header.length)
    return { bytes: Buffer.concat([sealedBlob, header, length]), blob }
  }

  it('whose blob inflates to far more than it says is not inflated', async () => {
    await expectRefused((path) =>
      replacePack(path, (repository, old) => {
        const zeros = Buffer.alloc(256 << 20)
        const zstd = createZstd('max')
        const compressed = new Uint8Array(zstd.bound(zeros.length))
        const sealed = repository.codec.seal(compressed.subarray(0, zstd.compressInto(compressed, zeros)))
        return packOf(repository, { ...old, length: sealed.length, uncompressedLength: 3000 }, sealed)
      }),
    )
  })

  it('whose blob says it inflates to far more than it does is not believed', async () => {
    await expectRefused((path) =>
      replacePack(path, (repository, old) => {
        const zstd = createZstd('max')
        const compressed = new Uint8Array(zstd.bound(3000))
        const length = zstd.compressInto(compressed, Buffer.alloc(3000, 'content'))
        const sealed = repository.codec.seal(compressed.subarray(0, length))
        return packOf(repository, { ...old, length: sealed.length, uncompressedLength: HUGE }, sealed)
      }),
    )
  })

  it.each([
    ['huge', HUGE],
    ['longer than the pack', 5000],
    ['empty', 0],
  ])('whose header would be %s is a damaged one', async (_what, length) => {
    const path = copy()
    await replacePack(path, (repository, old) => {
      const sealed = repository.codec.seal(Buffer.alloc(3000, 'content'))
      const pack = packOf(repository, { ...old, length: sealed.length, uncompressedLength: 0 }, sealed)
      Buffer.from(pack.bytes.buffer, pack.bytes.byteOffset).writeUInt32LE(length, pack.bytes.length - 4)
      return pack
    })
    const { code, stderr } = await frugal(path, ['check', '--read-data'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/its header cannot be \d+ bytes long/)
    expect(await frugal(path, ['restore', 'latest', '--target', 'despite'])).toMatchObject({ code: 0 })
  })
})
