/**
 * An operation, run once for each of its writes and removals with that one going wrong: refused, carried out but not
 * confirmed, or the last thing the process did. Whatever happens, the repository must stand afterwards: it opens,
 * `check --read-data` finds nothing, every snapshot has its contents, and the operation succeeds when it is run again.
 */
import type { Backend, FileType, Handle } from '../../src/backend/backend.ts'
import { FILE_TYPES } from '../../src/backend/layout.ts'
import { MemoryBackend } from '../../src/backend/memory.ts'
import type { Id } from '../../src/repo/format/id.ts'
import { parseId } from '../../src/repo/format/id.ts'
import { removeLocks } from '../../src/repo/locks.ts'
import { check } from '../../src/repo/ops/check.ts'
import { forEachParallel } from '../../src/repo/parallel.ts'
import { Repository } from '../../src/repo/repository.ts'
import { FaultyBackend, type Fault, type Operation } from './faulty-backend.ts'
import { TEST_PASSWORD } from './test-repository.ts'

export interface FaultLoop {
  /** The store before the operation. It is not changed. */
  readonly before: MemoryBackend
  /** Opens what it needs on the store and does its work. */
  readonly operate: (store: Backend) => Promise<unknown>
  /** Whether the operation may succeed although this change failed. No write may fail in silence. */
  readonly toleratesFailureOf?: (operation: Operation) => boolean
  /** Looks at a store besides. */
  readonly inspect?: (store: MemoryBackend) => Promise<void>
}

const FAULTS: readonly Fault[] = [
  { kind: 'fail' },
  { kind: 'fail', after: true },
  { kind: 'kill' },
  { kind: 'kill', after: true },
]
/** Locks take their time: many stores are worked on beside each other. */
const AT_ONCE = 24

/** @returns how many changes the operation makes */
export async function runFaultLoop(loop: FaultLoop): Promise<number> {
  const before = await contentsOf(loop.before)
  const undisturbed = await copyOf(loop.before)
  const counting = new FaultyBackend(undisturbed)
  await loop.operate(counting)
  const after = await contentsOf(undisturbed)
  const changes = counting.operations.filter(({ change }) => change !== undefined)
  const cases = changes.flatMap(({ change }) => FAULTS.map((fault) => ({ change, fault })))
  await forEachParallel(cases, AT_ONCE, async ({ change, fault }) => {
    try {
      await runCase(loop, { before, after, fault, change })
    } catch (error) {
      const when = fault.after === true ? 'after' : 'before'
      throw new Error(`${fault.kind} ${when} change ${change} of ${changes.length}: ${String(error)}`, {
        cause: error,
      })
    }
  })
  return changes.length
}

/** What each snapshot holds, in words that tell its files and their contents. */
export type Contents = ReadonlyMap<Id, string>

interface Case {
  readonly before: Contents
  readonly after: Contents
  readonly fault: Fault
  readonly change: number | undefined
}

async function runCase(loop: FaultLoop, { before, after, fault, change }: Case): Promise<void> {
  const store = await copyOf(loop.before)
  let spoiled: Operation | undefined
  const faulty = new FaultyBackend(store, {
    faultOf: (operation) => {
      if (operation.change !== change) return undefined
      spoiled = operation
      return fault
    },
  })
  const failure = await loop.operate(faulty).then(
    () => undefined,
    (error: unknown) => error,
  )
  if (spoiled === undefined) throw new Error('the fault did not happen')
  if (fault.kind === 'fail' && failure === undefined && loop.toleratesFailureOf?.(spoiled) !== true)
    throw new Error(`nobody noticed that ${spoiled.kind} ${spoiled.type} failed`)
  const left = await namesOf(store, 'lock')
  if (fault.kind === 'fail' && left.length > 0 && spoiled.type !== 'lock')
    throw new Error('a lock was left behind')
  await removeAllLocks(store)

  const found = await verify(loop, store, { readData: true })
  for (const [id, text] of found) {
    const isRight = before.has(id) ? before.get(id) === text : [...after.values()].includes(text)
    if (!isRight) throw new Error(`snapshot ${id} does not hold what it should`)
  }
  for (const id of before.keys())
    if (after.has(id) && !found.has(id)) throw new Error(`snapshot ${id} is lost`)

  await loop.operate(store)
  const present = new Set((await verify(loop, store, { readData: false })).values())
  const wanted = new Set(after.values())
  if (wanted.size !== present.size || [...wanted].some((text) => !present.has(text)))
    throw new Error('run again, it does not come to what it comes to undisturbed')
}

async function verify(
  loop: FaultLoop,
  store: MemoryBackend,
  options: { readData: boolean },
): Promise<Contents> {
  const { errors } = await check(await openQuietly(store), options)
  if (errors.length > 0) throw new Error(`check: ${errors.map(({ message }) => message).join('; ')}`)
  await loop.inspect?.(store)
  return contentsOf(store)
}

/** Without locks and threads. */
export function openQuietly(store: Backend): Promise<Repository> {
  return Repository.open(store, { password: TEST_PASSWORD, noLock: true, workers: 0 })
}

/** As `unlock --remove-all`, or the death of their process, would. */
export async function removeAllLocks(store: Backend): Promise<void> {
  await removeLocks((await openQuietly(store)).lockStore, { all: true })
}

export async function namesOf(store: Backend, type: Exclude<FileType, 'config'>): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of store.list(type)) names.push(name)
  return names
}

export async function copyOf(source: MemoryBackend): Promise<MemoryBackend> {
  const copy = new MemoryBackend()
  const handles: Handle[] = [{ type: 'config', name: '' }]
  for (const type of FILE_TYPES) for (const name of await namesOf(source, type)) handles.push({ type, name })
  for (const handle of handles) await copy.write(handle, await source.read(handle))
  return copy
}

/** Reads every blob of every snapshot, in a fresh look at the store. */
export async function contentsOf(store: Backend): Promise<Contents> {
  const repository = await openQuietly(store)
  await repository.loadIndex()
  const describe = async (tree: Id): Promise<string> => {
    const lines: string[] = []
    for (const { name, content, subtree, type } of await repository.loadTree(tree)) {
      const blobs: string[] = []
      for (const id of content ?? []) blobs.push(repository.codec.idOf(await repository.loadBlob('data', id)))
      lines.push(
        `${type} ${name} ${blobs.join('+')} ${subtree === null ? '' : `(${await describe(subtree)})`}`,
      )
    }
    return lines.join('\n')
  }
  const contents = new Map<Id, string>()
  for (const name of (await namesOf(store, 'snapshot')).toSorted()) {
    const { tree } = await repository.loadSnapshot(parseId(name))
    contents.set(parseId(name), await describe(tree))
  }
  return contents
}
