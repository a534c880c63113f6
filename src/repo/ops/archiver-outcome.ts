/** What saving an entry comes to, now or when its content is saved. */
import type { Node } from '../format/tree.ts'

/** What becomes of an entry: a node, or nothing (excluded, vanished, failed and reported). */
export type Saved = Node | undefined

/** An entry whose content is being saved while the walk goes on. */
export class Deferred {
  readonly done: Promise<Saved>

  constructor(done: Promise<Saved>) {
    this.done = done
    // Its folder waits for it, but only when it is through with the other entries.
    done.catch(() => undefined)
  }
}

/** Bytes stand for nodes that threads have encoded: see `TreeEncoder.addEncoded`. */
export type Outcome = Saved | Deferred | Uint8Array

/** The nodes of a folder once all are done, in their order. */
export async function settle(outcomes: readonly Outcome[]): Promise<(Node | Uint8Array)[]> {
  const nodes: (Node | Uint8Array)[] = []
  for (const outcome of outcomes) {
    const saved = outcome instanceof Deferred ? await outcome.done : outcome
    if (saved !== undefined) nodes.push(saved)
  }
  return nodes
}
