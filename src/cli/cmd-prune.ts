/** prune: remove data no snapshot needs; given a policy, forget first ("prune old backups"). */
import type { Command } from 'commander'
import { isEmptyPolicy, prune, type PruneResult, type Repository } from '../index.ts'
import {
  addForgetOptions,
  failIfIncomplete,
  forgetWith,
  refuseNoLock,
  type ForgetFlags,
} from './cmd-forget.ts'
import type { RunCommand } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_OK } from './exit-codes.ts'
import { policyFrom } from './keep-flags.ts'
import { addPruneOptions, pruneOptionsFrom } from './prune-flags.ts'
import { PruneOutput, pruneSummary } from './prune-output.ts'

interface Flags extends ForgetFlags {
  readonly unsafeRecoverNoFreeSpace?: string
}

export function define(command: Command, run: RunCommand): void {
  addPruneOptions(addForgetOptions(command))
    .option(
      '--unsafe-recover-no-free-space <repo id>',
      'delete index files first where the store has no space left at all (unsafe)',
    )
    .action((flags: Flags) => run((context) => runPrune(context, flags)))
}

async function runPrune(context: CommandContext, flags: Flags): Promise<number> {
  refuseNoLock(context, flags, 'prune')
  const { dryRun = false } = flags
  const output = new PruneOutput(context, { dryRun })
  const forgetFirst = isEmptyPolicy(policyFrom(flags))
    ? undefined
    : forgetWith(context, [], { ...flags, prune: true })
  const options = {
    ...pruneOptionsFrom(flags),
    dryRun,
    unsafeRecoverNoFreeSpace: flags.unsafeRecoverNoFreeSpace,
    signal: context.signal,
    ...output.callbacks(),
  }
  await context.withRepository(async (repository) => {
    const result = (await forgetAndPrune(repository, forgetFirst)) ?? (await prune(repository, options))
    if (context.isJson) context.printJson(pruneSummary(result, dryRun))
    else output.finish(result)
  })
  return EXIT_OK
}

/** What forget pruned; it does so only where it removed something. */
async function forgetAndPrune(
  repository: Repository,
  forgetFirst: ReturnType<typeof forgetWith> | undefined,
): Promise<PruneResult | undefined> {
  const forgotten = await forgetFirst?.(repository)
  if (forgotten !== undefined) failIfIncomplete(forgotten)
  return forgotten?.prune
}
