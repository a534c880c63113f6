/** Blobs of an index file read in WebAssembly, many at a time: loads and feeds what index-kernel.as is compiled to. */
import { ID_BYTES } from './id.ts'
import { load, SIMD } from './index-kernel.generated.ts'

/** Blobs that follow each other in an index file. The memory is overwritten by the next run. */
export interface BlobRun {
  readonly blobCount: number
  /** Packs that begin in this run, behind the one that its first blobs belong to. */
  readonly packCount: number
  /** 32 bytes a blob, as for packs. */
  readonly ids: Uint8Array
  readonly offsets: Uint32Array
  /** Stored length, with the top bit set for trees. */
  readonly lengths: Uint32Array
  /** 0 where a blob is stored plain. */
  readonly uncompressedLengths: Uint32Array
  readonly packIds: Uint8Array
  /** Which blob of the run is the first of each pack. */
  readonly firstBlobs: Uint32Array
}

export interface RunReader {
  /** What `read` found. */
  readonly run: BlobRun
  /**
   * Reads blobs from `bytes[position]` on, where one begins.
   * @returns how many bytes they take; 0 where already the first is spelled in an unusual way
   */
  read(bytes: Uint8Array, position: number): number
}

interface Kernel extends Readonly<Record<Place, { readonly value: number }>> {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly rows: { readonly value: number }
  readonly packs: { readonly value: number }
  scan(length: number): number
}

type Place = 'IDS' | 'OFFSETS' | 'LENGTHS' | 'UNCOMPRESSED' | 'PACK_IDS' | 'PACK_ROWS' | 'INPUT'

const INPUT_BYTES = 49_152
/** As many as fit into the input. */
const ROWS_MAX = 512

let created: { readonly reader: RunReader | undefined } | undefined

/**
 * The reader of this thread: whoever has it reads to the end before another does.
 * @returns undefined where this machine or runtime cannot run it
 */
export function createRunReader(): RunReader | undefined {
  created ??= { reader: loadRunReader() }
  return created.reader
}

function loadRunReader(): RunReader | undefined {
  const kernel = load<Kernel>(SIMD)
  if (kernel === undefined) return undefined
  const { buffer } = kernel.memory
  const memory = new Uint8Array(buffer)
  const ids = (place: Place): Uint8Array => new Uint8Array(buffer, kernel[place].value, ROWS_MAX * ID_BYTES)
  const numbers = (place: Place): Uint32Array => new Uint32Array(buffer, kernel[place].value, ROWS_MAX)
  const run = {
    blobCount: 0,
    packCount: 0,
    ids: ids('IDS'),
    offsets: numbers('OFFSETS'),
    lengths: numbers('LENGTHS'),
    uncompressedLengths: numbers('UNCOMPRESSED'),
    packIds: ids('PACK_IDS'),
    firstBlobs: numbers('PACK_ROWS'),
  }
  return {
    run,
    read(bytes, position) {
      const text = bytes.subarray(position, position + INPUT_BYTES)
      memory.set(text, kernel.INPUT.value)
      const length = kernel.scan(text.length)
      run.blobCount = kernel.rows.value
      run.packCount = kernel.packs.value
      return length
    },
  }
}
