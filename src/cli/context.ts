/** What all commands share: their flags, their output, and the way to the repository. */
import { readFile } from 'node:fs/promises'
import {
  InvalidInputError,
  openBackend,
  Repository,
  type Backend,
  type Notice,
  type RepositorySettings,
} from '../index.ts'
import { toJson } from './format.ts'
import {
  compressionOf,
  extendedOptionsOf,
  packSizeBytesOf,
  parseGoDuration,
  verbosityOf,
  type GlobalOptions,
} from './global-options.ts'
import type { CliIo } from './io.ts'
import { decodeText, resolvePassword, type PasswordPrompt, type PasswordSource } from './password.ts'
import { counterText, ProgressLine } from './progress.ts'

export class CommandContext {
  readonly io: CliIo
  readonly options: GlobalOptions
  readonly isJson: boolean
  readonly verbosity: number
  readonly progress: ProgressLine

  constructor(io: CliIo, options: GlobalOptions) {
    this.io = io
    this.options = options
    this.isJson = options.json === true
    this.verbosity = verbosityOf(options)
    this.progress = new ProgressLine(io, { enabled: this.verbosity > 0 && !this.isJson })
  }

  get signal(): AbortSignal {
    return this.io.signal
  }

  /** Text for people, from verbosity `level` on; nothing with --json. */
  print(text: string, level = 1): void {
    if (this.isJson || this.verbosity < level) return
    this.progress.clear()
    this.io.stdout.write(`${text}\n`)
  }

  /** What the command was asked for, printed even with --quiet. */
  printResult(text: string | Uint8Array): void {
    this.progress.clear()
    this.io.stdout.write(text)
  }

  /** A line of JSON on standard output. */
  printJson(value: unknown): void {
    this.io.stdout.write(`${toJson(value)}\n`)
  }

  /** A warning or error on standard error. */
  warn(text: string): void {
    this.progress.clear()
    this.io.stderr.write(`${text}\n`)
  }

  warnJson(value: unknown): void {
    this.io.stderr.write(`${toJson(value)}\n`)
  }

  /** A callback that shows how many of `noun` are done, and leaves the last count standing where `keep` says so. */
  counter(noun: string, options: { readonly keep: boolean }): (done: number, total: number) => void {
    const startedMs = performance.now()
    let isFinished = false
    return (done, total) => {
      const text = (): string => counterText((performance.now() - startedMs) / 1000, done, total, noun)
      if (done < total || isFinished || total === 0) {
        this.progress.update(text)
        return
      }
      isFinished = true
      if (options.keep) this.print(text())
      else this.progress.clear()
    }
  }

  async openBackend(): Promise<Backend> {
    return openBackend(await this.#location(), { env: this.io.env, options: extendedOptionsOf(this.options) })
  }

  async location(): Promise<string> {
    return this.#location()
  }

  /** Opens the repository the flags and variables name. */
  async openRepository(): Promise<Repository> {
    const settings = this.settings()
    const backend = await this.openBackend()
    const password = await this.password({ text: 'enter password for repository: ' })
    const keyHint = this.options.keyHint ?? this.io.env['RESTIC_KEY_HINT']
    const repository = await Repository.open(backend, { ...settings, password, keyHint, signal: this.signal })
    if (this.io.stdout.isTTY === true) {
      const mode =
        repository.config.version === 1 ? '' : `, compression level ${settings.compression ?? 'auto'}`
      this.print(
        `repository ${repository.config.id.slice(0, 8)} opened (version ${repository.config.version}${mode})`,
      )
    }
    return repository
  }

  /** Checks the flags before anything is opened. */
  settings(): RepositorySettings {
    const { options, io } = this
    return {
      compression: compressionOf(options, io.env),
      packSizeBytes: packSizeBytesOf(options, io.env),
      extraVerify: options.extraVerify,
      noLock: !options.lock,
      retryLockMs: options.retryLock === undefined ? undefined : parseGoDuration(options.retryLock),
      onNotice: (notice) => this.#notify(notice),
    }
  }

  password(prompt: PasswordPrompt): Promise<string> {
    const { options, io } = this
    const source: PasswordSource = {
      command: options.passwordCommand ?? setOrUndefined(io.env['RESTIC_PASSWORD_COMMAND']),
      file: options.passwordFile ?? setOrUndefined(io.env['RESTIC_PASSWORD_FILE']),
      password: setOrUndefined(io.env['RESTIC_PASSWORD']),
      insecureNone: options.insecureNoPassword,
    }
    return resolvePassword(source, io, prompt)
  }

  #notify(notice: Notice): void {
    if (notice.kind === 'lock-waiting') this.print(notice.message)
    else this.warn(notice.message)
  }

  async #location(): Promise<string> {
    const { options, io } = this
    const file =
      options.repositoryFile ??
      (options.repo === undefined ? setOrUndefined(io.env['RESTIC_REPOSITORY_FILE']) : undefined)
    if (options.repo !== undefined && options.repositoryFile !== undefined) {
      throw new InvalidInputError(
        'Options -r and --repository-file are mutually exclusive, please specify only one',
      )
    }
    if (file === undefined) {
      const location = options.repo ?? setOrUndefined(io.env['RESTIC_REPOSITORY'])
      if (location === undefined)
        throw new InvalidInputError('Please specify repository location (-r or --repository-file)')
      return location
    }
    try {
      return decodeText(await readFile(file)).trim()
    } catch (error) {
      const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      throw new InvalidInputError(`${file} ${isMissing ? 'does not exist' : 'cannot be read'}`, {
        cause: error,
      })
    }
  }
}

function setOrUndefined(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}
