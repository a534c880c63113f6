/** Listings of REST servers: names and sizes in protocol version 2, names only in version 1. */
import type { FileInfo } from './backend.ts'
import type { HttpAnswer } from './http-exchange.ts'
import { isFileName } from './layout.ts'

/** Each file once. `unsized`: names of a version 1 server. */
export interface RestListing {
  readonly sized: readonly FileInfo[]
  readonly unsized: readonly string[]
}

/**
 * Told apart by the entries themselves, since proxies have been seen to change the Content-Type.
 * @returns undefined where the answer is no listing
 */
export function parseRestListing({ body }: HttpAnswer): RestListing | undefined {
  const entries = parseJson(body)
  // Go encodes a list of nothing as null.
  if (entries === null) return { sized: [], unsized: [] }
  if (!Array.isArray(entries)) return undefined
  const sizes = new Map<string, number>()
  const names = new Set<string>()
  for (const entry of entries) {
    const file: unknown = entry
    if (typeof file === 'string') {
      if (isFileName(file)) names.add(file)
      continue
    }
    const info = readEntry(file)
    if (info === undefined) return undefined
    if (isFileName(info.name)) sizes.set(info.name, info.size)
  }
  return {
    sized: Array.from(sizes, ([name, size]) => ({ name, size })),
    unsized: Array.from(names).filter((name) => !sizes.has(name)),
  }
}

function readEntry(entry: unknown): FileInfo | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined
  const name: unknown = Reflect.get(entry, 'name')
  const size: unknown = Reflect.get(entry, 'size')
  if (typeof name !== 'string' || typeof size !== 'number') return undefined
  return Number.isSafeInteger(size) && size >= 0 ? { name, size } : undefined
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body))
  } catch {
    return undefined
  }
}
