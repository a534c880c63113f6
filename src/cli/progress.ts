/** One line of progress: redrawn in place on a terminal, printed now and then where RESTIC_PROGRESS_FPS asks for it. */
import type { CliIo } from './io.ts'
import { formatPercent, formatSeconds } from './format.ts'

const DEFAULT_FPS = 10
const MAX_FPS = 60
const CLEAR_LINE = '\r\x1b[K'

export class ProgressLine {
  readonly #io: CliIo
  readonly #redraws: boolean
  readonly #isEnabled: boolean
  readonly #intervalMs: number
  readonly #startedMs = performance.now()
  #lastMs = Number.NEGATIVE_INFINITY
  #isShown = false

  constructor(io: CliIo, options: { readonly enabled: boolean }) {
    const fps = parseFps(io.env['RESTIC_PROGRESS_FPS'])
    this.#io = io
    this.#redraws = io.stdout.isTTY === true
    this.#isEnabled = options.enabled && (this.#redraws || fps !== undefined)
    this.#intervalMs = 1000 / (fps ?? DEFAULT_FPS)
  }

  get elapsedSeconds(): number {
    return (performance.now() - this.#startedMs) / 1000
  }

  /** Shows `line`, unless one was shown a moment ago. It is only made where it is shown. */
  update(line: () => string): void {
    const now = performance.now()
    if (!this.#isEnabled || now - this.#lastMs < this.#intervalMs) return
    this.#lastMs = now
    this.#show(line())
  }

  /** Makes room for other output. */
  clear(): void {
    if (this.#isShown) this.#io.stdout.write(CLEAR_LINE)
    this.#isShown = false
  }

  #show(line: string): void {
    if (!this.#redraws) {
      this.#io.stdout.write(`${line}\n`)
      return
    }
    const width = (this.#io.stdout.columns ?? 80) - 1
    this.#io.stdout.write(CLEAR_LINE + line.slice(0, width))
    this.#isShown = true
  }
}

/** Frames a second: JSON status lines come at this rate with or without a terminal. */
export function jsonIntervalMs(env: CliIo['env']): number {
  return 1000 / (parseFps(env['RESTIC_PROGRESS_FPS']) ?? DEFAULT_FPS)
}

/** `[0:03] 42.00%  21 / 50 packs` */
export function counterText(elapsedSeconds: number, done: number, total: number, noun: string): string {
  const percent = formatPercent(done, total).padStart(7)
  return `[${formatSeconds(elapsedSeconds)}]${percent === '' ? '' : ` ${percent.trimStart()}`}  ${done} / ${total} ${noun}`
}

function parseFps(text: string | undefined): number | undefined {
  const fps = Number(text)
  return text === undefined || text === '' || !(fps > 0) ? undefined : Math.min(fps, MAX_FPS)
}
