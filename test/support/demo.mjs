/**
 * The main job from end to end with the built command: a repository in a local folder, the project's own tree backed
 * up twice, listed, checked, restored and compared. Prints what it does.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { appendFileSync, cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const project = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const bin = join(project, 'dist', 'cli', 'bin.js')
const work = mkdtempSync(join(tmpdir(), 'restic-ts-demo-'))
const env = { ...process.env, RESTIC_REPOSITORY: join(work, 'repository'), RESTIC_PASSWORD: 'demo' }

function run(...args) {
  console.log(`\n$ restic-ts ${args.join(' ')}`)
  execFileSync(process.execPath, [bin, ...args], { cwd: work, env, stdio: ['ignore', 'inherit', 'inherit'] })
}

try {
  // A copy, so that nothing changes while it is compared.
  for (const name of ['src', 'test', 'package.json', 'package-lock.json', 'README.md']) {
    cpSync(join(project, name), join(work, 'project', name), { recursive: true })
  }
  run('init')
  run('backup', 'project')
  appendFileSync(join(work, 'project', 'README.md'), '\nA line added between two backups.\n')
  run('backup', 'project')
  run('list')
  run('check', '--read-data')
  run('restore', 'latest', '--target', 'restored', '--verify')
  const { status, stdout } = spawnSync('diff', ['-r', 'project', 'restored/project'], {
    cwd: work,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`the restored tree differs:\n${stdout}`)
  console.log('\nThe restored tree equals the original, byte for byte.')
} finally {
  rmSync(work, { recursive: true, force: true })
}
