/** prune: remove data no snapshot needs; given a policy, forget first ("prune old backups"). */
import type { Command } from 'commander'
import { isEmptyPolicy, prune } from '../index.ts'
import { addForgetOptions, runForget, type ForgetFlags } from './cmd-forget.ts'
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
      'delete indexes first where the store has no space left at all (unsafe)',
    )
    .action((flags: Flags) => run((context) => runPrune(context, flags)))
}

async function runPrune(context: CommandContext, flags: Flags): Promise<number> {
  const dryRun = flags.dryRun === true
  const output = new PruneOutput(context, dryRun)
  const options = pruneOptionsFrom(flags)
  if (!isEmptyPolicy(policyFrom(flags))) {
    await runForget(context, [], flags)
  }
  const repository = await context.openRepository()
  try {
    const result = await prune(repository, {
      ...options,
      dryRun,
      unsafeRecoverNoFreeSpace: flags.unsafeRecoverNoFreeSpace,
      signal: context.signal,
      onProgress: (progress) => output.progress(progress),
      onError: (error) => output.error(error),
      onPlan: (plan) => output.plan(plan),
    })
    if (context.isJson) context.printJson(pruneSummary(result, dryRun))
    else output.done(result)
    return EXIT_OK
  } finally {
    context.progress.clear()
    await repository.close()
  }
}
