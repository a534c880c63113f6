/** list: the snapshots, or the IDs of all objects of one type. */
import type { Command } from 'commander'
import { InvalidInputError, type Repository } from '../index.ts'
import { addSnapshotsOptions, listSnapshots, type SnapshotsFlags } from './cmd-snapshots.ts'
import type { CommandRunner } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_OK } from './exit-codes.ts'
import { toJson } from './format.ts'

const FILE_TYPES: ReadonlyMap<string, 'pack' | 'index' | 'snapshot' | 'key' | 'lock'> = new Map([
  ['packs', 'pack'],
  ['index', 'index'],
  ['snapshots', 'snapshot'],
  ['keys', 'key'],
  ['locks', 'lock'],
])
/** Lines are written together: a repository has many blobs, and each write is a call of the system. */
const BATCH_LENGTH = 1 << 16

export function define(command: Command, run: CommandRunner): void {
  command.argument(
    '[type]',
    'blobs, packs, index, snapshots, keys or locks; without: a table of the snapshots',
  )
  addSnapshotsOptions(command).action((type: string | undefined, flags: SnapshotsFlags) =>
    run.withContext((context) =>
      type === undefined ? listSnapshots(context, [], flags) : listObjects(context, type),
    ),
  )
}

async function listObjects(context: CommandContext, type: string): Promise<number> {
  if (type !== 'blobs' && !FILE_TYPES.has(type)) {
    throw new InvalidInputError(
      `invalid type "${type}": must be one of blobs, ${[...FILE_TYPES.keys()].join(', ')}`,
    )
  }
  const list = (repository: Repository, signal: AbortSignal): Promise<void> =>
    printLines(context, linesOf(context, type, { repository, signal }))
  // Locks are listed without one, or there would always be one.
  if (type === 'locks') await context.withRepository((repository) => list(repository, context.signal))
  else await context.withLock({ exclusive: false, readsOnly: true }, list)
  return EXIT_OK
}

async function* linesOf(
  context: CommandContext,
  type: string,
  { repository, signal }: { readonly repository: Repository; readonly signal: AbortSignal },
): AsyncGenerator<string> {
  const fileType = FILE_TYPES.get(type)
  if (fileType !== undefined) {
    for await (const { id } of repository.list(fileType, signal)) yield context.isJson ? toJson({ id }) : id
    return
  }
  const onProgress = context.counter('index files loaded', { terminalOnly: true })
  await repository.loadIndex({ signal, onProgress })
  const { index } = repository
  for (let row = 0; row < index.blobCount; row++) {
    const [blobType, id] = [index.typeAt(row), index.idAt(row)]
    yield context.isJson ? toJson({ type: blobType, id }) : `${blobType} ${id}`
  }
}

async function printLines(context: CommandContext, lines: AsyncIterable<string>): Promise<void> {
  let batch = ''
  for await (const line of lines) {
    batch += `${line}\n`
    if (batch.length < BATCH_LENGTH) continue
    context.printResult(batch)
    batch = ''
  }
  if (batch !== '') context.printResult(batch)
}
