/**
 * Index files: which blobs lie in which packs (format spec §8). They make up nearly all that is read when a repository
 * is opened, so the reader hands numbers to a visitor and makes no object per blob.
 */
import { CorruptDataError } from '../../errors.ts'
import { digitsInto, ID_BYTES, ID_DIGITS, idFromBytes, type Id } from './id.ts'
import { createRunReader, type BlobRun, type RunReader } from './index-kernel.ts'
import { JsonScanner } from './json-scanner.ts'
import { KnownStrings } from './known-strings.ts'
import { PackHeaderCursor, PLAIN_ENTRY_BYTES, SEAL_OVERHEAD_BYTES, type PackedBlob } from './pack-header.ts'

/** A pack and the blobs in it, in any order. */
export interface IndexPack {
  readonly id: Id
  readonly blobs: readonly PackedBlob[]
}

/** A pack by its header, whose plaintext says the same in a tenth of the memory. */
export interface HeadedPack {
  readonly id: Id
  readonly header: Uint8Array
}

/** The contents of an index file. */
export interface IndexFile {
  readonly packs: IndexPack[]
  /** Index files this one replaced, as restic up to 0.16 recorded it; later ones ignore it. */
  readonly supersedes: Id[]
}

/** Is called for each pack, and after it for each of the pack's blobs. IDs are 32 bytes, overwritten by the next call. */
export interface IndexVisitor {
  pack(id: Uint8Array): void
  /** `type` is 0 for data and 1 for tree; `uncompressedLength` is 0 where the blob is stored plain. */
  blob(id: Uint8Array, type: 0 | 1, offset: number, length: number, uncompressedLength: number): void
  /** An index file this one replaced. */
  supersedes?(id: Uint8Array): void
  /** Takes many blobs at once instead of one by one, for those that are spelled as usual; goes on with the last pack. */
  run?(run: BlobRun): void
}

const WHAT = 'index file'
const UINT32_MAX = 0xffff_ffff

const FILE_KEYS = new KnownStrings(['supersedes', 'packs'])
const PACK_KEYS = new KnownStrings(['id', 'blobs'])
const BLOB_KEYS = new KnownStrings(['id', 'type', 'offset', 'length', 'uncompressed_length'])
const BLOB_TYPES = new KnownStrings(['data', 'tree'])
const ID = 0
const TYPE = 1
const OFFSET = 2
const LENGTH = 3
/** Blob members without which it could not be found. */
const REQUIRED_BLOB_KEYS: number = (1 << ID) | (1 << TYPE) | (1 << LENGTH)

/** Bytes that an ID of `supersedes`, a pack's members and a blob come to at most, each with its comma. */
const SUPERSEDED_JSON_BYTES = 67
const PACK_JSON_BYTES = 85
const BLOB_JSON_BYTES = 167
const FRAME_JSON_BYTES = 64

/** The JSON of an index file, spelled as restic does. No object is made and nothing is copied: it may be long. */
export function encodeIndexFile(
  packs: readonly (IndexPack | HeadedPack)[],
  options: { readonly supersedes?: readonly Id[] | undefined } = {},
): Uint8Array {
  const supersedes = options.supersedes ?? []
  // What is not written to takes no memory.
  let bound = FRAME_JSON_BYTES + supersedes.length * SUPERSEDED_JSON_BYTES
  for (const pack of packs) bound += PACK_JSON_BYTES + blobCountBound(pack) * BLOB_JSON_BYTES
  const json = new JsonWriter(bound)
  json.text('{')
  if (supersedes.length > 0) json.text(`"supersedes":["${supersedes.join('","')}"],`)
  json.text('"packs":[')
  for (const [i, pack] of packs.entries()) {
    json.text(i === 0 ? '{"id":"' : ',{"id":"')
    json.text(pack.id)
    json.text('","blobs":[')
    if ('header' in pack) encodeHeader(json, pack.header)
    else for (const [n, blob] of pack.blobs.entries()) encodeBlob(json, blob, n === 0)
    json.text(']}')
  }
  json.text(']}\n')
  return json.finish()
}

