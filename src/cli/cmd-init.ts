/** init: make a new repository. */
import type { Command } from 'commander'
import { InvalidInputError } from '../index.ts'
import type { CommandRunner } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_OK } from './exit-codes.ts'
import { addFromOptions, FROM_FLAGS } from './from-flags.ts'
import { fromRepositoryAccess, type FromFlags } from './repository-access.ts'

interface Flags extends FromFlags {
  readonly repositoryVersion: string
  readonly copyChunkerParams?: boolean
}

export function define(command: Command, run: CommandRunner): void {
  addFromOptions(
    command
      .option('--repository-version <version>', 'format version: stable, latest, 1 or 2', 'stable')
      .option(
        '--copy-chunker-params',
        'cut files as another repository does, so that copies need no more room',
      ),
  ).action((flags: Flags) => run.withContext((context) => runInit(context, flags)))
}

async function runInit(context: CommandContext, flags: Flags): Promise<number> {
  const version = parseVersion(flags.repositoryVersion)
  const chunkerPolynomial = await otherPolynomial(context, flags)
  const repository = await context.createRepository({ version, chunkerPolynomial })
  const { id } = repository.config
  if (context.isJson) {
    context.printJson({ message_type: 'initialized', id, repository: repository.location })
  } else {
    context.print(`created restic repository ${id.slice(0, 10)} at ${repository.location}`)
    if (chunkerPolynomial !== undefined)
      context.print(' with chunker parameters copied from secondary repository')
    context.print(
      '\nPlease note that knowledge of your password is required to access\n' +
        'the repository. Losing your password means that your data is\nirrecoverably lost.',
    )
  }
  await repository.close()
  return EXIT_OK
}

async function otherPolynomial(context: CommandContext, flags: Flags): Promise<bigint | undefined> {
  const access = fromRepositoryAccess(flags, context.io.env)
  if (flags.copyChunkerParams === true) {
    const other = await context.openRepository(access, FROM_FLAGS)
    await other.close()
    return other.config.chunkerPolynomial
  }
  if (access.location === undefined && access.locationFile === undefined) return undefined
  throw new InvalidInputError(
    'Secondary repository must only be specified when copying the chunker parameters',
  )
}

function parseVersion(text: string): 1 | 2 {
  if (text === 'stable' || text === 'latest' || text === '2' || text === '') return 2
  if (text === '1') return 1
  throw new InvalidInputError(`invalid repository version "${text}": only 1 and 2 are allowed`)
}
