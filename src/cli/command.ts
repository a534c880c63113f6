/** What a command module offers to main, and main to it. */
import type { Command } from 'commander'
import type { CommandContext } from './context.ts'
import type { GlobalOptions } from './global-options.ts'
import type { CliIo } from './io.ts'

/** Ways to run a command's work; the number is the exit code. */
export interface CommandRunner {
  readonly withContext: (work: (context: CommandContext) => Promise<number>) => Promise<void>
  /** For what needs no repository: the library is not even loaded. */
  readonly plainly: (work: (io: CliIo, options: GlobalOptions) => number) => void
}

export interface CommandModule {
  /** Adds arguments, flags and action to the command. */
  define(command: Command, run: CommandRunner): void
}