function blobCountBound(pack: IndexPack | HeadedPack): number {
  return 'header' in pack ? Math.floor(pack.header.length / PLAIN_ENTRY_BYTES) : pack.blobs.length
}

function encodeHeader(json: JsonWriter, header: Uint8Array): void {
  const blob = new PackHeaderCursor(header)
  for (let isFirst = true; blob.next(); isFirst = false) encodeBlob(json, blob, isFirst)
}

function encodeBlob(json: JsonWriter, blob: PackedBlob | PackHeaderCursor, isFirst: boolean): void {
  json.text(isFirst ? '{"id":"' : ',{"id":"')
  if ('id' in blob) json.text(blob.id)
  else json.digits(blob.bytes, blob.idStart)
  json.text(blob.type === 'data' ? '","type":"data","offset":' : '","type":"tree","offset":')
  json.text(`${blob.offset}`)
  json.text(',"length":')
  json.text(`${blob.length}`)
  if (blob.uncompressedLength !== 0) {
    json.text(',"uncompressed_length":')
    json.text(`${blob.uncompressedLength}`)
  }
  json.text('}')
}

/** Text in ASCII, end to end in memory of a length known before. */
class JsonWriter {
  readonly #bytes: Uint8Array
  #length = 0

  constructor(maxBytes: number) {
    this.#bytes = new Uint8Array(maxBytes)
  }

  text(ascii: string): void {
    const bytes = this.#bytes
    let at = this.#length
    for (let i = 0; i < ascii.length; i++) bytes[at++] = ascii.charCodeAt(i)
    this.#length = at
  }

