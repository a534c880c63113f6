/** key: list, add, change and remove the passwords that open a repository. */
import type { Command } from 'commander'
import {
  addKey, InvalidInputError, listKeys, openKey, removeKey, shortId, type Id, type KeyInfo, type Repository,
} from '../index.ts' // prettier-ignore
import type { CommandRunner } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_OK } from './exit-codes.ts'
import { formatLocalTime } from './format.ts'
import { askNewPassword, emptyPasswordError } from './password.ts'
import { quoteUnprintable } from './safe-text.ts'
import { formatTable } from './table.ts'
import { readSettingFile } from './text-file.ts'

interface NewKeyFlags {
  readonly newPasswordFile?: string
  readonly newInsecureNoPassword?: boolean
  readonly user?: string
  readonly host?: string
}

const NO_PASSWORD_FLAG = '--new-insecure-no-password'

export function define(command: Command, run: CommandRunner): void {
  command
    .command('list')
    .description('list the keys')
    .action(() => run.withContext(listAll))
  addNewKeyOptions(command.command('add').description('add a key for another password')).action(
    (flags: NewKeyFlags) => run.withContext((context) => runAdd(context, flags)),
  )
  addNewKeyOptions(command.command('passwd').description('change the password')).action(
    (flags: NewKeyFlags) => run.withContext((context) => runPasswd(context, flags)),
  )
  command
    .command('remove')
    .description('remove a key')
    .argument('<id>', 'ID of the key')
    .action((prefix: string) => run.withContext((context) => runRemove(context, prefix)))
}

function addNewKeyOptions(command: Command): Command {
  return command
    .option('--new-password-file <file>', 'file to read the new password from')
    .option(NO_PASSWORD_FLAG, 'use an empty password')
    .option('--user <name>', 'user name of the new key')
    .option('--host <name>', 'host name of the new key')
}

async function listAll(context: CommandContext): Promise<number> {
  await context.withLock({ exclusive: false, readsOnly: true }, async (repository, signal) => {
    const keys = await listKeys(repository.keyStore, {
      signal,
      onError: (_id, error) => context.warn(`LoadKey() failed: ${error.message}`),
    })
    if (context.isJson) context.printJson(keys.map((key) => keyJson(key, repository.keyId)))
    else context.printResult(keyTable(keys, repository.keyId))
  })
  return EXIT_OK
}

function keyJson({ id, file }: KeyInfo, current: Id): Record<string, unknown> {
  return {
    current: id === current,
    id,
    userName: file.username,
    hostName: file.hostname,
    created: formatLocalTime(file.created),
  }
}

function keyTable(keys: readonly KeyInfo[], current: Id): string {
  return formatTable<KeyInfo>(
    [
      { title: ' ID', cell: ({ id }) => [`${id === current ? '*' : ' '}${shortId(id)}`] },
      { title: 'User', cell: ({ file }) => [quoteUnprintable(file.username)] },
      { title: 'Host', cell: ({ file }) => [quoteUnprintable(file.hostname)] },
      { title: 'Created', cell: ({ file }) => [formatLocalTime(file.created)] },
    ],
    keys,
  )
}

async function runAdd(context: CommandContext, flags: NewKeyFlags): Promise<number> {
  await context.withLock({ exclusive: false, ignoreNoLock: true }, async (repository, signal) => {
    const id = await addNewKey(context, flags, { repository, signal })
    context.print(`saved new key with ID ${id}`)
  })
  return EXIT_OK
}

async function runPasswd(context: CommandContext, flags: NewKeyFlags): Promise<number> {
  await context.withLock({ exclusive: true, ignoreNoLock: true }, async (repository, signal) => {
    const id = await addNewKey(context, flags, { repository, signal })
    // Only now that the new key was seen to open the old one may go.
    await repository.remove('key', repository.keyId, signal)
    context.print(`saved new key as ${id}`)
  })
  return EXIT_OK
}

async function runRemove(context: CommandContext, prefix: string): Promise<number> {
  await context.withLock({ exclusive: true, ignoreNoLock: true }, async (repository, signal) => {
    const id = await repository.resolveId('key', prefix, signal)
    await removeKey(repository.keyStore, id, repository.keyId, signal)
    context.print(`removed key ${id}`)
  })
  return EXIT_OK
}

/** Adds a key and opens it, so that a broken one cannot lock anybody out. */
async function addNewKey(
  context: CommandContext,
  flags: NewKeyFlags,
  { repository, signal }: { readonly repository: Repository; readonly signal: AbortSignal },
): Promise<Id> {
  const { keyStore, masterKey } = repository
  const password = await newPassword(context, flags)
  const id = await addKey(
    keyStore,
    masterKey,
    { password, username: flags.user, hostname: flags.host },
    signal,
  )
  if ((await openKey(keyStore, id, password, signal)) !== undefined) return id
  await repository.remove('key', id, signal)
  throw new InvalidInputError('failed to access repository with new key: nothing was changed')
}

async function newPassword(context: CommandContext, flags: NewKeyFlags): Promise<string> {
  const { newPasswordFile: file, newInsecureNoPassword: isEmpty = false } = flags
  if (isEmpty && file !== undefined) {
    throw new InvalidInputError(`only either --new-password-file or ${NO_PASSWORD_FLAG} may be specified`)
  }
  if (isEmpty) return ''
  if (file === undefined) {
    const prompt = context.prompt('enter new password: ', 'enter password again: ')
    return askNewPassword({ ...prompt, insecureFlag: NO_PASSWORD_FLAG })
  }
  const password = await readSettingFile(file)
  if (password === '') throw emptyPasswordError(NO_PASSWORD_FLAG)
  return password
}
