/** cat: print one object of the repository. */
import type { Command } from 'commander'
import {
  encodeConfig, encodeKeyFile, encodeMasterKey, encodeSnapshot, findSnapshot, InvalidInputError, listKeys, NotFoundError, parseId,
  SnapshotNotFoundError, type Id, type Repository,
} from '../index.ts' // prettier-ignore
import type { CommandRunner } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_OK } from './exit-codes.ts'
import { indentJson } from './indent-json.ts'

const TYPES = ['config', 'index', 'snapshot', 'key', 'masterkey', 'lock', 'pack', 'blob', 'tree'] as const
type ObjectType = (typeof TYPES)[number]

interface Target {
  readonly repository: Repository
  readonly signal: AbortSignal
  readonly id: string
}

export function define(command: Command, run: CommandRunner): void {
  command
    .argument('<type>', TYPES.join(', '))
    .argument('[id]', 'ID of the object; for tree a snapshot, with :subfolder where one is meant')
    .action((type: string, id: string | undefined) => run.withContext((context) => runCat(context, type, id)))
}

async function runCat(context: CommandContext, typeText: string, id: string | undefined): Promise<number> {
  const type = TYPES.find((known) => known === typeText)
  if (type === undefined)
    throw new InvalidInputError(`invalid type "${typeText}", must be one of [${TYPES.join('|')}]`)
  if (id === undefined && type !== 'config' && type !== 'masterkey')
    throw new InvalidInputError('ID not specified')
  await context.withLock({ exclusive: false, readsOnly: true }, async (repository, signal) => {
    context.printResult(await loadObject(context, type, { repository, signal, id: id ?? '' }))
  })
  return EXIT_OK
}

async function loadObject(
  context: CommandContext,
  type: ObjectType,
  target: Target,
): Promise<string | Uint8Array> {
  const { repository, signal, id } = target
  switch (type) {
    case 'config':
      return indentJson(encodeConfig(repository.config))
    case 'masterkey':
      return indentJson(encodeMasterKey(repository.masterKey))
    case 'key':
      return indentJson(await loadKey(repository, parseId(id), signal))
    case 'snapshot': {
      const { record } = await findSnapshot(repository, id, { signal })
      return indentJson(encodeSnapshot(record.snapshot))
    }
    case 'lock':
      return indentJson(await repository.loadUnpacked('lock', parseId(id), signal))
    case 'index':
      return printedAsIs(await repository.loadUnpacked('index', parseId(id), signal))
    case 'pack':
      return loadPack(context, parseId(id), target)
    case 'blob':
      return loadBlob(parseId(id), target)
    case 'tree':
      return loadTree(target)
    default:
      return type satisfies never
  }
}

/** restic ends an index with a line end, but need not: the terminal gets just one. */
function printedAsIs(json: Uint8Array): string {
  const text = new TextDecoder().decode(json)
  return text.endsWith('\n') ? text : `${text}\n`
}

async function loadKey(repository: Repository, id: Id, signal: AbortSignal): Promise<Uint8Array> {
  const keys = await listKeys(repository.keyStore, { signal, onError: () => undefined })
  const key = keys.find((candidate) => candidate.id === id)
  if (key === undefined) throw new NotFoundError(`there is no readable key ${id}`)
  return encodeKeyFile(key.file)
}

/** A damaged pack is printed too: whoever looks at it wants to see just that. */
async function loadPack(
  context: CommandContext,
  id: Id,
  { repository, signal }: Target,
): Promise<Uint8Array> {
  const bytes = await repository.readPack(id, undefined, signal)
  const actual = repository.codec.idOf(bytes)
  if (actual !== id) context.warn(`Warning: hash of data does not match ID, want\n  ${id}\ngot:\n  ${actual}`)
  return bytes
}

async function loadBlob(id: Id, { repository, signal }: Target): Promise<Uint8Array> {
  await repository.loadIndex({ signal })
  const type = (['data', 'tree'] as const).find((candidate) => repository.hasBlob(candidate, id))
  if (type === undefined) throw new NotFoundError('blob not found')
  return repository.loadBlob(type, id, signal)
}

async function loadTree({ repository, signal, id: query }: Target): Promise<Uint8Array> {
  const { record, subfolder = '' } = await findSnapshot(repository, query, { signal })
  await repository.loadIndex({ signal })
  let id = record.snapshot.tree
  for (const name of subfolder.split('/').filter((part) => part !== '')) {
    const nodes = await repository.loadTree(id, signal)
    const subtree = nodes.find((node) => node.name === name)?.subtree ?? undefined
    if (subtree === undefined) throw new SnapshotNotFoundError(`path ${subfolder}: not found`)
    id = subtree
  }
  return repository.loadBlob('tree', id, signal)
}
