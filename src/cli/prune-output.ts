/** What prune prints (command spec §3), on its own or after forget. */
import type { ItemError, PrunePhase, PrunePlan, PruneProgress, PruneResult } from '../index.ts'
import type { CommandContext } from './context.ts'
import { formatBytes, formatPercent } from './format.ts'

const TITLES: Partial<Record<PrunePhase, string>> = {
  'load-index': 'loading indexes...',
  'find-used': 'finding data that is still in use',
  'remove-unreferenced': 'deleting unreferenced packs',
  repack: 'repacking packs',
  'rewrite-index': 'rebuilding index',
  'remove-packs': 'removing old packs',
}

const NOUNS: Record<PrunePhase, string> = {
  'load-index': 'index files loaded',
  'find-used': 'snapshots',
  'remove-unreferenced': 'files deleted',
  repack: 'packs repacked',
  'rewrite-index': 'indexes processed',
  'remove-index': 'old indexes deleted',
  'remove-packs': 'files deleted',
}

export class PruneOutput {
  readonly #context: CommandContext
  readonly #dryRun: boolean
  #phase: PrunePhase | undefined
  #counter: ((done: number, total: number) => void) | undefined

  constructor(context: CommandContext, dryRun: boolean) {
    this.#context = context
    this.#dryRun = dryRun
  }

  progress({ phase, done, total }: PruneProgress): void {
    if (phase !== this.#phase) {
      this.#phase = phase
      this.#counter = this.#context.counter(NOUNS[phase], { keep: phase !== 'load-index' })
      const title = TITLES[phase]
      if (title !== undefined && total > 0) this.#context.print(title)
    }
    this.#counter?.(done, total)
  }

  error({ item, error }: ItemError): void {
    if (this.#context.isJson)
      this.#context.warnJson({
        message_type: 'error',
        error: { message: error.message },
        during: 'prune',
        item,
      })
    else this.#context.warn(`${item}: ${error.message}`)
  }

  plan({ stats: { blobs, bytes, packs } }: PrunePlan): void {
    const line = (title: string, count: string, size: number): void => {
      this.#context.print(`${title.padEnd(18)}${count.padStart(10)}${formatBytes(size).padStart(14)}`)
    }
    const totalPruned = bytes.repackRemove + bytes.remove + bytes.unreferenced
    const remaining = bytes.used + bytes.unused + bytes.duplicate - bytes.repackRemove - bytes.remove
    const unusedAfter = bytes.unused + bytes.duplicate - bytes.repackRemove - bytes.remove
    this.#context.print('')
    line('to repack:', counted(blobs.repack), bytes.repack)
    line('this removes:', counted(blobs.repackRemove), bytes.repackRemove)
    line('to delete:', counted(blobs.remove), bytes.remove + bytes.unreferenced)
    line('total prune:', counted(blobs.repackRemove + blobs.remove), totalPruned)
    if (bytes.uncompressed > 0) line('not yet compressed:', '', bytes.uncompressed)
    line(
      'remaining:',
      counted(blobs.used + blobs.unused + blobs.duplicate - blobs.repackRemove - blobs.remove),
      remaining,
    )
    const share = remaining > 0 ? formatPercent(unusedAfter, remaining) : '0.00%'
    this.#context.print(`unused size after prune: ${formatBytes(unusedAfter)} (${share} of remaining size)\n`)
    this.#context.print(
      `packs: ${packs.keep} to keep, ${packs.repack} to repack, ${packs.remove} to delete, ${packs.unreferenced} unreferenced`,
      2,
    )
  }

  done(result: PruneResult): void {
    if (!this.#dryRun) this.#context.print('done')
    void result
  }
}

/** restic has no JSON here; this is ours, in the manner of its other summaries. */
export function pruneSummary(result: PruneResult, dryRun: boolean): Record<string, unknown> {
  const { blobs, bytes, packs } = result.stats
  return {
    message_type: 'summary',
    dry_run: dryRun,
    blobs_used: blobs.used,
    blobs_unused: blobs.unused,
    blobs_duplicate: blobs.duplicate,
    blobs_repacked: blobs.repack,
    blobs_removed: blobs.remove + blobs.repackRemove,
    bytes_used: bytes.used,
    bytes_unused: bytes.unused,
    bytes_duplicate: bytes.duplicate,
    bytes_repacked: bytes.repack,
    bytes_removed: bytes.remove + bytes.repackRemove + bytes.unreferenced,
    packs_kept: packs.keep,
    packs_repacked: packs.repack,
    packs_removed: result.removedPacks.length,
    packs_unreferenced: result.removedUnreferencedPacks.length,
    failures: result.failures.length,
  }
}

function counted(count: number): string {
  return `${count} blobs /`
}
