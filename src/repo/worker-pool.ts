/**
 * Runs tasks on worker threads, or here where there are none: a task is a plain function of a thread's context and an
 * input that can be sent. Packs that tasks finish come back as they are finished.
 */
import { Worker } from 'node:worker_threads'
import type { CryptoProvider } from '../crypto/provider.ts'
import { AbortedError, WorkerError } from '../errors.ts'
import type { FinishedPack } from './pack-builder.ts'
import { ThreadContext, type ClaimsGrowth, type ThreadSetup } from './thread-context.ts'

// oxlint-disable-next-line typescript/no-explicit-any -- what each task takes is its own affair; `run` ties them together
export type TaskTable = Readonly<Record<string, (context: ThreadContext, input: any) => unknown>>

export interface WorkerPoolOptions<Tasks extends TaskTable> {
  /** Threads to start; 0 runs everything here. */
  readonly count: number
  /** The module a worker thread runs, which has the same tasks; without one, there are no threads. */
  readonly entry: URL | undefined
  readonly tasks: Tasks
  readonly crypto: CryptoProvider
  readonly setup: Omit<ThreadSetup, 'threadCount' | 'provider'>
  /**
   * What it gives resolves when the pack's memory is not needed any more. `member` is the repository it is for: 0, or
   * the number of a mirror, from 1.
   */
  readonly onPack?: ((pack: FinishedPack, member: number) => Promise<void>) | undefined
}

/** To a worker. */
export type WorkerRequest =
  | {
      readonly kind: 'task'
      readonly number: number
      readonly name: string
      readonly input: unknown
      /** Memory of the input, to come back with the result. */
      readonly lent?: ArrayBuffer | undefined
    }
  | { readonly kind: 'claims'; readonly growth: ClaimsGrowth }
  | { readonly kind: 'buffer'; readonly buffer: ArrayBuffer }

/** From a worker. */
export type WorkerReply =
  | {
      readonly kind: 'result'
      readonly number: number
      readonly output: unknown
      readonly lent?: ArrayBuffer | undefined
    }
  | { readonly kind: 'failure'; readonly number: number; readonly error: Error }
  | { readonly kind: 'pack'; readonly pack: FinishedPack; readonly member: number }

/** Tasks given to one worker before others have to wait: one to work on, one to go on with. */
const QUEUE_LENGTH = 2
/** Threads make little garbage, but would let it lie for long. */
const YOUNG_GENERATION_MIB = 6

interface Thread {
  readonly worker: Worker
  tasks: number
}

interface Waiting {
  readonly thread: Thread
  readonly resolve: (output: unknown) => void
  readonly reject: (error: unknown) => void
  readonly takeBack: TakeBack | undefined
}

/** Called with memory that a task is through with. */
export type TakeBack = (bytes: Uint8Array) => void

export class WorkerPool<Tasks extends TaskTable> {
  readonly #options: WorkerPoolOptions<Tasks>
  readonly #threads: Thread[] = []
  readonly #waiting = new Map<number, Waiting>()
  /** For tasks that run here, and for the claims. */
  readonly #context: ThreadContext
  #number = 0
  #wake: (() => void) | undefined
  #failure: Error | undefined

  constructor(options: WorkerPoolOptions<Tasks>) {
    this.#options = options
    const { entry, count, crypto } = options
    const threadCount = entry === undefined ? 0 : count
    const setup = { ...options.setup, provider: crypto.name, threadCount }
    this.#context = new ThreadContext(setup, crypto, (pack, member) => void options.onPack?.(pack, member))
    if (entry !== undefined) for (let i = 0; i < count; i++) this.#start(entry, setup)
  }

  get threadCount(): number {
    return this.#threads.length
  }

  /** Resolves when another task may be given; undefined where it may be given at once. */
  ready(): Promise<void> | undefined {
    const isFull = this.#threads.length > 0 && this.#threads.every(({ tasks }) => tasks >= QUEUE_LENGTH)
    if (!isFull || this.#failure !== undefined) return undefined
    return new Promise((resolve) => {
      const previous = this.#wake
      this.#wake = () => {
        previous?.()
        resolve()
      }
    })
  }

