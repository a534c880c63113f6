/** What a command module offers to main. */
import type { Command } from 'commander'
import type { CommandContext } from './context.ts'

/** Runs a command's work with its context; the number is the exit code. */
export type RunCommand = (work: (context: CommandContext) => Promise<number>) => Promise<void>

export interface CommandModule {
  /** Adds arguments, flags and action to the command. */
  define(command: Command, run: RunCommand): void
}
