import { beforeEach, describe, expect, it } from 'vitest'
import { MemoryBackend } from '../../src/backend/memory.ts'
import { portableCrypto } from '../../src/crypto/portable.ts'
import {
  BackendError,
  CorruptDataError,
  InvalidInputError,
  NotFoundError,
  RepositoryExistsError,
  RepositoryNotFoundError,
  UnsupportedError,
  WrongPasswordError,
} from '../../src/errors.ts'
import type { Handle } from '../../src/backend/backend.ts'
import type { CryptoProvider } from '../../src/crypto/provider.ts'
import { Codec } from '../../src/repo/codec.ts'
import type { Id } from '../../src/repo/format/id.ts'
import { addKey, listKeys, openKey, removeKey } from '../../src/repo/keys.ts'
import { Repository } from '../../src/repo/repository.ts'
import { createTestRepository, TEST_PASSWORD } from '../support/test-repository.ts'

const CONFIG: Handle = { type: 'config', name: '' }
const FAST = { N: 2, r: 1, p: 1 }

function text(content: string): Uint8Array {
  return new TextEncoder().encode(content)
}

async function names(backend: MemoryBackend, type: 'pack' | 'index' | 'key'): Promise<string[]> {
  const found: string[] = []
  for await (const { name } of backend.list(type)) found.push(name)
  return found.toSorted()
}

async function damage(backend: MemoryBackend, handle: Handle, offset: number): Promise<void> {
  const bytes = await backend.read(handle)
  bytes[offset] = bytes[offset]! ^ 0x40
  await backend.write(handle, bytes)
}

describe('creating and opening', () => {
  it('opens what it created, with either crypto provider', async () => {
    const { backend, repository } = await createTestRepository({ version: 1 })
    const again = await Repository.open(backend, { password: TEST_PASSWORD, crypto: portableCrypto })
    expect(again.config).toEqual(repository.config)
    expect(again.config.version).toBe(1)
    expect(again.keyId).toBe(repository.keyId)
  })

  it('refuses to create where a repository is', async () => {
    const { backend } = await createTestRepository()
    await expect(Repository.create(backend, { password: 'x', scrypt: FAST })).rejects.toThrow(
      RepositoryExistsError,
    )
  })

  it('refuses to create where only a key or a snapshot is left', async () => {
    const { backend } = await createTestRepository()
    await backend.remove(CONFIG)
    await expect(Repository.create(backend, { password: 'x', scrypt: FAST })).rejects.toThrow(
      /already contains keys/,
    )
  })

  it('takes over a chunker polynomial, but no reducible one', async () => {
    const { repository } = await createTestRepository({ chunkerPolynomial: 0x3da3358b4dc173n })
    expect(repository.config.chunkerPolynomial).toBe(0x3da3358b4dc173n)
    await expect(createTestRepository({ chunkerPolynomial: 0x3da3358b4dc172n })).rejects.toThrow(
      InvalidInputError,
    )
  })

  it('tells no repository, a wrong password and damage apart', async () => {
    await expect(Repository.open(new MemoryBackend(), { password: 'x' })).rejects.toThrow(
      RepositoryNotFoundError,
    )
    const { backend } = await createTestRepository()
    await expect(Repository.open(backend, { password: 'wrong' })).rejects.toThrow(WrongPasswordError)
    await damage(backend, CONFIG, 40)
    await expect(Repository.open(backend, { password: TEST_PASSWORD })).rejects.toThrow(/config is damaged/)
    await backend.write(CONFIG, new Uint8Array())
    await expect(Repository.open(backend, { password: TEST_PASSWORD })).rejects.toThrow(
      /config is damaged: the file is empty/,
    )
  })

  it('refuses pack sizes outside of 4 to 128 MiB', async () => {
    await expect(createTestRepository({ packSizeBytes: 1 << 20 })).rejects.toThrow(InvalidInputError)
    await expect(createTestRepository({ packSizeBytes: 129 << 20 })).rejects.toThrow(InvalidInputError)
  })
})

