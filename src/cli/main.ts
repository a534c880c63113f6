/** The command line: finds the command, runs it, and turns what happens into output and an exit code. */
import { Command, CommanderError } from 'commander'
import { ResticError } from '../index.ts'
import { COMMANDS } from './commands.ts'
import { CommandContext } from './context.ts'
import { describeError, isSystemError } from './describe-error.ts'
import {
  EXIT_FAILURE,
  EXIT_INCOMPLETE,
  EXIT_INTERRUPTED,
  EXIT_OK,
  EXIT_OUTPUT_CLOSED,
  exitCodeOf,
  ExitError,
} from './exit-codes.ts'
import { toJson } from './format.ts'
import { addGlobalOptions, globalOptionsOf } from './global-options.ts'
import { OutputClosedError, type CliIo } from './io.ts'
import { translateArguments } from './legacy-arguments.ts'
import { safeText } from './safe-text.ts'
import { checkFeatures } from './settings.ts'

/**
 * Runs one command line (without `node` and script).
 * @returns the exit code; never throws for what a user can cause
 */
export async function main(args: readonly string[], io: CliIo): Promise<number> {
  const run = new Run(io)
  try {
    await run.execute(translateArguments(args))
    // Finished all the same, but whoever sent the signal must not take it for success.
    return io.signal.aborted ? run.report(io.signal.reason) : run.exitCode
  } catch (error) {
    return run.report(error)
  }
}

class Run {
  readonly #io: CliIo
  #command: Command
  exitCode: number = EXIT_OK

  constructor(io: CliIo) {
    this.#io = io
    this.#command = this.#createProgram()
  }

  async execute(args: readonly string[]): Promise<void> {
    for (const warning of checkFeatures(this.#io.env)) this.#io.stderr.write(`${warning}\n`)
    const program = this.#command
    for (const { name, description, load } of COMMANDS) {
      const command = program.command(name).description(description)
      // Only what is asked for is loaded: starting up is most of the time of a small command.
      if (!args.includes(name)) continue
      const module = await load()
      module.define(command, (work) => this.#runCommand(work))
      for (const inner of [command, ...command.commands]) addGlobalOptions(inner)
    }
    if (args.length === 0) this.#io.stdout.write(program.helpInformation())
    else await program.parseAsync([...args], { from: 'user' })
  }

  /** Tells what went wrong. @returns the exit code */
  report(error: unknown): number {
    const { signal, stderr } = this.#io
    // Commander has said it already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_FAILURE
    if (signal.reason instanceof OutputClosedError) {
      if (signal.reason.message !== '') stderr.write(`Fatal: ${signal.reason.message}\n`)
      return signal.reason.message === '' ? EXIT_OUTPUT_CLOSED : EXIT_FAILURE
    }
    const code = signal.aborted ? EXIT_INTERRUPTED : exitCodeOf(error)
    const message = messageFor(error, code)
    const isJson = globalOptionsOf(this.#command).json === true
    stderr.write(
      isJson
        ? `${toJson({ message_type: 'exit_error', code, message })}\n`
        : `${safeText(message)}${isExpected(error) ? '' : stackOf(error)}\n`,
    )
    return code
  }

  #createProgram(): Command {
    const io = this.#io
    return addGlobalOptions(new Command('restic-ts'))
      .description('Backups in the restic format, without restic.')
      .helpOption('-h, --help', 'show help')
      .enablePositionalOptions()
      .exitOverride()
      .configureOutput({
        writeOut: (text) => io.stdout.write(text),
        writeErr: (text) => io.stderr.write(safeText(text)),
      })
      .hook('preAction', (_program, command) => {
        this.#command = command
      })
  }

  async #runCommand(work: (context: CommandContext) => Promise<number>): Promise<void> {
    const context = new CommandContext(this.#io, globalOptionsOf(this.#command))
    try {
      this.exitCode = await work(context)
    } finally {
      context.progress.done()
    }
  }
}

function messageFor(error: unknown, code: number): string {
  if (error instanceof ExitError && code === EXIT_INCOMPLETE) return `Warning: ${error.message}`
  const hint = error instanceof ResticError && error.hint !== undefined ? `\n${error.hint}` : ''
  return `Fatal: ${describeError(error)}${hint}`
}

/** Anything else is a bug: it is shown with the place it happened, so that it can be reported. */
function isExpected(error: unknown): boolean {
  return error instanceof ResticError || error instanceof ExitError || isSystemError(error)
}

function stackOf(error: unknown): string {
  return error instanceof Error && error.stack !== undefined ? `\n${error.stack}` : ''
}
