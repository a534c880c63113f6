/** Calls of a store and times as restic words them in its notices (command spec §1.2). */
import type { ByteRange, Handle } from './backend.ts'

/** `Load(<data/96ee85fa20>, 93, 0)`: length and offset, both 0 for the whole file. */
export function describeCall(
  name: 'Load' | 'Save' | 'Remove' | 'Stat',
  handle: Handle,
  range?: ByteRange,
): string {
  const { type } = handle
  const folder = type === 'pack' ? 'data' : type
  const file = `<${folder}/${handle.name.slice(0, 10)}>`
  if (name !== 'Load') return `${name}(${file})`
  return `Load(${file}, ${range?.length ?? 0}, ${range?.offset ?? 0})`
}

/** As Go writes durations: `552.33ms`, `1.5s`, `2m3s`. */
export function describeMs(ms: number): string {
  if (ms < 1000) return `${round(ms)}ms`
  const minutes = Math.floor(ms / 60_000)
  const seconds = `${round((ms - minutes * 60_000) / 1000)}s`
  return minutes === 0 ? seconds : `${minutes}m${seconds}`
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
