/** forget: remove snapshots by a policy or by ID, and on request what only they needed. */
import type { Command } from 'commander'
import { forget, parseGroupBy, type ForgetOptions, type ForgetResult, type KeepPolicy } from '../index.ts'
import type { RunCommand } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_INCOMPLETE, EXIT_OK, ExitError } from './exit-codes.ts'
import { forgetJson, printForgetGroups, wouldRemoveText } from './forget-output.ts'
import { addKeepOptions, policyFrom, type KeepFlags } from './keep-flags.ts'
import { addPruneOptions, pruneOptionsFrom, type PruneFlags } from './prune-flags.ts'
import { PruneOutput, pruneSummary } from './prune-output.ts'
import { addFilterOptions, filterFrom, type FilterFlags } from './snapshot-filter.ts'

export interface ForgetFlags extends FilterFlags, KeepFlags, PruneFlags {
  readonly unsafeAllowRemoveAll?: boolean
  readonly compact?: boolean
  readonly groupBy?: string
  readonly dryRun?: boolean
  readonly prune?: boolean
}

export function define(command: Command, run: RunCommand): void {
  addPruneOptions(
    addForgetOptions(command.argument('[ids...]', 'snapshots to remove, whatever the policy says')),
  )
    .option('--prune', 'run prune afterwards if anything was removed')
    .action((ids: string[], flags: ForgetFlags) => run((context) => runForget(context, ids, flags)))
}

export function addForgetOptions(command: Command): Command {
  return addFilterOptions(addKeepOptions(command), '--host <host>')
    .option('--unsafe-allow-remove-all', 'allow a policy that keeps nothing')
    .option('-c, --compact', 'narrow tables')
    .option('-g, --group-by <what>', 'apply the policy to each host, paths and/or tags (default: host,paths)')
    .option('-n, --dry-run', 'do not remove anything, say what would be done')
}

export async function runForget(
  context: CommandContext,
  ids: readonly string[],
  flags: ForgetFlags,
): Promise<number> {
  const policy = policyFrom(flags)
  const options = forgetOptions(context, ids, flags, policy)
  const repository = await context.openRepository()
  try {
    const result = await forget(repository, options)
    finish(context, result, flags)
    return EXIT_OK
  } finally {
    context.progress.clear()
    await repository.close()
  }
}

function forgetOptions(
  context: CommandContext,
  ids: readonly string[],
  flags: ForgetFlags,
  policy: KeepPolicy,
): ForgetOptions {
  const dryRun = flags.dryRun === true
  const groupBy = flags.groupBy === undefined ? undefined : parseGroupBy(flags.groupBy)
  const output = new PruneOutput(context, dryRun)
  const removed = context.counter('files deleted', { keep: true })
  let announced = false
  const announcePrune = (): void => {
    if (!announced)
      context.print(dryRun ? 'running prune dry run' : 'snapshots have been removed, running prune')
    announced = true
  }
  return {
    ids,
    filter: filterFrom(flags, context.io.env),
    policy,
    groupBy,
    unsafeAllowRemoveAll: flags.unsafeAllowRemoveAll,
    dryRun,
    signal: context.signal,
    prune:
      flags.prune === true
        ? {
            ...pruneOptionsFrom(flags),
            onPlan: (plan) => output.plan(plan),
          }
        : undefined,
    onDecision: ({ groups, remove }) => {
      if (ids.length === 0) {
        if (context.isJson) context.printResult(`${forgetJson(groups)}\n`)
        else
          printForgetGroups(context, groups, {
            policy,
            compact: flags.compact === true,
            isGrouped: groupBy === undefined || groupBy.length > 0,
          })
      }
      if (dryRun && remove.length > 0) context.print(wouldRemoveText(remove))
    },
    onProgress: (progress) => {
      if (progress.phase === 'remove-snapshots') {
        removed(progress.done, progress.total)
        return
      }
      announcePrune()
      output.progress(progress)
    },
    onError: ({ item, during, error }) => {
      if (during === 'remove') context.warn(`unable to remove snapshot ${item}: ${error.message}`)
      else context.warn(`Ignoring "${item}": ${error.message}`)
    },
  }
}

function finish(context: CommandContext, result: ForgetResult, flags: ForgetFlags): void {
  if (result.prune !== undefined) {
    if (context.isJson) context.printJson(pruneSummary(result.prune, flags.dryRun === true))
    else if (flags.dryRun !== true) context.print('done')
  }
  if (result.failures.length > 0)
    throw new ExitError(EXIT_INCOMPLETE, 'failed to remove one or more snapshots')
}
