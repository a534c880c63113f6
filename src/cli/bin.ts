#!/usr/bin/env node
/** The executable: joins the process to `main`. */
import { constants } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import { EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK, EXIT_OUTPUT_CLOSED } from './exit-codes.ts'
import { InterruptedError, OutputClosedError } from './io.ts'
import { main } from './main.ts'
import { processArguments } from './raw-arguments.ts'

/** The first version whose V8 takes relaxed SIMD by itself; earlier ones only behind a flag, which kernels look for. */
const RELAXED_SIMD_MAJOR = 21
// Cut points are found a quarter faster with it. A library must not change flags under its users; this process is ours.
if (Number.parseInt(process.versions.node, 10) < RELAXED_SIMD_MAJOR)
  setFlagsFromString('--experimental-wasm-relaxed-simd')

const { stdin, stdout, stderr } = process
const controller = new AbortController()
const statusListeners: (() => void)[] = []

function interrupt(name: string): void {
  // A second signal: whoever sends it does not want to wait for the lock to be removed.
  if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED)
  stderr.write(`\rsignal ${name} received, cleaning up\n`)
  controller.abort(new InterruptedError())
}

process.on('SIGINT', () => interrupt('interrupt'))
process.on('SIGTERM', () => interrupt('terminated'))
process.on('SIGHUP', () => undefined)
// Left alone, SIGUSR1 would open Node's debugger.
for (const name of ['SIGUSR1', 'SIGINFO'] as const) {
  if (name in constants.signals) process.on(name, () => statusListeners.forEach((listener) => listener()))
}
// A reader that went away (`… | head`) is no reason to leave a lock behind.
for (const stream of [stdout, stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    const message = error.code === 'EPIPE' ? '' : `unable to write output: ${error.message}`
    controller.abort(new OutputClosedError(message))
  })
}

async function askHidden(prompt: string): Promise<string> {
  const terminal = await import('./terminal.ts')
  return terminal.askHidden(prompt, { input: stdin, output: stderr, signal: controller.signal })
}

let exitCode = await main(await processArguments(), {
  env: process.env,
  stdout,
  stderr,
  stdin,
  askHidden: stdin.isTTY ? askHidden : undefined,
  signal: controller.signal,
  now: () => performance.now(),
  onStatusRequest: (listener) => statusListeners.push(listener),
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
