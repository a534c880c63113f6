/** Progress: one line redrawn in place on a terminal, or lines now and then where RESTIC_PROGRESS_FPS asks for them. */
import { formatPercent, formatSeconds } from './format.ts'
import type { CliIo } from './io.ts'
import { safeText, truncate } from './safe-text.ts'

const DEFAULT_FPS = 10
const MAX_FPS = 60
const CLEAR_LINE = '\r\u001b[K'
const DEFAULT_COLUMNS = 80

/** Time between two shows of the same thing, whether on a terminal or as JSON. */
export function progressIntervalMs(env: CliIo['env']): number {
  return 1000 / (parseFps(env['RESTIC_PROGRESS_FPS']) ?? DEFAULT_FPS)
}

/** Whether progress in text is to be shown at all: on terminals, and elsewhere on request. */
export function showsProgress(io: CliIo): boolean {
  return io.stdout.isTTY === true || parseFps(io.env['RESTIC_PROGRESS_FPS']) !== undefined
}

/** `[0:03] 42.00%  21 / 50 packs` */
export function counterText(
  elapsedSeconds: number,
  counts: { readonly done: number; readonly total: number },
  noun: string,
): string {
  const { done, total } = counts
  const elapsed = `[${formatSeconds(elapsedSeconds)}]`
  if (total === 0) return `${elapsed}          ${done} ${noun}`
  return `${elapsed} ${formatPercent(done, total)}  ${done} / ${total} ${noun}`
}

/**
 * Calls `show` at most once an interval: when poked, and by itself, so that the clock goes on while an operation waits.
 */
export class Ticker {
  readonly #intervalMs: number
  readonly #show: () => void
  #lastMs: number
  #timer: NodeJS.Timeout | undefined

  constructor(intervalMs: number, show: () => void, options: { readonly startsAtOnce: boolean }) {
    this.#intervalMs = intervalMs
    this.#show = show
    this.#lastMs = options.startsAtOnce ? Number.NEGATIVE_INFINITY : performance.now()
  }

  poke(): void {
    this.#timer ??= setInterval(() => this.#tick(), this.#intervalMs).unref()
    this.#tick()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #tick(): void {
    const now = performance.now()
    if (now - this.#lastMs < this.#intervalMs) return
    this.#lastMs = now
    this.#show()
  }
}

/** The line at the bottom of the output. */
export class ProgressLine {
  readonly #io: CliIo
  readonly #isEnabled: boolean
  readonly #ticker: Ticker
  #line: (() => string) | undefined
  #shown = ''

  constructor(io: CliIo, options: { readonly enabled: boolean }) {
    this.#io = io
    this.#isEnabled = options.enabled && showsProgress(io)
    const startsAtOnce = io.stdout.isTTY === true
    this.#ticker = new Ticker(progressIntervalMs(io.env), () => this.#draw(), { startsAtOnce })
  }

  /** Shows `line` from now on. It is only made when it is drawn. */
  update(line: () => string): void {
    if (!this.#isEnabled) return
    this.#line = line
    this.#ticker.poke()
  }

  /** Makes room for other output; the line comes back by itself. */
  clear(): void {
    if (this.#io.stdout.isTTY === true && this.#shown !== '') this.#io.stdout.write(CLEAR_LINE)
    this.#shown = ''
  }

  /** Ends what is shown. */
  done(): void {
    this.clear()
    this.#line = undefined
    this.#ticker.stop()
  }

  #draw(): void {
    const line = this.#line === undefined ? '' : safeText(this.#line())
    if (line === '' || line === this.#shown) return
    if (this.#io.stdout.isTTY === true) {
      // The last column stays free: writing to it makes some terminals go on to the next line.
      const columns = this.#io.stdout.columns ?? 0
      const text = truncate(line.replaceAll('\n', ' '), (columns > 0 ? columns : DEFAULT_COLUMNS) - 1)
      this.#io.stdout.write(CLEAR_LINE + text)
    } else {
      this.#io.stdout.write(`${line}\n`)
    }
    this.#shown = line
  }
}

function parseFps(text: string | undefined): number | undefined {
  const fps = Number(text)
  return text === undefined || text === '' || !(fps > 0) ? undefined : Math.min(fps, MAX_FPS)
}
