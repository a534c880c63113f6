/** What becomes of entries that stand in the target of a restore already (format spec §18). */
import type { BigIntStats } from 'node:fs'
import { unixModeFromGo } from '../format/file-mode.ts'
import type { Node } from '../format/tree.ts'

export type OverwriteMode = 'always' | 'if-changed' | 'if-newer' | 'never'

/**
 * `skip`: stays as it is; `metadata`: its content is taken for right; `update`: parts of its content may be right;
 * `compare`: its content is right as a whole or not at all; `write`: it is replaced.
 */
export type Verdict = 'skip' | 'metadata' | 'update' | 'compare' | 'write'

const MODE_BITS = 0o7777

/** @param stats of what stands there, if anything does */
export function judge(stats: BigIntStats | undefined, node: Node, overwrite: OverwriteMode): Verdict {
  if (stats === undefined) return 'write'
  if (overwrite === 'never') return 'skip'
  if (overwrite === 'if-newer' && mtimeNs(node) <= stats.mtimeNs) return 'skip'
  if (node.type !== 'file' || !stats.isFile()) return 'write'
  const hasOtherNames = stats.nlink > 1n
  // Whatever is done to it is done to its other names, so it is only good where nothing has to be done.
  if (hasOtherNames && !(node.links > 1 && hasMetadata(stats, node))) return 'write'
  if (overwrite === 'if-changed' && stats.size === BigInt(node.size) && stats.mtimeNs === mtimeNs(node))
    return 'metadata'
  return hasOtherNames ? 'compare' : 'update'
}

/** Whether all is set already that a restore would set; who is not root cannot set the owner. */
function hasMetadata(stats: BigIntStats, node: Node): boolean {
  const isOwned = stats.uid === BigInt(node.uid) && stats.gid === BigInt(node.gid)
  return (
    (isOwned || process.geteuid?.() !== 0) &&
    (Number(stats.mode) & MODE_BITS) === (unixModeFromGo(node.mode) & MODE_BITS) &&
    stats.mtimeNs === mtimeNs(node)
  )
}

function mtimeNs(node: Node): bigint {
  return BigInt(node.mtime.seconds) * 1_000_000_000n + BigInt(node.mtime.nanoseconds)
}
