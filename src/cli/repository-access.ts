/** Which repository is meant and how it is opened: flags, and the environment variables that stand in for them. */
import { InvalidInputError } from '../index.ts'
import type { GlobalOptions } from './global-options.ts'
import type { CliIo } from './io.ts'
import type { PasswordSource } from './password.ts'
import { readSettingFile } from './text-file.ts'

export interface RepositoryAccess {
  readonly location?: string | undefined
  readonly locationFile?: string | undefined
  readonly password: PasswordSource
  readonly keyHint?: string | undefined
}

/** `--from-…`: the second repository of a command that takes two. */
export interface FromFlags {
  readonly fromRepo?: string
  readonly fromRepositoryFile?: string
  readonly fromPasswordFile?: string
  readonly fromPasswordCommand?: string
  readonly fromKeyHint?: string
  readonly fromInsecureNoPassword?: boolean
}

/** The one repository of a command: of what was given more than once, the last. */
export function repositoryAccess(options: GlobalOptions, env: CliIo['env']): RepositoryAccess {
  const { repo, passwordFile, passwordCommand } = options
  return accessOf(options, env, {
    location: repo?.at(-1),
    file: passwordFile?.at(-1),
    command: passwordCommand?.at(-1),
  })
}

/**
 * All repositories of a command that takes several, with one password for all or one for each.
 * @throws InvalidInputError where there are fewer or more passwords than repositories
 */
export function repositoryAccesses(options: GlobalOptions, env: CliIo['env']): readonly RepositoryAccess[] {
  const { repo = [], passwordFile, passwordCommand } = options
  if (repo.length < 2) return [repositoryAccess(options, env)]
  const files = spread(passwordFile, repo.length, '--password-file')
  const commands = spread(passwordCommand, repo.length, '--password-command')
  return repo.map((location, i) => accessOf(options, env, { location, file: files[i], command: commands[i] }))
}

/** What was given once is for all. */
function spread(given: readonly string[] = [], count: number, flag: string): readonly string[] {
  const [only] = given
  if (given.length === 1 && only !== undefined) return Array.from({ length: count }, () => only)
  if (given.length === 0 || given.length === count) return given
  throw new InvalidInputError(
    `${flag} was given ${given.length} times for ${count} repositories: give it once for all, or once for each in their order`,
  )
}

function accessOf(
  options: GlobalOptions,
  env: CliIo['env'],
  given: Readonly<Record<'location' | 'file' | 'command', string | undefined>>,
): RepositoryAccess {
  const variable = variables(env, 'RESTIC_')
  return {
    ...chooseLocation(given.location, options.repositoryFile, variable),
    password: {
      file: given.file ?? variable('PASSWORD_FILE'),
      command: given.command ?? variable('PASSWORD_COMMAND'),
      password: variable('PASSWORD'),
      insecureNone: options.insecureNoPassword,
    },
    keyHint: options.keyHint ?? variable('KEY_HINT'),
  }
}

export function fromRepositoryAccess(flags: FromFlags, env: CliIo['env']): RepositoryAccess {
  const variable = variables(env, 'RESTIC_FROM_')
  return {
    ...chooseLocation(flags.fromRepo, flags.fromRepositoryFile, variable),
    password: {
      file: flags.fromPasswordFile ?? variable('PASSWORD_FILE'),
      command: flags.fromPasswordCommand ?? variable('PASSWORD_COMMAND'),
      password: variable('PASSWORD'),
      insecureNone: flags.fromInsecureNoPassword,
    },
    keyHint: flags.fromKeyHint ?? variable('KEY_HINT'),
  }
}

/** @throws InvalidInputError where no repository is named, or two are */
export async function resolveLocation(access: RepositoryAccess, flags: string): Promise<string> {
  const { location, locationFile } = access
  if (location !== undefined && locationFile !== undefined) {
    throw new InvalidInputError(
      `Options ${flags.replace(' or ', ' and ')} are mutually exclusive, please specify only one`,
    )
  }
  if (location !== undefined) return location
  if (locationFile === undefined) throw new InvalidInputError(`Please specify repository location (${flags})`)
  return readSettingFile(locationFile)
}

/** A flag of either kind overrules both variables. */
function chooseLocation(
  location: string | undefined,
  locationFile: string | undefined,
  variable: (name: string) => string | undefined,
): Pick<RepositoryAccess, 'location' | 'locationFile'> {
  if (location !== undefined || locationFile !== undefined) return { location, locationFile }
  return { location: variable('REPOSITORY'), locationFile: variable('REPOSITORY_FILE') }
}

/** Variables by the rest of their name; an empty one is none. */
function variables(env: CliIo['env'], prefix: string): (name: string) => string | undefined {
  return (name) => {
    const value = env[prefix + name]
    return value === '' ? undefined : value
  }
}
