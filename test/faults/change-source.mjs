/**
 * Loaded into a backup under test (`node --import`): changes a file or folder of the source at an exact moment.
 *
 * CHANGE_PATH: what is changed; CHANGE_WHEN: right after its `lstat`, or after the first `read` of a large file;
 * CHANGE_HOW: what is done to it.
 */
import fs from 'node:fs'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { execFileSync } from 'node:child_process'

/* oxlint-disable node/no-process-env -- how the test tells the process under test what to do */
const target = process.env.CHANGE_PATH
const when = process.env.CHANGE_WHEN
const how = process.env.CHANGE_HOW
/* oxlint-enable node/no-process-env */

const original = { ...fs }
let isDone = false
let descriptor

const CHANGES = {
  grow: () => original.appendFileSync(target, Buffer.alloc(3_000_000, 'grown')),
  shrink: () => original.truncateSync(target, 5),
  rewrite: () => original.writeFileSync(target, 'rewritten'),
  remove: () => original.rmSync(target, { recursive: true }),
  replace: (make) => {
    CHANGES.remove()
    make()
  },
  symlink: () => CHANGES.replace(() => original.symlinkSync('/etc/passwd', target)),
  elsewhere: () => CHANGES.replace(() => original.symlinkSync('../elsewhere', target)),
  folder: () => CHANGES.replace(() => original.mkdirSync(target)),
  file: () => CHANGES.replace(() => original.writeFileSync(target, 'a file')),
  fifo: () => CHANGES.replace(() => execFileSync('mkfifo', [target])),
}

function change(moment) {
  if (isDone || moment !== when) return
  isDone = true
  CHANGES[how]()
}

// What the backup does to the file it does by the path it was given.
fs.lstatSync = (path, ...rest) => {
  const stats = original.lstatSync(path, ...rest)
  if (path === target) change('lstat')
  return stats
}
// Backups ask the C library where they can.
const koffi = createRequire(import.meta.url)('koffi')
const load = koffi.load
koffi.load = (...args) => {
  const library = load(...args)
  return {
    func(declaration) {
      const call = library.func(declaration)
      if (!declaration.startsWith('int statx(')) return call
      return (folder, path, ...rest) => {
        const status = call(folder, path, ...rest)
        if (path === target) change('lstat')
        return status
      }
    },
  }
}
fs.openSync = (path, ...rest) => {
  const fd = original.openSync(path, ...rest)
  if (path === target) descriptor = fd
  return fd
}
fs.readSync = (fd, ...rest) => {
  const length = original.readSync(fd, ...rest)
  if (fd === descriptor) change('read')
  return length
}
syncBuiltinESMExports()
