/** What counts as unchanged in a backup: a file that need not be read, and a node that says the same as before. */
import { sameInstant } from '../format/time.ts'
import type { ExtendedAttribute, Node } from '../format/tree.ts'
import type { SourceStat } from './backup-source.ts'

const PLAIN_FIELDS = [
  'name', 'type', 'mode', 'uid', 'gid', 'user', 'group', 'inode', 'deviceId',
  'size', 'links', 'linkTarget', 'device', 'subtree', 'error',
] as const satisfies readonly (keyof Node)[] // prettier-ignore

/** Whether a file is still what it was, as far as its metadata tell (format spec §12.3). */
export function isSameFile(
  stat: SourceStat,
  previous: Node,
  { ignoreCtime, ignoreInode }: { readonly ignoreCtime: boolean; readonly ignoreInode: boolean },
): boolean {
  return (
    previous.type === 'file' &&
    previous.size === stat.size &&
    sameInstant(previous.mtime, stat.mtime) &&
    (ignoreCtime || ignoreInode || sameInstant(previous.ctime, stat.ctime)) &&
    (ignoreInode || previous.inode === stat.inode)
  )
}

/** What decides between "unmodified" and "changed" in a backup's statistics. */
export function nodesEqual(a: Node, b: Node): boolean {
  return (
    PLAIN_FIELDS.every((field) => a[field] === b[field]) &&
    sameInstant(a.mtime, b.mtime) &&
    sameInstant(a.atime, b.atime) &&
    sameInstant(a.ctime, b.ctime) &&
    sameContent(a.content, b.content) &&
    sameAttributes(a.extendedAttributes, b.extendedAttributes)
  )
}

function sameContent(a: Node['content'], b: Node['content']): boolean {
  const left = a ?? []
  const right = b ?? []
  return left.length === right.length && left.every((id, i) => id === right[i])
}

/** The order attributes are listed in is the file system's whim. */
function sameAttributes(a: readonly ExtendedAttribute[], b: readonly ExtendedAttribute[]): boolean {
  if (a.length !== b.length) return false
  return a.every(({ name, value }) => {
    const other = b.find((candidate) => candidate.name === name)
    return other !== undefined && Buffer.compare(other.value, value) === 0
  })
}