describe('keys', () => {
  let backend: MemoryBackend
  let repository: Repository

  beforeEach(async () => {
    ;({ backend, repository } = await createTestRepository())
  })

  it('open under every password added, and not under one removed', async () => {
    const id = await addKey(repository.keyStore, repository.masterKey, {
      password: 'second',
      scrypt: FAST,
      username: 'u',
      hostname: 'h',
    })
    const second = await Repository.open(backend, { password: 'second' })
    expect(second.keyId).toBe(id)
    expect((await listKeys(second.keyStore)).map(({ file }) => file.hostname)).toContain('h')
    await removeKey(second.keyStore, repository.keyId, second.keyId)
    await expect(Repository.open(backend, { password: TEST_PASSWORD })).rejects.toThrow(WrongPasswordError)
    await expect(removeKey(second.keyStore, id, id)).rejects.toThrow(InvalidInputError)
  })

  it('try the hinted key first and do without a hint that fits nothing', async () => {
    const hinted = await Repository.open(backend, {
      password: TEST_PASSWORD,
      keyHint: repository.keyId.slice(0, 8),
    })
    expect(hinted.keyId).toBe(repository.keyId)
    await expect(
      Repository.open(backend, { password: TEST_PASSWORD, keyHint: 'ffff' }),
    ).resolves.toBeDefined()
  })

  it('are passed over where damaged while another opens; alone a damaged one is the error', async () => {
    const second = await addKey(repository.keyStore, repository.masterKey, {
      password: 'second',
      scrypt: FAST,
    })
    await damage(backend, { type: 'key', name: repository.keyId }, 5)
    expect((await Repository.open(backend, { password: 'second' })).keyId).toBe(second)
    await backend.remove({ type: 'key', name: second })
    await expect(Repository.open(backend, { password: TEST_PASSWORD })).rejects.toThrow(CorruptDataError)
  })

  it('with hostile scrypt parameters are refused before any work is done', async () => {
    const [name] = await names(backend, 'key')
    const file = text(
      new TextDecoder()
        .decode(await backend.read({ type: 'key', name: name! }))
        .replace('"N":2', '"N":1073741824'),
    )
    await backend.remove({ type: 'key', name: name! })
    const hostile = Buffer.from(repository.codec.crypto.sha256(file)).toString('hex')
    await backend.write({ type: 'key', name: hostile }, file)
    const started = performance.now()
    await expect(Repository.open(backend, { password: TEST_PASSWORD })).rejects.toThrow(UnsupportedError)
    expect(performance.now() - started).toBeLessThan(1000)
  })

  it('do not open with the right key material under the wrong password', async () => {
    expect(await openKey(repository.keyStore, repository.keyId, 'wrong')).toBeUndefined()
  })
})

