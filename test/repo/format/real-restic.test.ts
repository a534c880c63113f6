import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compareRawNames, decodeRawName } from '../../../src/repo/format/raw-name.ts'
import { encodeSnapshot, parseSnapshot } from '../../../src/repo/format/snapshot.ts'
import { formatTime, parseTime } from '../../../src/repo/format/time.ts'
import { encodeTree, parseTree } from '../../../src/repo/format/tree.ts'
import { hasRestic, restic, type ResticVersion } from '../../support/real-restic.ts'
import { jsonAs } from './fixtures.ts'

const ZONE = 'Australia/Lord_Howe'

/** Names of all kinds, as bytes: some file systems refuse some of them. */
function oddNames(): Buffer[] {
  const names: Buffer[] = []
  for (let byte = 1; byte < 256; byte++) if (byte !== 0x2f) names.push(Buffer.from([0x62, byte, 0x78]))
  const codePoints = [
    0x80, 0xa0, 0xad, 0x2028, 0xe000, 0xfeff, 0xfffd, 0xffff, 0x1_0000, 0x1_f600, 0xe_0100, 0x10_ffff,
  ]
  for (const codePoint of codePoints) names.push(Buffer.from(String.fromCodePoint(codePoint)))
  return names
}

describe.each<ResticVersion>(['0.14.0', '0.19.1'])('trees of restic %s', (version) => {
  describe.skipIf(!hasRestic(version))('made here', () => {
    let root = ''
    let source = ''
    const written: Buffer[] = []
    const run = (...args: string[]): string =>
      restic(['-r', join(root, 'repository'), ...args], { version, cwd: source, env: { TZ: ZONE } })
    let tree = ''
    let snapshotId = ''

    beforeAll(() => {
      root = mkdtempSync(join(tmpdir(), 'restic-ts-format-'))
      source = join(root, 'source')
      mkdirSync(source)
      for (const name of oddNames()) {
        try {
          writeFileSync(Buffer.concat([Buffer.from(`${source}/`), name]), '')
          written.push(name)
        } catch {
          // not a name on this file system
        }
      }
      for (const [name, seconds] of Object.entries({
        winter: 1_720_000_000,
        summer: 1_704_164_645,
        old: -5,
      })) {
        writeFileSync(join(source, name), 'x')
        utimesSync(join(source, name), seconds, seconds)
        written.push(Buffer.from(name))
      }
      symlinkSync('target <&>', join(source, 'link'))
      run('init')
      run('backup', '--quiet', '.')
      const [listed] = jsonAs<{ id: string; tree: string }[]>(run('snapshots', '--json'))
      snapshotId = listed!.id
      tree = run('cat', 'blob', listed!.tree)
    })

    afterAll(() => {
      rmSync(root, { recursive: true })
    })

    it('come back byte for byte', () => {
      expect(written.length).toBeGreaterThan(100)
      expect(Buffer.from(encodeTree(parseTree(Buffer.from(tree)))).toString()).toBe(tree)
    })

    it('have the names and times the system has', () => {
      const nodes = parseTree(Buffer.from(tree))
      const names = readdirSync(source, { encoding: 'buffer' }).map(decodeRawName)
      expect(nodes.map(({ name }) => name)).toEqual(names.toSorted(compareRawNames))
      for (const name of ['winter', 'summer', 'old']) {
        const node = nodes.find((entry) => entry.name === name)!
        expect(node.mtime.seconds).toBe(Math.floor(lstatSync(join(source, name)).mtimeMs / 1000))
        expect(node.inode).toBe(lstatSync(join(source, name), { bigint: true }).ino)
        expect(node.size).toBe(1)
      }
      expect(formatTime(nodes.find(({ name }) => name === 'winter')!.mtime)).toMatch(/\+10:30$/)
      expect(formatTime(nodes.find(({ name }) => name === 'summer')!.mtime)).toMatch(/\+11:00$/)
    })

    it('hang on snapshots that come back', () => {
      const json = run('cat', 'snapshot', snapshotId)
      const snapshot = parseSnapshot(Buffer.from(json))
      // `cat` prints it indented, through Go's own encoder.
      expect(JSON.parse(new TextDecoder().decode(encodeSnapshot(snapshot)))).toEqual(JSON.parse(json))
      expect(snapshot.paths).toEqual([source])
      expect(Math.abs(snapshot.time.seconds - Date.now() / 1000)).toBeLessThan(600)
      expect(parseTime(formatTime(snapshot.time))).toEqual(snapshot.time)
    })
  })
})