  /**
   * Runs a task on the thread with the least to do.
   * @param memory what of the input is given away with it
   * @param takeBack gets the memory when the task is done, and nothing where it fails
   * @throws what the task throws; WorkerError
   */
  // oxlint-disable-next-line max-params -- who does what with what, and what becomes of it
  run<Name extends keyof Tasks & string>(
    name: Name,
    input: Parameters<Tasks[Name]>[1],
    memory?: Uint8Array,
    takeBack?: TakeBack,
  ): Promise<Awaited<ReturnType<Tasks[Name]>>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const thread = this.#idlest()
    if (thread !== undefined) return this.#send(thread, name, input, { memory, takeBack })
    const done = this.#runHere(name, input)
    if (memory === undefined || takeBack === undefined) return done
    return done.then((output) => {
      takeBack(memory)
      return output
    })
  }

  /** Runs a task on every thread. */
  async runOnAll<Name extends keyof Tasks & string>(
    name: Name,
    input: Parameters<Tasks[Name]>[1],
  ): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#threads.length === 0) await this.#runHere(name, input)
    await Promise.all(this.#threads.map((thread) => this.#send(thread, name, input, {})))
  }

  /** Stops all threads, whatever they are doing. */
  async close(): Promise<void> {
    this.#fail(new AbortedError())
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()))
  }

  #start(entry: URL, setup: ThreadSetup): void {
    const worker = new Worker(entry, {
      workerData: setup,
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
      name: 'restic-ts',
    })
    const thread: Thread = { worker, tasks: 0 }
    worker.on('message', (reply: WorkerReply) => this.#receive(thread, reply))
    worker.on('error', (error) => this.#fail(new WorkerError(`a worker thread failed: ${error.message}`, { cause: error }))) // prettier-ignore
    worker.on('messageerror', (error) => this.#fail(new WorkerError(`a worker thread cannot be understood: ${error.message}`, { cause: error }))) // prettier-ignore
    worker.on('exit', (code) => this.#fail(new WorkerError(`a worker thread ended with ${code}`)))
    this.#threads.push(thread)
  }

  // oxlint-disable-next-line typescript/require-await -- what a task throws becomes a rejection, as on a thread
  async #runHere<Name extends keyof Tasks & string>(
    name: Name,
    input: Parameters<Tasks[Name]>[1],
  ): Promise<Awaited<ReturnType<Tasks[Name]>>> {
    const output = this.#options.tasks[name]?.(this.#context, input)
    this.#context.takeHandedOver()
    this.#context.growClaims()
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- TaskTable forgets what this task gives
    return output as Awaited<ReturnType<Tasks[Name]>>
  }

  // oxlint-disable-next-line max-params -- who does what with what
  #send<Name extends keyof Tasks & string>(
    thread: Thread,
    name: Name,
    input: Parameters<Tasks[Name]>[1],
    {
      memory,
      takeBack,
    }: { readonly memory?: Uint8Array | undefined; readonly takeBack?: TakeBack | undefined },
  ): Promise<Awaited<ReturnType<Tasks[Name]>>> {
    const number = this.#number++
    return new Promise((resolve, reject) => {
      thread.tasks += 1
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the thread runs the same task
      this.#waiting.set(number, { thread, resolve: resolve as (output: unknown) => void, reject, takeBack })
      const given = memory?.buffer instanceof ArrayBuffer ? memory.buffer : undefined
      const lent = takeBack === undefined ? undefined : given
      const request: WorkerRequest = { kind: 'task', number, name, input, lent }
      thread.worker.postMessage(request, given === undefined ? [] : [given])
    })
  }

  #idlest(): Thread | undefined {
    let idlest: Thread | undefined
    for (const thread of this.#threads) {
      if (idlest === undefined || thread.tasks < idlest.tasks) idlest = thread
    }
    return idlest
  }

  #receive(thread: Thread, reply: WorkerReply): void {
    if (this.#failure !== undefined) return
    if (reply.kind === 'pack') {
      void this.#storePack(thread, reply)
      return
    }
    const waiting = this.#waiting.get(reply.number)
    if (waiting === undefined) return
    this.#waiting.delete(reply.number)
    waiting.thread.tasks -= 1
    this.#growClaims()
    if (reply.kind === 'result') {
      if (reply.lent !== undefined) waiting.takeBack?.(new Uint8Array(reply.lent))
      waiting.resolve(reply.output)
    } else waiting.reject(reply.error)
    this.#wakeUp()
  }

  /** The thread gets the pack's memory back: packs of a long run need no more of it than are on their way at once. */
  async #storePack(
    thread: Thread,
    { pack, member }: { readonly pack: FinishedPack; readonly member: number },
  ): Promise<void> {
    try {
      await this.#options.onPack?.(pack, member)
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
    }
    const { buffer } = pack.bytes
    if (this.#failure !== undefined || !(buffer instanceof ArrayBuffer)) return
    const request: WorkerRequest = { kind: 'buffer', buffer }
    thread.worker.postMessage(request, [buffer])
  }

  #growClaims(): void {
    for (const growth of this.#context.growClaims()) {
      const request: WorkerRequest = { kind: 'claims', growth }
      for (const { worker } of this.#threads) worker.postMessage(request, [])
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const { reject } of this.#waiting.values()) reject(this.#failure)
    this.#waiting.clear()
    this.#wakeUp()
  }

  #wakeUp(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }
}
