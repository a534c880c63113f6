/** cat: print one object of the repository. */
import type { Command } from 'commander'
import {
  encodeConfig, encodeKeyFile, encodeMasterKey, encodeSnapshot, findSnapshot, InvalidInputError, listKeys, NotFoundError, parseId,
  SnapshotNotFoundError, type Id, type Repository,
} from '../index.ts' // prettier-ignore
import type { RunCommand } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_OK } from './exit-codes.ts'

const TYPES = ['config', 'index', 'snapshot', 'key', 'masterkey', 'lock', 'pack', 'blob', 'tree'] as const
type ObjectType = (typeof TYPES)[number]

export function define(command: Command, run: RunCommand): void {
  command
    .argument('<type>', TYPES.join(', '))
    .argument('[id]', 'ID of the object; for tree a snapshot, with :subfolder where one is meant')
    .action((type: string, id: string | undefined) => run((context) => runCat(context, type, id)))
}

async function runCat(context: CommandContext, typeText: string, id: string | undefined): Promise<number> {
  const type = TYPES.find((known) => known === typeText)
  if (type === undefined)
    throw new InvalidInputError(`invalid type "${typeText}", must be one of [${TYPES.join('|')}]`)
  if (id === undefined && type !== 'config' && type !== 'masterkey')
    throw new InvalidInputError('ID not specified')
  const repository = await context.openRepository()
  const lock = context.options.lock ? await repository.lock(false, context.signal) : undefined
  try {
    context.printResult(await loadObject(context, repository, type, id ?? ''))
    return EXIT_OK
  } finally {
    await lock?.release()
    await repository.close()
  }
}

async function loadObject(
  context: CommandContext,
  repository: Repository,
  type: ObjectType,
  idText: string,
): Promise<string | Uint8Array> {
  const { signal } = context
  switch (type) {
    case 'config':
      return indent(encodeConfig(repository.config))
    case 'masterkey':
      return indent(encodeMasterKey(repository.masterKey))
    case 'key':
      return indent(await loadKey(repository, parseId(idText), signal))
    case 'snapshot': {
      const id = await repository.resolveId('snapshot', idText, signal)
      return indent(encodeSnapshot(await repository.loadSnapshot(id, signal)))
    }
    case 'lock':
      return indent(await repository.loadUnpacked('lock', parseId(idText), signal))
    case 'index':
      return withNewline(await repository.loadUnpacked('index', parseId(idText), signal))
    case 'pack':
      return repository.loadRaw('pack', parseId(idText), signal)
    case 'blob':
      return loadBlob(context, repository, parseId(idText))
    case 'tree':
      return loadTree(context, repository, idText)
  }
}

async function loadKey(repository: Repository, id: Id, signal: AbortSignal): Promise<Uint8Array> {
  const key = (await listKeys(repository.keyStore, { signal })).find((candidate) => candidate.id === id)
  if (key === undefined) throw new NotFoundError(`there is no key ${id}`)
  return encodeKeyFile(key.file)
}

async function loadBlob(context: CommandContext, repository: Repository, id: Id): Promise<Uint8Array> {
  await repository.loadIndex({ signal: context.signal })
  const type = repository.hasBlob('data', id) ? 'data' : 'tree'
  return repository.loadBlob(type, id, context.signal)
}

async function loadTree(context: CommandContext, repository: Repository, query: string): Promise<Uint8Array> {
  const { record, subfolder } = await findSnapshot(repository, query, { signal: context.signal })
  await repository.loadIndex({ signal: context.signal })
  let id = record.snapshot.tree
  for (const name of (subfolder ?? '').split('/').filter((part) => part !== '')) {
    const node = (await repository.loadTree(id, context.signal)).find((entry) => entry.name === name)
    if (node?.subtree === undefined || node.subtree === null)
      throw new SnapshotNotFoundError(`path ${subfolder}: not found`)
    id = node.subtree
  }
  return repository.loadBlob('tree', id, context.signal)
}

/** Indented JSON whose numbers are left as they are: JSON.parse would round 64-bit ones. */
function indent(json: Uint8Array): string {
  const text = new TextDecoder().decode(json)
  let result = ''
  let depth = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const character = text.charAt(i)
    if (inString) {
      result += character
      if (character === '\\') result += text.charAt(++i)
      else if (character === '"') inString = false
      continue
    }
    if (character === '"') inString = true
    const isEmpty = '{['.includes(character) && '}]'.includes(text.charAt(i + 1))
    if (isEmpty) {
      result += character + text.charAt(++i)
    } else if ('{['.includes(character)) {
      depth += 1
      result += `${character}\n${'  '.repeat(depth)}`
    } else if ('}]'.includes(character)) {
      depth -= 1
      result += `\n${'  '.repeat(depth)}${character}`
    } else if (character === ',') result += `,\n${'  '.repeat(depth)}`
    else result += character === ':' ? ': ' : character
  }
  return withNewline(new TextEncoder().encode(result))
}

function withNewline(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes)
  return text.endsWith('\n') ? text : `${text}\n`
}
