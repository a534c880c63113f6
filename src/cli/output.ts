/** How commands speak: text for people, JSON for programs, warnings on standard error (command spec §1.2). */
import { toJson } from './format.ts'
import type { CliIo } from './io.ts'
import { counterText, ProgressLine, showsProgress, Ticker } from './progress.ts'
import { safeText } from './safe-text.ts'

/** 0 quiet, 1 as usual, 2 with -v, 3 with -vv. */
export type Verbosity = 0 | 1 | 2 | 3

export class Output {
  readonly io: CliIo
  readonly isJson: boolean
  readonly verbosity: Verbosity
  readonly progress: ProgressLine
  #showStatus = (): void => this.progress.draw()

  constructor(io: CliIo, options: { readonly isJson: boolean; readonly verbosity: Verbosity }) {
    this.io = io
    this.isJson = options.isJson
    this.verbosity = options.verbosity
    this.progress = new ProgressLine(io, { enabled: this.verbosity > 0 })
    io.onStatusRequest?.(() => this.#showStatus())
  }

  get isTerminal(): boolean {
    return this.io.stdout.isTTY === true
  }

  /** Text for people, from verbosity `level` on; nothing with --json. */
  print(text: string, level: Verbosity = 1): void {
    if (this.isJson || this.verbosity < level) return
    this.progress.clear()
    this.io.stdout.write(`${safeText(text)}\n`)
  }

  /** What the command was asked for, printed as it is. */
  printResult(result: string | Uint8Array): void {
    this.progress.clear()
    this.io.stdout.write(result)
  }

  /** A line of JSON on standard output. */
  printJson(value: unknown): void {
    this.io.stdout.write(`${toJson(value)}\n`)
  }

  /** What to do whenever somebody asks how far the command is, instead of drawing the line of progress. */
  onStatusRequest(show: () => void): void {
    this.#showStatus = show
  }

  /** A warning or error on standard error, in text whatever the mode. */
  warn(text: string): void {
    this.progress.clear()
    this.io.stderr.write(`${safeText(text)}\n`)
  }

  /** Trouble with one item: JSON where JSON was asked for. */
  warnOf(text: string, json: Readonly<Record<string, unknown>>): void {
    if (this.isJson) this.io.stderr.write(`${toJson(json)}\n`)
    else this.warn(text)
  }

  /**
   * A callback that shows how many of `noun` are done. When all are, that line stays; with `terminalOnly` nothing is
   * shown elsewhere.
   */
  counter(noun: string, options: { readonly terminalOnly?: boolean } = {}): CountCallback {
    const isShown = this.verbosity > 0 && !this.isJson && (options.terminalOnly !== true || this.isTerminal)
    if (!isShown) return () => undefined
    let startedMs: number | undefined
    let isFinished = false
    return (done, total) => {
      if (isFinished) return
      const started = (startedMs ??= this.io.now())
      const text = (): string => counterText((this.io.now() - started) / 1000, { done, total }, noun)
      if (done < total) {
        this.progress.update(text)
        return
      }
      isFinished = true
      this.progress.done()
      this.print(text())
    }
  }
}

export type CountCallback = (done: number, total: number) => void

/** Shows how far a long operation is: as a line of text, or as JSON status lines. */
export class StatusReporter<Progress> {
  readonly #output: Output
  readonly #formats: StatusFormats<Progress>
  readonly #ticker: Ticker
  readonly #startedMs: number
  #last: Progress | undefined

  constructor(output: Output, formats: StatusFormats<Progress>) {
    this.#output = output
    this.#formats = formats
    this.#startedMs = output.io.now()
    this.#ticker = new Ticker(output.io, () => this.#printJson(), { startsAtOnce: false })
    if (output.isJson) output.onStatusRequest(() => this.#printJson())
  }

  get elapsedSeconds(): number {
    return (this.#output.io.now() - this.#startedMs) / 1000
  }

  /** Whether anybody sees it unasked. */
  get isShown(): boolean {
    return this.#output.verbosity > 0 && (this.#output.isJson || showsProgress(this.#output.io))
  }

  update(progress: Progress): void {
    this.#last = progress
    if (!this.#output.isJson)
      this.#output.progress.update(() => this.#formats.text(progress, this.elapsedSeconds))
    else if (this.isShown) this.#ticker.poke()
  }

  stop(): void {
    this.#last = undefined
    this.#ticker.stop()
    this.#output.progress.done()
  }

  #printJson(): void {
    if (this.#last === undefined) return
    const fields = this.#formats.json(this.#last, this.elapsedSeconds)
    this.#output.printJson({ message_type: 'status', ...fields })
  }
}

interface StatusFormats<Progress> {
  readonly text: (progress: Progress, elapsedSeconds: number) => string
  readonly json: (progress: Progress, elapsedSeconds: number) => Readonly<Record<string, unknown>>
}

/** restic leaves out numbers that are 0. */
export function omitZero(fields: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== 0))
}
