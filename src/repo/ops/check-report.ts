/** What a check finds: errors, hints, and the packs that are broken, collected as it goes. */

import type { Id } from '../format/id.ts'

/** What is wrong. */
export type CheckErrorKind =
  /** An index file cannot be used. */
  | 'index'
  /** A pack is missing, has another size than it should, or is listed with different contents. */
  | 'pack'
  /** A snapshot cannot be read or is not there. */
  | 'snapshot'
  /** A tree cannot be read, or something it refers to is not there. */
  | 'tree'
  /** A pack's bytes are not what they should be. */
  | 'pack-data'

export interface CheckError {
  readonly kind: CheckErrorKind
  /** The file or blob it is about. */
  readonly id?: Id | undefined
  /** In restic's words, as one line. */
  readonly message: string
}

/** Something that is not as it should be but harms nobody. */
export interface CheckHint {
  /** `repair index` mends duplicate packs, `prune` mixed packs and orphaned ones. */
  readonly kind: 'duplicate-pack' | 'mixed-pack' | 'orphaned-pack'
  readonly id: Id
  readonly message: string
}

/** Errors kept in the result: a repository that lost its packs has one for each blob. All are counted and reported. */
const KEPT_MAX = 10_000

/** Gathers findings and passes each on. */
export class CheckReport {
  readonly errors: CheckError[] = []
  readonly hints: CheckHint[] = []
  readonly orphanedPacks: Id[] = []
  readonly brokenPacks: Set<Id> = new Set()
  errorCount: number = 0
  suggestRepairIndex: boolean = false
  suggestPrune: boolean = false
  readonly #onError: ((error: CheckError) => void) | undefined
  readonly #onHint: ((hint: CheckHint) => void) | undefined

  constructor(listeners: {
    readonly onError?: ((error: CheckError) => void) | undefined
    readonly onHint?: ((hint: CheckHint) => void) | undefined
  }) {
    this.#onError = listeners.onError
    this.#onHint = listeners.onHint
  }

  error(kind: CheckErrorKind, id: Id | undefined, message: string): void {
    const error: CheckError = { kind, id, message }
    this.errorCount++
    if (this.errors.length < KEPT_MAX) this.errors.push(error)
    this.#onError?.(error)
  }

  /** An error of a pack that `repair packs` has to take out. */
  brokenPack(kind: 'pack' | 'pack-data', id: Id, message: string): void {
    this.brokenPacks.add(id)
    this.error(kind, id, message)
  }

  hint(kind: CheckHint['kind'], id: Id, message: string): void {
    const hint: CheckHint = { kind, id, message }
    if (kind === 'duplicate-pack') this.suggestRepairIndex = true
    else this.suggestPrune = true
    if (kind === 'orphaned-pack') this.orphanedPacks.push(id)
    if (this.hints.length < KEPT_MAX) this.hints.push(hint)
    this.#onHint?.(hint)
  }
}

/** An error's message with what caused it left out. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
