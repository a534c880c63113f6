/** The config file in a store: what makes a folder a repository (format spec §3). */
import type { Backend } from '../backend/backend.ts'
import { isIrreducible } from '../chunker/polynomial.ts'
import {
  CorruptDataError,
  FileNotFoundError,
  RepositoryExistsError,
  RepositoryNotFoundError,
} from '../errors.ts'
import type { Codec } from './codec.ts'
import { parseConfig, type Config } from './format/config-file.ts'

export const CONFIG_HANDLE = { type: 'config', name: '' } as const

/** @throws RepositoryExistsError where there is a repository, or what may be the rest of one */
export async function refuseExisting(backend: Backend, signal: AbortSignal | undefined): Promise<void> {
  const refuse = (what: string): never => {
    throw new RepositoryExistsError(`create repository at ${backend.location} failed: ${what}`)
  }
  try {
    await backend.stat(CONFIG_HANDLE, signal)
  } catch (error) {
    if (!(error instanceof FileNotFoundError)) throw error
    for await (const _ of backend.list('key', signal)) refuse('repository already contains keys')
    for await (const _ of backend.list('snapshot', signal)) refuse('repository already contains snapshots')
    return
  }
  refuse('config file already exists')
}

/** @throws RepositoryNotFoundError, CorruptDataError */
export async function readConfig(backend: Backend, signal: AbortSignal | undefined): Promise<Uint8Array> {
  let sealed: Uint8Array
  try {
    sealed = await backend.read(CONFIG_HANDLE, undefined, signal)
  } catch (error) {
    if (!(error instanceof FileNotFoundError)) throw error
    throw new RepositoryNotFoundError(
      `repository does not exist: unable to open config file: ${error.message}`,
      {
        cause: error,
        hint: `Is there a repository at the following location?\n${backend.location}`,
      },
    )
  }
  if (sealed.length === 0) throw damagedConfig('the file is empty')
  return sealed
}

/** @throws CorruptDataError */
export function openConfig(codec: Codec, sealed: Uint8Array): Config {
  try {
    const config = parseConfig(codec.open(sealed, 'config'))
    if (!isIrreducible(config.chunkerPolynomial))
      throw new CorruptDataError('config', 'its chunker polynomial is not irreducible')
    return config
  } catch (error) {
    throw error instanceof CorruptDataError
      ? damagedConfig(error.message.replace(`${error.what} is damaged: `, ''))
      : error
  }
}

function damagedConfig(problem: string): CorruptDataError {
  return new CorruptDataError('config', problem, {
    hint: 'nothing can be read without this file: bring it back from a copy of the repository',
  })
}
