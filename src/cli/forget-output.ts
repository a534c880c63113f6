/** What forget prints: what it keeps and why, what it removes (command spec, "forget" and §3). */
import {
  describePolicy, shortId, type ForgetDecision, type ForgetGroup, type ItemError, type KeepPolicy, type SnapshotRecord,
} from '../index.ts' // prettier-ignore
import { describeError } from './describe-error.ts'
import { toJson } from './format.ts'
import type { Output } from './output.ts'
import { groupHeader, nullIfEmpty, snapshotJson, snapshotListJson, snapshotTable } from './snapshot-output.ts'

export interface ForgetOutputOptions {
  readonly policy: KeepPolicy
  readonly compact: boolean
  readonly dryRun: boolean
  /** Snapshots are named, so that no policy decides. */
  readonly byId: boolean
}

export class ForgetOutput {
  readonly #output: Output
  readonly #options: ForgetOutputOptions

  constructor(output: Output, options: ForgetOutputOptions) {
    this.#output = output
    this.#options = options
  }

  /** Before anything is removed. */
  decision({ groups, remove }: ForgetDecision): void {
    const output = this.#output
    if (!this.#options.byId) output.print(`Applying Policy: ${describePolicy(this.#options.policy)}`)
    for (const group of groups) this.#group(group)
    if (this.#options.dryRun && remove.length > 0) {
      const ids = remove.map(({ id }) => shortId(id)).toSorted()
      output.print(`Would have removed the following snapshots:\n{${ids.join(' ')}}\n`)
    }
    if (output.isJson && groups.length > 0) output.printResult(`${forgetJson(groups)}\n`)
  }

  error({ item, during, error }: ItemError): void {
    const message = describeError(error)
    if (during === 'remove')
      this.#output.warn(`unable to remove snapshot/${item} from the repository: ${message}`)
    else this.#output.warn(`Ignoring "${item}": ${message}`)
  }

  announcePrune(count: number): void {
    const what = this.#options.dryRun
      ? 'snapshots would be removed, running prune dry run'
      : 'snapshots have been removed, running prune'
    this.#output.print(`${count} ${what}`)
  }

  #group({ key, keep, remove, reasons }: ForgetGroup): void {
    const output = this.#output
    const { compact } = this.#options
    const header = groupHeader(key)
    if (header !== undefined) output.print(header, 2)
    if (keep.length > 0) {
      const reasonsById = new Map(reasons.map(({ record, matches }) => [record.id, matches]))
      output.print(`keep ${keep.length} snapshots:`)
      output.print(snapshotTable(keep, { compact, reasons: reasonsById }))
    }
    if (remove.length > 0) {
      output.print(`remove ${remove.length} snapshots:`)
      output.print(snapshotTable(remove, { compact }))
    }
  }
}

/** One line; newest snapshots first. */
export function forgetJson(groups: readonly ForgetGroup[]): string {
  const texts = groups.map(({ key, keep, remove, reasons }) => {
    const reasonTexts = reasons.map(
      ({ record, matches }) => `{"snapshot":${snapshotJson(record)},"matches":${toJson(matches)}}`,
    )
    const fields = [
      `"tags":${toJson(nullIfEmpty(key.tags))}`,
      `"host":${toJson(key.hostname)}`,
      `"paths":${toJson(nullIfEmpty(key.paths))}`,
      `"keep":${listOrNull(keep)}`,
      `"remove":${listOrNull(remove)}`,
      `"reasons":${reasonTexts.length === 0 ? 'null' : `[${reasonTexts.join(',')}]`}`,
    ]
    return `{${fields.join(',')}}`
  })
  return `[${texts.join(',')}]`
}

function listOrNull(records: readonly SnapshotRecord[]): string {
  return records.length === 0 ? 'null' : snapshotListJson(records)
}
