#!/usr/bin/env node
/** The executable: joins the process to `main`. */
import { AbortedError } from '../index.ts'
import { EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK, EXIT_OUTPUT_CLOSED } from './exit-codes.ts'
import { OutputClosedError } from './io.ts'
import { main } from './main.ts'
import { askHidden } from './terminal.ts'

const { stdin, stdout, stderr } = process
const controller = new AbortController()

function interrupt(name: string): void {
  // A second signal: whoever sends it does not want to wait for the lock to be removed.
  if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED)
  stderr.write(`\rsignal ${name} received, cleaning up\n`)
  controller.abort(new AbortedError())
}

process.on('SIGINT', () => interrupt('interrupt'))
process.on('SIGTERM', () => interrupt('terminated'))
process.on('SIGHUP', () => undefined)
// A reader that went away (`… | head`) is no reason to leave a lock behind.
for (const stream of [stdout, stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    const message = error.code === 'EPIPE' ? '' : `unable to write output: ${error.message}`
    controller.abort(new OutputClosedError(message))
  })
}

let exitCode = await main(process.argv.slice(2), {
  env: process.env,
  stdout,
  stderr,
  stdin,
  askHidden: stdin.isTTY
    ? (prompt) => askHidden(prompt, { input: stdin, output: stderr, signal: controller.signal })
    : undefined,
  signal: controller.signal,
})
// What was written last may still fail: a full disk must not pass for success.
await new Promise((resolve) => stdout.write('', resolve))
const { reason } = controller.signal as { readonly reason: unknown }
if (exitCode === EXIT_OK && reason instanceof OutputClosedError) {
  if (reason.message !== '') stderr.write(`Fatal: ${reason.message}\n`)
  exitCode = reason.message === '' ? EXIT_OUTPUT_CLOSED : EXIT_FAILURE
}
process.exitCode = exitCode
// Standard input may still be open and would keep the process alive.
stdin.destroy()
