/** The store in memory, under the suite that all stores pass. */
import { MemoryBackend } from '../../src/backend/memory.ts'
import { describeBackend } from './conformance.ts'

describeBackend('memory', async () => {
  const backend = new MemoryBackend()
  // There is no second way to the same memory, and closing it closes nothing.
  return { backend, reopen: async () => backend, cleanup: async () => undefined }
})
