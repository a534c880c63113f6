/** Our B2 backend on the emulator, with a clock that does not wait. */
import { inspect } from 'node:util'
import { BackendError, ResticError } from '../../src/errors.ts'
import { B2Backend, type B2World } from '../../src/backend/b2.ts'
import { MASTER_KEY, type B2Emulator } from './b2-emulator.ts'
import type { EmulatedKey } from './b2-emulator-store.ts'

export const TEST_BUCKET = 'test-bucket'

export interface OpenOptions extends B2World {
  readonly key?: EmulatedKey
  readonly bucket?: string
  readonly prefix?: string
  readonly connections?: number
}

/** What our backend waited for, in ms, instead of waiting. */
export interface Waits {
  readonly waits: number[]
}

export function openOn(emulator: B2Emulator, options: OpenOptions = {}): B2Backend & Waits {
  const { key = MASTER_KEY, bucket = TEST_BUCKET, prefix = 'repo', connections = 5, ...world } = options
  const waits: number[] = []
  const settings = { bucket, prefix, connections, keyId: key.id, key: key.secret, endpoint: emulator.url }
  const sleep = (ms: number): Promise<void> => {
    waits.push(ms)
    return Promise.resolve()
  }
  return Object.assign(new B2Backend(settings, { sleep, random: () => 0.5, ...world }), { waits })
}

/** All that any program may ever show of a value. */
export function shownForms(value: unknown): string {
  const deep = { depth: Infinity, showHidden: true, getters: false } as const
  const error = value instanceof Error ? `${value.message}\n${value.stack}` : ''
  return [inspect(value, deep), String(value), JSON.stringify(value), error].join('\n')
}

/** The secrets of the emulator that a value shows in any form. */
export function shownSecrets(emulator: B2Emulator, value: unknown): string[] {
  const shown = shownForms(value)
  return emulator.secrets().filter((secret) => shown.includes(secret))
}

/** What a call failed with. */
export interface Failure {
  readonly error: ResticError
  readonly message: string
  readonly hint: string
  /** Undefined where the error is no BackendError. */
  readonly transient: boolean | undefined
  readonly retryAfterMs: number | undefined
}

/** The failure of what must fail, in one of the classes of this library. */
export async function failureOf(work: Promise<unknown>): Promise<Failure> {
  let result: unknown
  try {
    result = await work
  } catch (error) {
    if (!(error instanceof ResticError)) throw error
    const { transient, retryAfterMs } = error instanceof BackendError ? error : {}
    return { error, message: error.message, hint: error.hint ?? '', transient, retryAfterMs }
  }
  throw new Error(`did not fail but gave ${inspect(result)}`)
}
