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

export type Outcome = Saved | Deferred

/** The nodes of a folder once all are done, in their order. */
export async function settle(outcomes: readonly Outcome[]): Promise<Node[]> {
  const nodes: Node[] = []
  for (const outcome of outcomes) {
    const saved = outcome instanceof Deferred ? await outcome.done : outcome
    if (saved !== undefined) nodes.push(saved)
  }
  return nodes
}
