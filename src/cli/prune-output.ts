/** What prune prints (command spec §3), on its own or after forget. */
import {
  shortId,
  type Id,
  type ItemError,
  type PruneOptions,
  type PrunePhase,
  type PrunePlan,
  type PruneProgress,
  type PruneResult,
  type PruneStats,
} from '../index.ts'
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

export interface PruneOutputOptions {
  readonly dryRun: boolean
  /** Whether to end with a summary where JSON is wanted: forget has JSON of its own. */
  readonly jsonSummary: boolean
}

export class PruneOutput {
  readonly #output: Output
  readonly #options: PruneOutputOptions
  #plan: PrunePlan | undefined
  #phase: PrunePhase | undefined
  #count: CountCallback = () => undefined

  constructor(output: Output, options: PruneOutputOptions) {
    this.#output = output
    this.#options = options
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

  plan(plan: PrunePlan): void {
    this.#plan = plan
    const { stats } = plan
    const output = this.#output
    const { packs: total } = totalsOf(stats)
    output.progress.done()
    output.print('searching used packs...\ncollecting packs for deletion and repacking')
    output.print(counterText(0, { done: total, total }, 'packs processed'))
    if (this.#options.dryRun) output.print('\nWould have made the following changes:')
    this.#printBefore(stats)
    this.#printChange(stats)
    this.#printPacks(stats)
  }

  finish(result: PruneResult): void {
    const output = this.#output
    output.progress.done()
    if (output.isJson) {
      if (this.#options.jsonSummary) output.printJson(pruneSummary(result))
    } else if (this.#options.dryRun) {
      this.#printDryRun(result)
    } else {
      const { failures } = result
      if (failures.length > 0)
        output.warn(`${failures.length} packs could not be removed; a later prune will take them`)
      output.print('done')
    }
  }

  #printDryRun({ removedPacks, removedUnreferencedPacks }: PruneResult): void {
    const unused = new Set(this.#plan?.removePacks)
    const repacked = removedPacks.filter((id) => !unused.has(id))
    const lists: (readonly [string, Iterable<Id>])[] = [
      ['Would have repacked and removed the following packs', repacked],
      ['Would have removed the following no longer used packs', unused],
    ]
    if (removedUnreferencedPacks.length > 0)
      lists.unshift(['Would have removed the following unreferenced packs', removedUnreferencedPacks])
    this.#output.print(
      'Repeated prune dry-runs can report slightly different amounts of data to keep or repack. ' +
        'This is expected behavior.\n',
      2,
    )
    for (const [title, ids] of lists) {
      const names = [...ids].map((id) => shortId(id)).toSorted()
      this.#output.print(`${title}:\n{${names.join(' ')}}\n`, 2)
    }
  }

  #printBefore(stats: PruneStats): void {
    const { blobs, bytes } = stats
    const output = this.#output
    const totals = totalsOf(stats)
    output.print(`\n${line('used:', blobs.used, bytes.used)}`, 2)
    if (blobs.duplicate > 0) output.print(line('duplicates:', blobs.duplicate, bytes.duplicate), 2)
    output.print(line('unused:', blobs.unused, bytes.unused), 2)
    if (bytes.unreferenced > 0)
      output.print(`${'unreferenced:'.padEnd(33)}${formatBytes(bytes.unreferenced)}`, 2)
    output.print(line('total:', totals.blobs, totals.bytes), 2)
    const share = formatPercent(bytes.duplicate + bytes.unused, totals.bytes)
    output.print(`unused size: ${share} of total size`, 2)
  }

  #printChange(stats: PruneStats): void {
    const { blobs, bytes } = stats
    const output = this.#output
    const totals = totalsOf(stats)
    const remaining = totals.bytes - totals.removedBytes
    output.print(`\n${line('to repack:', blobs.repack, bytes.repack)}`)
    output.print(line('this removes:', blobs.repackRemove, bytes.repackRemove))
    output.print(line('to delete:', blobs.remove, bytes.remove + bytes.unreferenced))
    output.print(line('total prune:', totals.removedBlobs, totals.removedBytes))
    if (bytes.uncompressed > 0)
      output.print(`${'not yet compressed:'.padEnd(33)}${formatBytes(bytes.uncompressed)}`)
    output.print(line('remaining:', totals.blobs - totals.removedBlobs, remaining))
    const share = formatPercent(totals.unusedBytesAfter, remaining)
    const unused = formatBytes(totals.unusedBytesAfter)
    output.print(`unused size after prune: ${unused} (${share} of remaining size)\n`)
  }

  #printPacks({ packs }: PruneStats): void {
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

/** As restic prints it from the version after 0.19 on. */
function pruneSummary({ stats }: PruneResult): Record<string, unknown> {
  const { blobs, bytes, packs } = stats
  const totals = totalsOf(stats)
  return {
    message_type: 'summary',
    blobs: {
      used: blobs.used,
      duplicate: blobs.duplicate,
      unused: blobs.unused,
      total: totals.blobs,
      repack: blobs.repack,
      repack_remove: blobs.repackRemove,
      remove: blobs.remove,
      remove_total: totals.removedBlobs,
      remaining: totals.blobs - totals.removedBlobs,
    },
    bytes: {
      used: bytes.used,
      duplicate: bytes.duplicate,
      unused: bytes.unused,
      unreferenced: bytes.unreferenced,
      uncompressed: bytes.uncompressed,
      total: totals.bytes,
      repack: bytes.repack,
      repack_remove: bytes.repackRemove,
      remove: bytes.remove,
      remove_total: totals.removedBytes,
      remaining: totals.bytes - totals.removedBytes,
      remaining_unused: totals.unusedBytesAfter,
    },
    packfiles: {
      used: packs.used,
      unused: packs.unused,
      partly_used: packs.partlyUsed,
      unreferenced: packs.unreferenced,
      total: totals.packs,
      keep: packs.keep,
      repack: packs.repack,
      remove: packs.remove,
      remove_total: packs.unreferenced + packs.remove,
    },
  }
}

/** What follows from the counts of a plan. */
function totalsOf({
  blobs,
  bytes,
  packs,
}: PruneStats): Record<
  'blobs' | 'removedBlobs' | 'bytes' | 'removedBytes' | 'unusedBytesAfter' | 'packs',
  number
> {
  return {
    blobs: blobs.used + blobs.unused + blobs.duplicate,
    removedBlobs: blobs.remove + blobs.repackRemove,
    bytes: bytes.used + bytes.duplicate + bytes.unused + bytes.unreferenced,
    removedBytes: bytes.remove + bytes.repackRemove + bytes.unreferenced,
    unusedBytesAfter: bytes.duplicate + bytes.unused - bytes.remove - bytes.repackRemove,
    packs: packs.used + packs.partlyUsed + packs.unused + packs.unreferenced,
  }
}
