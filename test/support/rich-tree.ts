/** Folders with everything a file system can hold, made and listed by a program that is not ours (Python). */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { PROJECT } from './cli.ts'

const SCRIPT = join(PROJECT, 'test', 'support', 'rich-tree.py')

/**
 * Makes a folder with every node type, odd names, xattrs, ACLs, hard links and times; fully so only as root.
 * @param bigMib size of the file that cannot be compressed
 */
export function makeRichTree(path: string, bigMib = 5): void {
  execFileSync('python3', [SCRIPT, 'make', path, String(bigMib)], { stdio: ['ignore', 'inherit', 'pipe'] })
}

/** Every entry of a folder with content hash and metadata, one a line: equal for equal trees. */
export function listTree(path: string): string[] {
  return execFileSync('python3', [SCRIPT, 'list', path], { encoding: 'utf8', maxBuffer: 1 << 28 })
    .trimEnd()
    .split('\n')
}

/** A listing without what restic 0.14.0 is known to lose: link targets that are not UTF-8, attributes of links. */
export function knownToOldRestic(listing: readonly string[]): string[] {
  return listing.filter((line) => !/^b'links\/(not-utf8|dangling)'/.test(line))
}
