/** prune: remove data no snapshot needs; given a policy, forget first ("prune old backups"). */
import type { Command } from 'commander'
import { InvalidInputError, isEmptyPolicy, prune, type Repository } from '../index.ts'
import { addForgetOptions, forgetWith, refuseNoLock, type ForgetFlags } from './cmd-forget.ts'
import type { CommandRunner } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_OK } from './exit-codes.ts'
import { policyFrom } from './keep-flags.ts'
import { addPruneOptions, pruneOptionsFrom } from './prune-flags.ts'
import { PruneOutput } from './prune-output.ts'

export function define(command: Command, run: CommandRunner): void {
  addPruneOptions(addForgetOptions(command))
    .option(
      '--unsafe-recover-no-free-space <repo id>',
      'delete index files first where the store has no space left at all (unsafe)',
    )
    .action((flags: ForgetFlags) => run.withContext((context) => runPrune(context, flags)))
}

async function runPrune(context: CommandContext, flags: ForgetFlags): Promise<number> {
  refuseNoLock(context, flags, 'prune')
  await context.withRepository(
    isEmptyPolicy(policyFrom(flags))
      ? pruneWith(context, flags)
      : // Both under one lock, so that nobody comes in between.
        forgetWith(context, [], { ...flags, prune: true, pruneAlways: true }),
  )
  return EXIT_OK
}

function pruneWith(context: CommandContext, flags: ForgetFlags): (repository: Repository) => Promise<void> {
  const { host, tag, path, groupBy, unsafeAllowRemoveAll, dryRun = false } = flags
  if ([host, tag, path, groupBy, unsafeAllowRemoveAll].some((flag) => flag !== undefined)) {
    throw new InvalidInputError('prune only selects snapshots by a policy: give at least one --keep-… flag')
  }
  const output = new PruneOutput(context, { dryRun, jsonSummary: true })
  const options = { ...pruneOptionsFrom(flags), dryRun, signal: context.signal, ...output.callbacks() }
  return async (repository) => output.finish(await prune(repository, options))
}
