/** Which data blobs need not be stored: those of the index as it was loaded, and those some thread has claimed since. */
import { BlobLookup, type SharedBlobs } from './blob-index.ts'
import { ID_BYTES, idInto, type Id } from './format/id.ts'
import { allocateClaims, IdClaims, type SharedClaims } from './id-claims.ts'

/** What another thread needs to know the same. */
export interface SharedKnownBlobs {
  readonly stored: SharedBlobs
  readonly claims: readonly SharedClaims[]
}

export class KnownBlobs {
  readonly #stored: BlobLookup
  readonly #claims: IdClaims
  readonly #bytes = new Uint8Array(ID_BYTES)

  constructor(shared: SharedKnownBlobs) {
    this.#stored = new BlobLookup(shared.stored)
    this.#claims = new IdClaims(shared.claims)
  }

  /** Whether the index as it was loaded has the data blob of the ID at `ids[offset …]`. */
  isStored(ids: Uint8Array, offset: number): boolean {
    return this.#stored.has('data', ids, offset)
  }

  /** False where the caller is the one to store this data blob. */
  isKnownOrClaim(id: Id): boolean {
    const bytes = this.#bytesOf(id)
    return this.#stored.has('data', bytes) || !this.#claims.claim(bytes)
  }

  /** Valid until the next call. */
  #bytesOf(id: Id): Uint8Array {
    idInto(id, this.#bytes, 0)
    return this.#bytes
  }

  /** Another table of claims where the last one fills up: to be given to `addClaims` of every other thread. */
  grow(): SharedClaims | undefined {
    if (!this.#claims.isFillingUp) return undefined
    const table = allocateClaims(this.#claims.tableCount)
    this.#claims.addTable(table)
    return table
  }

  addClaims(table: SharedClaims): void {
    this.#claims.addTable(table)
  }
}
