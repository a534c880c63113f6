/** copy: bring snapshots from another repository into this one. */
import type { Command } from 'commander'
import { copy, shortId, type CopyPlan, type Repository } from '../index.ts'
import type { CommandRunner } from './command.ts'
import type { CommandContext } from './context.ts'
import { EXIT_OK } from './exit-codes.ts'
import { formatBytes } from './format.ts'
import { addFromOptions, FROM_FLAGS } from './from-flags.ts'
import { fromRepositoryAccess, type FromFlags } from './repository-access.ts'
import { describeSnapshot } from './snapshot-output.ts'
import { addFilterOptions, filterFrom, type FilterFlags } from './snapshot-filter.ts'

interface Flags extends FromFlags, FilterFlags {}

export function define(command: Command, run: CommandRunner): void {
  addFilterOptions(addFromOptions(command.argument('[ids...]', 'snapshots to copy (default: all)'))).action(
    (ids: string[], flags: Flags) => run.withContext((context) => runCopy(context, ids, flags)),
  )
}

async function runCopy(context: CommandContext, ids: readonly string[], flags: Flags): Promise<number> {
  const access = fromRepositoryAccess(flags, context.io.env)
  const source = await context.openRepository(access, FROM_FLAGS)
  try {
    await context.withRepository((destination) =>
      copy(source, destination, {
        ids,
        filter: filterFrom(flags, context.io.env),
        signal: context.signal,
        ...callbacks(context, source),
      }),
    )
  } finally {
    await source.close()
  }
  return EXIT_OK
}

function callbacks(context: CommandContext, source: Repository): Parameters<typeof copy>[2] {
  const count = context.counter('packs copied')
  return {
    onError: ({ item, error }) => context.warn(`Ignoring "${item}": ${error.message}`),
    onSkipped: (record, existing) => {
      context.print(`\n${describeSnapshot(record)}`, 2)
      const ids = `snapshot ${shortId(record.id)}, was already copied to snapshot ${shortId(existing.id)}`
      context.print(`skipping source ${ids}`, 2)
    },
    onPlan: (plan) => printPlan(context, source, plan),
    onProgress: (done, total) => count(done, total),
    onCopied: (record, copyId) =>
      context.print(`snapshot ${shortId(copyId)} saved, copied from source snapshot ${shortId(record.id)}`),
  }
}

function printPlan(context: CommandContext, source: Repository, plan: CopyPlan): void {
  for (const record of plan.snapshots) context.print(`\n${describeSnapshot(record)}`)
  if (plan.snapshots.length === 0) return
  context.print(`  copy started from ${source.location}, this may take a while...`)
  const { blobCount, bytes, packCount } = plan
  context.print(
    `  copy ${blobCount} blobs with disk size ${formatBytes(bytes)} in ${packCount} packfiles\n`,
    2,
  )
}
