/** What all commands share: their global flags, their output, and the way to a repository. */
import {
  displayLocation,
  FileNotFoundError,
  openBackend,
  readLocked,
  Repository,
  ResticError,
  withCache,
  WrongPasswordError,
  type Backend,
  type Lock,
  type Notice,
  type OpenBackendOptions,
  type OpenedCache,
  type RepositorySettings,
} from '../index.ts'
import { describeError } from './describe-error.ts'
import type { GlobalOptions } from './global-options.ts'
import type { CliIo } from './io.ts'
import { LineReader } from './line-reader.ts'
import { Output } from './output.ts'
import {
  askNewPassword,
  emptyPasswordError,
  findPassword,
  readAnswer,
  type PasswordPrompt,
} from './password.ts'
import {
  repositoryAccess,
  repositoryAccesses,
  resolveLocation,
  type RepositoryAccess,
} from './repository-access.ts'
import { cacheSettingsOf, lookAfterCaches, temporaryCacheOf } from './repository-cache.ts'
import {
  compressionOf,
  packSizeBytesOf,
  parseGoDuration,
  storeOptionsOf,
  verbosityOf,
  workersOf,
} from './settings.ts'

/** On a terminal a mistyped password may be corrected. */
const PASSWORD_TRIES = 3
/** How the repository is named; the flags of a second one are others. */
const FLAGS = '-r or --repository-file'

export class CommandContext extends Output {
  readonly options: GlobalOptions
  readonly #access: RepositoryAccess
  readonly #settings: RepositorySettings
  readonly #store: OpenBackendOptions
  readonly #lines: LineReader
  #hasTemporaryCache = false

