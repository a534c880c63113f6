/**
 * The command line: finds the command, runs it, and turns what happens into output and an exit code. The library is
 * only loaded where something is to be done with it: loading it takes longer than anything else a small command does.
 */
import { Command, CommanderError } from 'commander'
import { COMMANDS, MISSING_COMMANDS } from './commands.ts'
import type { CommandContext } from './context.ts'
import { EXIT_FAILURE, EXIT_OK } from './exit-codes.ts'
import { addGlobalOptions, globalOptionsOf } from './global-options.ts'
import type { CliIo } from './io.ts'
import { translateArguments } from './legacy-arguments.ts'

/**
 * Runs one command line (without `node` and script).
 * @returns the exit code; never throws for what a user can cause
 */
export async function main(args: readonly string[], io: CliIo): Promise<number> {
  const run = new Run(io)
  try {
    await run.execute(translateArguments(args))
    // Finished all the same, but whoever sent the signal must not take it for success.
    return io.signal.aborted ? await run.report(io.signal.reason) : run.exitCode
  } catch (error) {
    return run.report(error)
  }
}

class Run {
  readonly #io: CliIo
  readonly #program: Command
  /** The command that runs, once it is known. */
  #command: Command
  /** What is wrong with the arguments, in commander's words. */
  #usageErrors = ''
  exitCode: number = EXIT_OK

  constructor(io: CliIo) {
    this.#io = io
    this.#program = this.#createProgram()
    this.#command = this.#program
  }

  async execute(args: readonly string[]): Promise<void> {
    await this.#checkFeatures()
    for (const { name, description, load } of COMMANDS) {
      const command = this.#program.command(name).description(description)
      if (!args.includes(name)) continue
      const module = await load()
      module.define(command, {
        withContext: (work) => this.#runWithContext(work),
        plainly: (work) => {
          this.exitCode = work(this.#io, globalOptionsOf(this.#command))
        },
      })
      for (const inner of [command, ...command.commands]) addGlobalOptions(inner)
    }
    if (args.length === 0) this.#io.stdout.write(this.#program.helpInformation())
    else await this.#program.parseAsync([...args], { from: 'user' })
  }

  /** Tells what went wrong. @returns the exit code */
  async report(error: unknown): Promise<number> {
    if (error instanceof CommanderError) return this.#reportUsage(error)
    const { reportError } = await import('./report-error.ts')
    return reportError(error, this.#io, { isJson: globalOptionsOf(this.#command).json === true })
  }

  /** In text even with --json, as restic. */
  async #reportUsage(error: CommanderError): Promise<number> {
    if (error.exitCode === 0) return EXIT_OK
    const text = this.#describeUnknownCommand(error) ?? this.#usageErrors
    const isSafe = /^[\n -~]*$/.test(text)
    this.#io.stderr.write(isSafe ? text : (await import('./safe-text.ts')).safeText(text))
    return EXIT_FAILURE
  }

  /** Commander may stop at a flag before it looks at the command, but that is what is wrong in the first place. */
  #describeUnknownCommand(error: CommanderError): string | undefined {
    const [name = ''] = this.#program.args
    const isKnown = name === 'help' || COMMANDS.some((command) => command.name === name)
    if (isKnown || name === '' || name.startsWith('-')) return undefined
    if (MISSING_COMMANDS.has(name))
      return `unknown command "${name}": restic has it, this version of restic-ts does not yet\n`
    return error.code === 'commander.unknownOption' ? `error: unknown command '${name}'\n` : undefined
  }

  /** Which restic does before any command. */
  async #checkFeatures(): Promise<void> {
    const { env, stderr } = this.#io
    if ((env['RESTIC_FEATURES'] ?? '') === '') return
    const { checkFeatures } = await import('./settings.ts')
    for (const warning of checkFeatures(env)) stderr.write(`${warning}\n`)
  }

  #createProgram(): Command {
    return addGlobalOptions(new Command('restic-ts'))
      .description('Backups in the restic format, without restic.')
      .helpOption('-h, --help', 'show help')
      .enablePositionalOptions()
      .exitOverride()
      .configureOutput({
        writeOut: (text) => this.#io.stdout.write(text),
        writeErr: (text) => {
          this.#usageErrors += text
        },
      })
      .hook('preAction', (_program, command) => {
        this.#command = command
      })
  }

  async #runWithContext(work: (context: CommandContext) => Promise<number>): Promise<void> {
    const { CommandContext: Context } = await import('./context.ts')
    const context = new Context(this.#io, globalOptionsOf(this.#command))
    try {
      this.exitCode = await work(context)
    } finally {
      context.progress.done()
    }
  }
}
