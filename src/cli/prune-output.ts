/** What prune prints (command spec §3), on its own or after forget. */
import type { ItemError, PruneOptions, PrunePhase, PrunePlan, PruneProgress, PruneResult } from '../index.ts'
import { describeError } from './describe-error.ts'
import { formatBytes, formatPercent } from './format.ts'
import { counterText } from './progress.ts'
import type { CountCallback, Output } from './output.ts'

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
  readonly #output: Output
  readonly #dryRun: boolean
  #phase: PrunePhase | undefined
  #count: CountCallback = () => undefined

  constructor(output: Output, options: { readonly dryRun: boolean }) {
    this.#output = output
    this.#dryRun = options.dryRun
  }

  callbacks(): Pick<PruneOptions, 'onProgress' | 'onError' | 'onPlan'> {
    return {
      onProgress: (progress) => this.progress(progress),
      onError: (error) => this.error(error),
      onPlan: (plan) => this.plan(plan),
    }
  }

  progress({ phase, done, total }: PruneProgress): void {
    if (phase !== this.#phase) {
      this.#phase = phase
      const title = titleOf(phase, total)
      if (title !== undefined) this.#output.print(title)
      this.#count = this.#output.counter(NOUNS[phase], { terminalOnly: phase === 'load-index' })
    }
    this.#count(done, total)
  }

  error({ item, error }: ItemError): void {
    const message = describeError(error)
    const json = { message_type: 'error', error: { message }, during: 'prune', item }
    this.#output.warnOf(`unable to remove ${item} from the repository: ${message}`, json)
  }

  plan({ stats }: PrunePlan): void {
    const { packs } = stats
    const output = this.#output
    const total = packs.used + packs.partlyUsed + packs.unused + packs.unreferenced
    output.progress.done()
    output.print('searching used packs...\ncollecting packs for deletion and repacking')
    output.print(counterText(0, { done: total, total }, 'packs processed'))
    if (this.#dryRun) output.print('\nWould have made the following changes:')
    this.#printBefore(stats)
    this.#printChange(stats)
    this.#printPacks(stats)
  }

  finish(result: PruneResult): void {
    this.#output.progress.done()
    if (this.#dryRun) return
    const { failures } = result
    if (failures.length > 0)
      this.#output.warn(`${failures.length} packs could not be removed; a later prune will take them`)
    this.#output.print('done')
  }

  #printBefore({ blobs, bytes }: PruneResult['stats']): void {
    const output = this.#output
    const unusedBytes = bytes.duplicate + bytes.unused
    const totalBytes = bytes.used + unusedBytes + bytes.unreferenced
    output.print(`\n${line('used:', blobs.used, bytes.used)}`, 2)
    if (blobs.duplicate > 0) output.print(line('duplicates:', blobs.duplicate, bytes.duplicate), 2)
    output.print(line('unused:', blobs.unused, bytes.unused), 2)
    if (bytes.unreferenced > 0)
      output.print(`${'unreferenced:'.padEnd(33)}${formatBytes(bytes.unreferenced)}`, 2)
    output.print(line('total:', blobs.used + blobs.unused + blobs.duplicate, totalBytes), 2)
    output.print(`unused size: ${formatPercent(unusedBytes, totalBytes)} of total size`, 2)
  }

  #printChange({ blobs, bytes }: PruneResult['stats']): void {
    const output = this.#output
    const removedBlobs = blobs.remove + blobs.repackRemove
    const totalBlobs = blobs.used + blobs.unused + blobs.duplicate
    const unusedAfter = bytes.unused + bytes.duplicate - bytes.remove - bytes.repackRemove
    const remaining = bytes.used + unusedAfter
    const deletedBytes = bytes.remove + bytes.unreferenced
    output.print(`\n${line('to repack:', blobs.repack, bytes.repack)}`)
    output.print(line('this removes:', blobs.repackRemove, bytes.repackRemove))
    output.print(line('to delete:', blobs.remove, deletedBytes))
    output.print(line('total prune:', removedBlobs, deletedBytes + bytes.repackRemove))
    if (bytes.uncompressed > 0)
      output.print(`${'not yet compressed:'.padEnd(33)}${formatBytes(bytes.uncompressed)}`)
    output.print(line('remaining:', totalBlobs - removedBlobs, remaining))
    const share = formatPercent(unusedAfter, remaining)
    output.print(`unused size after prune: ${formatBytes(unusedAfter)} (${share} of remaining size)\n`)
  }

  #printPacks({ packs }: PruneResult['stats']): void {
    const output = this.#output
    output.print(`totally used packs: ${ten(packs.used)}`, 2)
    output.print(`partly used packs:  ${ten(packs.partlyUsed)}`, 2)
    output.print(`unused packs:       ${ten(packs.unused)}\n`, 2)
    output.print(`to keep:      ${ten(packs.keep)} packs`, 2)
    output.print(`to repack:    ${ten(packs.repack)} packs`, 2)
    output.print(`to delete:    ${ten(packs.remove)} packs`, 2)
    if (packs.unreferenced > 0)
      output.print(`to delete:    ${ten(packs.unreferenced)} unreferenced packs\n`, 2)
  }
}

function titleOf(phase: PrunePhase, total: number): string | undefined {
  switch (phase) {
    case 'find-used':
      return `loading all snapshots...\nfinding data that is still in use for ${total} snapshots`
    case 'remove-unreferenced':
      return 'deleting unreferenced packs'
    case 'repack':
      return 'repacking packs'
    case 'rewrite-index':
      return 'rebuilding index'
    case 'remove-packs':
      return `removing ${total} old packs`
    case 'load-index':
    case 'remove-index':
      return undefined
    default:
      return phase satisfies never
  }
}

function ten(count: number): string {
  return String(count).padStart(10)
}

/** `to repack:            10 blobs / 2.863 MiB` */
function line(title: string, blobs: number, bytes: number): string {
  return `${title.padEnd(14)}${ten(blobs)} blobs / ${formatBytes(bytes)}`
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
    bytes_uncompressed: bytes.uncompressed,
    packs_kept: packs.keep,
    packs_repacked: packs.repack,
    packs_removed: result.removedPacks.length,
    packs_unreferenced: result.removedUnreferencedPacks.length,
    failures: result.failures.length,
  }
}
