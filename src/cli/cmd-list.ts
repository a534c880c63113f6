/** list: the snapshots, or the IDs of all objects of one type. */
import type { Command } from 'commander'
import { InvalidInputError, type Repository } from '../index.ts'
import { addSnapshotsOptions, listSnapshots, type SnapshotsFlags } from './cmd-snapshots.ts'
import type { RunCommand } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_OK } from './exit-codes.ts'

const FILE_TYPES: ReadonlyMap<string, 'pack' | 'index' | 'snapshot' | 'key' | 'lock'> = new Map([
  ['packs', 'pack'],
  ['index', 'index'],
  ['snapshots', 'snapshot'],
  ['keys', 'key'],
  ['locks', 'lock'],
])

export function define(command: Command, run: RunCommand): void {
  addSnapshotsOptions(
    command.argument(
      '[type]',
      'blobs, packs, index, snapshots, keys or locks; none: a table of the snapshots',
    ),
  ).action((type: string | undefined, flags: SnapshotsFlags) =>
    run((context) => (type === undefined ? listSnapshots(context, [], flags) : listObjects(context, type))),
  )
}

async function listObjects(context: CommandContext, type: string): Promise<number> {
  const fileType = FILE_TYPES.get(type)
  if (type !== 'blobs' && fileType === undefined) {
    throw new InvalidInputError(
      `invalid type "${type}": must be one of blobs, packs, index, snapshots, keys, locks`,
    )
  }
  const repository = await context.openRepository()
  // Locks are listed without one, or there would always be one.
  const lock =
    context.options.lock && type !== 'locks' ? await repository.lock(false, context.signal) : undefined
  try {
    if (fileType === undefined) await listBlobs(context, repository)
    else for await (const { id } of repository.list(fileType, context.signal)) print(context, id)
  } finally {
    await lock?.release()
    await repository.close()
  }
  return EXIT_OK
}

async function listBlobs(context: CommandContext, repository: Repository): Promise<void> {
  await repository.loadIndex({
    signal: context.signal,
    onProgress: context.counter('index files loaded', { keep: false }),
  })
  const { index } = repository
  for (let row = 0; row < index.blobCount; row++) {
    if (context.isJson) context.printJson({ type: index.typeAt(row), id: index.idAt(row) })
    else context.printResult(`${index.typeAt(row)} ${index.idAt(row)}\n`)
  }
}

function print(context: CommandContext, id: string): void {
  if (context.isJson) context.printJson({ id })
  else context.printResult(`${id}\n`)
}
