/** The command line: finds the command, runs it, and turns what happens into output and an exit code. */
import { Command, CommanderError } from 'commander'
import { ResticError } from '../index.ts'
import type { CommandModule } from './command.ts'
import { CommandContext } from './context.ts'
import {
  EXIT_FAILURE,
  EXIT_INCOMPLETE,
  EXIT_INTERRUPTED,
  EXIT_OK,
  exitCodeOf,
  ExitError,
} from './exit-codes.ts'
import { toJson } from './format.ts'
import { addGlobalOptions, type GlobalOptions } from './global-options.ts'
import type { CliIo } from './io.ts'
import { translateArguments } from './legacy-arguments.ts'

interface CommandEntry {
  readonly name: string
  readonly description: string
  readonly load: () => Promise<CommandModule>
}

const COMMANDS: readonly CommandEntry[] = [
  { name: 'init', description: 'make a new repository', load: () => import('./cmd-init.ts') },
  {
    name: 'backup',
    description: 'make a snapshot of files and folders',
    load: () => import('./cmd-backup.ts'),
  },
  { name: 'restore', description: 'restore files from a snapshot', load: () => import('./cmd-restore.ts') },
  { name: 'snapshots', description: 'list snapshots', load: () => import('./cmd-snapshots.ts') },
  {
    name: 'list',
    description: 'list snapshots, or the objects of one type',
    load: () => import('./cmd-list.ts'),
  },
  { name: 'check', description: 'check the repository for errors', load: () => import('./cmd-check.ts') },
  { name: 'forget', description: 'remove snapshots by a policy', load: () => import('./cmd-forget.ts') },
  { name: 'prune', description: 'remove data no snapshot needs', load: () => import('./cmd-prune.ts') },
  { name: 'key', description: 'manage keys (passwords)', load: () => import('./cmd-key.ts') },
  { name: 'cat', description: 'print an object of the repository', load: () => import('./cmd-cat.ts') },
  { name: 'unlock', description: 'remove stale locks', load: () => import('./cmd-unlock.ts') },
  { name: 'version', description: 'print version information', load: () => import('./cmd-version.ts') },
]

/**
 * Runs one command line (without `node` and script).
 * @returns the exit code; never throws for what a user can cause
 */
export async function main(args: readonly string[], io: CliIo): Promise<number> {
  const translated = translateArguments(args)
  let exitCode = EXIT_OK
  const program = addGlobalOptions(new Command('restic-ts'))
    .description('Backups in the restic format, without restic.')
    .helpOption('-h, --help', 'show help')
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) })
    .showHelpAfterError(false)
  const run = async (work: (context: CommandContext) => Promise<number>): Promise<void> => {
    exitCode = await work(new CommandContext(io, program.opts<GlobalOptions>()))
  }
  for (const { name, description, load } of COMMANDS) {
    const command = program.command(name).description(description)
    // Only what is asked for is loaded: starting up is most of the time of a small command.
    if (translated.includes(name)) (await load()).define(command, run)
  }
  try {
    await program.parseAsync(translated, { from: 'user' })
    return exitCode
  } catch (error) {
    return report(error, io, program.opts<GlobalOptions>().json === true)
  }
}

function report(error: unknown, io: CliIo, isJson: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_FAILURE
  const code = io.signal.aborted ? EXIT_INTERRUPTED : exitCodeOf(error)
  const message = messageFor(error, code)
  if (isJson) io.stderr.write(`${toJson({ message_type: 'exit_error', code, message })}\n`)
  else io.stderr.write(`${message}\n`)
  return code
}

function messageFor(error: unknown, code: number): string {
  if (error instanceof ExitError)
    return code === EXIT_INCOMPLETE ? `Warning: ${error.message}` : `Fatal: ${error.message}`
  if (error instanceof ResticError) {
    const hint = error.hint === undefined ? '' : `\n${error.hint}`
    return `Fatal: ${error.message}${hint}`
  }
  // A bug, or something of the system nobody foresaw: with the place it happened, so that it can be reported.
  return error instanceof Error ? `Fatal: ${error.message}\n${error.stack ?? ''}` : `Fatal: ${String(error)}`
}
