/** The other end of the worker pool: runs tasks on a worker thread, one after another. */
import { parentPort, workerData } from 'node:worker_threads'
import { nativeCrypto } from '../crypto/native.ts'
import { loadOpenSsl } from '../crypto/openssl.ts'
import type { CryptoProvider } from '../crypto/provider.ts'
import { ThreadContext, type ThreadSetup } from './thread-context.ts'
import type { TaskTable, WorkerReply, WorkerRequest } from './worker-pool.ts'

/** Serves the thread's parent until that ends it. */
export async function serveTasks(tasks: TaskTable): Promise<void> {
  const port = parentPort
  if (port === null) throw new Error('this module runs on a worker thread only')
  const send = (reply: WorkerReply, transfer: readonly ArrayBufferLike[] = []): void => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- packs never lie in shared memory
    port.postMessage(reply, transfer as ArrayBuffer[])
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the pool sends
  const setup = workerData as ThreadSetup
  const context = new ThreadContext(setup, await providerOf(setup), (pack, member) =>
    send({ kind: 'pack', pack, member }, [pack.bytes.buffer, pack.header.buffer]),
  )
  port.on('message', (request: WorkerRequest) => {
    if (request.kind === 'claims') {
      context.addClaims(request.growth)
      return
    }
    if (request.kind === 'buffer') {
      context.reuse(new Uint8Array(request.buffer))
      return
    }
    const { number, name, input, lent } = request
    try {
      const output = tasks[name]?.(context, input)
      const handedOver = context.takeHandedOver()
      send({ kind: 'result', number, output, lent }, lent === undefined ? handedOver : [lent, ...handedOver])
    } catch (error) {
      send({ kind: 'failure', number, error: error instanceof Error ? error : new Error(String(error)) })
    }
  })
}

/** The portable one is not loaded unless it is wanted. */
async function providerOf({ provider }: ThreadSetup): Promise<CryptoProvider> {
  if (provider === 'portable') return (await import('../crypto/portable.ts')).portableCrypto
  // There are threads where there is much to do: code that V8 optimised for the ways without it would be in vain.
  loadOpenSsl()
  return nativeCrypto
}
