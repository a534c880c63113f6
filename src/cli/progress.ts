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

/** Whether progress in text is to be shown unasked: on terminals, and elsewhere on request. */
export function showsProgress(io: CliIo): boolean {
  return canRedraw(io) || parseFps(io.env['RESTIC_PROGRESS_FPS']) !== undefined
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
  readonly #io: CliIo
  readonly #show: () => void
  readonly #intervalMs: number
  #lastMs: number
  #timer: NodeJS.Timeout | undefined

  constructor(io: CliIo, show: () => void, options: { readonly startsAtOnce: boolean }) {
    this.#io = io
    this.#show = show
    this.#intervalMs = progressIntervalMs(io.env)
    this.#lastMs = options.startsAtOnce ? Number.NEGATIVE_INFINITY : io.now()
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
    const now = this.#io.now()
    if (now - this.#lastMs < this.#intervalMs) return
    this.#lastMs = now
    this.#show()
  }
}

/** The line at the bottom of the output. */
export class ProgressLine {
  readonly #io: CliIo
  readonly #isUnasked: boolean
  readonly #ticker: Ticker
  #line: (() => string) | undefined
  #shown = ''

  /** @param options.enabled whether the line is drawn by itself where it can be; on request it always is */
  constructor(io: CliIo, options: { readonly enabled: boolean }) {
    this.#io = io
    this.#isUnasked = options.enabled && showsProgress(io)
    this.#ticker = new Ticker(io, () => this.draw(), { startsAtOnce: canRedraw(io) })
  }

  /** Shows `line` from now on. It is only made when it is drawn. */
  update(line: () => string): void {
    this.#line = line
    if (this.#isUnasked) this.#ticker.poke()
  }

  /** Makes room for other output; the line comes back by itself. */
  clear(): void {
    if (canRedraw(this.#io) && this.#shown !== '') this.#io.stdout.write(CLEAR_LINE)
    this.#shown = ''
  }

  /** Ends what is shown. */
  done(): void {
    this.clear()
    this.#line = undefined
    this.#ticker.stop()
  }

  /** Draws the line now, unless it is there already. */
  draw(): void {
    const line = this.#line === undefined ? '' : safeText(this.#line())
    if (line === '' || line === this.#shown) return
    if (canRedraw(this.#io)) {
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

/** Whether a line can be drawn over: a dumb terminal has no way to. */
function canRedraw({ stdout, env }: CliIo): boolean {
  return stdout.isTTY === true && env['TERM'] !== 'dumb'
}

function parseFps(text: string | undefined): number | undefined {
  const fps = Number(text)
  return text === undefined || text === '' || !(fps > 0) ? undefined : Math.min(fps, MAX_FPS)
}
