/** unlock: remove locks of processes that are gone. */
import type { Command } from 'commander'
import { removeLocks } from '../index.ts'
import type { CommandRunner } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_OK } from './exit-codes.ts'

interface Flags {
  readonly removeAll?: boolean
}

export function define(command: Command, run: CommandRunner): void {
  command
    .option('--remove-all', 'remove all locks, even those that are not stale')
    .action((flags: Flags) => run.withContext((context) => runUnlock(context, flags)))
}

async function runUnlock(context: CommandContext, flags: Flags): Promise<number> {
  const { signal } = context
  const removed = await context.withRepository((repository) =>
    removeLocks(repository.lockStore, { all: flags.removeAll === true, signal }),
  )
  if (context.isJson) context.printJson({ message_type: 'summary', removed_locks: removed })
  else if (removed > 0) context.print(`successfully removed ${removed} locks`)
  return EXIT_OK
}
