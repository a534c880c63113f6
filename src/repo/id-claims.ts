/**
 * IDs that some thread has claimed: whoever claims a blob first stores it, the others need not. A hash table in shared
 * memory without locks: an ID is written to a row of its own, which one compare-and-exchange then puts into a slot.
 */
import { ID_BYTES } from './id-table.ts'
import { allocateShared } from './shared-memory.ts'

/** Rows of the first table; each further one has twice as many. */
const FIRST_ROWS = 1 << 16
/** With a slot in two used, searches stay short. */
const SLOTS_PER_ROW = 2

/** One table's memory. */
export interface SharedClaims {
  readonly ids: Uint8Array
  readonly slots: Int32Array
  /** Rows given out, in its only element; may count past the end. */
  readonly used: Int32Array
}

/** `number` counts the tables from 0. */
export function allocateClaims(number: number): SharedClaims {
  const rows = FIRST_ROWS << number
  return {
    ids: new Uint8Array(allocateShared(rows * ID_BYTES)),
    slots: new Int32Array(allocateShared(rows * SLOTS_PER_ROW * 4)),
    used: new Int32Array(allocateShared(4)),
  }
}

/** One thread's sight of all tables. */
export class IdClaims {
  readonly #tables: SharedClaims[]

  constructor(tables: readonly SharedClaims[]) {
    this.#tables = [...tables]
  }

  /** Whether the last table is half full, so that it is time for another. */
  get isFillingUp(): boolean {
    const last = this.#tables.at(-1)
    return last === undefined || Atomics.load(last.used, 0) > last.ids.length / ID_BYTES / 2
  }

  get tableCount(): number {
    return this.#tables.length
  }

  addTable(table: SharedClaims): void {
    this.#tables.push(table)
  }

  /**
   * Whether the caller is the first to claim this ID. Where two threads know different tables, or all tables are full,
   * both may be told so: then a blob is stored twice, which a repository stands.
   * @param id 32 raw bytes
   */
  claim(id: Uint8Array): boolean {
    const last = this.#tables.length - 1
    for (const [i, table] of this.#tables.entries()) {
      if (i < last ? holds(table, id) : !insert(table, id)) return false
    }
    return true
  }
}

// An empty slot is found by a plain read, which costs a tenth of an atomic one; whatever is in another, or was put into
// this one meanwhile, is read atomically, so that the row it points at is seen whole.

function holds(table: SharedClaims, id: Uint8Array): boolean {
  const mask = table.slots.length - 1
  for (let slot = hashOf(id) & mask; ; slot = (slot + 1) & mask) {
    if (table.slots[slot] === 0) return false
    if (isAt(table, Atomics.load(table.slots, slot) - 1, id)) return true
  }
}

/** False where the ID is there already. */
function insert(table: SharedClaims, id: Uint8Array): boolean {
  const mask = table.slots.length - 1
  let own = -1
  for (let slot = hashOf(id) & mask; ;) {
    if (table.slots[slot] === 0) {
      if (own < 0) own = write(table, id)
      if (own < 0) return true
      if (Atomics.compareExchange(table.slots, slot, 0, own + 1) === 0) return true
    }
    if (isAt(table, Atomics.load(table.slots, slot) - 1, id)) return false
    slot = (slot + 1) & mask
  }
}

/** Writes the ID to a row nobody else has; −1 where there is none left. */
function write(table: SharedClaims, id: Uint8Array): number {
  const row = Atomics.add(table.used, 0, 1)
  if (row >= table.ids.length / ID_BYTES) return -1
  table.ids.set(id, row * ID_BYTES)
  return row
}

function isAt(table: SharedClaims, row: number, id: Uint8Array): boolean {
  const start = row * ID_BYTES
  for (let i = 0; i < ID_BYTES; i++) if (table.ids[start + i] !== id[i]) return false
  return true
}

function hashOf(id: Uint8Array): number {
  return (id[4] ?? 0) | ((id[5] ?? 0) << 8) | ((id[6] ?? 0) << 16) | ((id[7] ?? 0) << 24)
}
