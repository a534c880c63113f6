/** What a thread of scrypt-lanes.ts runs: mixes its blocks and ends. */
import { parentPort, workerData } from 'node:worker_threads'
import { createMixBlocks } from './scrypt-kernel.ts'
import type { LaneWork } from './scrypt-lanes.ts'

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what scrypt-lanes.ts gives
const { blocks, N, r } = workerData as LaneWork
const mixBlocks = createMixBlocks()
if (mixBlocks === undefined) throw new Error('no WebAssembly with SIMD')
mixBlocks(blocks, N, r)
parentPort?.postMessage(blocks, [blocks.buffer])
