/** Nodes of a tree read in WebAssembly, many at a time: loads and feeds what tree-kernel.as is compiled to. */
import { ID_BYTES } from './id.ts'
import { load, SIMD } from './tree-kernel.generated.ts'

/** Nodes that follow each other in a tree. The memory is overwritten by the next run. */
export interface NodeRun {
  readonly nodeCount: number
  /** Bytes from the beginning of the run to the end of each node. */
  readonly ends: Uint32Array
  /** Bytes from the beginning of the run to the comma before each node's content. */
  readonly tails: Uint32Array
  /** In bytes. */
  readonly nameLengths: Uint32Array
  /** 0 for a file, 1 for a folder, 2 for all else. */
  readonly types: Uint32Array
  readonly sizes: Float64Array
  /** How many IDs there are up to the last one of each node. */
  readonly idCounts: Uint32Array
  /** Of files the content, of folders the tree: 32 bytes each. */
  readonly ids: Uint8Array
}

export interface NodeReader {
  /** What `read` found. */
  readonly run: NodeRun
  /**
   * Reads nodes from `bytes[position]` on, where one begins: their names are in order.
   * @param windowBytes what is looked at, 128 KiB at most
   * @returns how many bytes they take; 0 where already the first is damaged or spelled in an unusual way
   */
  read(bytes: Uint8Array, position: number, windowBytes: number): number
}

interface Kernel extends Readonly<Record<Place, { readonly value: number }>> {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly nodes: { readonly value: number }
  scan(length: number): number
}

type Place = 'ENDS' | 'TAILS' | 'NAME_LENGTHS' | 'TYPES' | 'ID_COUNTS' | 'SIZES' | 'IDS' | 'INPUT'

/** As many as the kernel reads at once. */
const NODES_MAX = 1024
const IDS_MAX = 2048

let created: { readonly reader: NodeReader | undefined } | undefined

/**
 * The reader of this thread: whoever has it reads to the end before another does.
 * @returns undefined where this machine or runtime cannot run it
 */
export function createNodeReader(): NodeReader | undefined {
  created ??= { reader: loadNodeReader() }
  return created.reader
}

function loadNodeReader(): NodeReader | undefined {
  const kernel = load<Kernel>(SIMD)
  if (kernel === undefined) return undefined
  const { buffer } = kernel.memory
  const memory = new Uint8Array(buffer)
  const numbers = (place: Place): Uint32Array => new Uint32Array(buffer, kernel[place].value, NODES_MAX)
  const run = {
    nodeCount: 0,
    ends: numbers('ENDS'),
    tails: numbers('TAILS'),
    nameLengths: numbers('NAME_LENGTHS'),
    types: numbers('TYPES'),
    sizes: new Float64Array(buffer, kernel.SIZES.value, NODES_MAX),
    idCounts: numbers('ID_COUNTS'),
    ids: new Uint8Array(buffer, kernel.IDS.value, IDS_MAX * ID_BYTES),
  }
  return {
    run,
    read(bytes, position, windowBytes) {
      const text = bytes.subarray(position, position + windowBytes)
      memory.set(text, kernel.INPUT.value)
      const length = kernel.scan(text.length)
      run.nodeCount = kernel.nodes.value
      return length
    },
  }
}
