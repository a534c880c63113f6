/** What the benchmark backs up. Made once, kept in the benchmark's folder. */
import { execFileSync, type ExecFileSyncOptions } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs' // prettier-ignore
import { join } from 'node:path'
import { makeManyFiles, randomBytes } from '../support/many-files.ts'

const MIB = 1 << 20
const LINUX_PACKAGE = 'linux-source-6.1'

export interface Dataset {
  readonly name: string
  readonly description: string
  /** Fills the folder, which is there and empty. */
  readonly make: (folder: string) => void
}

export const DATASETS: readonly Dataset[] = [
  { name: 'linux', description: `the Linux source (Debian's ${LINUX_PACKAGE})`, make: unpackLinux },
  { name: 'random', description: 'one file of 1 GiB that cannot be compressed', make: makeRandom },
  { name: 'tiny', description: '200,000 files of 16 to 400 bytes', make: makeTiny },
  { name: 'media', description: 'files of 1 to 50 MB, half of them twice', make: makeMedia },
  { name: 'image', description: 'a sparse disk image: 8 GiB, 600 MiB of them written', make: makeImage },
  { name: 'small', description: '100 small files', make: (folder) => makeManyFiles(join(folder, 'files'), { files: 100, seed: 1 }) }, // prettier-ignore
]

/** The dataset's folder; made now where it is missing. */
export function prepare(dataset: Dataset, root: string): string {
  const folder = join(root, 'data', dataset.name)
  if (existsSync(folder)) return folder
  const unfinished = `${folder}.unfinished`
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { recursive: true })
  dataset.make(unfinished)
  renameSync(unfinished, folder)
  return folder
}

function unpackLinux(folder: string): void {
  const options: ExecFileSyncOptions = { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] }
  execFileSync('apt-get', ['download', '-qq', LINUX_PACKAGE], options)
  const [archive] = readdirSync(folder)
  execFileSync('dpkg', ['-x', archive!, '.'], options)
  execFileSync('tar', ['xf', `usr/src/${LINUX_PACKAGE}.tar.xz`], options)
  // The version in its name would fall to the excludes that make a second snapshot.
  renameSync(join(folder, LINUX_PACKAGE), join(folder, 'tree'))
  for (const name of [archive!, 'usr']) rmSync(join(folder, name), { recursive: true })
}

function makeRandom(folder: string): void {
  const buffer = new Uint8Array(64 * MIB)
  const file = openSync(join(folder, 'random'), 'w')
  for (let i = 0; i < 16; i++) writeSync(file, randomFillSync(buffer))
  closeSync(file)
}

function makeTiny(folder: string): void {
  const noise = randomBytes(7, MIB)
  for (let i = 0; i < 200_000; i++) {
    const parent = join(folder, `d${i % 500}`)
    if (i < 500) mkdirSync(parent)
    const file = openSync(join(parent, `file-${i}`), 'w')
    const length = 16 + ((i * 7919) % 385)
    writeSync(file, `${i}\n`)
    writeSync(file, noise, (i * 31) % (MIB - 400), length)
    closeSync(file)
  }
}

function makeMedia(folder: string): void {
  const buffer = new Uint8Array(50 * MIB)
  for (let i = 0; i < 20; i++) {
    const bytes = randomFillSync(buffer).subarray(0, (1 + ((i * 37) % 50)) * MIB)
    for (const copy of i % 2 === 0 ? ['a', 'b'] : ['a']) {
      const file = openSync(join(folder, `${copy}-${i}.bin`), 'w')
      writeSync(file, bytes)
      closeSync(file)
    }
  }
}

function makeImage(folder: string): void {
  const file = openSync(join(folder, 'disk.img'), 'w')
  ftruncateSync(file, 8192 * MIB)
  const buffer = new Uint8Array(4 * MIB)
  for (let i = 0; i < 150; i++) {
    // Half of it noise, half of it the same over and over, as free but once used blocks are.
    randomFillSync(buffer.subarray(0, i % 3 === 0 ? buffer.length : buffer.length / 4))
    writeSync(file, buffer, 0, buffer.length, i * 54 * MIB + (i % 7) * 4096)
  }
  closeSync(file)
}