  /** Checks all flags before anything is opened. @throws InvalidInputError */
  constructor(io: CliIo, options: GlobalOptions) {
    super(io, { isJson: options.json === true, verbosity: verbosityOf(options) })
    this.options = options
    this.#access = repositoryAccess(options, io.env)
    this.#lines = new LineReader(io.stdin)
    this.#settings = {
      compression: compressionOf(options, io.env),
      packSizeBytes: packSizeBytesOf(options, io.env),
      extraVerify: options.extraVerify !== false,
      workers: workersOf(options, io.env),
      noLock: this.noLock,
      retryLockMs: options.retryLock === undefined ? undefined : parseGoDuration(options.retryLock),
      onNotice: (notice) => this.#notify(notice),
    }
    this.#store = { ...storeOptionsOf(options, io.env), onMessage: (line) => this.warn(line) }
  }

  get signal(): AbortSignal {
    return this.io.signal
  }

  get noLock(): boolean {
    return this.options.lock === false
  }

  /** Whether flags or variables name a password, so that standard input is free for other things. */
  get hasPassword(): boolean {
    const { command, file, password, insecureNone } = this.#access.password
    return [command, file, password].some((way) => way !== undefined) || insecureNone === true
  }

  /**
   * Opens the repository that the flags and variables name, runs `work`, closes it.
   * @param temporaryCache with a cache that holds nothing of before
   */
  async withRepository<T>(
    work: (repository: Repository) => Promise<T>,
    { temporaryCache = false }: { readonly temporaryCache?: boolean } = {},
  ): Promise<T> {
    this.#hasTemporaryCache = temporaryCache
    const repository = await this.openRepository(this.#access)
    try {
      if (this.isTerminal) this.#introduce(repository)
      return await work(repository)
    } finally {
      this.progress.done()
      await repository.close()
    }
  }

  /**
   * As `withRepository`, for every repository that was named. Those that cannot be opened are warned of and left out.
   * @throws the first failure where none can be opened
   */
  async withRepositories<T>(
    work: (repositories: readonly Repository[], missing: number) => Promise<T>,
  ): Promise<T> {
    const accesses = repositoryAccesses(this.options, this.io.env)
    if (accesses.length === 1) return this.withRepository((repository) => work([repository], 0))
    const repositories: Repository[] = []
    const failures: unknown[] = []
    try {
      for (const access of accesses) {
        try {
          repositories.push(await this.openRepository(access))
        } catch (error) {
          if (this.signal.aborted || !(error instanceof ResticError)) throw error
          failures.push(error)
          if (failures.length === accesses.length) throw failures[0]
          this.warnOfLeaving(displayLocation(access.location ?? ''), error)
        }
      }
      if (this.isTerminal) for (const repository of repositories) this.#introduce(repository)
      return await work(repositories, failures.length)
    } finally {
      this.progress.done()
      await Promise.all(repositories.map((repository) => repository.close()))
    }
  }

  /** Says that one of several repositories is left behind, and why. */
  warnOfLeaving(location: string, error: Error): void {
    const hint = error instanceof ResticError && error.hint !== undefined ? `\n${error.hint}` : ''
    const message = `going on without repository ${location}: ${describeError(error)}${hint}`
    this.warnOf(message, { message_type: 'error', error: { message }, during: 'archival', item: location })
  }

  /** As `withRepository`, under a lock; without one where --no-lock says so and the command allows it. */
  async withLock<T>(
    options: { readonly exclusive: boolean; readonly ignoreNoLock?: boolean; readonly readsOnly?: boolean },
    work: (repository: Repository, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return this.withRepository(async (repository) => {
      if (this.noLock && options.ignoreNoLock !== true) return work(repository, this.signal)
      if (options.readsOnly === true)
        return readLocked(await repository.lock(options.exclusive, this.signal, true), (signal) =>
          work(repository, signal),
        )
      const lock: Lock = await repository.lock(options.exclusive, this.signal)
      try {
        return await work(repository, lock.signal)
      } finally {
        await lock.release()
      }
    })
  }

  /** Makes a repository where the flags and variables say. */
  async createRepository(options: {
    readonly version: 1 | 2
    readonly chunkerPolynomial: bigint | undefined
  }): Promise<Repository> {
    return this.#withBackend(this.#access, FLAGS, async (backend) => {
      const prompt = this.prompt('enter password for new repository: ', 'enter password again: ')
      const password = (await findPassword(this.#access.password)) ?? (await askNewPassword(prompt))
      return Repository.create(backend, { ...this.#settings, ...options, password, signal: this.signal })
    })
  }

  /** @throws WrongPasswordError and whatever opening throws */
  openRepository(access: RepositoryAccess, flags: string = FLAGS): Promise<Repository> {
    return this.#withBackend(access, flags, (backend) => this.#unlockRepository(backend, access))
  }

  /** How to ask for a password. */
  prompt(text: string, confirm?: string): PasswordPrompt {
    return { askHidden: this.io.askHidden, lines: this.#lines, text, confirm }
  }

  async #unlockRepository(backend: Backend, access: RepositoryAccess): Promise<Repository> {
    const password = await findPassword(access.password)
    if (password !== undefined) return this.#open(backend, access, password)
    // Nobody should type a password only to hear that there is no repository: opening says so first.
    if (await isMissing(backend, this.signal)) return this.#open(backend, access, '')
    const isOne = (this.options.repo ?? []).length < 2
    const which = isOne ? '' : ` ${displayLocation(access.location ?? '')}`
    const prompt = this.prompt(`enter password for repository${which}: `)
    for (let triesLeft = this.io.askHidden === undefined ? 1 : PASSWORD_TRIES; ;) {
      const answer = await readAnswer(prompt)
      try {
        if (answer === '') throw emptyPasswordError()
        return await this.#open(backend, access, answer)
      } catch (error) {
        triesLeft -= 1
        const isWrong = answer === '' || error instanceof WrongPasswordError
        if (triesLeft === 0 || !isWrong) throw error
        this.warn(`${describeError(error)}. Try again`)
      }
    }
  }

  /** Opens the store for `work`; where that fails, nothing may stay open and keep the process alive. */
  async #withBackend<T>(
    access: RepositoryAccess,
    flags: string,
    work: (backend: Backend) => Promise<T>,
  ): Promise<T> {
    const backend = await openBackend(await resolveLocation(access, flags), this.#store)
    try {
      return await work(backend)
    } catch (error) {
      await backend.close()
      throw error
    }
  }

  async #open(backend: Backend, access: RepositoryAccess, password: string): Promise<Repository> {
    const { signal } = this
    const { keyHint } = access
    const settings = (this.#hasTemporaryCache ? temporaryCacheOf : cacheSettingsOf)(this.options, this)
    let opened: OpenedCache | undefined
    const onWarning = (message: string): void => this.warn(message)
    const decorate = settings && withCache({ ...settings, onWarning, onOpened: (cache) => (opened = cache) })
    const repository = await Repository.open(backend, {
      ...this.#settings,
      password,
      keyHint,
      decorate,
      signal,
    })
    if (opened !== undefined) await this.#lookAfter(opened)
    return repository
  }

  async #lookAfter(cache: OpenedCache): Promise<void> {
    if (this.#hasTemporaryCache) this.print(`using temporary cache in ${cache.base}`)
    else await lookAfterCaches(cache, this.options, this)
  }

  #introduce({ config }: Repository): void {
    const mode = config.version === 1 ? '' : `, compression level ${this.#settings.compression ?? 'auto'}`
    this.print(`repository ${config.id.slice(0, 8)} opened (version ${config.version}${mode})`)
  }

  #notify(notice: Notice): void {
    if (notice.kind === 'lock-waiting') this.print(notice.message)
    else this.warn(notice.message)
  }
}

async function isMissing(backend: Backend, signal: AbortSignal): Promise<boolean> {
  try {
    await backend.stat({ type: 'config', name: '' }, signal)
    return false
  } catch (error) {
    return error instanceof FileNotFoundError
  }
}
