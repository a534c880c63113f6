/**
 * Any store at a limited rate. It waits between whole files, for stores that cannot do so within one: the rate holds
 * over time, not in each second.
 */
import type { Backend, ByteRange, Handle } from './backend.ts'
import { ForwardingBackend } from './forwarding.ts'
import type { RateLimits } from './rate-limit.ts'

export class LimitedBackend extends ForwardingBackend {
  readonly #limits: RateLimits

  constructor(inner: Backend, limits: RateLimits) {
    super(inner)
    this.#limits = limits
  }

  override async read(handle: Handle, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    const bytes = await this.inner.read(handle, range, signal)
    await this.#limits.download?.pass(bytes.length, signal)
    return bytes
  }

  override async write(handle: Handle, data: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.#limits.upload?.pass(data.length, signal)
    return this.inner.write(handle, data, signal)
  }
}