  /** The ID whose bytes lie at `start`. */
  digits(idBytes: Uint8Array, start: number): void {
    digitsInto(idBytes, start, this.#bytes, this.#length)
    this.#length += ID_DIGITS
  }

  /** @throws RangeError where it came to more than was said */
  finish(): Uint8Array {
    if (this.#length > this.#bytes.length)
      throw new RangeError(`${this.#length} bytes of JSON, ${this.#bytes.length} expected`)
    return this.#bytes.subarray(0, this.#length)
  }
}

/**
 * Parses an index file's JSON.
 * @throws CorruptDataError
 */
export function parseIndexFile(bytes: Uint8Array): IndexFile {
  const packs: IndexPack[] = []
  const supersedes: Id[] = []
  let blobs: PackedBlob[] = []
  scanIndexFile(bytes, {
    pack: (id) => {
      blobs = []
      packs.push({ id: idFromBytes(id), blobs })
    },
    // oxlint-disable-next-line max-params -- an object per blob is what the visitor is there to avoid
    blob: (id, type, offset, length, uncompressedLength) => {
      blobs.push({
        type: type === 0 ? 'data' : 'tree',
        id: idFromBytes(id),
        offset,
        length,
        uncompressedLength,
      })
    },
    supersedes: (id) => supersedes.push(idFromBytes(id)),
  })
  return { packs, supersedes }
}

/**
 * Steps through an index file's JSON and tells the visitor what it finds.
 * @throws CorruptDataError, at which point the visitor may have been told of earlier packs
 */
export function scanIndexFile(bytes: Uint8Array, visitor: IndexVisitor): void {
  new IndexScan(bytes, visitor).run()
}

class IndexScan {
  readonly #scanner: JsonScanner
  readonly #visitor: IndexVisitor
  readonly #packId = new Uint8Array(ID_BYTES)
  readonly #blobId = new Uint8Array(ID_BYTES)
  readonly #runReader: RunReader | undefined

  constructor(bytes: Uint8Array, visitor: IndexVisitor) {
    this.#scanner = new JsonScanner(bytes, WHAT)
    this.#visitor = visitor
    if (visitor.run !== undefined) this.#runReader = createRunReader()
  }

  run(): void {
    const scanner = this.#scanner
    if (scanner.peek() === 0x5b) throw new CorruptDataError(WHAT, 'it has the format of before 2015')
    scanner.enterObject()
    for (let first = true; scanner.nextMember(first); first = false) {
      const key = FILE_KEYS.find(scanner, 1)
      if (key < 0) scanner.skipValue()
      else if (!scanner.takeNull()) this.#list(key === 1)
    }
    scanner.expectEnd()
  }

  #list(ofPacks: boolean): void {
    const scanner = this.#scanner
    scanner.enterArray()
    for (let first = true; scanner.nextElement(first); first = false) {
      if (ofPacks) this.#pack()
      else {
        scanner.readIdInto(this.#packId)
        this.#visitor.supersedes?.(this.#packId)
      }
    }
  }

  /** A pack's blobs are told after its ID, wherever that stands. */
  #pack(): void {
    const scanner = this.#scanner
    let seen = 0
    let skippedBlobs = -1
    scanner.enterObject()
    for (let first = true; scanner.nextMember(first); first = false) {
      const key = PACK_KEYS.find(scanner, seen & 1)
      if (key < 0) {
        scanner.skipValue()
        continue
      }
      if (seen & (1 << key)) scanner.fail('a pack has a member twice')
      seen |= 1 << key
      if (key === 0) {
        scanner.readIdInto(this.#packId)
        this.#visitor.pack(this.#packId)
      } else if (seen & 1) this.#blobs(this.#runReader)
      else {
        scanner.peek()
        skippedBlobs = scanner.position
        scanner.skipValue()
      }
    }
    if ((seen & 1) === 0) scanner.fail('a pack without ID ends')
    if (skippedBlobs >= 0) this.#blobsAt(skippedBlobs)
  }

  #blobsAt(position: number): void {
    const { position: end } = this.#scanner
    this.#scanner.position = position
    this.#blobs(undefined)
    this.#scanner.position = end
  }

  /** @param runReader where nothing but blobs is left of the pack, so that a run may go on with the next one */
  #blobs(runReader: RunReader | undefined): void {
    const scanner = this.#scanner
    if (scanner.takeNull()) return
    scanner.enterArray()
    for (let first = true; scanner.nextElement(first); first = false) {
      if (runReader === undefined || !this.#runs(runReader)) this.#blob()
    }
  }

  /**
   * Reads blobs from here on as long as they are spelled as usual. Where one pack ends and the next begins in the usual
   * way, that is passed as well: the scanner is then in the same place of another pack. False where there were none.
   */
  #runs(reader: RunReader): boolean {
    const scanner = this.#scanner
    const length = reader.read(scanner.bytes, scanner.position)
    if (length === 0) return false
    scanner.position += length
    this.#visitor.run?.(reader.run)
    return true
  }

  #blob(): void {
    const scanner = this.#scanner
    let type: 0 | 1 = 0
    let offset = 0
    let length = 0
    let uncompressedLength = 0
    let seen = 0
    let key = -1
    scanner.enterObject()
    for (let first = true; scanner.nextMember(first); first = false) {
      key = BLOB_KEYS.find(scanner, key + 1)
      if (key < 0) {
        scanner.skipValue()
        continue
      }
      seen |= 1 << key
      if (key === ID) scanner.readIdInto(this.#blobId)
      else if (key === TYPE) type = this.#blobType()
      else {
        const value = scanner.readUint(UINT32_MAX)
        if (key === OFFSET) offset = value
        else if (key === LENGTH) length = value
        else uncompressedLength = value
      }
    }
    if ((seen & REQUIRED_BLOB_KEYS) !== REQUIRED_BLOB_KEYS)
      scanner.fail('a blob without ID, type or length ends')
    if (length < SEAL_OVERHEAD_BYTES) scanner.fail(`a blob of impossible length ${length} ends`)
    this.#visitor.blob(this.#blobId, type, offset, length, uncompressedLength)
  }

  #blobType(): 0 | 1 {
    this.#scanner.scanString()
    const type = BLOB_TYPES.find(this.#scanner, 0)
    return type === 0 || type === 1 ? type : this.#scanner.fail('a blob type that is neither data nor tree')
  }
}
