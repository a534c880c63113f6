/** A disk of a few kilobytes, so that it can be filled: a file system in memory, which takes root to mount. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SmallDisk {
  readonly path: string
  /** How much it holds from now on; at least what is on it. */
  resize(kib: number, files?: number): void
  makeReadOnly(): void
  unmount(): void
}

const FILES = 10_000

/** Whether this process may mount. Says so loudly where it may not; in CI it must. */
export function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'restic-ts-mount-'))
  const may = process.getuid?.() === 0 && spawnSync('mount', ['-t', 'tmpfs', 'none', folder]).status === 0
  if (may) execFileSync('umount', [folder])
  rmSync(folder, { recursive: true })
  // oxlint-disable-next-line node/no-process-env -- as test/support/real-restic.ts
  if (!may && process.env['CI'] === 'true' && process.getuid?.() === 0)
    throw new Error('CI must be able to mount')
  if (!may) process.stderr.write('SKIPPED: only root can mount the small disks of these tests\n')
  return may
}

export function mountSmallDisk(path: string, kib: number, files: number = FILES): SmallDisk {
  mkdirSync(path, { recursive: true })
  const options = (size: number, inodes: number): string => `size=${size}k,nr_inodes=${inodes},mode=755`
  execFileSync('mount', ['-t', 'tmpfs', '-o', options(kib, files), 'none', path])
  return {
    path,
    resize: (newKib, newFiles = FILES) =>
      execFileSync('mount', ['-o', `remount,${options(newKib, newFiles)}`, path]),
    makeReadOnly: () => execFileSync('mount', ['-o', 'remount,ro', path]),
    unmount: () => execFileSync('umount', ['--lazy', path]),
  }
}
