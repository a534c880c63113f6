/** Folders with everything a file system can hold, made and listed by a program that is not ours (Python). */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { PROJECT } from './cli.ts'

const SCRIPT = join(PROJECT, 'test', 'support', 'rich-tree.py')

/** Makes a folder with every node type, odd names, xattrs, hard links and times; fully so only as root. */
export function makeRichTree(path: string): void {
  execFileSync('python3', [SCRIPT, 'make', path])
}

/** Every entry of a folder with content hash and metadata, one a line: equal for equal trees. */
export function listTree(path: string): string[] {
  return execFileSync('python3', [SCRIPT, 'list', path], { encoding: 'utf8', maxBuffer: 1 << 28 })
    .trimEnd()
    .split('\n')
}
