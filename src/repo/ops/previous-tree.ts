/** What the parent snapshot has in a folder that is being saved. */
import type { Node } from '../format/tree.ts'

/** The parent snapshot's nodes of one folder, asked for in ascending order of names. */
export interface PreviousTree {
  find(name: string): Node | undefined
}

export const NO_TREE: PreviousTree = { find: () => undefined }

export class LoadedTree implements PreviousTree {
  readonly #nodes: Map<string, Node>

  constructor(nodes: readonly Node[]) {
    this.#nodes = new Map(nodes.map((node) => [node.name, node]))
  }

  find(name: string): Node | undefined {
    return this.#nodes.get(name)
  }
}
