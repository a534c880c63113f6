/** A backend around another one that hands every call on. Decorators override what they are there for. */
import type { Backend, ByteRange, FileInfo, Handle } from './backend.ts'
import type { NamedFileType } from './layout.ts'

export class ForwardingBackend implements Backend {
  readonly location: string
  readonly connections: number
  prepareRemoval?: NonNullable<Backend['prepareRemoval']>
  forgetCopies?: NonNullable<Backend['forgetCopies']>
  reuse?: NonNullable<Backend['reuse']>
  protected readonly inner: Backend

  constructor(inner: Backend) {
    this.inner = inner
    this.location = inner.location
    this.connections = inner.connections
    // What the store inside lacks, this one lacks as well.
    if (inner.prepareRemoval !== undefined) this.prepareRemoval = inner.prepareRemoval.bind(inner)
    if (inner.forgetCopies !== undefined) this.forgetCopies = inner.forgetCopies.bind(inner)
    if (inner.reuse !== undefined) this.reuse = inner.reuse.bind(inner)
  }

  /** Some stores know once they are connected. */
  get hasAtomicReplace(): boolean {
    return this.inner.hasAtomicReplace
  }

  get listsForFree(): boolean {
    return this.inner.listsForFree === true
  }

  create(signal?: AbortSignal): Promise<void> {
    return this.inner.create(signal)
  }

  stat(handle: Handle, signal?: AbortSignal): Promise<FileInfo> {
    return this.inner.stat(handle, signal)
  }

  list(type: NamedFileType, signal?: AbortSignal): AsyncIterable<FileInfo> {
    return this.inner.list(type, signal)
  }

  read(handle: Handle, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    return this.inner.read(handle, range, signal)
  }

  write(handle: Handle, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.inner.write(handle, data, signal)
  }

  remove(handle: Handle, signal?: AbortSignal): Promise<void> {
    return this.inner.remove(handle, signal)
  }

  close(): Promise<void> {
    return this.inner.close()
  }
}
