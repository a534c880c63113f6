/** Folders with thousands of generated files, and random edits of them: the same for the same seed. */
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { seededRandom } from './sample-data.ts'

const WORDS = 'backup blob chunk folder index key lock node pack prune restore seal snapshot tree'.split(' ')
const BLOCK = 1 << 20

/** Bytes that cannot be compressed, fast enough for gigabytes (xorshift32). */
export function randomBytes(seed: number, length: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4))
  let state = (seed * 0x9e3779b1 + 0x7f4a7c15) | 1
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
  return new Uint8Array(words.buffer, 0, length)
}

/** Writes a large file of random bytes without holding it in memory. */
export function writeRandomFile(path: string, seed: number, length: number): void {
  const file = openSync(path, 'w')
  for (let at = 0; at < length; at += BLOCK) {
    writeSync(file, randomBytes(seed + at / BLOCK, Math.min(BLOCK, length - at)))
  }
  closeSync(file)
}

/** Text of about that many bytes that compresses as sources do. */
function text(random: () => number, length: number): string {
  const lines: string[] = []
  for (let size = 0; size < length;) {
    const words = Array.from({ length: 4 + random() * 8 }, () => WORDS[Math.floor(random() * WORDS.length)])
    const line = `${words.join(' ')} ${Math.floor(random() * 1e6)}`
    lines.push(line)
    size += line.length + 1
  }
  return lines.join('\n')
}

export interface ManyFilesOptions {
  readonly files: number
  readonly seed?: number
  /** Most files are much smaller. */
  readonly maxBytes?: number
}

/** A tree of folders with text, noise, empty and repeated files, sized as source trees are: most of them small. */
export function makeManyFiles(root: string, options: ManyFilesOptions): void {
  const { files, seed = 1, maxBytes = 200_000 } = options
  const random = seededRandom(seed)
  let previous: string | Uint8Array = ''
  for (let i = 0; i < files; i++) {
    const folder = join(root, `area-${i % 7}`, `group-${i % 41}`, ...(i % 3 === 0 ? [`part-${i % 13}`] : []))
    mkdirSync(folder, { recursive: true })
    const length = Math.floor(maxBytes ** random())
    const kind = random()
    const content: string | Uint8Array =
      kind < 0.03
        ? ''
        : kind < 0.08
          ? previous
          : kind < 0.25
            ? randomBytes(seed + i, length)
            : text(random, length)
    writeFileSync(join(folder, `file-${i}.${kind < 0.25 ? 'bin' : 'txt'}`), content)
    previous = content
  }
}

/** All files and folders below a folder, in a fixed order. */
function entriesOf(root: string): { files: string[]; folders: string[] } {
  const all = readdirSync(root, { recursive: true, encoding: 'utf8' }).toSorted()
  const files: string[] = []
  const folders: string[] = []
  for (const name of all) {
    const info = lstatSync(join(root, name))
    if (info.isDirectory()) folders.push(join(root, name))
    else if (info.isFile()) files.push(join(root, name))
  }
  return { files, folders }
}

type Edit = (path: string, random: () => number) => void

/** A name nothing has yet. */
function newName(base: string): string {
  for (let i = 0; ; i++) if (!existsSync(`${base}-${i}`)) return `${base}-${i}`
}

const EDITS: readonly Edit[] = [
  (path, random) => appendFileSync(path, text(random, random() * 3000)),
  (path, random) => writeFileSync(path, text(random, random() * 20_000)),
  (path, random) => writeFileSync(path, randomBytes(Math.floor(random() * 1e9), random() * 50_000)),
  (path, random) => truncateSync(path, Math.floor(lstatSync(path).size * random())),
  (path) => rmSync(path),
  (path) => renameSync(path, newName(`${path}-moved`)),
  (path, random) => chmodSync(path, random() < 0.5 ? 0o600 : 0o755),
  (path, random) => utimesSync(path, 1e9 * random(), 1e9 + 5e8 * random()),
  (path) => linkSync(path, newName(`${path}-link`)),
  (path, random) => writeFileSync(newName(join(dirname(path), 'new')), text(random, 500)),
  (path) => {
    rmSync(path)
    symlinkSync('somewhere else', path)
  },
  (path, random) => {
    rmSync(path)
    mkdirSync(path)
    writeFileSync(join(path, 'was-a-file'), text(random, 100))
  },
  (path, random) => {
    const folder = newName(`${path}.d`)
    mkdirSync(folder)
    writeRandomFile(join(folder, 'large'), Math.floor(random() * 1e9), 2_500_000)
  },
]

/** Changes, removes, adds, renames and retypes entries at random, and removes one folder with all in it. */
export function editRandomly(root: string, seed: number, edits = 60): void {
  const random = seededRandom(seed)
  const { files, folders } = entriesOf(root)
  for (let i = 0; i < edits && files.length > 0; i++) {
    const [path] = files.splice(Math.floor(random() * files.length), 1)
    EDITS[i % EDITS.length]!(path!, random)
  }
  const doomed = folders[Math.floor(random() * folders.length)]
  if (doomed !== undefined) rmSync(doomed, { recursive: true, force: true })
}
