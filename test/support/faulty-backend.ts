/**
 * A store that misbehaves as it is told: it fails, dies, answers late or out of order, or with wrong bytes. What took
 * effect before is in the store inside, which tests then open again.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Backend, ByteRange, FileInfo, FileType, Handle } from '../../src/backend/backend.ts'
import { BackendError, throwIfAborted } from '../../src/errors.ts'

export type OperationKind = 'create' | 'stat' | 'list' | 'read' | 'write' | 'remove'

/** One call of the store, before it is carried out. */
export interface Operation {
  readonly kind: OperationKind
  /** Undefined for `create`. */
  readonly type: FileType | undefined
  readonly name: string
  /** Counts all calls, from 1. */
  readonly number: number
  /** Counts the calls that change something (write, remove), from 1; undefined for others. */
  readonly change: number | undefined
}

export interface Fault {
  /**
   * `fail`: this call is an error. `kill`: this one and all later ones, which have no effect either, as if the process
   * had ended. `corrupt`: a read gives a wrong byte in the middle.
   */
  readonly kind: 'fail' | 'kill' | 'corrupt'
  /** Whether the call takes effect before the fault; not unless said so. */
  readonly after?: boolean
  /** What a failing call fails with; a permanent BackendError unless given. */
  readonly error?: Error
}

export interface FaultyBackendOptions {
  /** What is to go wrong with a call; nothing unless given. */
  readonly faultOf?: (operation: Operation) => Fault | undefined
  /** How many turns of the event loop a call waits before it takes effect, and again before it answers. */
  readonly turns?: (operation: Operation) => number
  readonly connections?: number
}

export class FaultyBackend implements Backend {
  readonly location: string
  readonly connections: number
  readonly hasAtomicReplace: boolean
  /** What was called, in order. */
  readonly operations: Operation[] = []
  readonly #inner: Backend
  readonly #options: FaultyBackendOptions
  #changes = 0
  #isDead = false
  #faultCount = 0

  constructor(inner: Backend, options: FaultyBackendOptions = {}) {
    this.location = inner.location
    this.connections = options.connections ?? inner.connections
    this.hasAtomicReplace = inner.hasAtomicReplace
    this.#inner = inner
    this.#options = options
  }

  /** How many calls were spoiled so far; those of a dead process are not counted. */
  get faultCount(): number {
    return this.#faultCount
  }

  create(signal?: AbortSignal): Promise<void> {
    return this.#call('create', undefined, signal, () => this.#inner.create(signal))
  }

  stat(handle: Handle, signal?: AbortSignal): Promise<FileInfo> {
    return this.#call('stat', handle, signal, () => this.#inner.stat(handle, signal))
  }

  async *list(type: Exclude<FileType, 'config'>, signal?: AbortSignal): AsyncGenerator<FileInfo> {
    const files = await this.#call('list', { type, name: '' }, signal, async () => {
      const found: FileInfo[] = []
      for await (const file of this.#inner.list(type, signal)) found.push(file)
      return found
    })
    for (const file of files) {
      throwIfAborted(signal)
      yield file
    }
  }

  read(handle: Handle, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#call('read', handle, signal, () => this.#inner.read(handle, range, signal))
  }

  write(handle: Handle, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.#call('write', handle, signal, () => this.#inner.write(handle, data, signal))
  }

  remove(handle: Handle, signal?: AbortSignal): Promise<void> {
    return this.#call('remove', handle, signal, () => this.#inner.remove(handle, signal))
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  // oxlint-disable-next-line max-params -- what is called, on which file, until when, and what it does
  async #call<T>(
    kind: OperationKind,
    handle: Handle | undefined,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    throwIfAborted(signal)
    this.#throwIfDead()
    const operation = this.#register(kind, handle)
    const fault = this.#options.faultOf?.(operation)
    if (fault !== undefined) this.#faultCount += 1
    const what = `${kind} ${operation.type ?? ''}/${operation.name.slice(0, 8)}`
    if (fault?.kind === 'kill' && fault.after !== true) this.#isDead = true
    await this.#wait(operation, signal)
    if (fault !== undefined && fault.kind !== 'corrupt' && fault.after !== true) throw failure(what, fault)
    const result = await work()
    if (fault?.kind === 'kill') this.#isDead = true
    await this.#wait(operation, signal)
    if (fault?.kind === 'corrupt') return corrupted(result)
    if (fault !== undefined) throw failure(what, fault)
    return result
  }

  #register(kind: OperationKind, handle: Handle | undefined): Operation {
    const isChange = kind === 'write' || kind === 'remove'
    if (isChange) this.#changes += 1
    const operation: Operation = {
      kind,
      type: handle?.type,
      name: handle?.name ?? '',
      number: this.operations.length + 1,
      change: isChange ? this.#changes : undefined,
    }
    this.operations.push(operation)
    return operation
  }

  async #wait(operation: Operation, signal: AbortSignal | undefined): Promise<void> {
    const turns = this.#options.turns?.(operation) ?? 0
    for (let i = 0; i < turns; i++) await nextTurn()
    throwIfAborted(signal)
    this.#throwIfDead()
  }

  #throwIfDead(): void {
    if (this.#isDead) throw new BackendError('the process was killed')
  }
}

function failure(what: string, fault: Fault): Error {
  if (fault.kind === 'kill') return new BackendError('the process was killed')
  return fault.error ?? new BackendError(`${what}: injected failure`)
}

function corrupted<T>(result: T): T {
  if (result instanceof Uint8Array && result.length > 0) result[result.length >> 1]! ^= 1
  return result
}
