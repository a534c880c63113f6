/** forget: remove snapshots by a policy or by ID, and on request what only they needed. */
import type { Command } from 'commander'
import { forget, InvalidInputError, parseGroupBy, type ForgetOptions, type Repository } from '../index.ts'
import type { CommandRunner } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_INCOMPLETE, EXIT_OK, ExitError } from './exit-codes.ts'
import { ForgetOutput } from './forget-output.ts'
import { addKeepOptions, policyFrom, type KeepFlags } from './keep-flags.ts'
import { addPruneOptions, pruneOptionsFrom, type PruneFlags } from './prune-flags.ts'
import { PruneOutput } from './prune-output.ts'
import { addFilterOptions, filterFrom, type FilterFlags } from './snapshot-filter.ts'

export interface ForgetFlags extends FilterFlags, KeepFlags, PruneFlags {
  readonly unsafeAllowRemoveAll?: boolean
  readonly compact?: boolean
  readonly groupBy?: string
  readonly dryRun?: boolean
  readonly prune?: boolean
  /** Of prune, which is to run whatever the policy says. */
  readonly pruneAlways?: boolean
}

export function define(command: Command, run: CommandRunner): void {
  addPruneOptions(
    addForgetOptions(command.argument('[ids...]', 'snapshots to remove, whatever the policy says')),
  )
    .option('--prune', 'run prune afterwards if anything was removed')
    .action((ids: string[], flags: ForgetFlags) =>
      run.withContext((context) => runForget(context, ids, flags)),
    )
}

/** The options forget shares with prune. */
export function addForgetOptions(command: Command): Command {
  return addFilterOptions(addKeepOptions(command), '--host <host>')
    .option('--unsafe-allow-remove-all', 'allow a policy that keeps nothing')
    .option('-c, --compact', 'narrow tables')
    .option('-g, --group-by <what>', 'apply the policy to each host, paths and/or tags (default: host,paths)')
    .option('-n, --dry-run', 'do not remove anything, say what would be done')
}

async function runForget(
  context: CommandContext,
  ids: readonly string[],
  flags: ForgetFlags,
): Promise<number> {
  refuseNoLock(context, flags, 'forget')
  const work = forgetWith(context, ids, flags)
  await context.withRepository(work)
  return EXIT_OK
}

/** Checks the flags now; the function returned does the work, printing as it goes. @throws InvalidInputError, ExitError */
export function forgetWith(
  context: CommandContext,
  ids: readonly string[],
  flags: ForgetFlags,
): (repository: Repository) => Promise<void> {
  const { compact = false, dryRun = false } = flags
  const policy = policyFrom(flags)
  const output = new ForgetOutput(context, { policy, compact, dryRun, byId: ids.length > 0 })
  const pruneOutput = new PruneOutput(context, { dryRun, jsonSummary: flags.pruneAlways === true })
  const removed = context.counter('files deleted')
  let removeCount = 0
  const options: ForgetOptions = {
    ids,
    filter: filterFrom(flags, context.io.env),
    policy,
    groupBy: flags.groupBy === undefined ? undefined : parseGroupBy(flags.groupBy),
    unsafeAllowRemoveAll: flags.unsafeAllowRemoveAll,
    dryRun,
    signal: context.signal,
    onDecision: (decision) => {
      removeCount = decision.remove.length
      output.decision(decision)
    },
    onProgress: (progress) => {
      if (progress.phase === 'remove-snapshots') {
        if (progress.total > 0) removed(progress.done, progress.total)
        return
      }
      // Loading the index is the first thing prune does.
      const isStarting = progress.phase === 'load-index' && progress.done === 0
      if (isStarting && removeCount > 0) output.announcePrune(removeCount)
      pruneOutput.progress(progress)
    },
    onError: (error) => output.error(error),
    prune:
      flags.prune === true
        ? { ...pruneOptionsFrom(flags), onPlan: (plan) => pruneOutput.plan(plan) }
        : undefined,
    pruneAlways: flags.pruneAlways,
  }
  return async (repository) => {
    const result = await forget(repository, options)
    if (result.prune !== undefined) pruneOutput.finish(result.prune)
    if (result.failures.length > 0)
      throw new ExitError(EXIT_INCOMPLETE, 'failed to remove one or more snapshots')
  }
}

/** @throws InvalidInputError */
export function refuseNoLock(context: CommandContext, flags: ForgetFlags, name: string): void {
  if (context.noLock && flags.dryRun !== true) {
    throw new InvalidInputError(
      `--no-lock is only applicable in combination with --dry-run for ${name} command`,
    )
  }
}
