/** key: list, add, change and remove the passwords that open a repository. */
import type { Command } from 'commander'
import {
  addKey, FileNotFoundError, InvalidInputError, listKeys, openKey, removeKey, shortId, timeToDate, type Id, type Repository,
} from '../index.ts' // prettier-ignore
import type { RunCommand } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_OK } from './exit-codes.ts'
import { formatDate } from './format.ts'
import { resolvePassword } from './password.ts'
import { formatTable } from './table.ts'

interface NewKeyFlags {
  readonly newPasswordFile?: string
  readonly newInsecureNoPassword?: boolean
  readonly user?: string
  readonly host?: string
}

export function define(command: Command, run: RunCommand): void {
  command
    .command('list')
    .description('list the keys')
    .action(() => run((context) => withLock(context, false, listAll)))
  addNewKeyOptions(command.command('add').description('add a key for another password')).action(
    (flags: NewKeyFlags) =>
      run((context) =>
        withLock(context, false, async (_context, repository) => {
          const id = await addNewKey(context, repository, flags)
          context.print(`saved new key with ID ${id}`)
        }),
      ),
  )
  addNewKeyOptions(command.command('passwd').description('change the password')).action(
    (flags: NewKeyFlags) =>
      run((context) =>
        withLock(context, true, (_context, repository) => changePassword(context, repository, flags)),
      ),
  )
  command
    .command('remove')
    .description('remove a key')
    .argument('<id>', 'ID of the key')
    .action((prefix: string) =>
      run((context) =>
        withLock(context, true, (_context, repository) => removeById(context, repository, prefix)),
      ),
    )
}

function addNewKeyOptions(command: Command): Command {
  return command
    .option('--new-password-file <file>', 'file to read the new password from')
    .option('--new-insecure-no-password', 'use an empty password')
    .option('--user <name>', 'user name of the new key')
    .option('--host <name>', 'host name of the new key')
}

async function withLock(
  context: CommandContext,
  exclusive: boolean,
  work: (context: CommandContext, repository: Repository) => Promise<void>,
): Promise<number> {
  const repository = await context.openRepository()
  const lock = await repository.lock(exclusive, context.signal)
  try {
    await work(context, repository)
    return EXIT_OK
  } finally {
    await lock.release()
    await repository.close()
  }
}

async function listAll(context: CommandContext, repository: Repository): Promise<void> {
  const keys = await listKeys(repository.keyStore, {
    signal: context.signal,
    onError: (id, error) => context.warn(`LoadKey failed for ${id}: ${error.message}`),
  })
  const rows = keys.map(({ id, file }) => ({
    current: id === repository.keyId,
    id: shortId(id),
    userName: file.username,
    hostName: file.hostname,
    created: formatDate(timeToDate(file.created)),
  }))
  if (context.isJson) {
    context.printJson(rows)
    return
  }
  const table = formatTable(
    [
      { title: ' ID', cell: (row: (typeof rows)[number]) => [`${row.current ? '*' : ' '}${row.id}`] },
      { title: 'User', cell: (row) => [row.userName] },
      { title: 'Host', cell: (row) => [row.hostName] },
      { title: 'Created', cell: (row) => [row.created] },
    ],
    rows,
    [],
  )
  context.printResult(table)
}

async function addNewKey(context: CommandContext, repository: Repository, flags: NewKeyFlags): Promise<Id> {
  const password = await resolvePassword(
    { file: flags.newPasswordFile, insecureNone: flags.newInsecureNoPassword },
    context.io,
    { text: 'enter new password: ', confirm: 'enter password again: ' },
  )
  const newKey = { password, username: flags.user, hostname: flags.host }
  const id = await addKey(repository.keyStore, repository.masterKey, newKey, context.signal)
  const opened = await openKey(repository.keyStore, id, password, context.signal)
  if (opened === undefined) throw new InvalidInputError('the new key does not open: nothing was changed')
  return id
}

/** The old key goes only after the new one was seen to open. */
async function changePassword(
  context: CommandContext,
  repository: Repository,
  flags: NewKeyFlags,
): Promise<void> {
  const id = await addNewKey(context, repository, flags)
  await repository.remove('key', repository.keyId, context.signal)
  context.print(`saved new key as ${id}`)
}

async function removeById(context: CommandContext, repository: Repository, prefix: string): Promise<void> {
  const id = await repository.resolveId('key', prefix, context.signal)
  try {
    await removeKey(repository.keyStore, id, repository.keyId, context.signal)
  } catch (error) {
    if (error instanceof FileNotFoundError)
      throw new InvalidInputError(`there is no key ${id}`, { cause: error })
    throw error
  }
  context.print(`removed key ${id}`)
}
