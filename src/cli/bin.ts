#!/usr/bin/env node
/** The executable: joins the process to `main`. */
import { AbortedError } from '../index.ts'
import { EXIT_INTERRUPTED } from './exit-codes.ts'
import { main } from './main.ts'

const controller = new AbortController()

function interrupt(signal: NodeJS.Signals): void {
  // A second signal: whoever sends it does not want to wait for the lock to be removed.
  if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED)
  const name = signal === 'SIGINT' ? 'interrupt' : 'terminated'
  process.stderr.write(`\rsignal ${name} received, cleaning up\n`)
  controller.abort(new AbortedError())
}

process.on('SIGINT', interrupt)
process.on('SIGTERM', interrupt)
process.on('SIGHUP', () => undefined)
// A reader that went away (`… | head`) is no reason to leave a lock behind.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') controller.abort(new AbortedError())
    else throw error
  })
}

process.exitCode = await main(process.argv.slice(2), {
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  signal: controller.signal,
})
// Standard input may still be open and would keep the process alive.
process.stdin.destroy()
