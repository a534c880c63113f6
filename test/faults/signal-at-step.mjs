/**
 * Loaded into a command under test (`node --import`): counts what it does to files and sends the process a signal right
 * before the n-th of these steps, so that every moment between two of them can be tried, and tried again.
 *
 * SIGNAL_STEP: which one, from 1; SIGNAL_NAME: which signal; STEP_COUNT_FILE: where the count goes at the end.
 */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { isMainThread } from 'node:worker_threads'

/* oxlint-disable node/no-process-env -- how the test tells the process under test what to do */
const at = Number(process.env.SIGNAL_STEP ?? 0)
const name = process.env.SIGNAL_NAME ?? 'SIGKILL'
const countFile = process.env.STEP_COUNT_FILE
/* oxlint-enable node/no-process-env */

let steps = 0

/** @returns whether this is the step at which a killed process dies */
function step() {
  steps += 1
  if (steps !== at) return false
  if (name === 'SIGKILL') return true
  process.kill(process.pid, name)
  return false
}

function die() {
  process.kill(process.pid, 'SIGKILL')
}

function patch(object, method) {
  const original = object[method]
  object[method] = function (...args) {
    if (step()) die()
    return original.apply(this, args)
  }
}

/** Whoever is killed while writing leaves a part of what was to be written. */
function patchHandle(file) {
  const write = file.write
  file.write = async function (data, offset, length, position) {
    if (step()) {
      await write.call(this, data, offset, Math.floor(length / 2), position)
      die()
    }
    return write.call(this, data, offset, length, position)
  }
  patch(file, 'sync')
  patch(file, 'chmod')
  return file
}

if (isMainThread) {
  const open = fs.promises.open
  fs.promises.open = async (path, flags, mode) => {
    if (flags === 'r') return open(path, flags, mode)
    if (step()) die()
    return patchHandle(await open(path, flags, mode))
  }
  for (const method of ['rename', 'unlink', 'mkdir']) patch(fs.promises, method)
  for (const method of ['mkdirSync', 'ftruncateSync', 'writeSync', 'symlinkSync', 'linkSync', 'lchownSync'])
    patch(fs, method)
  syncBuiltinESMExports()
  process.on('exit', () => countFile !== undefined && fs.writeFileSync(countFile, String(steps)))
}
