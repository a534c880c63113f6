/** What check prints (command spec, "check" and §3). */
import type { CheckError, CheckHint, CheckOptions, CheckProgress, CheckResult } from '../index.ts'
import { shortId, type ReadDataSubset } from '../index.ts'
import { formatFixed } from './format.ts'
import { nullIfEmpty } from './snapshot-output.ts'
import type { CountCallback, Output } from './output.ts'

export interface CheckOutputOptions {
  readonly subset: ReadDataSubset | undefined
  /** Whether only some snapshots are checked. */
  readonly isFiltered: boolean
}

export class CheckOutput {
  readonly #output: Output
  readonly #options: CheckOutputOptions
  #phase: CheckProgress['phase'] | undefined
  #count: CountCallback = () => undefined
  #packCount = 0
  #treeId: string | undefined

  constructor(output: Output, options: CheckOutputOptions) {
    this.#output = output
    this.#options = options
  }

  callbacks(): Pick<CheckOptions, 'onProgress' | 'onError' | 'onHint'> {
    return {
      onProgress: (progress) => this.#progress(progress),
      onError: (error) => this.#error(error),
      onHint: (hint) => this.#hint(hint),
    }
  }

  finish(result: CheckResult): void {
    this.#output.progress.done()
    this.#advise(result)
    if (this.#output.isJson) this.summary(result)
    else if (result.errorCount === 0) this.#output.print('no errors were found')
  }

  /** Scripts get one whatever happens. */
  summary(result: Partial<CheckResult> & { readonly errorCount: number }): void {
    this.#output.printJson({
      message_type: 'summary',
      num_errors: result.errorCount,
      broken_packs: nullIfEmpty(result.brokenPacks ?? []),
      suggest_repair_index: result.suggestRepairIndex ?? false,
      suggest_prune: result.suggestPrune ?? false,
    })
  }

  #progress({ phase, done, total }: CheckProgress): void {
    if (phase !== this.#phase) {
      this.#phase = phase
      if (phase === 'packs') this.#packCount = total
      this.#output.print(this.#title(phase, total))
      this.#count = this.#counter(phase)
    }
    this.#count(done, total)
  }

  #counter(phase: CheckProgress['phase']): CountCallback {
    switch (phase) {
      case 'load-index':
        return this.#output.counter('index files loaded', { terminalOnly: true })
      case 'packs':
        return () => undefined
      case 'structure':
        return this.#output.counter('snapshots')
      case 'read-data':
        return this.#output.counter('packs')
      default:
        return phase satisfies never
    }
  }

  #title(phase: CheckProgress['phase'], total: number): string {
    switch (phase) {
      case 'load-index':
        return 'load indexes'
      case 'packs':
        return 'check all packs'
      case 'structure':
        return 'check snapshots, trees and blobs'
      case 'read-data':
        return this.#readDataTitle(total)
      default:
        return phase satisfies never
    }
  }

  #readDataTitle(selected: number): string {
    const { subset, isFiltered } = this.#options
    const kind = isFiltered ? 'filtered ' : ''
    if (subset === undefined) return `read all ${kind}data`
    if ('percent' in subset) return `read ${formatFixed(subset.percent, 1)}% of ${kind}packfiles`
    if ('bytes' in subset) return `read ${subset.bytes} bytes of ${kind}data packs`
    const { part, of } = subset
    return `read group #${part} of ${selected} ${kind}data packs (out of total ${this.#packCount} packs in ${of} groups)`
  }

  #error({ kind, id, message }: CheckError): void {
    if (kind === 'tree' && id !== undefined) {
      if (id !== this.#treeId) this.#complain(`error for tree ${shortId(id)}:`)
      this.#treeId = id
      this.#complain(`  ${message}`)
      return
    }
    this.#complain(kind === 'index' || kind === 'snapshot' ? `error: ${message}` : message)
  }

  #hint({ kind, message }: CheckHint): void {
    this.#output.print(message, kind === 'orphaned-pack' ? 2 : 1)
  }

  #advise(result: CheckResult): void {
    const { errorCount, orphanedPacks, brokenPacks, errors, hints } = result
    if (hints.some((hint) => hint.kind === 'duplicate-pack'))
      this.#output.print('Duplicate packs are non-critical, `restic repair index` corrects this.')
    if (hints.some((hint) => hint.kind === 'mixed-pack'))
      this.#output.print('Packs of both trees and data are non-critical, `restic-ts prune` corrects this.')
    if (errorCount === 0) {
      if (orphanedPacks.length > 0)
        this.#output.print(
          `${orphanedPacks.length} additional files were found in the repo, which likely contain duplicate data.\n` +
            'This is non-critical, you can run `restic-ts prune` to correct this.',
        )
    } else if (errors.some((error) => error.kind === 'index')) {
      this.#complain('\nThe repository index is damaged and must be repaired: run `restic repair index`.\n')
    } else if (brokenPacks.length > 0) {
      this.#complain(
        '\nThe repository contains damaged pack files. They must be removed to repair the repository:\n\n' +
          `restic repair packs ${brokenPacks.join(' ')}\nrestic repair snapshots --forget\n`,
      )
    } else {
      this.#complain(
        '\nThe repository is damaged and must be repaired. Make a copy of it, then follow\n' +
          'https://restic.readthedocs.io/en/stable/077_troubleshooting.html\n',
      )
    }
  }

  #complain(text: string): void {
    this.#output.warnOf(text, { message_type: 'error', message: text })
  }
}