describe.each([1, 2] as const)('blobs in version %i', (version) => {
  let backend: MemoryBackend
  let repository: Repository

  beforeEach(async () => {
    ;({ backend, repository } = await createTestRepository({ version, packSizeBytes: 4 << 20 }))
    await repository.loadIndex()
  })

  async function reopen(): Promise<Repository> {
    const again = await Repository.open(backend, { password: TEST_PASSWORD })
    await again.loadIndex()
    return again
  }

  it('are loaded as they were saved, each stored once', async () => {
    repository.startWriting()
    const plaintexts = Array.from({ length: 60 }, (_, i) =>
      i === 0 ? new Uint8Array() : repository.codec.crypto.randomBytes(i * 4000),
    )
    const ids: Id[] = []
    for (const plaintext of plaintexts) ids.push((await repository.saveBlob('data', plaintext)).id)
    expect((await repository.saveBlob('data', plaintexts[7]!)).isNew).toBe(false)
    expect((await repository.saveBlob('tree', plaintexts[7]!)).isNew).toBe(true)
    await repository.flush()
    expect((await names(backend, 'pack')).length).toBeGreaterThan(2)
    const again = await reopen()
    for (const [i, id] of ids.entries()) {
      expect(Buffer.compare(await again.loadBlob('data', id), plaintexts[i]!)).toBe(0)
      expect(again.blobSize('data', id)).toBe(plaintexts[i]!.length)
    }
    again.startWriting()
    expect((await again.saveBlob('data', plaintexts[3]!)).isNew).toBe(false)
    await again.flush()
  })

  it('read back from the pack’s own header as from the index', async () => {
    repository.startWriting()
    for (let i = 0; i < 40; i++) await repository.saveBlob('data', text(`blob ${i}`))
    await repository.flush()
    const [pack] = await names(backend, 'pack')
    const { size } = await backend.stat({ type: 'pack', name: pack! })
    const fromHeader = await repository.readPackHeader(pack as Id, size)
    expect(fromHeader).toEqual(repository.index.blobsOfPack(pack as Id))
    expect(repository.parsePack(pack as Id, await backend.read({ type: 'pack', name: pack! }))).toEqual(
      fromHeader,
    )
  })

  it('come from another copy where one is damaged', async () => {
    repository.startWriting()
    const content = text('twice')
    const { id } = await repository.saveBlob('data', content)
    await repository.flush()
    const [first] = await names(backend, 'pack')
    repository.startWriting()
    await repository.copyBlob('data', content, id)
    await repository.flush()
    await damage(backend, { type: 'pack', name: first! }, 20)
    expect(await (await reopen()).loadBlob('data', id)).toEqual(content)
    for (const name of await names(backend, 'pack'))
      if (name !== first) await backend.remove({ type: 'pack', name })
    await expect((await reopen()).loadBlob('data', id)).rejects.toThrow(/is damaged|does not exist/)
  })

  it('that are damaged or missing are named', async () => {
    repository.startWriting()
    const { id } = await repository.saveBlob('data', text('once'))
    await repository.flush()
    const [pack] = await names(backend, 'pack')
    await damage(backend, { type: 'pack', name: pack! }, 20)
    await expect(repository.loadBlob('data', id)).rejects.toThrow(`data blob ${id} is damaged`)
    await expect(repository.loadBlob('tree', id)).rejects.toThrow(NotFoundError)
  })

  it('written before a failure are not taken for stored afterwards', async () => {
    class FullBackend extends MemoryBackend {
      full = false
      override async write(handle: Handle, data: Uint8Array, signal?: AbortSignal): Promise<void> {
        if (this.full && handle.type === 'pack') throw new BackendError('no space left')
        return super.write(handle, data, signal)
      }
    }
    const full = new FullBackend()
    const failing = await Repository.create(full, { password: 'x', scrypt: FAST, version })
    full.full = true
    failing.startWriting()
    await failing.saveBlob('data', text('lost'))
    await expect(failing.flush()).rejects.toThrow('no space left')
    await failing.abandonWriting()
    full.full = false
    await failing.loadIndex()
    failing.startWriting()
    expect((await failing.saveBlob('data', text('lost'))).isNew).toBe(true)
    await failing.flush()
    expect(await names(full, 'index')).toHaveLength(1)
  })

  it('are decoded again before they are relied on, unless that was given up', () => {
    let calls = 0
    const shaky: CryptoProvider = {
      ...portableCrypto,
      aes256Ctr(key, iv, source, destination) {
        portableCrypto.aes256Ctr(key, iv, source, destination)
        if (calls++ % 2 === 0) destination[0] = destination[0]! ^ 1 // a bit flips while encrypting
      },
    }
    const options = { crypto: shaky, key: repository.masterKey, version, compression: 'auto' } as const
    const plaintext = text('precious')
    const id = repository.codec.idOf(plaintext)
    const encode = (extraVerify: boolean): unknown =>
      new Codec({ ...options, extraVerify }).encodeBlob('data', id, plaintext, new Uint8Array(1000))
    expect(() => encode(true)).toThrow(CorruptDataError)
    expect(() => encode(false)).not.toThrow()
  })

  it.each([0, 1, 2])('as are whole files, whichever byte a bit flips in (from byte %i)', (place) => {
    let calls = 0
    const shaky: CryptoProvider = {
      ...portableCrypto,
      aes256Ctr(key, iv, source, destination) {
        const spoiled = Uint8Array.from(source)
        const at = place * Math.floor(source.length / 3)
        if (calls++ % 2 === 0) spoiled[at] = spoiled[at]! ^ 1
        portableCrypto.aes256Ctr(key, iv, spoiled, destination)
      },
    }
    const options = { crypto: shaky, key: repository.masterKey, version, compression: 'auto' } as const
    const json = text(JSON.stringify({ packs: [], random: Array.from({ length: 99 }, Math.random) }))
    const encode = (extraVerify: boolean): Uint8Array =>
      new Codec({ ...options, extraVerify }).encodeUnpacked(json)
    expect(() => encode(true)).toThrow(CorruptDataError)
    expect(() => encode(false)).not.toThrow()
    expect(repository.codec.decodeUnpacked(repository.codec.encodeUnpacked(json), 'file')).toEqual(json)
  })
})
