/** init: make a new repository. */
import { Option, type Command } from 'commander'
import { InvalidInputError, Repository } from '../index.ts'
import type { RunCommand } from './command.ts'
import { EXIT_OK } from './exit-codes.ts'

interface Flags {
  readonly repositoryVersion: string
}

export function define(command: Command, run: RunCommand): void {
  command
    .addOption(
      new Option(
        '--repository-version <version>',
        'repository format version: stable, latest, 1 or 2',
      ).default('stable'),
    )
    .action((flags: Flags) =>
      run(async (context) => {
        const version = parseVersion(flags.repositoryVersion)
        const backend = await context.openBackend()
        const password = await context.password({
          text: 'enter password for new repository: ',
          confirm: 'enter password again: ',
        })
        const repository = await Repository.create(backend, {
          ...context.settings(),
          password,
          version,
          signal: context.signal,
        })
        const { id } = repository.config
        if (context.isJson) {
          context.printJson({ message_type: 'initialized', id, repository: repository.location })
        } else {
          context.print(`created restic repository ${id.slice(0, 10)} at ${repository.location}\n`)
          context.print(
            'Please note that knowledge of your password is required to access\n' +
              'the repository. Losing your password means that your data is\nirrecoverably lost.',
          )
        }
        await repository.close()
        return EXIT_OK
      }),
    )
}

function parseVersion(text: string): 1 | 2 {
  if (text === 'stable' || text === 'latest' || text === '2' || text === '') return 2
  if (text === '1') return 1
  throw new InvalidInputError(`invalid repository version "${text}": only 1 and 2 are allowed`)
}
