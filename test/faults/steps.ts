/** Our command, interrupted at an exact moment: before the n-th thing it does to files. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run, type Run, type RunOptions } from '../support/programs.ts'
import { isSlow } from '../support/real-restic.ts'
import { seededRandom } from '../support/sample-data.ts'

const PRELOAD = fileURLToPath(new URL('./signal-at-step.mjs', import.meta.url))

export interface Interruption {
  readonly step: number
  readonly signal: 'SIGKILL' | 'SIGINT' | 'SIGTERM'
}

/** Runs to the end, or to the interruption. */
export function runInterrupted(
  args: readonly string[],
  interruption: Interruption,
  options: RunOptions = {},
): Promise<Run> {
  const env = { SIGNAL_STEP: String(interruption.step), SIGNAL_NAME: interruption.signal }
  return run('ours', args, withPreload(options, env))
}

/** How many steps a command takes that is left alone. */
export async function countSteps(
  args: readonly string[],
  options: RunOptions & { readonly cwd: string },
): Promise<number> {
  const countFile = join(options.cwd, 'steps')
  const { code, stderr } = await run('ours', args, withPreload(options, { STEP_COUNT_FILE: countFile }))
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`)
  const steps = Number(readFileSync(countFile, 'utf8'))
  rmSync(countFile)
  return steps
}

/**
 * Which of `count` steps to try: all under SLOW=1, else a few, spread over the whole and the same for the same seed,
 * with the last one among them.
 */
export function chooseSteps(count: number, few: number, seed: number): number[] {
  if (isSlow || count <= few) return Array.from({ length: count }, (_, i) => i + 1)
  const random = seededRandom(seed)
  const width = (count - 1) / (few - 1)
  const chosen = Array.from({ length: few - 1 }, (_, i) => 1 + Math.floor((i + random()) * width))
  return [...new Set([...chosen, count])]
}

function withPreload(options: RunOptions, env: Readonly<Record<string, string>>): RunOptions {
  return { ...options, env: { ...options.env, ...env, NODE_OPTIONS: `--import=${PRELOAD}` } }
}
